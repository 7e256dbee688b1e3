"""SparseCoder against the library's own encode and decode, against slow loops, and against its identities."""

import math

import pytest
import torch
from jaxtyping import TypeCheckError
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from app.attribution.sae import SparseCoder, sparse_product
from app.attribution.sae_steps import (
    ConstantNormRescale,
    FixedScale,
    JumpReLU,
    LayerNorm,
    NoNorm,
    ReLU,
    RescaledTopK,
    TopK,
)
from tests.support.sae_lens_saes import ARCHITECTURES, build, random_z

N_HEADS, D_HEAD, D_SAE = 3, 4, 40
D_IN = N_HEADS * D_HEAD
FACTOR = 1.7
NORMS = ("none", "layer_norm", "constant_norm_rescale", "expected_average_only_in")

every_kind = pytest.mark.parametrize(
    ("architecture", "apply_b_dec", "norm"),
    [(a, b, n) for a in ARCHITECTURES for b in (True, False) for n in NORMS],
)


def plain_coder(activation: object = None, norm: object = None, **changes: object) -> SparseCoder:
    generator = torch.Generator().manual_seed(3)
    fields = {
        "architecture": "standard",
        "n_heads": N_HEADS,
        "d_head": D_HEAD,
        "w_enc": torch.randn(D_IN, D_SAE, generator=generator),
        "w_dec": torch.randn(D_SAE, D_IN, generator=generator),
        "b_enc": torch.randn(D_SAE, generator=generator),
        "b_dec": torch.randn(D_IN, generator=generator),
        "apply_b_dec_to_input": True,
        "activation": activation or ReLU(),
        "input_norm": norm or NoNorm(),
    }
    return SparseCoder(**{**fields, **changes})  # type: ignore[arg-type]


@every_kind
def test_encode_and_decode_equal_the_library(architecture: str, apply_b_dec: bool, norm: str) -> None:
    library, coder = build(architecture, apply_b_dec, norm, N_HEADS, D_HEAD, D_SAE, FACTOR)
    z = random_z(64, D_IN)
    encoded = coder.encode(z)
    assert 0 < (encoded.feature_acts > 0).sum() < encoded.feature_acts.numel()
    assert_close(encoded.feature_acts, library.encode(z), rtol=1e-5, atol=1e-5)
    assert torch.equal(encoded.feature_acts > 0, library.encode(z) > 0)
    assert_close(coder.decode(encoded.feature_acts, encoded), library(z), rtol=1e-5, atol=1e-5)


@every_kind
def test_b15_b16_heads_and_bias_sum_to_the_pre_activation(
    architecture: str, apply_b_dec: bool, norm: str
) -> None:
    _, coder = build(architecture, apply_b_dec, norm, N_HEADS, D_HEAD, D_SAE, FACTOR)
    z = random_z(17, D_IN)
    encoded = coder.encode(z)
    token, feature = (
        index.flatten() for index in torch.meshgrid(torch.arange(17), torch.arange(D_SAE), indexing="ij")
    )
    bias = coder.bias(encoded, token, feature)
    z_by_head = z.view(-1, N_HEADS, D_HEAD)
    for pair in range(0, len(token), 7):
        t, f = int(token[pair]), int(feature[pair])
        heads = [
            encoded.scale[t] * (z_by_head[t, head] @ coder.read_by_head[head, :, f])
            for head in range(N_HEADS)
        ]
        assert_close(sum(heads) + bias[pair], encoded.hidden_pre[t, f], rtol=1e-4, atol=1e-4)


@every_kind
def test_active_features_have_their_pre_activation_as_activation(
    architecture: str, apply_b_dec: bool, norm: str
) -> None:
    _, coder = build(architecture, apply_b_dec, norm, N_HEADS, D_HEAD, D_SAE, FACTOR)
    encoded = coder.encode(random_z(32, D_IN))
    active = encoded.feature_acts > 0
    assert torch.equal(encoded.feature_acts[active], encoded.hidden_pre[active])
    assert not encoded.feature_acts[~active].any()


