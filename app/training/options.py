"""Options of a training run, as its command and its recipe have them. Imports no model library."""

from dataclasses import dataclass
from typing import Annotated, Literal

from app.domain.options import Option

SaeKind = Literal["topk", "standard"]


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The options of a training run whose values decide its SAEs: on the command line and in the recipe."""

    kind: Annotated[SaeKind, Option()] = "topk"
    d_sae: Annotated[int, Option(min=1)] = 2304
    k: Annotated[int, Option("active features per token (topk)", min=1)] = 32
    l1_coefficient: Annotated[float, Option("sparsity weight (standard)")] = 5.0
    n_tokens: Annotated[int, Option(min=1)] = 2_000_000
    context_size: Annotated[int, Option(min=4)] = 128
    lr: Annotated[float, Option()] = 7e-4
    dtype: Annotated[
        Literal["float32", "bfloat16"], Option("number format of the forward pass and products")
    ] = "float32"
    processing: Annotated[Literal["raw", "processed"], Option()] = "raw"
    held_out_sequences: Annotated[
        int, Option("sequences held out for the quality report", min=1, flag="--held-out")
    ] = 256
    seed: Annotated[int, Option()] = 0
