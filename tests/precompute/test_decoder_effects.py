"""Logit effects of a layer's features come in parts, whatever is known of the path to the logits."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.adapters.transformer_lens_model import TransformerLensModel
from app.domain.evidence import normalised_ids
from app.precompute import finalize
from app.precompute.finalize import DecoderEffects, Finalizer, parts_of
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
    some, effects = effects_of(run, features)
    assert [feature for part in parts_of(some) for feature in effects.features[part].tolist()] == features
    for part in parts_of(some):
        n, logits = len(effects.features[part]), effects.logits(part)
        assert logits.promoted.token_id.shape == (n, 20 if is_known else 0)
        assert len(logits.head_promoted.token_id) == len(effects.similar(part)) == n
        assert (logits.first_by_head is not None) == is_known


def test_parts_hold_what_one_part_of_all_would(run: LoadedRun) -> None:
    _, effects = effects_of(run, [1, 2, 4, 6, 7])
    whole, parts = effects.logits(slice(None)), [effects.logits(slice(n, n + 2)) for n in (0, 2, 4)]
    for name in ("promoted", "suppressed", "head_promoted", "head_suppressed"):
        joined = np.concatenate([getattr(part, name).token_id for part in parts])
        assert np.array_equal(joined, getattr(whole, name).token_id)
        logits = np.concatenate([getattr(part, name).logit for part in parts])
        np.testing.assert_allclose(logits, getattr(whole, name).logit, rtol=1e-5, atol=1e-6)
    counts = np.concatenate([part.histogram.counts for part in parts])
    assert np.array_equal(counts, whole.histogram.counts)
    similar = [each.feature_index.tolist() for n in (0, 2, 4) for each in effects.similar(slice(n, n + 2))]
    assert similar == [each.feature_index.tolist() for each in effects.similar(slice(None))]


def test_the_bits_do_not_depend_on_the_number_of_threads(run: LoadedRun) -> None:
    (_, one), (_, three) = (effects_of(run, [0, 1, 4, 6], n_threads) for n_threads in (1, 3))
    of_one, of_three = one.logits(slice(None)), three.logits(slice(None))
    for name in ("head_promoted", "head_suppressed"):
        assert np.array_equal(getattr(of_one, name).token_id, getattr(of_three, name).token_id)
        assert np.array_equal(getattr(of_one, name).logit, getattr(of_three, name).logit)


def effects_of(run: LoadedRun, features: list[int], n_threads: int = 2) -> tuple[Any, DecoderEffects]:
    """The features of the last layer as they were chosen, and the effects of their decoder rows."""
    layer = max(run.saes)
    coder = run.saes[layer].coder
    finalizer = Finalizer(run, normalised_ids(run.any_model.tokenizer.vocabulary(run.record.d_vocab)))
    some = chosen(features, coder.d_sae, coder.n_heads)
    return some, finalizer.decoder_effects(run.saes[layer], some, n_threads)
