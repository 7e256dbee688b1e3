"""Logit effects of a layer's features come in parts, whatever is known of the path to the logits."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.adapters.transformer_lens_model import TransformerLensModel
from app.domain.evidence import normalised_ids
from app.precompute import finalize
from app.precompute.finalize import Finalizer, n_parts
from app.precompute.loaded_run import LoadedRun
from app.precompute.prepare import prepare
from tests.support.tiny_jobs import make_tiny


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    return LoadedRun(*prepare(make_tiny(tmp_path_factory.mktemp("tiny")).request()))


def chosen(features: list[int], d_sae: int, n_heads: int) -> Any:
    shown_heads = np.ones((d_sae, n_heads), bool)
    return SimpleNamespace(groups=dict.fromkeys(features), rankings=SimpleNamespace(shown_heads=shown_heads))


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("features", [[], [3], [0, 2, 3, 5, 7]])
def test_every_feature_is_in_one_part(
    run: LoadedRun, monkeypatch: pytest.MonkeyPatch, features: list[int], is_known: bool
) -> None:
    monkeypatch.setattr(finalize, "_AT_ONCE", 2)
    if not is_known:
        monkeypatch.setattr(TransformerLensModel, "logits_withheld", lambda *_: "for a test")
    layer = min(run.saes)
    coder = run.saes[layer].coder
    finalizer = Finalizer(run, normalised_ids(run.any_model.tokenizer.vocabulary(run.record.d_vocab)))
    some = chosen(features, coder.d_sae, coder.n_heads)
    parts = list(finalizer.decoder_effects(run.saes[layer], some))
    assert len(parts) == n_parts(some) == (len(features) + 1) // 2
    assert [feature for part in parts for feature in part.features.tolist()] == features
    for part in parts:
        n = len(part.features)
        assert part.logits.promoted.token_id.shape == (n, 20 if is_known else 0)
        assert len(part.logits.head_promoted.token_id) == len(part.similar) == n
        assert (part.logits.first_by_head is not None) == is_known


def test_parts_hold_what_one_part_of_all_would(run: LoadedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = max(run.saes)
    coder = run.saes[layer].coder
    finalizer = Finalizer(run, normalised_ids(run.any_model.tokenizer.vocabulary(run.record.d_vocab)))
    some = chosen([1, 2, 4, 6, 7], coder.d_sae, coder.n_heads)
    (whole,) = finalizer.decoder_effects(run.saes[layer], some)
    monkeypatch.setattr(finalize, "_AT_ONCE", 2)
    parts = list(finalizer.decoder_effects(run.saes[layer], some))
    for name in ("promoted", "suppressed", "head_promoted", "head_suppressed"):
        joined = np.concatenate([getattr(part.logits, name).token_id for part in parts])
        assert np.array_equal(joined, getattr(whole.logits, name).token_id)
        logits = np.concatenate([getattr(part.logits, name).logit for part in parts])
        np.testing.assert_allclose(logits, getattr(whole.logits, name).logit, rtol=1e-5, atol=1e-6)
    counts = np.concatenate([part.logits.histogram.counts for part in parts])
    assert np.array_equal(counts, whole.logits.histogram.counts)
