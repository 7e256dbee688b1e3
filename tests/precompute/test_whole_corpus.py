"""Published rows against a brute-force recount from dense activations of the whole tiny corpus."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import app.precompute.calibration
from app.adapters.sae_sources import LocalSae
from app.domain.records import FeatureRecord, Ranking
from app.domain.refs import HeadRef
from app.precompute.loaded_run import LoadedRun
from app.precompute.prepare import prepare
from app.precompute.request import RunOptions
from app.precompute.shard import corpus_batches, layer_batches
from app.statistics.kept_tokens import sampling_rank
from tests.support.slow_distinct import SlowCorpus, check_list
from tests.support.slow_truth import SlowSae
from tests.support.tiny_jobs import (
    D_SAE,
    N_HEADS,
    PublishedAtlas,
    Tiny,
    edit_weights,
    fitting_sae,
    make_tiny,
    run,
    tiny_model,
    z_of,
)

K, MIN_ACTIVE = 3, 3


@dataclass(frozen=True)
class Dense:
    """Every activation of one layer, in the run's own batches; token index = sequence * context + position."""

    token: Any  # [tokens] of the counted positions
    acts: Any  # [tokens d_sae]
    pre: Any
    z: Any  # [tokens heads d_head]


def dense_layers(tiny: Tiny, **options: Any) -> dict[int, Dense]:
    spec, parts = prepare(tiny.request(**options))
    loaded_run = LoadedRun(spec, parts)
    rows: dict[int, list[Any]] = {layer: [] for layer in loaded_run.saes}
    for start, stop in corpus_batches(loaded_run):
        for batch in layer_batches(loaded_run, start, stop):
            place = batch.counted.flatten().nonzero()[:, 0].numpy() + start * batch.context_size
            acts, pre = batch.encoded.feature_acts, batch.encoded.hidden_pre
            rows[batch.sae.layer].append((place, acts.numpy(), pre.numpy(), batch.z.numpy()))
    return {
        layer: Dense(*(np.concatenate(part) for part in zip(*found, strict=True)))
        for layer, found in rows.items()
    }


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tiny, PublishedAtlas, dict[int, Dense]]:
    """A run with a dashboard for every feature, dead ones included."""
    root = tmp_path_factory.mktemp("everything")
    tiny = make_tiny(root, k=6)
    run(tiny, str(root / "store.sqlite"), features="all")
    return tiny, PublishedAtlas.open(str(root / "store.sqlite")), dense_layers(tiny)


def test_counts_and_moments_are_those_of_the_dense_activations(everything: Any) -> None:
    _, published, dense = everything
    for layer in published.layers:
        truth, features = dense[layer], published.features(layer)
        assert len(features) == D_SAE
        for feature in features:
            acts = truth.acts[:, feature.ref.index]
            active = acts > 0
            assert feature.n_active == active.sum()
            assert feature.density == active.sum() / len(truth.token)
            assert feature.max_activation == acts.max()
            if active.any():
                assert feature.mean_activation == pytest.approx(acts[active].mean(dtype=np.float64), rel=1e-9)
            assert feature.activation_histogram.counts.sum() == active.sum()
        sae = published.run.record.saes[layer]
        assert sae.l0 == pytest.approx((truth.acts > 0).sum() / len(truth.token))
        assert sae.n_dead == (~(truth.acts > 0).any(0)).sum()
        assert published.run.record.n_tokens == len(truth.token)


def test_examples_are_the_top_tokens_and_fixed_samples_of_each_interval(everything: Any) -> None:
    _, published, dense = everything
    corpus = published.slow_corpus()
    for layer in published.layers:
        for feature in published.features(layer):
            check_groups(feature, dense[layer], corpus)


def check_groups(feature: FeatureRecord, truth: Dense, corpus: SlowCorpus) -> None:
    acts, examples = truth.acts[:, feature.ref.index], feature.examples
    active = np.flatnonzero(acts > 0)
    assert examples is not None
    if not len(active):
        assert len(examples) == 0
        assert feature.groups == ()
        return
    stored = examples.sequence.astype(int) * corpus.tokens.shape[1] + examples.position
    top, *intervals = feature.groups
    best = sorted(active, key=lambda row: (-acts[row], truth.token[row]))
    check_list(feature, top, [int(truth.token[row]) for row in best], 40, 20, corpus)
    by_token = dict(zip(truth.token.tolist(), acts.tolist(), strict=True))
    shown = [by_token[token] for token in stored[top.start : top.stop].tolist()]
    assert examples.activation[top.start : top.stop].tolist() == shown
    assert (top.lower, top.upper, top.n_tokens) == (shown[-1], shown[0], len(shown))
    for place, group in enumerate(intervals):
        highest = place == 0
        inside = [r for r in active if group.lower <= acts[r] and (highest or acts[r] < group.upper)]
        assert group.n_tokens == len(inside)
        assert group.share_of_active == len(inside) / len(active)
        rank = sampling_rank(truth.token[inside].astype(np.int64), 0)
        order = sorted(range(len(inside)), key=lambda i: (-rank[i], truth.token[inside[i]]))
        check_list(feature, group, [int(truth.token[inside[i]]) for i in order], 15, 10, corpus)
    assert sum(group.n_tokens for group in intervals) == len(active)


