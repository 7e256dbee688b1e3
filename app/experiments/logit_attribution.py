"""Direct logit attribution (DLA): a token's logit as a sum over all components of the model.

The final norm is linear once its scale is frozen at the value of the forward pass.
"""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from app.adapters.interventions import ReadOut, ResidualDecomposition
from app.attribution.float64 import widened


@dataclass(frozen=True, eq=False)
class LogitParts:
    """The logit of one token at each of n positions, before a soft cap, minus the vocabulary's mean, by component.

    embedding + heads + attention_bias + mlp + bias = logit, where logit comes from the model's own forward
    pass. Subtracting the mean over the vocabulary changes no probability, and makes raw and processed weights
    agree.
    """

    embedding: Float64[Tensor, " n"]
    heads: Float64[Tensor, "n layer n_heads"]
    attention_bias: Float64[Tensor, "n layer"]
    mlp: Float64[Tensor, "n layer"]
    bias: Float64[Tensor, " n"]  # of the final norm and of the unembedding
    logit: Float64[Tensor, " n"]

    @property
    def total(self) -> Float64[Tensor, " n"]:
        """The sum of all parts: [n]."""
        return (
            self.embedding
            + self.heads.sum(dim=(1, 2))
            + self.attention_bias.sum(dim=1)
            + self.mlp.sum(dim=1)
            + self.bias
        )

    @property
    def worst_error(self) -> float:
        """The largest |total - logit|, relative to the largest |logit| or to 1 if that is larger."""
        return float((self.total - self.logit).abs().max() / self.logit.abs().max().clamp(min=1))

    @classmethod
    def joined(cls, parts: list["LogitParts"]) -> "LogitParts":
        """Concatenate batches."""
        return cls(**{f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(cls)})


def logit_parts(residual: ResidualDecomposition, read_out: ReadOut, target: Int[Tensor, " n"]) -> LogitParts:
    """DLA of the target token at each position, with the final norm's scale frozen.

    A component x contributes ((x - mean(x)) * norm_weight / scale) @ W_U[:, target]; the mean is only
    subtracted for a LayerNorm.
    Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits" (direct path to the
    logits).
    """
    column = widened(read_out.w_u[:, target] - read_out.w_u.mean(dim=1, keepdim=True)).T
    target = target.to(column.device)
    total = widened(residual.total)
    if read_out.centre_residual:
        total = total - total.mean(dim=1, keepdim=True)
    scale = (total.square().mean(dim=1, keepdim=True) + read_out.eps).sqrt()
    direction = column * widened(read_out.norm_weight)
    if read_out.centre_residual:  # centring the component or the direction it is read in is the same
        direction = direction - direction.mean(dim=1, keepdim=True)
    direction = direction / scale
    b_u = widened(read_out.b_u)
    logits = widened(residual.logits)
    picked = logits.gather(1, target[:, None])[:, 0]
    return LogitParts(
        embedding=(widened(residual.embedding) * direction).sum(dim=1),
        heads=torch.einsum("nlhm,nm->nlh", widened(residual.heads), direction),
        attention_bias=torch.einsum("nlm,nm->nl", widened(residual.attention_bias), direction),
        mlp=torch.einsum("nlm,nm->nl", widened(residual.mlp), direction),
        bias=column @ widened(read_out.norm_bias) + b_u[target] - b_u.mean(),
        logit=picked - logits.mean(dim=1),
    )
