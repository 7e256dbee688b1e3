"""DFA as whole numbers of steps: how near it stays, what stays exact, and what is kept as it is."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from app.domain.records import N_SOURCES, Examples, SummedSources
from app.domain.refs import FeatureRef
from app.errors import InvalidStore
from app.store.atlas.blobs import pack, unpack
from app.store.atlas.feature_blobs import pack_examples, unpack_examples

REF = FeatureRef(3, 7)
N, HEADS, CONTEXT = 40, 12, 128


def kept(dfa: np.ndarray, position: np.ndarray) -> dict[str, np.ndarray]:
    """The largest sources of [n heads context], the signed largest first, and the sum of the others."""
    reachable = np.arange(CONTEXT) <= position[:, None, None]
    first = np.where(reachable, dfa, -np.inf).argmax(-1)[..., None]
    size = np.where(reachable, np.abs(dfa), -1.0)
    np.put_along_axis(size, first, np.inf, axis=-1)
    source = np.argsort(-size, axis=-1, kind="stable")[..., :N_SOURCES]
    value = np.take_along_axis(dfa, source, axis=-1)
    unused = source > position[:, None, None]
    value[unused] = 0.0
    rest = dfa.sum(-1) - value.sum(-1)
    source[unused] = -1
    return {
        "source": source.astype(np.int16),
        "dfa": value.astype(np.float32),
        "rest": rest.astype(np.float32),
    }


def examples(scale: float = 1.0, seed: int = 0) -> Examples:
    """Examples of a feature that a few heads write, from a few sources each; the bias is a tenth of the scale."""
    rng = np.random.default_rng(seed)
    position = rng.integers(1, CONTEXT, N).astype(np.int32)
    by_head = scale * 10.0 ** rng.uniform(-3, 0, (1, HEADS, 1))
    dfa = by_head * rng.standard_normal((N, HEADS, CONTEXT)) * 10.0 ** rng.uniform(-4, 0, (N, HEADS, CONTEXT))
    dfa[np.broadcast_to(np.arange(CONTEXT) > position[:, None, None], dfa.shape)] = 0.0
    contribution, bias = dfa.sum(-1), np.full(N, scale / 10, np.float32)
    sources, summed = kept(dfa, position), kept(dfa.sum(1, keepdims=True), position)
    prefix = np.zeros((N, HEADS), np.int16)
    pre_activation = (contribution.sum(1) + bias).astype(np.float32)
    return Examples(
        sequence=np.arange(N, dtype=np.int32),
        position=position,
        activation=pre_activation,
        pre_activation=pre_activation,
        bias=bias,
        residual=(1e-7 * rng.random(N)).astype(np.float32),
        head_contribution=contribution.astype(np.float32),
        source=sources["source"],
        dfa=sources["dfa"],
        dfa_rest=sources["rest"],
        prefix_length=prefix,
        prefix_length_fuzzy=prefix,
        sequence_activations=np.zeros((N, CONTEXT), np.float16),
        summed=SummedSources(
            summed["source"][:, 0], summed["dfa"][:, 0], summed["rest"][:, 0], prefix[:, 0], prefix[:, 0]
        ),
        n_alike=np.ones(N, np.int64),
    )


def packed(made: Examples) -> bytes:
    return pack_examples([made], [REF])[0]


def stored(made: Examples) -> Examples:
    return unpack_examples(packed(made))


def by_position(source: np.ndarray, dfa: np.ndarray) -> list[dict[int, float]]:
    rows = zip(source.reshape(-1, N_SOURCES).tolist(), dfa.reshape(-1, N_SOURCES).tolist(), strict=True)
    return [{at: value for at, value in zip(*row, strict=True) if at >= 0} for row in rows]


@pytest.mark.parametrize("scale", [1e-6, 0.3, 1.0, 7.0, 1e5])
def test_dfa_is_within_a_step_and_its_sources_are_the_same(scale: float) -> None:
    made = examples(scale)
    found = stored(made)
    assert "dfa.steps" in unpack(packed(made))
    assert (found.source[..., 0] == made.source[..., 0]).all()
    assert made.summed is not None
    largest = np.abs(made.dfa).max(-1)
    values = (largest, np.abs(made.head_contribution), np.abs(made.summed.dfa))
    of_example = np.concatenate(values, axis=1).max(1, keepdims=True)
    step = np.minimum(of_example / 2**10, np.maximum(np.abs(made.dfa[..., 0]) / 2**6, largest / 2**13))
    rest_step = np.abs(found.dfa_rest - made.dfa_rest) / step
    assert rest_step.max() < 0.55
    pairs = zip(by_position(found.source, found.dfa), by_position(made.source, made.dfa), strict=True)
    for (read, written), allowed in zip(pairs, step.ravel(), strict=True):
        assert read.keys() == written.keys()
        assert all(abs(read[at] - value) < allowed for at, value in written.items())


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e5])
def test_contributions_and_sources_still_sum_to_the_pre_activation(scale: float) -> None:
    found = stored(examples(scale))
    summed = found.summed
    assert summed is not None
    size = np.abs(found.dfa.astype(np.float64)).sum((1, 2))
    by_source = found.dfa.astype(np.float64).sum(-1) + found.dfa_rest
    of_sum = summed.dfa.astype(np.float64).sum(-1) + summed.rest
    wanted = found.pre_activation - found.bias.astype(np.float64)
    for total in (found.head_contribution.astype(np.float64).sum(1), by_source.sum(1), of_sum):
        assert (np.abs(total - wanted) / size).max() < 1e-4
    assert (np.abs(by_source - found.head_contribution) / size[:, None]).max() < 2e-5


def test_what_was_read_is_stored_again_without_another_loss() -> None:
    made = examples()
    made.dfa[0] *= 1.9999 / np.abs(made.dfa[0]).max()  # is rounded up to the next power of two
    made.dfa[1:, 1, 0] *= 1e-9  # a first source that is rounded to none, beside others
    for of_head in (made.dfa, made.dfa_rest, made.head_contribution):
        of_head[1:, 2] *= 4e-9  # all sources are rounded to none, beside a contribution that is not
    assert "dfa.steps" in unpack(packed(made))
    once = stored(made)
    assert not once.dfa[1:, 1, 0].any()
    assert not once.dfa[1:, 2].any()
    assert once.head_contribution[1:, 2].any()
    twice = stored(once)
    for name in ("dfa", "dfa_rest", "head_contribution", "source"):
        np.testing.assert_array_equal(getattr(twice, name), getattr(once, name))


def test_a_rest_that_misses_its_contribution_is_not_repaired() -> None:
    made = examples()
    rest = made.dfa_rest.copy()
    rest[5, 2] += 0.25
    found = stored(replace(made, dfa_rest=rest))
    missed = found.dfa.astype(np.float64).sum(-1) + found.dfa_rest - found.head_contribution
    assert missed[5, 2] == pytest.approx(0.25, abs=1e-3)
    missed[5, 2] = 0
    assert np.abs(missed).max() < 1e-3


def test_everything_else_comes_back_as_it_was() -> None:
    made, found = examples(), stored(examples())
    rounded = {"dfa", "dfa_rest", "head_contribution", "source", "summed"}
    for part in fields(Examples):
        if part.name not in rounded:
            np.testing.assert_array_equal(getattr(found, part.name), getattr(made, part.name), strict=True)
    assert found.dfa.dtype == found.dfa_rest.dtype == found.head_contribution.dtype == np.float32
    assert found.source.dtype == np.int16


def test_a_block_takes_less_than_half_of_what_floats_take() -> None:
    made = examples()
    plain = {part.name: getattr(made, part.name) for part in fields(Examples) if part.name != "summed"}
    assert len(packed(made)) < len(pack(plain)) / 2


def with_source(made: Examples, at: tuple[int, int, int], value: int) -> Examples:
    source = made.source.copy()
    source[at] = value
    return replace(made, source=source)


@pytest.mark.parametrize(
    "made",
    [
        with_source(examples(), (0, 0, 1), CONTEXT),  # later than the firing token
        with_source(examples(), (0, 0, 1), int(examples().source[0, 0, 2])),  # twice
        with_source(examples(), (0, 0, 2), -1),  # unused, with DFA
        examples(1e-30),
    ],
)
def test_what_steps_cannot_give_back_is_stored_as_it_is(made: Examples) -> None:
    found = stored(made)
    for part in fields(Examples):
        if part.name != "summed":
            np.testing.assert_array_equal(getattr(found, part.name), getattr(made, part.name), strict=True)


def test_examples_without_the_sum_over_heads_have_none() -> None:
    found = stored(replace(examples(), summed=None))
    assert found.summed is None
    assert found.dfa.shape == (N, HEADS, N_SOURCES)


def test_a_feature_without_examples_has_none() -> None:
    made = examples()
    summed = made.summed
    assert summed is not None
    none: Mapping[str, Any] = {
        part.name: getattr(made, part.name)[:0] for part in fields(Examples) if part.name != "summed"
    }
    no_sum = SummedSources(**{part.name: getattr(summed, part.name)[:0] for part in fields(SummedSources)})
    assert len(stored(Examples(**none, summed=no_sum))) == 0


@pytest.mark.parametrize("name", ["dfa.finer", "source.back", "contribution.steps", "rest.missed"])
def test_a_block_whose_arrays_do_not_fit_is_damaged(name: str) -> None:
    arrays = unpack(packed(examples()))
    with pytest.raises(InvalidStore):
        unpack_examples(pack({**arrays, name: arrays[name][:-1]}))
    with pytest.raises(InvalidStore, match="lacks"):
        unpack_examples(pack({key: array for key, array in arrays.items() if key != name}))
