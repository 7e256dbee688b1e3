"""Rankings by weight and by FVE, and features against proxies, beside slow counts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from app.attribution.sae import SparseCoder
from app.attribution.sae_steps import NoNorm, ReLU
from app.domain.experiments.errors import InvalidExperiment
from app.domain.experiments.intervals import Resampling, mean_interval, ratio_interval
from app.domain.records import FeatureRecord, FveByHead
from app.domain.refs import FeatureRef, HeadRef
from app.experiments.feature_check import ObservedFeature, feature_activations, feature_check
from app.experiments.natural_text import Text
from app.experiments.progress import Batching
from app.experiments.weight_vs_fve import RankingParameters, weight_vs_fve
from tests.support.hand_built_model import BOS, hand_built_model, repeating_text
from tests.support.run_data import make_run

REF = FeatureRef(5, 7)
HEADS = [HeadRef(5, 0), HeadRef(5, 1)]


def _features(n: int = 30) -> list[FeatureRecord]:
    """Head 0 ranks alike by both numbers, head 1 the other way round; two features have no FVE."""
    template = next(iter(make_run().features.values()))
    made = []
    for index in range(n):
        share = np.array([0.9 - index / n, 0.1 + index / n], np.float32)
        value = np.array([1 - index / n, 1 - index / n])
        fve = FveByHead(value, -value, value**2) if index >= 2 else None
        made.append(
            replace(
                template,
                ref=FeatureRef(5, index),
                decoder_weight_share=share,
                fve_active=fve,
                fve_all=None,
            )
        )
    return made


def test_agreement_and_flags_are_those_that_were_made() -> None:
    result = weight_vs_fve(_features(), HEADS, RankingParameters(k=5, min_overlap=3))
    found = {(a.head.head, a.definition, a.tokens): a for a in result.agreements}
    assert len(found) == 12
    alike, opposite = found[0, "covariance_share", "active"], found[1, "covariance_share", "active"]
    assert (alike.correlation, alike.overlap, alike.ranking_matters) == (1, 3, False)
    assert (opposite.correlation, opposite.overlap, opposite.ranking_matters) == (-1, 0, True)
    assert found[0, "residual", "active"].correlation == -1
    nothing = found[0, "r_squared", "all"]
    assert (nothing.correlation, nothing.overlap, nothing.n_listed) == (None, 0, 0)
    assert not nothing.ranking_matters
    assert [point.fve for point in result.points(alike)[:3]] == [None, None, pytest.approx(1 - 2 / 30)]
    points = result.points(alike)
    assert points[4].feature == FeatureRef(5, 4)
    assert points[4].share == pytest.approx(0.9 - 4 / 30)


def test_rankings_of_other_layers_or_heads_are_refused() -> None:
    for features, heads in ((_features(), [HeadRef(4, 0)]), ([], HEADS), (_features(), [])):
        with pytest.raises(InvalidExperiment, match="of one layer"):
            weight_vs_fve(features, heads)
    with pytest.raises(InvalidExperiment, match="no head L5H2"):
        weight_vs_fve(_features(), [HeadRef(5, 2)])


def test_intervals_of_activation_are_those_of_a_slow_count() -> None:
    generator = np.random.default_rng(0)
    activation = np.maximum(generator.normal(0, 1, (12, 20)), 0)
    proxy = activation + generator.normal(0, 0.5, activation.shape) > 1
    counted = np.ones(activation.shape, np.bool_)
    counted[:, 0] = False
    result = feature_check(REF, ObservedFeature(activation, proxy, counted), "noise", 4, Resampling(100))
    acts, wanted = activation[counted].tolist(), proxy[counted].tolist()
    top = max(acts)
    for place, found in enumerate(result.intervals):
        lower, upper = ((place - 1) * top / 4, place * top / 4) if place else (-1.0, 0.0)
        inside = [w for a, w in zip(acts, wanted, strict=True) if lower < a <= upper + 1e-12]
        assert (found.n_tokens, found.n_proxy) == (len(inside), sum(inside))
        hit = sum(w for a, w in zip(acts, wanted, strict=True) if a > lower)
        quiet = sum(not w for a, w in zip(acts, wanted, strict=True) if a <= lower)
        assert found.sensitivity.mean == pytest.approx(hit / sum(wanted))
        assert found.specificity.mean == pytest.approx(quiet / (len(acts) - sum(wanted)))
    assert sum(found.n_tokens for found in result.intervals) == result.n_tokens == len(acts)
    assert result.n_active == sum(a > 0 for a in acts)
    assert result.intervals[-1].proxy_share.lower > result.intervals[0].proxy_share.upper


def test_a_feature_or_proxy_with_nothing_to_compare_is_refused() -> None:
    silent, loud = np.zeros((2, 3)), np.ones((2, 3))
    some = np.array([[True, False, True], [False, False, True]])
    everywhere = np.ones((2, 3), np.bool_)
    with pytest.raises(InvalidExperiment, match="active on none of 6"):
        feature_check(REF, ObservedFeature(silent, some, everywhere), "some", 4)
    for proxy in (everywhere, ~everywhere):
        with pytest.raises(InvalidExperiment, match="selects"):
            feature_check(REF, ObservedFeature(loud, proxy, everywhere), "all", 4)


def test_activations_are_the_coders_own() -> None:
    model = hand_built_model()
    d_in = model.record.n_heads * model.record.d_head
    w_enc = torch.randn(d_in, 6, generator=torch.Generator().manual_seed(0))
    coder = SparseCoder(
        architecture="standard",
        n_heads=model.record.n_heads,
        d_head=model.record.d_head,
        w_enc=w_enc,
        w_dec=w_enc.T.contiguous(),
        b_enc=torch.zeros(6),
        b_dec=torch.zeros(d_in),
        apply_b_dec_to_input=False,
        activation=ReLU(),
        input_norm=NoNorm(),
    )
    tokens = repeating_text(model, 7)
    text = Text(tokens, tokens != BOS)
    found = feature_activations(model, coder, FeatureRef(1, 4), text, Batching(3))
    z = model.activations(torch.from_numpy(tokens), [1])[1].z[4, 9].flatten()
    assert found[4, 9] == pytest.approx(max(0.0, float(z @ w_enc[:, 4])), abs=1e-5)
    assert (found > 0).any()
    with pytest.raises(InvalidExperiment, match="no feature L1F6"):
        feature_activations(model, coder, FeatureRef(1, 6), text)


def test_bootstrap_intervals_cover_and_clusters_widen_them() -> None:
    generator = np.random.default_rng(1)
    hits = 0
    for seed in range(100):
        interval = mean_interval(generator.normal(2, 1, 60), Resampling(400, 0.9, seed))
        hits += interval.lower <= 2 <= interval.upper
    assert 80 <= hits <= 97
    of_cluster = np.repeat(generator.normal(0, 1, 20), 10)
    alone, together = (
        mean_interval(of_cluster, Resampling(), c) for c in (None, np.repeat(np.arange(20), 10))
    )
    assert together.upper - together.lower > 2 * (alone.upper - alone.lower)
    assert together.mean == pytest.approx(alone.mean)
    assert together.n == 200
    assert mean_interval(np.zeros(0), Resampling()) is None
    assert ratio_interval(np.ones(3), np.zeros(3), Resampling()) is None
    with pytest.raises(ValueError, match="confidence"):
        Resampling(confidence=1.0)
