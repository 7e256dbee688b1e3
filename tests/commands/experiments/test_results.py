"""The experiment commands as typed: what they store and print."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.experiments.registry import KINDS
from tests.support.experiment_commands import SMALL, ExperimentCommands, words_of
from tests.support.tiny_jobs import SLUG

PROMPT = '{"text": "The quick brown fox jumps over the lazy dog[[;]]"}\n'
# The experiments that draw something at random.
SEEDED = [name for name in SMALL if KINDS[name].has_seed]


@pytest.mark.parametrize("name", SMALL)
def test_every_experiment_is_stored_once_and_repeats_exactly(typed: ExperimentCommands, name: str) -> None:
    words = words_of(typed, name)
    first = typed.done(name, *words)
    assert first.request.model_name == "tiny-model"
    assert first.request.processing == ("none" if name == "weight-vs-fve" else "raw")
    typed.done(name, *words)
    [same] = typed.stored()
    assert same.created_at == first.created_at  # it was there already
    typed.done(name, *words, "--again")
    [again] = typed.stored()
    assert again.created_at > first.created_at
    assert replace(again, created_at=first.created_at, seconds=first.seconds) == first


@pytest.mark.parametrize("name", SEEDED)
def test_the_seed_is_part_of_the_request_and_the_batch_size_is_not(
    typed: ExperimentCommands, name: str
) -> None:
    words = words_of(typed, name)
    typed.done(name, *words, "--seed", "3")
    typed.done(name, *words, "--seed", "3", "--batch-size", "3")
    ended = typed.run(name, *words, "--seed", "4")
    assert ended.code == 0
    assert {one.request.seed for one in typed.stored()} == {3, 4}


def test_the_default_correlation_is_over_all_live_features(typed: ExperimentCommands) -> None:
    from app.studies.atlas import open_atlas

    result = typed.done("weight-vs-fve", "--layers", "1").record
    with open_atlas(str(typed.store), SLUG) as opened:
        stored = {record.ref: record.rank_correlation for record in opened.head_records()}
    whole = [one for one in result.agreements if one.over_all]
    assert {one.head: one.correlation for one in whole} == {
        ref: value for ref, value in stored.items() if ref.layer == 1
    }
    assert {(one.definition, one.tokens) for one in whole} == {("covariance_share", "active")}


def test_progress_has_plain_lines_with_rate(typed: ExperimentCommands) -> None:
    ended = typed.run("universality", *SMALL["universality"], "--batch-size", "2")
    assert "attention by prefix length: 12 of 12 sequences" in ended.err
    assert "sequences/s" in ended.err


def test_every_parameter_is_part_of_the_request(typed: ExperimentCommands) -> None:
    words = ("--n-repeated", "4", "--length", "12", "--n-sequences", "5")
    for more in ((), ("--n-repeated", "5"), ("--n-sequences", "4"), ("--length", "10")):
        assert typed.run("known-heads", *words, *more).code == 0
    asked = {(p["n_sequences"], p["n_text_sequences"], p["length"]) for p in parameters_of(typed)}
    assert asked == {(4, 5, 12), (5, 5, 12), (4, 4, 12), (4, 5, 10)}


def parameters_of(typed: ExperimentCommands) -> list[dict[str, object]]:
    return [one.request.parameters for one in typed.stored()]


def test_a_layer_stands_for_all_its_heads(typed: ExperimentCommands) -> None:
    words = [word for word in SMALL["long-prefix-induction"] if word not in ("--heads", "0.1,L1H2")]
    stored = typed.done("long-prefix-induction", "--layer", "1", *words)
    assert stored.request.parameters["heads"] == ["L1H0", "L1H1", "L1H2", "L1H3"]


def test_prompts_of_ones_own(typed: ExperimentCommands, tmp_path: Path) -> None:
    prompts = tmp_path / "mine.jsonl"
    prompts.write_text(PROMPT * 3)
    stored = typed.done(
        "head-ablation", "--layer", "0", "--prompts", str(prompts), "--modes", "zero", "--task", "proxy:fox"
    )
    assert stored.request.parameters["tasks"] == ["proxy:fox", "mine"]


def test_help_names_every_experiment(typed: ExperimentCommands) -> None:
    ended = typed.call("experiment", "--help")
    assert ended.code == 0
    assert all(name in ended.out for name in SMALL)
