"""A packed batch gives back what payloads need, to the last bit, and leaves out what follows from the rest."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from app.attribution.sae import EncodedTokens
from app.precompute import layer_batch
from app.precompute.host_copies import HostCopies
from app.precompute.layer_batch import LayerBatch
from app.precompute.loaded_run import LoadedRun
from app.precompute.packed_batch import pack_batch, shortened, unpack_batch
from app.precompute.prepare import prepare
from app.precompute.shard import layer_batches
from tests.support.tiny_jobs import make_tiny

N_KEY_VALUE_HEADS = {"gpt2": 4, "llama": 2}


@pytest.fixture(
    scope="module", params=[("gpt2", "gated"), ("llama", "topk")], ids=lambda kind: "-".join(kind)
)
def batch(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[LayerBatch, int]:
    model, architecture = request.param
    tiny = make_tiny(tmp_path_factory.mktemp(model), model, architecture, normalize_activations="layer_norm")
    run = LoadedRun(*prepare(tiny.request()))
    return next(iter(layer_batches(run, 3, 6))), N_KEY_VALUE_HEADS[model]


def check(batch: LayerBatch, packed: dict[str, torch.Tensor]) -> None:
    """Every payload of every active pair."""
    feature, token = where_active(batch)
    for some in (np.unique(feature), np.unique(feature)[1::2]):
        arrays = shortened(HostCopies.of(packed).arrays(), batch.sae.coder.d_sae)
        again = unpack_batch(batch.sae, arrays, batch.counted, batch.first_sequence, some)
        where = [each[np.isin(feature, some)] for each in (feature, token)]
        assert batch.payloads(*where) == again.payloads(*where)
    for name in ("v", "pattern", "z"):
        assert torch.equal(getattr(batch, name), getattr(again, name)), name


def where_active(batch: LayerBatch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The feature and the token of the corpus of every active pair."""
    token, feature = batch.active
    place = batch.counted.flatten().nonzero()[:, 0]
    return feature.numpy(), (place[token] + batch.first_sequence * batch.context_size).numpy()


def test_payloads_are_the_same_bits_for_any_number_of_threads(batch: tuple[LayerBatch, int]) -> None:
    where, before = where_active(batch[0]), torch.get_num_threads()
    assert len(np.unique(where[1] // batch[0].context_size)) > 1  # so that there is more than one thing to do
    try:
        made = [batch[0].payloads(*where, n_threads=n) for n in (1, 2, 5)]
    finally:
        torch.set_num_threads(before)
    assert made[0] == made[1] == made[2]
    assert len(made[0]) == len(where[0])


def test_payloads_are_the_same_bits_however_many_are_made_at_once(
    batch: tuple[LayerBatch, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    where = where_active(batch[0])
    at_once = batch[0].payloads(*where)
    per_example = batch[0].context_size * batch[0].sae.coder.n_heads
    for n_examples in (1, 3):
        monkeypatch.setattr(layer_batch, "_DFA_AT_ONCE", n_examples * per_example)
        assert batch[0].payloads(*where) == at_once


def test_it_gives_the_same_payloads(batch: tuple[LayerBatch, int]) -> None:
    check(batch[0], pack_batch(*batch))


@pytest.mark.parametrize(("d_sae", "kind"), [(2**16, np.uint16), (2**16 + 1, np.int32)])
def test_features_are_short_where_they_may_be(d_sae: int, kind: type) -> None:
    feature = np.array([0, 2**16 - 1], np.int32)
    short = shortened({"feature": feature, "v": np.ones(1)}, d_sae)
    assert short["feature"].dtype == kind
    assert short["feature"].tolist() == feature.tolist()
    assert set(short) == {"feature", "v"}


def test_it_leaves_out_what_follows_from_the_rest(batch: tuple[LayerBatch, int]) -> None:
    whole, n_key_value_heads = batch
    arrays = pack_batch(whole, n_key_value_heads)
    n, n_pos = whole.counted.shape
    assert arrays["v"].shape == (n, n_pos, n_key_value_heads, 8)
    assert arrays["pattern"].shape == (n, 4, n_pos * (n_pos + 1) // 2)
    assert "z" not in arrays
    assert "hidden_pre" not in arrays  # above zero it is the activation
    assert arrays["scale"].shape == (len(whole.z),)  # of layer_norm, each token's own


def test_what_does_not_follow_is_kept(batch: tuple[LayerBatch, int]) -> None:
    whole, n_key_value_heads = batch
    generator = torch.Generator().manual_seed(0)
    odd = replace(
        whole,
        encoded=replace(whole.encoded, hidden_pre=whole.encoded.hidden_pre + 1),
        z=torch.nextafter(whole.z, torch.tensor(torch.inf)),
        v=torch.randn(whole.v.shape, generator=generator),
        pattern=torch.rand(whole.pattern.shape, generator=generator),
    )
    arrays = pack_batch(odd, n_key_value_heads)
    assert {name: arrays[name].shape for name in ("z", "v", "pattern")} == {
        "z": odd.z.shape,
        "v": odd.v.shape,
        "pattern": odd.pattern.shape,
    }
    assert len(arrays["hidden_pre"]) == len(arrays["feature_acts"])
    check(odd, arrays)


def test_a_batch_without_tokens_or_pairs_is_packed_too(batch: tuple[LayerBatch, int]) -> None:
    whole, n_key_value_heads = batch
    none = torch.zeros_like(whole.counted)
    encoded = EncodedTokens(**{name: value[:0] for name, value in vars(whole.encoded).items()})
    empty = replace(whole, z=whole.z[:0], encoded=encoded, counted=none, row=torch.full_like(whole.row, -1))
    arrays = HostCopies.of(pack_batch(empty, n_key_value_heads)).arrays()
    again = unpack_batch(whole.sae, arrays, none, 0, np.array([3, 5]))
    assert again.z.shape == empty.z.shape
    assert again.encoded.feature_acts.shape == (0, 2)