def head_terms(truth: Dense, sae: SlowSae) -> Any:
    """[tokens heads d_sae] in float64."""
    return sae.contributions(truth.z.astype(np.float64))


def slow_fve(c: Any, p: Any) -> tuple[Any, Any, Any]:
    """Covariance share, residual and squared correlation of each head, from their definitions."""
    var = p.var()
    share = np.array([np.mean((h - h.mean()) * (p - p.mean())) / var for h in c.T])
    residual = np.array([1 - (p - h).var() / var for h in c.T])
    r_squared = np.array([np.corrcoef(h, p)[0, 1] ** 2 for h in c.T])
    return share, residual, r_squared


def test_fve_is_that_of_active_and_of_all_tokens(everything: Any) -> None:
    tiny, published, dense = everything
    checked = 0
    for layer in published.layers:
        truth = dense[layer]
        terms = head_terms(truth, SlowSae.read(tiny.saes[layer]))
        for feature in published.features(layer):
            index = feature.ref.index
            p, active = truth.pre[:, index].astype(np.float64), truth.acts[:, index] > 0
            for stored, rows in ((feature.fve_active, active), (feature.fve_all, np.ones_like(active))):
                if rows.sum() < 3 or p[rows].std() < 1e-6:
                    continue
                assert stored is not None
                parts = (stored.covariance_share, stored.residual, stored.r_squared)
                for mine, slow in zip(parts, slow_fve(terms[rows, :, index], p[rows]), strict=True):
                    np.testing.assert_allclose(mine, slow, rtol=1e-3, atol=1e-3)
                assert stored.covariance_share.sum() == pytest.approx(1, abs=1e-4)
                checked += 1
    assert checked > D_SAE


def test_rankings_are_the_sorted_values_of_live_features(everything: Any) -> None:
    tiny, published, _ = everything
    for layer in published.layers:
        features = published.features(layer)
        live = [feature for feature in features if feature.n_active >= MIN_ACTIVE]
        norm = np.linalg.norm(
            SlowSae.read(tiny.saes[layer]).weights["W_dec"].reshape(D_SAE, N_HEADS, -1), axis=-1
        )
        share = norm / norm.sum(-1, keepdims=True).clip(1e-30)
        for head in range(N_HEADS):
            values: dict[Ranking, Any] = {
                "decoder_weight": {f.ref.index: share[f.ref.index, head] for f in live},
                "fve": {
                    f.ref.index: f.fve_active.covariance_share[head] for f in live if f.fve_active is not None
                },
            }
            orders = {
                name: sorted(value, key=lambda i, v=value: (-v[i], i)) for name, value in values.items()
            }
            record = published.head(HeadRef(layer, head))
            assert record.concentration == pytest.approx(max(values["decoder_weight"].values()), rel=1e-5)
            assert record.top_overlap == len(set.intersection(*(set(order[:K]) for order in orders.values())))
            for name, other in (("decoder_weight", "fve"), ("fve", "decoder_weight")):
                stored = published.ranking(HeadRef(layer, head), name).features
                assert [place.rank for place in stored] == list(range(1, K + 1))
                np.testing.assert_allclose(
                    [place.value for place in stored],
                    [values[name][i] for i in orders[name][:K]],
                    rtol=2**-16,
                )
                assert [place.other_rank for place in stored] == [
                    orders[other].index(place.ref.index) + 1 for place in stored
                ]


