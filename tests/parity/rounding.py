"""`python -m tests.parity.rounding [FAMILY ...]`: what the tolerances of the self-check rest on.

For each family, processing and number format, how far the sound model is from plain transformers and how far it is with
each planted fault, as multiples of what is allowed: the first must be below 1, the others above. At the end a table
says of each family and fault whether it is caught in all of them, or why it means nothing there. Exit status 1 where
one is missed.
"""

import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import torch

from app.adapters.model_sources import find_model
from app.adapters.path_trace import probe_tokens
from app.adapters.plain_model import ModulePlaces, plain_activations
from app.adapters.self_check import TOLERANCE, SelfCheck, compare
from app.adapters.transformer_lens_model import TransformerLensModel, load_model
from app.errors import InvalidModel
from tests.parity.matrix import COMBINATIONS, name_of, quiet, short
from tests.parity.table import drawn
from tests.support.model_families import FAMILIES, save_family
from tests.support.planted_faults import PLANTED, NotThere

SOUND = "sound"
NOTHING = 1e-5  # a fault that moves a model's numbers by less of their size, in float32, changes nothing


@dataclass
class Faults:
    """Of one family: by combination and fault how far off, as a multiple of what is allowed; and why others are not."""

    off: dict[str, dict[str, float]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)  # by combination
    not_there: dict[str, str] = field(
        default_factory=dict
    )  # by fault: the part that is lacking, or what was measured

    def leave_out_nothing(self) -> None:
        """Take a fault that changes no number of the model for none, with what was measured in float32."""
        for fault in PLANTED:
            moved = [
                by[fault] * TOLERANCE for name, by in self.off.items() if "float32" in name and fault in by
            ]
            if moved and max(moved) < NOTHING:
                self.not_there[fault] = f"it moves no number in float32 by more than {max(moved):.0e}"
                self.off = {
                    name: {each: off for each, off in by.items() if each != fault}
                    for name, by in self.off.items()
                }

    def verdict(self, fault: str) -> str:
        """Whether a fault is caught wherever the sound model is taken."""
        if not self.off:
            return "refused without it"
        if fault in self.not_there:
            return f"means nothing: {self.not_there[fault]}"
        least = min((by_fault[fault], combination) for combination, by_fault in self.off.items())
        return "caught" if least[0] > 1 else f"MISSED at {least[0]:.2g} ({least[1]})"


def of_allowed(check: SelfCheck) -> float:
    """The largest difference as a multiple of its limit, in the model's own format and in float32."""
    parts = {"logits": check.logits, "z": check.z, "pattern": check.pattern or 0.0}
    here = max(parts[name] / limit for name, limit in check.limits.items())
    return here if check.in_float32 is None else max(here, of_allowed(check.in_float32))


def measure_family(family: str, folder: Path) -> Faults:
    """How far off the sound model and each planted fault are."""
    source = find_model(str(save_family(family, folder)), folder)
    found = Faults()
    for processing, dtype in COMBINATIONS:
        name = name_of(processing, dtype)
        for fault in (SOUND, *PLANTED):
            try:
                model = load_model(source, processing, "cpu", dtype, check=False)
                tokens = probe_tokens(model._bridge, model.record.bos_token_id)
                plain = plain_activations(source, tokens, _places(model), model.device, dtype)
                if fault != SOUND:
                    PLANTED[fault](model)
                off = of_allowed(compare(model, plain, tokens))
            except NotThere as reason:
                found.not_there[fault] = str(reason)
                continue
            except (InvalidModel, RuntimeError) as error:
                if fault != SOUND:  # a fault that ends in an error is one that is seen
                    off = float("inf")
                else:
                    found.refused[name] = short(str(error))
                    break
            if fault == SOUND and off > 1:
                found.refused[name] = "TransformerLens computes another model"
                break
            found.off.setdefault(name, {})[fault] = off
    found.leave_out_nothing()
    return found


def _places(model: TransformerLensModel) -> ModulePlaces:
    return ModulePlaces.of(model._bridge, model.attention_layers)


def main() -> int:
    """Print a line for each family and combination, and the table."""
    out = sys.stdout
    quiet()
    rows: list[tuple[str, ...]] = []
    for family in sys.argv[1:] or sorted(FAMILIES):
        with tempfile.TemporaryDirectory() as root:
            found = measure_family(family, Path(root) / family)
        for combination, by_fault in found.off.items():
            said = ", ".join(f"{fault} {off:.2g}" for fault, off in by_fault.items())
            out.write(f"{family}, {combination}: {said}\n")
        rows.append((f"`{family}`", *(found.verdict(fault) for fault in PLANTED)))
        out.write(f"{' | '.join(rows[-1])}\n")
        out.flush()
    out.write(f"\n{drawn(('family', *PLANTED), rows)}\n")
    return int(any("MISSED" in cell for row in rows for cell in row))


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
