"""Features that are packed together: each block is the one of the feature alone, however odd the others are."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app.domain.records import N_SOURCES, Examples, FeatureRecord, Histogram
from app.domain.refs import FeatureRef
from app.store.atlas.blobs import pack, pack_all, unpack
from app.store.atlas.dfa_steps import to_steps
from app.store.atlas.feature_blobs import pack_examples, pack_features
from tests.support.record_data import random_record
from tests.support.run_data import make_run


def examples(feature: FeatureRecord) -> Examples:
    assert feature.examples is not None
    return feature.examples


def part_of(made: Examples, stop: int) -> Examples:
    """The first examples, the sum over heads among them."""
    assert made.summed is not None
    columns = {name: values[:stop] for name, values in vars(made).items() if isinstance(values, np.ndarray)}
    return replace(
        made, **columns, summed=replace(made.summed, **{k: v[:stop] for k, v in vars(made.summed).items()})
    )


def with_source(made: Examples, slot: int, source: int, dfa: float = 0.5) -> Examples:
    sources, values = made.source.copy(), made.dfa.copy()
    sources[1, 2, slot], values[1, 2, slot] = source, dfa
    return replace(made, source=sources, dfa=values)


def far_back(made: Examples) -> Examples:
    """The examples 400 tokens later, with one source that stays where it was."""
    source = np.where(made.source < 0, -1, made.source + 400).astype(np.int16)
    source[0, 1] = [3, *[-1] * (N_SOURCES - 1)]
    dfa = np.where(source < 0, 0, made.dfa).astype(np.float32)
    return replace(made, position=made.position + 400, source=source, dfa=dfa)


def a_part() -> list[FeatureRecord]:
    """Features as a job makes them, with odd ones between: the examples of these, or their numbers, are not alike."""
    plain = [feature for feature in make_run().features.values() if feature.examples is not None][:16]
    of: list[Examples] = [examples(feature) for feature in plain]
    odd: list[dict[str, Any]] = [
        {},
        {"examples": None},
        {"examples": part_of(of[2], 0)},
        {"examples": part_of(of[3], 17)},
        {"examples": replace(of[4], summed=None)},
        {"examples": with_source(of[5], 1, int(of[5].position[1]) + 1)},  # later than the firing token
        {"examples": with_source(of[6], 2, int(of[6].source[1, 2, 1]))},  # twice
        {"examples": with_source(of[7], 3, -1)},  # unused, with DFA
        {"examples": replace(of[8], dfa_rest=of[8].dfa_rest + np.float32(1e9))},  # too many steps
        {"examples": far_back(of[9])},
        {
            "examples": replace(
                of[10], dfa=of[10].dfa * np.float32(1e-35), head_contribution=of[10].dfa_rest * 0
            )
        },
        {"logit_histogram": Histogram(np.array([0.0, 0.1, 0.5]), np.array([3, 4]))},  # irregular edges
        {"logit_histogram": Histogram(np.full(41, 0.25), np.arange(40))},  # of no width
        {"logit_histogram": Histogram(np.linspace(1e9, 1e9 + 1e-6, 41), np.arange(40))},
        {"fve_active": None, "similar": None, "groups": plain[14].groups[:2]},
    ]
    changed = [replace(feature, **values) for feature, values in zip(plain, odd, strict=False)]
    other = random_record(FeatureRecord, np.random.default_rng(3), {"n": 4, "heads": 3, "context": 7})
    return [*plain, *changed, other, *reversed(plain)]


def test_each_block_is_that_of_the_feature_alone() -> None:
    part = a_part()
    assert pack_features(part) == [pack_features([feature])[0] for feature in part]
    shown = [feature for feature in part if feature.examples is not None]
    made, refs = [examples(feature) for feature in shown], [feature.ref for feature in shown]
    blocks = pack_examples(made, refs)
    assert blocks == [pack_examples([one], [ref])[0] for one, ref in zip(made, refs, strict=True)]
    stored = [unpack(block) for block in blocks]
    of_steps = [arrays["source.back"].dtype for arrays in stored if "dfa.steps" in arrays]
    assert len(stored) - len(of_steps) == 5
    assert of_steps.count(np.dtype(np.uint16)) == 1
    assert of_steps.count(np.dtype(np.uint8)) == len(of_steps) - 1
    assert pack_features([]) == pack_examples([], []) == to_steps([]) == []


def test_the_feature_that_holds_no_number_is_named() -> None:
    part = a_part()[:8]
    edges = part[5].logit_histogram.edges.copy()
    edges[3] = np.inf
    broken = replace(
        part[5], ref=FeatureRef(2, 77), logit_histogram=Histogram(edges, part[5].logit_histogram.counts)
    )
    with pytest.raises(ValueError, match=r"^logit_histogram\.edges of L2F77 cannot be stored"):
        pack_features([*part, broken, *part])
    made = [examples(feature) for feature in part]
    dfa = made[3].dfa.copy()
    dfa[0, 0, 1] = np.nan
    made[3] = replace(made[3], dfa=dfa)
    with pytest.raises(ValueError, match=f"^dfa of {part[3].ref} cannot be stored"):
        pack_examples(made, [feature.ref for feature in part])


def test_arrays_of_other_shapes_types_and_byte_orders_are_packed_as_each_alone() -> None:
    whole = np.arange(-6, 6, dtype=np.int32).reshape(3, 4)
    blocks = [
        {"a": whole, "b": np.array(0.5)},
        {"b": np.array(1.5), "a": whole * 7},
        {"a": whole.astype(">i4"), "b": np.array(2.5, ">f8")},
        {"a": np.asfortranarray(whole), "b": np.array(3.5)},
        {"a": whole.reshape(2, 6), "b": np.array([1.5, 2.5])},
        {"a": whole.astype(np.int64)[:, ::2]},
        {"a": whole[:0]},
        {},
    ]
    assert pack_all(blocks) == [pack(arrays) for arrays in blocks]
    assert pack_all(blocks)[2] == pack({"a": whole, "b": np.array(2.5)})
    assert [len(unpack(block)) for block in pack_all(blocks)] == [2, 2, 2, 2, 2, 1, 1, 0]
