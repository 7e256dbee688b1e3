"""Results as stored: every one comes back as it was, and nothing else is taken for one."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from app.domain.experiments.json_form import from_json, to_json
from app.domain.experiments.long_prefix import LONG_PREFIX_INDUCTION
from app.domain.experiments.registry import KINDS, find_kind
from app.domain.experiments.scan import UNIVERSALITY
from app.domain.experiments.wording import listed
from app.domain.refs import FeatureRef, HeadRef
from app.errors import InvalidStore
from tests.support.experiment_results import results


@pytest.mark.parametrize("name", KINDS)
def test_a_result_comes_back_as_it_was(name: str) -> None:
    result = results()[name]
    stored = json.loads(json.dumps(KINDS[name].pack(result), allow_nan=False))
    assert KINDS[name].unpack(stored) == result


def change(data: Any, path: str, value: Any) -> Any:
    changed = copy.deepcopy(data)
    at = changed
    *steps, last = path.split(".")
    for step in steps:
        at = at[int(step) if step.isdecimal() else step]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("version", 2),
        ("result", []),
        ("result.model", None),
        ("result.surplus", 1),
        ("result.n_corrupted", 1.5),
        ("result.n_corrupted", True),
        ("result.model", 5),
        ("result.heads", {}),
        ("result.heads.0.head", "L1"),
        ("result.heads.0.verdict.kind", "both"),
        ("result.heads.0.verdict.kept.mean", "0.5"),
        ("result.parameters.rule.min_gain", [0.1]),
        ("result.parameters.n_draws", -1),
    ],
)
def test_what_is_not_exactly_a_result_is_refused(path: str, value: Any) -> None:
    stored = LONG_PREFIX_INDUCTION.pack(results()["long-prefix-induction"])
    with pytest.raises(InvalidStore, match="stored"):
        LONG_PREFIX_INDUCTION.unpack(change(stored, path, value))


def test_results_of_other_experiments_or_none_are_refused() -> None:
    stored = UNIVERSALITY.pack(results()["universality"])
    for name, data in (("head-ablation", stored), ("poetry", stored), ("universality", None)):
        with pytest.raises(InvalidStore):
            find_kind(name).unpack(data)


def test_numbers_that_json_does_not_know_are_errors() -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"):
            to_json((1.0, value))
    with pytest.raises(TypeError, match="set"):
        to_json({1, 2})


@dataclass(frozen=True)
class _Odd:
    head: HeadRef | None
    features: tuple[FeatureRef, ...]
    whole: float


def test_a_whole_number_is_a_float_but_not_the_other_way() -> None:
    odd = _Odd(None, (FeatureRef(0, 2),), 3.0)
    data = to_json(odd)
    assert data == {"head": None, "features": ["L0F2"], "whole": 3.0}
    assert from_json(_Odd, {**data, "whole": 3}) == odd
    with pytest.raises(InvalidStore):
        from_json(_Odd, {**data, "head": "L0F2"})


def test_findings_name_the_heads_that_were_built() -> None:
    found = results()

    def finding(name: str) -> str:
        return KINDS[name].summarise(found[name])

    def head_findings(name: str) -> Mapping[HeadRef, str]:
        return KINDS[name].by_head(found[name])

    by_head = head_findings("long-prefix-induction")
    assert finding("long-prefix-induction") == ("long-prefix: L1H1; standard: L1H0; neither: 1 of 3")
    assert by_head[HeadRef(1, 1)].startswith("long-prefix: needs two or more matching tokens")
    assert "induction: L1H0" in finding("head-ablation")
    assert (
        "stands out when ablated on induction (zero, mean)" in head_findings("head-ablation")[HeadRef(1, 0)]
    )
    assert "previous token: L0H0" in finding("known-heads")
    assert head_findings("known-heads")[HeadRef(0, 0)] == "detected as previous token (1.00)"
    assert set(head_findings("universality")) == {HeadRef(1, 0), HeadRef(1, 1), HeadRef(1, 2)}
    assert finding("polysemanticity") == "L1H0: ablation confirms 1 of 1 tested roles"
    assert set(head_findings("weight-vs-fve")) == {HeadRef(0, head) for head in range(4)}
    assert head_findings("feature-check") == {}
    assert listed([HeadRef(0, head) for head in range(10)]).endswith("L0H7 and 2 more")
