"""Stores for the browser: one with annotations, a layer of 48 heads and a job under way; one with nothing."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from app.domain.annotations.records import FeatureLabel, Group, HeadAnnotation
from app.domain.records import ExampleGroup, FeatureRecord, JobProgress
from app.domain.refs import HeadRef
from app.services.annotations.saving import Save, save
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.store.annotators import add_annotator, ensure_annotator
from app.store.atlas.progress import report_progress
from app.store.atlas.reads import get_live_run
from app.store.database.engine import write_session
from tests.support.run_data import RunShape, StoredRun, make_run, publish

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def wide_run() -> StoredRun:
    """48 heads per layer; the first feature of its SAE has a single example, and its last is dead.

    It has so many features that a search of all of them takes two pages.
    """
    run = make_run(
        "wide", 5, RunShape(4, 48, sae_layers=(1,), features_per_layer=36, context=64, n_sequences=30)
    )
    first = min(run.features)
    return replace(run, features={**run.features, first: with_one_example(run.features[first])})


def with_one_example(feature: FeatureRecord) -> FeatureRecord:
    examples = feature.examples
    assert examples is not None
    columns = {
        name: column[:1]
        for name, column in vars(examples).items()
        if name != "summed" and column is not None  # of runs that did not count alike examples
    }
    top = feature.groups[0]
    group = ExampleGroup("top", top.upper, top.upper, 1, 1.0, 0, 1)
    summed = replace(examples.summed, **{name: column[:1] for name, column in vars(examples.summed).items()})
    one = replace(examples, **columns, summed=summed)
    return replace(feature, n_active=1, fve_active=None, groups=(group,), examples=one)


def fill(engine: Any, run: StoredRun) -> None:
    publish(engine, run)
    publish(engine, wide_run())
    annotate(engine, run)
    with write_session(engine) as session:
        report_progress(session, JobProgress("ab" * 32, "shards", 3, 12, "shards", 0.5, NOW))


def annotate(engine: Any, run: StoredRun) -> None:
    """Every type, long names, two annotators, a draft, and heads that nobody has read."""
    shapes = {
        HeadRef(1, 0): ["induction"] * 10,
        HeadRef(1, 1): ["induction"] * 9 + [None],
        HeadRef(1, 2): ["a group with a long name, such as people think of & <b>write</b>"] * 5
        + ["verbs"] * 5,
        HeadRef(1, 3): ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"],
        HeadRef(1, 4): [None] * 6 + ["verbs"] * 4,
        HeadRef(4, 0): ["previous token"] * 10,
    }
    with write_session(engine) as session:
        live = get_live_run(session, run.slug)
        me = Viewer.of(ensure_annotator(session, "me", NOW, "admin"))
        ben = Viewer.of(add_annotator(session, "ben", NOW))
        for head, names in shapes.items():
            content = labels_of(run, head, names, ("induction",) if "induction" in names else ())
            save(AtlasContext(session, live, me), Save(head, content, 0, str(uuid.uuid4()), "submitted"), NOW)
        for head in (HeadRef(1, 0), HeadRef(1, 5)):
            content = labels_of(run, head, ["verbs"] * 10, ())
            save(
                AtlasContext(session, live, ben), Save(head, content, 0, str(uuid.uuid4()), "submitted"), NOW
            )


def labels_of(
    run: StoredRun, head: HeadRef, names: list[str | None], roles: tuple[str, ...]
) -> HeadAnnotation:
    places = run.rankings[head, "decoder_weight"].features[: len(names)]
    labels = tuple(
        FeatureLabel(place.ref, name, name is None) for place, name in zip(places, names, strict=True)
    )
    groups = tuple(
        Group(name, "GR" if name == "verbs" else "IN") for name in dict.fromkeys(names) if name is not None
    )
    return HeadAnnotation(groups=groups, labels=labels, roles=roles)
