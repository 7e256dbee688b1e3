"""A run's plan: named as the command line, read from old stores, and refused where another version made it."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from app.errors import AppError
from app.precompute.plan import FORMAT, RowOptions, RunPlan, RunPlanChanged, SaePlan
from app.precompute.request import JobRequest

PLAN = RunPlan(
    model="tiny", model_revision="r", saes=(SaePlan(0, "a", "c", "raw", "d"),),
    dataset=("text",), dataset_identity=("i",),
    n_prompts=10, batch_size=3, shard_size=4, threads=1,
    model_checksum="m", tokenizer_checksum="t", corpus_checksum="k",
)  # fmt: skip
NAMES_IN_0_1 = {
    "dataset": "corpus",
    "dataset_identity": "corpus_identity",
    "n_prompts": "max_sequences",
    "shard_size": "shard_sequences",
    "batch_size": "batch_sequences",
    "n_calibration": "calibration_sequences",
    "n_score_sequences": "score_sequences",
}
ONE_DATASET = {"dataset": "text", "dataset_identity": "i"}  # before format 8


NEW_IN_0_3 = ("model_checksum", "tokenizer_checksum", "corpus_checksum")
# What a plan of an earlier version tells of the same run.
EARLIER = replace(PLAN.without_checksums, saes=(SaePlan(0, "a", "c", "raw", ""),))


def _of_version_0_2() -> dict[str, Any]:
    values = {name: value for name, value in PLAN.as_json().items() if name not in NEW_IN_0_3}
    return (
        values
        | ONE_DATASET
        | {"format": 4, "saes": [{"layer": 0, "name": "a", "checksum": "c", "processing": "raw"}]}
    )


def _of_version_0_1() -> dict[str, Any]:
    return {NAMES_IN_0_1.get(name, name): value for name, value in _of_version_0_2().items()} | {"format": 3}


def test_a_plan_survives_json_and_plans_of_earlier_versions_are_read():
    assert RunPlan.from_json(PLAN.as_json()) == PLAN
    assert RunPlan.from_json(_of_version_0_1()) == EARLIER
    assert RunPlan.from_json(_of_version_0_2()) == EARLIER
    for earlier in (5, 6, 7):
        assert RunPlan.from_json({**PLAN.as_json(), **ONE_DATASET, "format": earlier}) == PLAN
    assert RunPlan.from_json({**PLAN.as_json(), "format": 8}) == PLAN


@pytest.mark.parametrize("change", [{"format": FORMAT + 1}, {"format": 2}, {"surplus": 1}])
def test_plans_of_other_versions_are_refused(change: dict[str, int]):
    with pytest.raises(RunPlanChanged, match="another version"):
        RunPlan.from_json({**PLAN.as_json(), **change})


@pytest.mark.parametrize("earlier", [_of_version_0_1, _of_version_0_2])
def test_a_work_folder_of_an_earlier_version_is_refused_in_one_sentence(
    tmp_path: Path, earlier: Callable[[], dict[str, Any]]
):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(earlier()))
    with pytest.raises(RunPlanChanged) as caught:
        PLAN.require_same(path)
    assert str(caught.value) == (
        f"{tmp_path} holds a run of another version of Head Atlas; add --new-run to start afresh there"
    )


def test_a_changed_option_is_told_by_its_name_on_the_command_line(tmp_path: Path):
    path = tmp_path / "plan.json"
    PLAN.save(path)
    PLAN.require_same(path)
    with pytest.raises(RunPlanChanged, match=r"\(--batch-size: 3 -> 5; --n-prompts: 10 -> null\)"):
        replace(PLAN, batch_size=5, n_prompts=None).require_same(path)


@pytest.mark.parametrize("name", ["k", "min_active", "batch_size", "shard_size", "threads", "n_prompts"])
def test_a_value_that_is_too_small_is_told_by_its_option(name: str):
    with pytest.raises(AppError, match=f"^--{name.replace('_', '-')} must be at least 1, not 0$"):
        replace(PLAN, **{name: 0})


def test_request_and_plan_share_the_options_that_decide_rows():
    options = {(field.name, field.default) for field in fields(RowOptions)}
    assert options <= {(field.name, field.default) for field in fields(JobRequest)}
    assert options <= {(field.name, field.default) for field in fields(RunPlan)}
