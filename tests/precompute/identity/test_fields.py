"""Every field of an SAE's config and of a plan is in the run's fingerprint: to change any one changes it."""

from collections.abc import Iterator
from dataclasses import fields, make_dataclass, replace
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from app.adapters.sae_config import SaeConfig, parse_config, sae_identity
from app.adapters.sae_sources import LocalSae, SaeFacts, folder_facts
from app.adapters.sae_weights import RawSae
from app.precompute.plan import RowOptions, RunPlan, SaePlan
from tests.support.changed_inputs import plan_of
from tests.support.tiny_jobs import Tiny

# An SAE: its config as it is understood, what else was given of it, and its weights.


@pytest.fixture(scope="package")
def facts(original: Tiny) -> SaeFacts:
    return folder_facts(LocalSae(original.saes[0]))


@pytest.fixture(scope="package")
def config(facts: SaeFacts) -> SaeConfig:
    return parse_config(facts.name, facts.config)


def other(owner: type, name: str, value: object) -> object:
    """Another value than this that the field's type allows."""
    return next(each for each in values_of(get_type_hints(owner)[name]) if each != value)


def values_of(kind: Any) -> Iterator[object]:
    """Some values of a type."""
    if get_origin(kind) is Literal:
        yield from get_args(kind)
    elif get_origin(kind) in (Union, UnionType):
        for part in get_args(kind):
            yield from values_of(part)
    else:
        some = {
            bool: (True, False),
            int: (7, 8),
            float: (0.25, 0.5),
            str: ("one", "other"),
            NoneType: (None,),
        }
        yield from some[kind]


@pytest.mark.parametrize("name", [part.name for part in fields(SaeConfig)])
def test_every_field_of_a_parsed_config_counts(facts: SaeFacts, config: SaeConfig, name: str) -> None:
    changed = replace(config, **{name: other(SaeConfig, name, getattr(config, name))})
    assert sae_identity(facts, changed) != sae_identity(facts, config)


@pytest.mark.parametrize("name", [part.name for part in fields(SaeFacts) if part.name != "config"])
def test_every_other_fact_of_an_sae_counts(facts: SaeFacts, config: SaeConfig, name: str) -> None:
    changed = replace(facts, **{name: other(SaeFacts, name, getattr(facts, name))})
    assert sae_identity(changed, config) != sae_identity(facts, config)


def test_a_new_field_cannot_be_left_out(facts: SaeFacts, config: SaeConfig) -> None:
    wider = make_dataclass("Wider", [("window", int)], bases=(SaeConfig,), frozen=True)
    configs = [wider(**vars(config), window=window) for window in (1, 2)]
    assert len({sae_identity(facts, each) for each in configs}) == 2
    wider = make_dataclass("WiderFacts", [("window", int)], bases=(SaeFacts,), frozen=True, kw_only=True)
    known = [wider(**vars(facts), window=window) for window in (1, 2)]
    assert len({sae_identity(each, config) for each in known}) == 2
    assert {part.name for part in fields(RawSae)} == {"facts", "tensors"}  # the weights' checksum is a fact


# A plan: every field of it is hashed, and every option that decides rows is a field.


def test_every_field_of_a_plan_counts(plan: RunPlan) -> None:
    for part in fields(RunPlan):
        value = getattr(plan, part.name)
        if part.name == "saes":
            for inner in fields(SaePlan):
                inner_value = other(SaePlan, inner.name, getattr(value[0], inner.name))
                first = replace(value[0], **{inner.name: inner_value})
                assert replace(plan, saes=(first, *value[1:])).fingerprint != plan.fingerprint, inner.name
        else:
            changed = value[1:] if isinstance(value, tuple) else other(RunPlan, part.name, value)
            assert replace(plan, **{part.name: changed}).fingerprint != plan.fingerprint, part.name


OPTIONS: dict[str, Any] = {
    "context_size": 16, "n_prompts": 9, "features": "all", "k": 4, "min_active": 2, "batch_size": 2,
    "shard_size": 5, "dtype": "bfloat16", "device": "cpu:0", "seed": 1, "threads": 2,
}  # fmt: skip


def test_every_option_that_decides_rows_is_tried() -> None:
    assert {*OPTIONS, "dataset"} == {part.name for part in fields(RowOptions)}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_that_decides_rows_counts(original: Tiny, plan: RunPlan, name: str) -> None:
    assert plan_of(original, **{name: OPTIONS[name]}).fingerprint != plan.fingerprint