@pytest.mark.parametrize("norm", ["none", "expected_average_only_in"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_unit_of_activation_writes_one_row(architecture: str, norm: str) -> None:
    _, coder = build(architecture, True, norm, N_HEADS, D_HEAD, D_SAE, FACTOR)
    encoded = coder.encode(random_z(1, D_IN))
    nothing = torch.zeros(1, D_SAE)
    for feature in (0, 5, D_SAE - 1):
        unit = nothing.clone()
        unit[0, feature] = 1
        written = coder.decode(unit, encoded) - coder.decode(nothing, encoded)
        assert_close(written[0], coder.w_write[feature], rtol=1e-5, atol=1e-5)
        assert_close(coder.write_by_head[feature].flatten(), coder.w_write[feature])


def test_pre_activation_is_the_formula() -> None:
    coder = plain_coder()
    z = random_z(3, D_IN)
    hidden_pre = coder.encode(z).hidden_pre
    for t in range(3):
        for f in range(D_SAE):
            slow = float(coder.b_enc[f])
            for i in range(D_IN):
                slow += (float(z[t, i]) - float(coder.b_dec[i])) * float(coder.w_enc[i, f])
            assert float(hidden_pre[t, f]) == pytest.approx(slow, rel=1e-4, abs=1e-4)


def test_b20_views_split_the_heads_in_order() -> None:
    coder = plain_coder()
    for head in range(N_HEADS):
        rows = slice(head * D_HEAD, (head + 1) * D_HEAD)
        assert torch.equal(coder.read_by_head[head], coder.w_enc[rows])
        assert torch.equal(coder.decoder_by_head[:, head], coder.w_dec[:, rows])


def test_top_k_keeps_the_lower_index_of_equal_values() -> None:
    generator = torch.Generator().manual_seed(5)
    # Few distinct values, so that ties cross the k-th place on almost every token.
    columns = torch.randint(-2, 3, (D_IN, D_SAE), generator=generator).float()
    coder = plain_coder(TopK(6), w_enc=columns, b_enc=torch.zeros(D_SAE), b_dec=torch.zeros(D_IN))
    z = torch.randint(-1, 2, (200, D_IN), generator=generator).float()
    encoded = coder.encode(z)
    n_crowded = 0
    for t in range(200):
        p = encoded.hidden_pre[t].tolist()
        ranked = sorted(range(D_SAE), key=lambda f: (-p[f], f))
        expected = [0.0] * D_SAE
        for f in ranked[:6]:
            expected[f] = max(p[f], 0.0)
        n_crowded += p[ranked[5]] == p[ranked[6]] > 0
        assert encoded.feature_acts[t].tolist() == expected
    assert n_crowded > 50


@pytest.mark.parametrize("norm", [NoNorm(), LayerNorm(), ConstantNormRescale(), FixedScale(FACTOR)])
def test_b18_all_zero_z_is_finite(norm: object) -> None:
    coder = plain_coder(norm=norm)
    z = torch.cat([torch.zeros(2, D_IN), random_z(2, D_IN), torch.full((1, D_IN), 1e-40)])
    encoded = coder.encode(z)
    token = torch.arange(5).repeat_interleave(D_SAE)
    feature = torch.arange(D_SAE).repeat(5)
    for tensor in (encoded.hidden_pre, encoded.feature_acts, coder.bias(encoded, token, feature)):
        assert tensor.isfinite().all()
    assert coder.decode(encoded.feature_acts, encoded).isfinite().all()
    assert_close(encoded.hidden_pre[0], coder.bias_read, rtol=1e-5, atol=1e-5)


def test_a_zero_decoder_row_writes_nothing() -> None:
    w_dec = torch.randn(D_SAE, D_IN, generator=torch.Generator().manual_seed(0))
    w_dec[3] = 0
    coder = plain_coder(RescaledTopK(5, w_dec.norm(dim=-1)), w_dec=w_dec)
    encoded = coder.encode(random_z(9, D_IN))
    assert not encoded.feature_acts[:, 3].any()
    assert coder.decode(encoded.feature_acts, encoded).isfinite().all()


def test_the_weights_and_the_input_are_left_alone() -> None:
    for architecture in ARCHITECTURES:
        _, coder = build(architecture, True, "layer_norm", N_HEADS, D_HEAD, D_SAE, FACTOR)
        z = random_z(8, D_IN)
        tensors = [z, coder.w_enc, coder.w_dec, coder.b_enc, coder.b_dec]
        before = [tensor.clone() for tensor in tensors]
        encoded = coder.encode(z)
        coder.decode(encoded.feature_acts, encoded)
        assert all(map(torch.equal, tensors, before))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_b14_a_token_does_not_depend_on_its_batch(architecture: str) -> None:
    _, coder = build(architecture, True, "none", N_HEADS, D_HEAD, D_SAE, FACTOR)
    z = random_z(50, D_IN)
    together = coder.encode(z).feature_acts
    alone = torch.cat([coder.encode(row[None]).feature_acts for row in z])
    assert_close(together, alone, rtol=1e-5, atol=1e-5)


def test_low_precision_z_is_encoded_in_the_dtype_of_the_weights() -> None:
    coder = plain_coder()
    z = random_z(4, D_IN).to(torch.bfloat16)
    assert torch.equal(coder.encode(z).hidden_pre, coder.encode(z.float()).hidden_pre)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_heads": 4},
        {"w_dec": torch.zeros(D_IN, D_SAE)},
        {"b_enc": torch.zeros(D_IN)},
        {"b_dec": torch.zeros(D_SAE)},
        {"activation": TopK(0)},
        {"activation": TopK(D_SAE + 1)},
        {"activation": RescaledTopK(2, torch.ones(D_IN))},
        {"activation": JumpReLU(torch.zeros(D_SAE + 1))},
    ],
)
def test_shapes_that_disagree_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeCheckError)):
        plain_coder(**changes)


