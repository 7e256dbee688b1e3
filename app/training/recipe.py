"""What a training run depends on, and how it is written beside the SAEs."""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from app.adapters.corpora import MIN_CONTEXT
from app.domain.options import check_minimums, option_name
from app.errors import AppError
from app.paths import naming, open_new
from app.training.options import TrainingOptions

RECIPE_FILE = "recipe.json"
MIN_STEPS = 10  # below that there is no room for warm-up and decay
FILLED_SHARE = 0.97  # of a buffer's positions, at least, hold tokens that are counted


class InvalidRecipe(AppError):
    """The training options do not make sense together."""


@dataclass(frozen=True, kw_only=True)
class Recipe(TrainingOptions):
    """Options of one training run. Speed knobs that do not change the result are not in it."""

    model: str
    model_revision: str
    layers: tuple[int, ...]
    datasets: tuple[str, ...]
    batch_tokens: int = 1024
    buffer_sequences: int = 256
    forward_sequences: int = 16

    def __post_init__(self) -> None:
        """Check the options. Raises InvalidRecipe that names the one that is wrong."""
        if not self.layers or len(set(self.layers)) != len(self.layers):
            raise InvalidRecipe(f"--layers needs distinct layers, not {list(self.layers)}")
        if self.kind == "topk" and not 0 < self.k <= self.d_sae:
            raise InvalidRecipe(f"--k must be from 1 to d_sae ({self.d_sae}), not {self.k}")
        check_minimums(self, but="context_size", error=InvalidRecipe)
        for name in ("batch_tokens", "buffer_sequences", "forward_sequences"):
            if getattr(self, name) < 1:
                raise InvalidRecipe(f"{option_name(name)} must be at least 1, not {getattr(self, name)}")
        if not self.datasets:
            raise InvalidRecipe("--dataset is needed at least once")
        if self.lr <= 0 or self.l1_coefficient < 0:
            raise InvalidRecipe(f"--lr {self.lr} and --l1-coefficient {self.l1_coefficient} must be positive")
        if self.context_size < MIN_CONTEXT:
            raise InvalidRecipe(f"--context-size must be at least {MIN_CONTEXT}, not {self.context_size}")
        if self.n_steps < MIN_STEPS:
            raise InvalidRecipe(
                f"--n-tokens {self.n_tokens} is less than {MIN_STEPS} batches of {self.batch_tokens}"
            )
        if not self.batches_per_buffer:
            raise InvalidRecipe(
                f"{self.buffer_sequences} sequences of --context-size {self.context_size} hold less than one "
                f"batch of {self.batch_tokens} tokens"
            )

    @property
    def n_steps(self) -> int:
        """Optimiser steps in the run."""
        return self.n_tokens // self.batch_tokens

    @property
    def batches_per_buffer(self) -> int:
        """Batches served from a buffer: a fixed number, so that a position means the same batch in every run."""
        n_positions = self.buffer_sequences * (self.context_size - 1)
        return int(n_positions * FILLED_SHARE) // self.batch_tokens

    def portable(self) -> "Recipe":
        """The recipe with local datasets by their bare names: what is written tells nothing of this machine."""
        return replace(self, datasets=tuple(_bare(dataset) for dataset in self.datasets))

    def save(self, folder: Path) -> None:
        """Write the recipe beside the SAEs."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / RECIPE_FILE, asdict(self.portable()))

    @classmethod
    def load(cls, folder: Path) -> "Recipe | None":
        """The recipe of the run in the folder; None where there is none."""
        path = folder / RECIPE_FILE
        if not path.is_file():
            return None
        try:
            stored = json.loads(path.read_text())
            stored["layers"], stored["datasets"] = tuple(stored["layers"]), tuple(stored["datasets"])
            return cls(**stored)
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidRecipe(f"{path} is not a recipe that this version can read: {error}") from error

    def require_same(self, other: "Recipe") -> None:
        """Raise InvalidRecipe that names the first option in which a resumed run differs."""
        mine, theirs = asdict(self.portable()), asdict(other.portable())
        for name, value in mine.items():
            if value != theirs[name]:
                raise InvalidRecipe(
                    f"the run in this folder was started with {name}={theirs[name]!r}, not {value!r}; "
                    "choose another --out to start afresh"
                )


def write_json(path: Path, value: object) -> None:
    """Write JSON to a file, which is there whole or not at all."""
    scratch = path.with_name(f"{path.name}.tmp{os.getpid()}")
    with naming(scratch), open_new(scratch) as file:
        file.write(f"{json.dumps(value, indent=2)}\n".encode())
    scratch.replace(path)


def _bare(dataset: str) -> str:
    looks_local = dataset.startswith((".", "/", "~")) or Path(dataset).exists()
    return Path(dataset).expanduser().resolve().name if looks_local else dataset