def test_evidence_counts_the_top_examples(everything: Any) -> None:
    tiny, published, _ = everything
    spec, _ = prepare(tiny.request())
    tokens = np.load(next(spec.corpus_folder.glob("tokens.npy")))
    tokenizer = tiny_model(tiny.model).tokenizer

    def plain(token: int) -> bytes:
        return tokenizer.token_bytes(int(token)).removeprefix(b" ").lower()

    seen = 0
    for layer in published.layers:
        for feature in published.features(layer):
            examples = feature.examples
            assert examples is not None
            n = feature.groups[0].stop if feature.groups else 0
            assert feature.evidence.n_examples == n
            promoted = set(feature.promoted.token_id[feature.promoted.logit > 0].tolist())
            for head in range(N_HEADS):
                counts = dict.fromkeys(feature.evidence.counts, 0)
                for i in range(n):
                    row, dest = tokens[examples.sequence[i]], int(examples.position[i])
                    src = int(examples.source[i, head, 0])
                    counts["previous_token"] += src == dest - 1
                    counts["same_token"] += src < dest and row[src] == row[dest]
                    counts["induction"] += 0 < src <= dest and src > 1 and row[src - 1] == row[dest]
                    counts["induction_fuzzy"] += 0 < src <= dest and (
                        src > 1 and plain(row[src - 1]) == plain(row[dest])
                    )
                    counts["bos"] += row[src] == row[0]
                    counts["copying"] += int(row[src]) in promoted
                stored = {kind: int(count[head]) for kind, count in feature.evidence.counts.items()}
                assert stored == counts
                seen += sum(stored.values())
    assert seen > 0


def test_top_features_have_the_rows_that_all_features_have(everything: Any, tmp_path: Path) -> None:
    tiny, published, _ = everything
    run(tiny, str(tmp_path / "top.sqlite"), features="top", work_dir=tmp_path / "work")
    check_same_features(PublishedAtlas.open(str(tmp_path / "top.sqlite")), published)


def check_same_features(some: PublishedAtlas, others: PublishedAtlas) -> None:
    for layer in some.layers:
        by_ref = {feature.ref: feature for feature in others.features(layer)}
        assert some.features(layer)
        for feature in some.features(layer):
            other = by_ref[feature.ref]
            # Slices are multiplied out by head where many features want the head, which changes last bits.
            for name in ("head_promoted", "head_suppressed"):
                a, b = getattr(feature, name), getattr(other, name)
                assert np.array_equal(a.token_id, b.token_id)
                np.testing.assert_allclose(a.logit, b.logit, rtol=2**-15, atol=1e-6)
                other = replace(other, **{name: a})
            # Similar features are looked for among those of the same store.
            assert same(replace(feature, similar=None), replace(other, similar=None))
        for head in range(N_HEADS):
            for ranking in ("decoder_weight", "fve"):
                ref = HeadRef(layer, head)
                assert some.ranking(ref, ranking) == others.ranking(ref, ranking)


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit, whatever is nested in what."""
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if hasattr(a, "__dataclass_fields__") and type(a) is type(b):
        return all(same(getattr(a, name), getattr(b, name)) for name in a.__dataclass_fields__)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(value, b[key]) for key, value in a.items())
    return bool(a == b)


def test_b23_a_layer_without_one_active_feature_is_published(tmp_path: Path) -> None:
    tiny = make_tiny(tmp_path)
    dead = fitting_sae(tmp_path / "dead", z_of(tiny.model, tiny.text, 1, "raw"), 1, "standard")

    def never_active(weights: dict[str, Any]) -> None:
        weights["b_enc"] -= 1e4

    edit_weights(dead, never_active)
    saes = (LocalSae(tiny.saes[0]), LocalSae(dead))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app.precompute.calibration, "MAX_FVU", 2.0)
        run(tiny, str(tmp_path / "store.sqlite"), RunOptions(), saes=saes, features="all")
        run(tiny, str(tmp_path / "top.sqlite"), RunOptions(new_run=True), saes=saes)
    published = PublishedAtlas.open(str(tmp_path / "store.sqlite"))
    assert published.run.record.saes[1].n_dead == D_SAE
    assert [len(feature.examples or ()) for feature in published.features(1)] == [0] * D_SAE
    top = PublishedAtlas.open(str(tmp_path / "top.sqlite"))
    assert top.features(1) == []
    assert top.ranking(HeadRef(1, 0), "fve").features == ()


def test_heads_with_fewer_live_features_than_k_have_shorter_lists(tmp_path: Path) -> None:
    tiny = make_tiny(tmp_path, k=6)
    run(tiny, str(tmp_path / "store.sqlite"), k=1000)
    published = PublishedAtlas.open(str(tmp_path / "store.sqlite"))
    for layer in published.layers:
        n_live = len(published.features(layer))
        assert 0 < n_live < D_SAE
        places = published.ranking(HeadRef(layer, 0), "decoder_weight", 2000).features
        assert [place.rank for place in places] == list(range(1, n_live + 1))