def test_a_large_dictionary_stays_within_a_few_token_by_feature_tensors() -> None:
    # A [token d_sae d_in] tensor would have eight times as many numbers as the encoder.
    d_sae, k = 49_152, 32
    coder = plain_coder(
        TopK(k), w_enc=torch.randn(D_IN, d_sae), w_dec=torch.randn(d_sae, D_IN), b_enc=torch.randn(d_sae)
    )
    sizes: list[int] = []
    with _LargestTensor(sizes):
        encoded = coder.encode(random_z(8, D_IN))
        coder.decode(encoded.feature_acts, encoded)
    assert max(sizes) <= max(8 * d_sae, D_IN * d_sae)
    assert (encoded.feature_acts > 0).sum(dim=-1).le(k).all()
    assert math.prod(encoded.feature_acts.shape) == 8 * d_sae


class _LargestTensor(TorchDispatchMode):
    """Records the size of every tensor that any operation returns."""

    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        self.sizes = sizes

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.sizes.append(result.numel())
        return result


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5])
def test_the_product_of_sparse_activations_is_the_dense_one(share):
    torch.manual_seed(0)
    acts = torch.rand(50, 300, dtype=torch.float64) * (torch.rand(50, 300) < share)
    acts[[0, 7, 49]] = 0  # tokens without an active feature, the first and the last among them
    w_dec = torch.randn(300, 12, dtype=torch.float64)
    by_loop = torch.zeros(50, 12, dtype=torch.float64)
    for token in range(50):
        for feature in range(300):
            by_loop[token] += acts[token, feature] * w_dec[feature]
    torch.testing.assert_close(sparse_product(acts, w_dec), by_loop)
    active = acts.nonzero(as_tuple=True)
    assert torch.equal(sparse_product(acts, w_dec, (active[0], active[1])), sparse_product(acts, w_dec))
