"""A plan says what a job takes, from sizes alone: counted here by hand, and held against a job that ran."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import app.accumulators.active_pairs
import app.precompute.costs
import app.precompute.planner
from app.accumulators.attention_statistics import AttentionStatistics
from app.accumulators.batches import PairBatch, ShardTokens
from app.accumulators.layer_statistics import LayerStatistics
from app.accumulators.shard_text import ShardText
from app.adapters.model_sizes import model_sizes
from app.adapters.model_sources import find_model
from app.adapters.sae_sources import LocalSae, ReleaseSae
from app.domain.records import N_INTERVAL_POOL, N_TOP_POOL
from app.errors import AppError, InvalidModel, InvalidSae
from app.precompute.costs import (
    ModelSizes,
    SaeSizes,
    Work,
    accumulator_bytes,
    attention_accumulator_bytes,
    disk,
    kept_bytes,
    memory,
    operations,
    store_bytes,
)
from app.precompute.planner import plan_text
from app.statistics.attention_partial import AttentionPartial, AttentionShape
from app.statistics.feature_partial import FeaturePartial, FeatureShape
from tests.support.saved_saes import saved
from tests.support.tiny_jobs import SLUG, Tiny, make_tiny, run, tiny_model

ROOT = Path(__file__).parents[2]
TINY = ModelSizes(2, 4, 2, 8, 32, 100, 10_000, 6_000)
WORK = Work(TINY, (SaeSizes(0, 32, 68, 4), SaeSizes(1, 32, 50, 4)), 10, 24, 3, 4, 4, is_whole=True, k=3)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("planner"), "llama")


def test_operations_are_those_of_the_products() -> None:
    counted = operations(WORK)
    tokens = 10 * 24
    assert counted["forward"] == tokens * (2 * 6_000 + 2 * 4 * 24 * 32)
    assert counted["encode"] == 2 * tokens * 32 * (68 + 50)
    assert counted["logits"] == 2 * (68 + 50) * (32 * 32 + 32 * 100)
    assert counted["head scores"] == 64 * 129 * (2 * 6_000 + 2 * 4 * 129 * 32)


def test_lists_publish_no_more_than_their_places() -> None:
    lists = Work(TINY, (SaeSizes(1, 32, 68, 4), SaeSizes(0, 32, 20, 4)), 10, 24, 3, 4, 4, is_whole=False, k=3)
    assert lists.n_published == 2 * 3 * 4 + 20
    assert disk(lists)["kept activations"] == kept_bytes(lists)
    assert store_bytes(lists) < store_bytes(WORK)


def test_the_demos_store_is_as_large_as_reckoned() -> None:
    """20.3 MB for 1,377 features of nine heads, and 3,229.9 MB of activations, as measured.

    Features are counted as if all had 70 examples; in the demo they have 57 in the mean.
    """
    model = ModelSizes(30, 9, 3, 64, 576, 49_152, 134_515_008, 106_203_456)
    saes = tuple(SaeSizes(layer, 576, 280, 32) for layer in range(30))
    work = Work(model, saes, 256, 128, 16, 64, 4, is_whole=True, k=20)
    assert store_bytes(work) == pytest.approx(20.3e6 * 8_400 / 1_377, rel=0.2)
    assert kept_bytes(work) == pytest.approx(3_229.9e6, rel=0.03)


def test_layers_are_encoded_side_by_side_as_far_as_threads_and_memory_go() -> None:
    alone = memory(WORK)["encoding a batch"]
    assert alone == 3 * 24 * 68 * 4 * 4
    assert memory(replace(WORK, threads=8))["encoding a batch"] == 2 * alone  # it has two layers
    wide = replace(WORK, saes=(SaeSizes(0, 32, 2**20, 4), SaeSizes(1, 32, 50, 4)))
    assert memory(replace(wide, threads=8)) == memory(wide)


def test_sizes_of_a_model_are_read_without_its_weights(tiny: Tiny, tmp_path: Path) -> None:
    sizes = model_sizes(find_model(str(tiny.model), tmp_path))
    record = tiny_model(tiny.model).record
    for name in ("n_layers", "n_heads", "n_key_value_heads", "d_head", "d_model", "d_vocab"):
        assert sizes[name] == getattr(record, name), name
    assert 0 < sizes["n_block_parameters"] < sizes["n_parameters"]
    (tmp_path / "config.json").write_text("{}")
    source = find_model(str(tmp_path), tmp_path)
    with pytest.raises(InvalidModel):
        model_sizes(source)


def test_a_plan_does_nothing_else(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.precompute.planner, "product_rate", lambda *_: 1e9)
    text = plan_text(tiny.request(work_dir=tmp_path / "work"))
    assert "2 layers with an SAE, 10 sequences of 24 tokens" in text
    assert "on cpu in float32" in text
    assert [line.split()[0] for line in text.splitlines()[3:]] == ["memory"] * 8 + ["disk"] * 4 + ["time"] * 6
    assert not (tmp_path / "work").exists()


def test_a_job_without_saes_has_a_plan_and_one_with_a_wrong_hook_has_none(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.precompute.planner, "product_rate", lambda *_: 1e9)
    text = plan_text(tiny.request(saes=()))
    assert "0 layers with an SAE, 10 sequences of 24 tokens" in text
    assert "0 features at most" in text
    folder = saved(tmp_path / "sae", metadata={"hook_name": "blocks.1.hook_resid_pre"})
    with pytest.raises(InvalidSae, match="hook_resid_pre"):
        plan_text(tiny.request(saes=(LocalSae(folder),)))


def test_sealed_shards_are_no_larger_than_reckoned(tiny: Tiny, tmp_path: Path) -> None:
    run(tiny, str(tmp_path / "store.sqlite"), work_dir=tmp_path)
    sealed = sum(path.stat().st_size for path in (tmp_path / SLUG / "sealed").glob("features-*.seal"))
    saes = tuple(SaeSizes(layer, 32, 68, 32) for layer in (0, 1))
    reckoned = disk(Work(TINY, saes, 10, 24, 3, 4, 4, is_whole=False, k=3))["sealed shards"]
    assert 0.3 * reckoned < sealed < 1.5 * reckoned


def test_without_a_number_of_sequences_it_says_for_how_many(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.precompute.planner, "product_rate", lambda *_: 1e9)
    assert "--n-prompts is not given: for 1,000" in plan_text(tiny.request(n_prompts=None))


def test_a_release_is_not_read(tiny: Tiny) -> None:
    saes: Any = (ReleaseSae("a-release", "an-id"),)
    with pytest.raises(AppError, match="--plan reads the sizes of SAEs in folders"):
        plan_text(tiny.request(saes=saes))


def test_the_page_has_the_tables_that_the_script_counts() -> None:
    spec = importlib.util.spec_from_file_location("scale_counts", ROOT / "scripts" / "scale_counts.py")
    assert spec is not None
    assert spec.loader is not None
    counts = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(counts)
    assert counts.tables() in (ROOT / "docs" / "scale.md").read_text()


@pytest.mark.parametrize(("d_sae", "l0", "n_tokens"), [(40, 10, 4096), (2000, 2, 1024)])
def test_accumulators_hold_about_what_is_reckoned(
    d_sae: int, l0: int, n_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the most over all batches, within a fifth: where features are often active, and where they are rare."""
    for module in (app.accumulators.active_pairs, app.precompute.costs):
        monkeypatch.setattr(module, "FEWEST_WAITING", 500)
    tokens = ShardTokens.of(0, np.arange(n_tokens), seed=0)
    empty = FeaturePartial.empty("plan", FeatureShape(d_sae, 4, 32), 0, None, N_TOP_POOL, N_INTERVAL_POOL)
    statistics = LayerStatistics(empty, tokens)
    most = 0
    for start in range(0, n_tokens, 256):
        statistics.add(random_pairs(d_sae, l0, start, 256))
        most = max(
            most, held_bytes([statistics._sums, statistics._pairs])
        )  # zeros of `_empty` take no memory
    work = Work(TINY, (SaeSizes(0, 32, d_sae, l0),), n_tokens // 128, 128, 2, 512, 4, is_whole=True, k=3)
    of_features = accumulator_bytes(work) - TINY.n_layers * attention_accumulator_bytes(work)
    assert 0.8 <= most / of_features <= 1.2


@pytest.mark.parametrize("n_sequences", [8, 128])
def test_attention_holds_about_what_is_reckoned(n_sequences: int) -> None:
    n_heads, context = 4, 64
    model = replace(TINY, n_heads=n_heads, d_vocab=60)
    work = Work(model, (), n_sequences, context, 4, 512, 4, is_whole=True, k=3)
    random = np.random.default_rng(0)
    tokens = random.integers(0, model.d_vocab, (n_sequences, context))
    text = ShardText.of(tokens, np.arange(context) > np.zeros((n_sequences, 1)))
    shape = AttentionShape(n_heads, context)
    empty = AttentionPartial.empty("plan", shape, 0, None, N_TOP_POOL, N_INTERVAL_POOL)
    statistics = AttentionStatistics(empty, ShardTokens.of(0, np.arange(tokens.size), seed=0), text)
    causal = torch.ones(context, context).tril().log()
    for start in range(0, n_sequences, 4):
        logits = torch.randn(4, n_heads, context, context, generator=torch.Generator().manual_seed(start))
        batch = text.batch(start, start + 4, logits.device)
        statistics.add((logits + causal).softmax(-1), batch)
    held = held_bytes([statistics._pairs, statistics._by_token, statistics._sources, statistics._pictures])
    assert 0.8 <= held / attention_accumulator_bytes(work) <= 1.2


def random_pairs(d_sae: int, l0: int, start: int, n_tokens: int) -> PairBatch:
    """Tokens from `start` on, each with l0 random features that are active by uniform numbers."""
    generator = torch.Generator().manual_seed(start)
    feature = torch.rand(n_tokens, d_sae, generator=generator).topk(l0).indices.flatten()
    feature, order = feature.sort(stable=True)
    token = (start + torch.arange(n_tokens).repeat_interleave(l0))[order]
    activation = torch.rand(len(feature), generator=generator) + 1e-3
    contribution = torch.rand(len(feature), 4, generator=generator)
    z = torch.rand(n_tokens, 32, generator=generator)
    error = torch.ones((), dtype=torch.float64)
    return PairBatch(feature, token, activation, activation, contribution, z, error)


def held_bytes(thing: Any) -> int:
    """The bytes of all arrays that hang on an object, each memory once."""
    sizes: dict[int, int] = {}
    waiting, seen = [thing], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, torch.Tensor):
            sizes[each.untyped_storage().data_ptr()] = each.untyped_storage().nbytes()
        elif isinstance(each, np.ndarray):
            sizes[each.ctypes.data] = each.nbytes
        elif isinstance(each, list | tuple):
            waiting += each
        elif isinstance(each, dict):
            waiting += each.values()
        else:
            waiting += getattr(each, "__dict__", {}).values()
    return sum(sizes.values())
