"""Options of computation that the commands of all experiments share. Imports no model library."""

from dataclasses import dataclass
from typing import Annotated, Literal

from app.domain.experiments.options import Examples, Seed
from app.domain.options import Option
from app.precompute.plan import THREADS_HELP, Dtype


@dataclass(frozen=True, kw_only=True)
class ResultOptions:
    """Whether to compute a result again that the store already has."""

    again: Annotated[bool, Option("compute the result again even if the store has it")] = False


@dataclass(frozen=True, kw_only=True)
class PassOptions(ResultOptions):
    """How forward passes are made. Batch size and threads change results by rounding only."""

    batch_size: Annotated[
        int, Option("sequences in a forward pass; changes results by rounding only", min=1)
    ] = 16
    device: Annotated[str, Option("cpu, cuda or mps")] = "cpu"
    dtype: Annotated[Dtype, Option("number format of the model")] = "float32"
    threads: Annotated[int | None, Option("threads of a forward pass", min=1)] = None


@dataclass(frozen=True, kw_only=True)
class ComputeOptions(PassOptions):
    """How an experiment is computed: its passes, and the weight processing of its model."""

    processing: Annotated[
        Literal["auto", "raw", "processed"], Option("weight processing; auto: as the atlas's SAEs")
    ] = "auto"


@dataclass(frozen=True, kw_only=True)
class ReproductionOptions(PassOptions):
    """Sizes of a reproduction of the published figures, and how its passes are made."""

    n_prompts: Annotated[int, Option("sequences of text for the atlas", min=1)] = 2000
    context_size: Annotated[int, Option("positions in a sequence, BOS included", min=4)] = 128
    n_task_prompts: Annotated[int, Option("prompts of each ablation task", min=2)] = 100
    n_examples: Examples = 60
    n_sequences: Annotated[int, Option("sequences of text for the experiments", min=1)] = 256
    seed: Seed = 0
    threads: Annotated[int | None, Option(THREADS_HELP)] = None
