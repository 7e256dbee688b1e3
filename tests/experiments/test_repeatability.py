"""Experiments repeat exactly, do not depend on the batch size but for rounding, and find nothing in random weights."""

import numpy as np
import pytest
import torch

from app.attribution.sae import SparseCoder
from app.attribution.sae_steps import NoNorm, ReLU
from app.domain.experiments.ablation import AblationParameters, PolysemanticityResult
from app.domain.experiments.intervals import Interval, Resampling
from app.domain.refs import FeatureRef
from app.experiments.feature_check import ObservedFeature, feature_activations, feature_check
from app.experiments.natural_text import Text
from app.experiments.polysemanticity import polysemanticity
from app.experiments.progress import Batching
from app.experiments.tasks import duplicate_token, induction
from app.experiments.universality import ScanParameters, universality
from tests.support.hand_built_model import (
    BOS,
    STANDARD,
    HandBuiltModel,
    hand_built_model,
    random_model,
    repeating_text,
)

QUICK = Resampling(200)


def close(ours: Interval, theirs: Interval) -> bool:
    pairs = ((ours.mean, theirs.mean), (ours.lower, theirs.lower), (ours.upper, theirs.upper))
    return all(a == pytest.approx(b, abs=1e-5) for a, b in pairs) and ours.n == theirs.n


@pytest.mark.parametrize("model", [hand_built_model(), random_model(1)], ids=["built", "random"])
def test_the_scan(model: HandBuiltModel) -> None:
    parameters = ScanParameters(3, 10, 16, seed=4, resampling=QUICK)
    ours, other = (universality(model, parameters, Batching(size)) for size in (16, 3))
    assert universality(model, parameters, Batching(16)) == ours
    for a, b in zip(ours.heads, other.heads, strict=True):
        assert (a.head, a.verdict.kind) == (b.head, b.verdict.kind)
        assert close(a.verdict.long_gain, b.verdict.long_gain)


def roles_of(model: HandBuiltModel, size: int) -> PolysemanticityResult:
    tasks = {
        "induction": induction(model, 7, 2, 12),
        "duplicate token": duplicate_token(model, 7, 2, 12),
    }
    parameters = AblationParameters(seed=2, resampling=QUICK)
    return polysemanticity(model, STANDARD, list(tasks), tasks, parameters, Batching(size))


def test_roles() -> None:
    model = hand_built_model()
    ours, other = roles_of(model, 16), roles_of(model, 3)
    assert roles_of(model, 16) == ours
    assert ours.n_confirmed == other.n_confirmed == 1
    for a, b in zip(ours.roles, other.roles, strict=True):
        assert all(close(x.change, y.change) for x, y in zip(a.changes, b.changes, strict=True))
    assert roles_of(random_model(2), 16).n_confirmed == 0


def test_a_feature_against_a_proxy() -> None:
    model = random_model(3)
    tokens = repeating_text(model, 12)
    text = Text(tokens, tokens != BOS)
    generator = np.random.default_rng(0)
    n_heads = model.record.n_heads
    w_enc = torch.randn(n_heads * model.record.d_head, 5, generator=torch.Generator().manual_seed(0))
    coder = make_coder(w_enc, n_heads)
    found = [
        feature_activations(model, coder, FeatureRef(1, 2), text, Batching(size)) for size in (16, 16, 5)
    ]
    assert (found[0] == found[1]).all()
    np.testing.assert_allclose(found[0], found[2], atol=1e-4)
    proxy = generator.random(tokens.shape) < 0.2
    results = [
        feature_check(FeatureRef(1, 2), ObservedFeature(acts, proxy, text.counted), "noise", 4, QUICK)
        for acts in found[:2]
    ]
    assert results[0] == results[1]


def make_coder(w_enc: torch.Tensor, n_heads: int) -> SparseCoder:
    d_in, d_sae = w_enc.shape
    return SparseCoder(
        architecture="standard",
        n_heads=n_heads,
        d_head=d_in // n_heads,
        w_enc=w_enc,
        w_dec=w_enc.T.contiguous(),
        b_enc=torch.zeros(d_sae),
        b_dec=torch.zeros(d_in),
        apply_b_dec_to_input=False,
        activation=ReLU(),
        input_norm=NoNorm(),
    )


def test_parts_are_told_of_as_one_stage() -> None:
    heard: list[tuple[str, int, int]] = []
    batching = Batching(4, lambda *told: heard.append(told)).as_one("all", 15)
    for n in (6, 6, 3):
        assert sum(part.stop - part.start for part in batching.slices(n, "part")) == n
    assert heard == [("all", 4, 15), ("all", 6, 15), ("all", 10, 15), ("all", 12, 15), ("all", 15, 15)]
