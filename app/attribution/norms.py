"""A layer or RMS norm as a linear map: its weights, with the scale of each token taken as frozen."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class FrozenNorm:
    """norm(x) = scale(x) * linear(x) + bias."""

    weight: Float[Tensor, " d_model"]  # what multiplies: 1 + w where a model stores w
    bias: Float[Tensor, " d_model"]
    eps: float
    centre: bool  # LayerNorm subtracts the mean over d_model, RMSNorm does not

    def linear(self, x: Float[Tensor, "*n d_model"]) -> Float[Tensor, "*n d_model"]:
        """The norm without scale and bias."""
        return self.centred(x) * self.weight.to(x.dtype)

    def scale(self, x: Float[Tensor, "*n d_model"]) -> Float[Tensor, "*n 1"]:
        """What the norm multiplies each token with."""
        return (self.centred(x).square().mean(dim=-1, keepdim=True) + self.eps).rsqrt()

    def centred(self, x: Float[Tensor, "*n d_model"]) -> Float[Tensor, "*n d_model"]:
        """The vectors without their mean over d_model, for a LayerNorm."""
        return x - x.mean(dim=-1, keepdim=True) if self.centre else x
