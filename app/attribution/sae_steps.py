"""The steps of an SAE that differ between kinds: input normalisation and activation function."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from app.attribution.products import product
from app.attribution.rows import at_least, count_true, kth_largest, places_of_true

LAYER_NORM_EPS = 1e-5


@dataclass(frozen=True, eq=False)
class NormedInput:
    """x = scale * (z - shift), token by token; x * unscale + shift undoes it."""

    x: Float[Tensor, "token d_in"]
    scale: Float[Tensor, " token"]
    shift: Float[Tensor, " token"]
    unscale: Float[Tensor, " token"]


@runtime_checkable
class InputNorm(Protocol):
    """What an SAE does to z before anything else."""

    @property
    def is_per_token(self) -> bool:
        """Whether scale and shift depend on the token."""
        ...

    @property
    def write_scale(self) -> float:
        """The part of unscale that every token has; 1 where each token has its own."""
        ...

    def apply(self, z: Float[Tensor, "token d_in"]) -> NormedInput: ...


@dataclass(frozen=True)
class NoNorm:
    """z as it is."""

    is_per_token = False
    write_scale = 1.0

    def apply(self, z: Float[Tensor, "token d_in"]) -> NormedInput:
        ones = torch.ones_like(z[:, 0])
        return NormedInput(z, ones, torch.zeros_like(ones), ones)


@dataclass(frozen=True)
class LayerNorm:
    """Mean 0 and standard deviation 1 over d_in, with the n - 1 estimate of the standard deviation.

    eps is added going in and not taken off coming out, as the SAEs were trained.
    """

    is_per_token = True
    write_scale = 1.0

    def apply(self, z: Float[Tensor, "token d_in"]) -> NormedInput:
        mean = z.mean(dim=-1)
        centred = z - mean[:, None]
        std = centred.std(dim=-1)
        scale = 1 / (std + LAYER_NORM_EPS)
        return NormedInput(centred / (std + LAYER_NORM_EPS)[:, None], scale, mean, std)


@dataclass(frozen=True)
class ConstantNormRescale:
    """z with norm sqrt(d_in). A z of zero (or too small to rescale) counts as exactly zero, never as NaN."""

    is_per_token = True
    write_scale = 1.0

    def apply(self, z: Float[Tensor, "token d_in"]) -> NormedInput:
        norm = z.norm(dim=-1)
        scale = z.shape[-1] ** 0.5 / norm
        usable = scale.isfinite()
        zero = torch.zeros_like(norm)
        scale = torch.where(usable, scale, zero)
        unscale = torch.where(usable, norm / z.shape[-1] ** 0.5, zero)
        return NormedInput(z * scale[:, None], scale, zero, unscale)


@dataclass(frozen=True)
class FixedScale:
    """z times one factor, the same for every token (`expected_average_only_in`)."""

    factor: float
    is_per_token = False

    @property
    def write_scale(self) -> float:
        return 1 / self.factor

    def apply(self, z: Float[Tensor, "token d_in"]) -> NormedInput:
        ones = torch.ones_like(z[:, 0])
        return NormedInput(z * self.factor, ones * self.factor, torch.zeros_like(ones), ones / self.factor)


@runtime_checkable
class Activation(Protocol):
    """From the SAE's input x to (hidden_pre, feature_acts), and the per-feature factors around it."""

    def check(self, d_sae: int) -> None:
        """Check the parameters. Raises ValueError where they do not fit d_sae features."""
        ...

    def encode(
        self,
        x: Float[Tensor, "token d_in"],
        w_enc: Float[Tensor, "d_in d_sae"],
        b_enc: Float[Tensor, " d_sae"],
    ) -> tuple[Float[Tensor, "token d_sae"], Float[Tensor, "token d_sae"]]: ...

    def read_gain(self) -> Float[Tensor, " d_sae"] | None:
        """What encoder columns are multiplied by on the way to hidden_pre; None for 1."""
        ...

    def write_gain(self) -> Float[Tensor, " d_sae"] | None:
        """What feature_acts are multiplied by on the way to the decoder; None for 1."""
        ...


class _PlainGains:
    """hidden_pre = x @ w_enc + b_enc, and feature_acts go to the decoder as they are."""

    def check(self, d_sae: int) -> None:
        """Nothing to fit."""

    def read_gain(self) -> Float[Tensor, " d_sae"] | None:
        return None

    def write_gain(self) -> Float[Tensor, " d_sae"] | None:
        return None


@dataclass(frozen=True, eq=False)
class ReLU(_PlainGains):
    """Active where the pre-activation is positive."""

    def encode(
        self,
        x: Float[Tensor, "token d_in"],
        w_enc: Float[Tensor, "d_in d_sae"],
        b_enc: Float[Tensor, " d_sae"],
    ) -> tuple[Float[Tensor, "token d_sae"], Float[Tensor, "token d_sae"]]:
        hidden_pre = product(x, w_enc, b_enc)
        return hidden_pre, hidden_pre.relu()


