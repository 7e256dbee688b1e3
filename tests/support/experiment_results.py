"""A result of every experiment, of the model whose heads are known, and a store that holds them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
from sqlalchemy import Engine

from app.domain.experiments.intervals import Resampling
from app.domain.experiments.known_heads import KnownHeadParameters, Scoreboard, scoreboard
from app.domain.experiments.records import ExperimentRequest
from app.domain.experiments.registry import KINDS
from app.domain.records import JobProgress
from app.domain.refs import FeatureRef, HeadRef
from app.experiments.feature_check import ObservedFeature, feature_check
from app.experiments.head_ablation import AblationParameters, head_ablation
from app.experiments.known_heads import known_heads
from app.experiments.long_prefix_induction import LongPrefixParameters, long_prefix_induction
from app.experiments.natural_text import Text
from app.experiments.polysemanticity import polysemanticity
from app.experiments.tasks import duplicate_token, induction
from app.experiments.universality import ScanParameters, universality
from app.experiments.weight_vs_fve import weight_vs_fve
from app.store import experiments
from app.store.atlas import progress
from app.store.database.engine import write_session
from tests.support.hand_built_model import (
    BOS,
    LONG_PREFIX,
    PREVIOUS,
    STANDARD,
    hand_built_model,
    repeating_text,
)
from tests.support.run_data import make_run

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUNNING, FAILED = "running-one", "failed-one"
_WORDS = [*"ABCDEFGHIJ", *(f"w{i:03d}." for i in range(40))]


@cache
def results() -> dict[str, Any]:
    """By name of the experiment; from the experiments themselves, small."""
    model, resampling = hand_built_model(_WORDS), Resampling(200)
    tokens = repeating_text(model)
    text = Text(tokens, tokens != BOS)
    ablation = AblationParameters(modes=("zero", "mean"), resampling=resampling)
    tasks = [induction(model, 6, 0, 12), duplicate_token(model, 6, 0, 12)]
    detected = known_heads(model, text, KnownHeadParameters(6, 16))
    board = scoreboard(detected.detected(), {"induction": {STANDARD, HeadRef(0, 3)}})
    run = make_run()
    features = [record for ref, record in run.features.items() if ref.layer == 0]
    activation = np.maximum(np.random.default_rng(0).normal(0, 1, tokens.shape), 0)
    observed = ObservedFeature(activation, activation > 1, tokens != BOS)
    return {
        "long-prefix-induction": long_prefix_induction(
            model,
            [STANDARD, LONG_PREFIX, PREVIOUS],
            text,
            LongPrefixParameters(
                max_prefix=4,
                n_examples=12,
                n_logit_examples=6,
                length=24,
                n_shuffles=2,
                resampling=resampling,
            ),
        ),
        "head-ablation": head_ablation(model, 1, tasks, ablation),
        "known-heads": replace(detected, scoreboards=(Scoreboard("annotations", 2, board),)),
        "weight-vs-fve": weight_vs_fve(features, [HeadRef(0, head) for head in range(4)]),
        "universality": universality(model, ScanParameters(3, 8, 16, resampling=resampling)),
        "polysemanticity": polysemanticity(
            model, STANDARD, ["induction", "poetry"], {"induction": tasks[0]}, ablation
        ),
        "feature-check": feature_check(FeatureRef(0, 3), observed, "=1+1", 4, resampling),
    }


def kinds_about(head: HeadRef, needs_roles: bool) -> set[str]:
    """The experiments whose result says something of the head: those that rest on annotators' roles, or the others."""
    return {
        name
        for name, result in results().items()
        if KINDS[name].needs_roles == needs_roles and head in KINDS[name].by_head(result)
    }


def request(name: str, **changes: object) -> ExperimentRequest:
    made = ExperimentRequest(
        atlas="tiny",
        name=name,
        parameters={"heads": ["L1H0", "L1H1"], "rule": {"min_gain": 0.1}},
        seed=5,
        model_name="tiny",
        model_revision="1",
        processing="raw",
        run="f" * 16,
        software="0.1.0",
    )
    return replace(made, **changes)


def store_experiments(engine: Engine) -> dict[str, str]:
    """Every result, one experiment that runs and one that failed, in the atlas `tiny`. Returns their ids."""
    ids: dict[str, str] = {}
    for number, (name, result) in enumerate(results().items()):
        kind = KINDS[name]
        with write_session(engine) as session:
            ids[name] = experiments.begin(session, request(name), NOON + timedelta(minutes=number))
            experiments.finish(
                session, ids[name], 12.5, kind.summarise(result), kind.by_head(result), kind.pack(result)
            )
    with write_session(engine) as session:
        ids[RUNNING] = experiments.begin(session, request("universality", seed=6), NOON)
        row = JobProgress(ids[RUNNING], "attention by prefix length", 30, 120, "sequences", 4.5, NOON)
        progress.report_progress(session, row)
        ids[FAILED] = experiments.begin(session, request("known-heads", seed=6), NOON)
        experiments.fail(session, ids[FAILED], 3.0, "the disk <that holds> the store is full")
    return ids
