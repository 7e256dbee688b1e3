"""Options of computation that the commands of all experiments share. Imports no model library."""

from dataclasses import dataclass
from typing import Annotated, Literal

from app.domain.options import Option


@dataclass(frozen=True, kw_only=True)
class ComputeOptions:
    """How an experiment is computed. Batch size and threads change results by rounding only."""

    batch_size: Annotated[int, Option("sequences in a forward pass; changes only rounding", min=1)] = 16
    processing: Annotated[
        Literal["auto", "raw", "processed"], Option("weight processing; auto: as the atlas's SAEs")
    ] = "auto"
    device: Annotated[str, Option("cpu, cuda or mps")] = "cpu"
    dtype: Annotated[Literal["float32", "bfloat16", "float16"], Option("number format of the model")] = (
        "float32"
    )
    threads: Annotated[int | None, Option("threads of a forward pass", min=1)] = None
    again: Annotated[bool, Option("compute it again although the store has the result")] = False
