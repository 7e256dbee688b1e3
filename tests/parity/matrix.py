"""The parity matrix: every family in both weight processings and two number formats, and what of it holds."""

import logging
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
import transformers

from app.adapters.language_model import Processing
from tests.parity.measure import measure
from tests.parity.pages import measure_pages
from tests.support.model_families import save_family

COMBINATIONS: tuple[tuple[Processing, torch.dtype], ...] = (
    ("raw", torch.float32),
    ("processed", torch.float32),
    ("raw", torch.bfloat16),
    ("processed", torch.bfloat16),
)
HOLDS = "holds"
# How far a number may be from the plain model's, relative to its size. In bfloat16 a token more or less is active, and
# a router may send a token to other experts: then all that follows it moves. The largest that `make parity` prints of
# 100 families in bfloat16: zero ablation 0.18 and DFA 0.11 (both routed), FVE over active tokens 0.45, density 0.06.
LIMITS = {torch.float32: 1e-4, torch.bfloat16: 0.25}
# DFA is stored in steps of this share of a power of two above the largest of its example, or finer ones.
DFA_STEP = 2**-10
STORED_IN_STEPS = ("DFA", "strongest source")
UNSTEADY = {"FVE over active tokens": 0.5, "FVE over all tokens": 0.5, "density": 0.2, "copying": 0.1}
REASONS = {
    r"no layer has a hook_z": "TransformerLens gives no heads",
    r"does not compute .* as transformers does": "TransformerLens computes another model",
    r"cannot process the weights": "TransformerLens cannot process its weights",
    r"needs the optional torchvision": "TransformerLens needs torchvision for it",
    r"TransformerLens cannot run": "TransformerLens cannot run it",
    r"is not its pattern times its values": "z is not A·v",
}


@dataclass
class Row:
    """One family: by combination what holds, what is withheld and why, and the largest differences by kind."""

    family: str
    verdicts: dict[str, str] = field(default_factory=dict)
    withheld: dict[str, str] = field(default_factory=dict)
    off: dict[str, dict[str, float]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def cells(self) -> tuple[str, ...]:
        """As the table of the docs has them; numbers are left to the print."""
        return (f"`{self.family}`", *self.verdicts.values(), self.reasons)

    @property
    def reasons(self) -> str:
        """What is not said of the family, and why."""
        return "; ".join(f"{what}: {why}" for what, why in self.withheld.items())


def name_of(processing: str, dtype: torch.dtype) -> str:
    """A combination as the table's head has it."""
    return f"{processing}, {str(dtype).removeprefix('torch.')}"


def make_row(family: str) -> Row:
    """Measure a family in all combinations."""
    row = Row(family)
    with tempfile.TemporaryDirectory() as root, _one_thread():
        folder = save_family(family, Path(root) / family)
        for place, (processing, dtype) in enumerate(COMBINATIONS):
            _add(row, folder, Path(root) / str(place), processing, dtype)
    return row


def _add(row: Row, folder: Path, root: Path, processing: Processing, dtype: torch.dtype) -> None:
    name = name_of(processing, dtype)
    found = measure(folder, processing, dtype)
    if found.refused is not None:
        row.verdicts[name] = f"refused: {short(found.refused)}"
        return
    says_logits = "logits" not in found.withheld
    pages = measure_pages(folder, root, processing, dtype, says_logits, found.folds)
    if isinstance(pages, str):
        row.verdicts[name] = f"refused: {short(pages)}"
        found.off = {kind: value for kind, value in found.off.items() if kind not in ("z = A v", "v")}
    else:
        row.verdicts[name] = HOLDS
        found.off |= pages
    row.withheld |= {what: _of_any_layer(why) for what, why in found.withheld.items()}
    row.off[name] = found.off
    for kind, value in found.off.items():
        if not value <= limit_of(kind, dtype):
            row.wrong.append(f"{name}: {kind} is off by {value:.1e}")


def limit_of(kind: str, dtype: torch.dtype) -> float:
    """How far a number of a kind may be from the plain model's."""
    if dtype == torch.float32:
        return DFA_STEP if kind in STORED_IN_STEPS else LIMITS[dtype]
    return max(LIMITS[dtype], UNSTEADY.get(kind, 0))


def quiet() -> None:
    """No warnings or bars of libraries in a worker."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    transformers.utils.logging.disable_progress_bar()
    sys.stdout = sys.stderr


def short(reason: str) -> str:
    """A refusal in a few words, without the numbers that differ from machine to machine."""
    return next((words for pattern, words in REASONS.items() if re.search(pattern, reason)), reason)


def _of_any_layer(reason: str) -> str:
    return re.sub(r"(layer|block) \d+", r"a \1", reason)


@contextmanager
def _one_thread() -> Iterator[None]:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
