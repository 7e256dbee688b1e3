"""A job whose sums are those of accelerators publishes the rows of one whose sums are numpy's, to rounding."""

from dataclasses import replace

import numpy as np
import pytest

import app.accumulators.layer_statistics
from app.accumulators.sums import DeviceSums
from app.precompute.loaded_run import LoadedRun
from app.precompute.partial_files import open_sealed
from app.precompute.plan import Unit
from app.precompute.prepare import prepare
from app.precompute.shard import features_of_shard, layer_batches, run_unit
from app.statistics.alike_texts import text_keys
from app.statistics.feature_partial import FeaturePartial, FeatureShape
from tests.support.pair_batches import assert_sums_agree
from tests.support.tiny_jobs import Tiny, make_tiny

KINDS = [("gpt2", "topk"), ("gpt2", "gated"), ("llama", "standard"), ("llama", "jumprelu")]


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    tiny: Tiny = make_tiny(tmp_path_factory.mktemp("tiny"), *request.param)
    return LoadedRun(*prepare(tiny.request()))


@pytest.fixture
def on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.accumulators.layer_statistics, "make_sums", DeviceSums)


def layers_of(run: LoadedRun, shard: int) -> dict[str, FeaturePartial]:
    partials = features_of_shard(run, shard)
    return {name: part for name, part in partials.items() if isinstance(part, FeaturePartial)}


def by_numpy(run: LoadedRun, shard: int) -> dict[str, FeaturePartial]:
    """The statistics of a shard, folded batch by batch."""
    plan = run.plan
    first = shard * plan.shard_size
    stop = min(first + plan.shard_size, run.corpus.n_sequences)
    partials = {name: empty_of(partial) for name, partial in layers_of(run, shard).items()}
    for start in range(first, stop, plan.batch_size):
        end = min(start + plan.batch_size, stop)
        texts = text_keys(np.asarray(run.corpus.tokens[start:end])).reshape(-1)
        for batch in layer_batches(run, start, end):
            name, pairs = f"L{batch.sae.layer}", batch.feature_batch()
            text = texts[pairs.token_index - start * plan.context_size]
            partials[name] = partials[name].update(replace(pairs, text=text))
    return partials


def empty_of(partial: FeaturePartial) -> FeaturePartial:
    shape = FeatureShape(partial.d_sae, partial.active.mean_c.shape[1], len(partial.z.mean))
    sample = partial.sample
    return FeaturePartial.empty(
        partial.plan, shape, sample.seed, partial.shards, partial.top.k, sample.kept.k
    )


def test_a_shard_on_the_cpu_is_numpys_to_the_last_bit(loaded: LoadedRun) -> None:
    for shard in range(3):
        assert layers_of(loaded, shard) == by_numpy(loaded, shard)


def test_sums_of_accelerators_agree_to_rounding(loaded: LoadedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = layers_of(loaded, 0)
    monkeypatch.setattr(app.accumulators.layer_statistics, "make_sums", DeviceSums)
    for name, partial in layers_of(loaded, 0).items():
        assert_sums_agree(partial.sums, expected[name].sums)
        assert partial == expected[name].with_sums(partial.sums)


@pytest.mark.usefixtures("on_the_device")
def test_a_unit_that_is_computed_again_is_the_same_file(loaded: LoadedRun) -> None:
    unit = Unit("features", 1)
    loaded.folder.sealed.mkdir(parents=True, exist_ok=True)
    path = run_unit(loaded, unit)
    before = path.read_bytes()
    path.unlink()
    assert run_unit(loaded, unit).read_bytes() == before
    assert open_sealed(path).header.shards == (1,)
