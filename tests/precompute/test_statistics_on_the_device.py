"""A shard of a job has the statistics that numpy makes of its batches, of every SAE kind."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from app.precompute.attention_reader import attention_name, empty_attention
from app.precompute.loaded_run import LoadedRun
from app.precompute.partial_files import open_sealed
from app.precompute.plan import Unit
from app.precompute.prepare import prepare
from app.precompute.shard import features_of_shard, layer_batches, run_unit
from app.statistics.alike_texts import text_keys
from app.statistics.feature_partial import FeaturePartial, FeatureShape
from app.statistics.leaves import Shards
from tests.support import numpy_attention
from tests.support.numpy_attention import Text
from tests.support.pair_batches import assert_same_to_rounding
from tests.support.tiny_jobs import Tiny, make_tiny

KINDS = [("gpt2", "topk"), ("gpt2", "gated"), ("llama", "standard"), ("llama", "jumprelu")]


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    tiny: Tiny = make_tiny(tmp_path_factory.mktemp("tiny"), *request.param)
    return LoadedRun(*prepare(tiny.request()))


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


def test_a_shard_is_numpys_to_rounding(loaded: LoadedRun) -> None:
    for shard in range(3):
        expected = by_numpy(loaded, shard)
        for name, partial in layers_of(loaded, shard).items():
            assert_same_to_rounding(partial, expected[name])


def test_attention_of_a_shard_is_numpys_to_rounding(loaded: LoadedRun) -> None:
    plan, shard = loaded.plan, 1
    first, stop = shard * plan.shard_size, min((shard + 1) * plan.shard_size, loaded.corpus.n_sequences)
    expected = {
        layer: empty_attention(loaded, Shards.of(shard)) for layer in loaded.any_model.attention_layers
    }
    for start in range(first, stop, plan.batch_size):
        tokens = np.asarray(loaded.corpus.tokens[start : min(start + plan.batch_size, stop)]).astype(np.int64)
        text = Text(start, tokens, loaded.corpus.counted(start, start + len(tokens)))

        def fold(layer: int, pattern: torch.Tensor, text: Text = text) -> None:
            expected[layer] = numpy_attention.folded(expected[layer], pattern, text)

        loaded.any_model.read_patterns(torch.from_numpy(tokens), fold)
    partials = features_of_shard(loaded, shard)
    assert len(expected) > 1
    for layer, partial in expected.items():
        assert len(partial.top.key) > 0
        numpy_attention.assert_same_to_rounding(partials[attention_name(layer)], partial)


def test_a_unit_that_is_computed_again_is_the_same_file(loaded: LoadedRun) -> None:
    unit = Unit("features", 1)
    loaded.folder.sealed.mkdir(parents=True, exist_ok=True)
    path = run_unit(loaded, unit)
    before = path.read_bytes()
    path.unlink()
    assert run_unit(loaded, unit).read_bytes() == before
    assert open_sealed(path).header.shards == (1,)