@dataclass(frozen=True, eq=False)
class TopK(_PlainGains):
    """The k largest positive pre-activations of each token; of equal ones, the lower feature index."""

    k: int

    def check(self, d_sae: int) -> None:
        _check_k(self.k, d_sae)

    def encode(
        self,
        x: Float[Tensor, "token d_in"],
        w_enc: Float[Tensor, "d_in d_sae"],
        b_enc: Float[Tensor, " d_sae"],
    ) -> tuple[Float[Tensor, "token d_sae"], Float[Tensor, "token d_sae"]]:
        hidden_pre = product(x, w_enc, b_enc)
        return hidden_pre, _top_k_acts(hidden_pre, self.k)


@dataclass(frozen=True, eq=False)
class RescaledTopK:
    """TopK on pre-activations weighed by decoder norm, as if the decoder had unit rows.

    A feature with a zero decoder row writes nothing, and is never active.
    """

    k: int
    decoder_norm: Float[Tensor, " d_sae"]

    def check(self, d_sae: int) -> None:
        _check_k(self.k, d_sae)
        _check_vectors(d_sae, decoder_norm=self.decoder_norm)

    def encode(
        self,
        x: Float[Tensor, "token d_in"],
        w_enc: Float[Tensor, "d_in d_sae"],
        b_enc: Float[Tensor, " d_sae"],
    ) -> tuple[Float[Tensor, "token d_sae"], Float[Tensor, "token d_sae"]]:
        hidden_pre = product(x, w_enc, b_enc) * self.decoder_norm
        return hidden_pre, _top_k_acts(hidden_pre, self.k)

    def read_gain(self) -> Float[Tensor, " d_sae"] | None:
        return self.decoder_norm

    def write_gain(self) -> Float[Tensor, " d_sae"] | None:
        zero = torch.zeros_like(self.decoder_norm)
        return torch.where(self.decoder_norm > 0, 1 / self.decoder_norm, zero)


@dataclass(frozen=True, eq=False)
class JumpReLU(_PlainGains):
    """Active where the pre-activation is positive and above the feature's threshold."""

    threshold: Float[Tensor, " d_sae"]

    def check(self, d_sae: int) -> None:
        _check_vectors(d_sae, threshold=self.threshold)

    def encode(
        self,
        x: Float[Tensor, "token d_in"],
        w_enc: Float[Tensor, "d_in d_sae"],
        b_enc: Float[Tensor, " d_sae"],
    ) -> tuple[Float[Tensor, "token d_sae"], Float[Tensor, "token d_sae"]]:
        hidden_pre = product(x, w_enc, b_enc)
        return hidden_pre, hidden_pre.relu().mul_(hidden_pre > self.threshold)


@dataclass(frozen=True, eq=False)
class Gated:
    """Active where the gate x @ w_enc + b_enc is positive; hidden_pre is the magnitude path.

    The two paths share w_enc; the magnitude's columns are exp(r_mag) times as long and have their own bias.
    """

    r_mag: Float[Tensor, " d_sae"]
    b_mag: Float[Tensor, " d_sae"]

    def check(self, d_sae: int) -> None:
        _check_vectors(d_sae, r_mag=self.r_mag, b_mag=self.b_mag)

    def encode(
        self,
        x: Float[Tensor, "token d_in"],
        w_enc: Float[Tensor, "d_in d_sae"],
        b_enc: Float[Tensor, " d_sae"],
    ) -> tuple[Float[Tensor, "token d_sae"], Float[Tensor, "token d_sae"]]:
        shared = product(x, w_enc)
        hidden_pre = shared * self.r_mag.exp() + self.b_mag
        return hidden_pre, hidden_pre.relu().mul_(shared + b_enc > 0)

    def read_gain(self) -> Float[Tensor, " d_sae"] | None:
        return self.r_mag.exp()

    def write_gain(self) -> Float[Tensor, " d_sae"] | None:
        return None


def _top_k_acts(hidden_pre: Float[Tensor, "token d_sae"], k: int) -> Float[Tensor, "token d_sae"]:
    """The k largest pre-activations of each token where they are positive; of a tie the lower indices."""
    least = kth_largest(hidden_pre, k)
    mask = at_least(hidden_pre, least)
    # Ties at or below zero are left: the ReLU removes them anyway.
    crowded = (count_true(mask) > k) & (least > 0)
    if crowded.any():
        row, value = hidden_pre[crowded], least[crowded][:, None]
        above, tied = row > value, row == value
        room = k - above.sum(dim=-1, keepdim=True)
        mask[crowded] = above | (tied & (tied.cumsum(dim=-1) <= room))
    places = places_of_true(mask)
    return torch.zeros_like(hidden_pre).index_put_(places, hidden_pre[places].relu())


def _check_k(k: int, d_sae: int) -> None:
    if not 1 <= k <= d_sae:
        raise ValueError(f"k {k} is not between 1 and d_sae {d_sae}")


def _check_vectors(d_sae: int, **vectors: Tensor) -> None:
    for name, vector in vectors.items():
        if tuple(vector.shape) != (d_sae,):
            raise ValueError(f"{name} has shape {tuple(vector.shape)}, not ({d_sae},)")
