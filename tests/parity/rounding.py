"""`python -m tests.parity.rounding [FAMILY ...]`: what the tolerances of the self-check rest on.

For each family, processing and number format, how far the sound model is from plain transformers and how far it is with
each planted fault, as multiples of what is allowed: the first must be below 1, the others above.
"""

import sys
import tempfile
from pathlib import Path

import torch

from app.adapters.model_sources import find_model
from app.adapters.path_trace import probe_tokens
from app.adapters.plain_model import ModulePlaces, plain_activations
from app.adapters.self_check import SelfCheck, compare
from app.adapters.transformer_lens_model import TransformerLensModel, load_model
from app.errors import InvalidModel
from tests.parity.matrix import COMBINATIONS, name_of, quiet
from tests.support.model_families import FAMILIES, save_family
from tests.support.planted_faults import PLANTED

SOUND = "sound"


def of_allowed(check: SelfCheck) -> float:
    """The largest difference as a multiple of its limit."""
    parts = {"logits": check.logits, "z": check.z, "pattern": check.pattern or 0.0}
    return max(value / check.limits[name] for name, value in parts.items())


def measure_family(family: str, folder: Path) -> dict[str, dict[str, float]]:
    """By combination and fault, how far off as a multiple of what is allowed. Refused combinations are left out."""
    source = find_model(str(save_family(family, folder)), folder)
    found: dict[str, dict[str, float]] = {}
    for processing, dtype in COMBINATIONS:
        for fault in (SOUND, *PLANTED):
            try:
                model = load_model(source, processing, "cpu", dtype, check=False)
                tokens = probe_tokens(model._bridge, model.record.bos_token_id)
                plain = plain_activations(source, tokens, _places(model), model.device, dtype)
                if fault != SOUND:
                    PLANTED[fault](model)
                off = of_allowed(compare(model, plain, tokens))
            except (InvalidModel, RuntimeError, AttributeError):
                continue
            found.setdefault(name_of(processing, dtype), {})[fault] = off
    return found


def _places(model: TransformerLensModel) -> ModulePlaces:
    return ModulePlaces.of(model._bridge, model.attention_layers)


def main() -> None:
    """Print a line for each family and combination."""
    out = sys.stdout
    quiet()
    for family in sys.argv[1:] or sorted(FAMILIES):
        with tempfile.TemporaryDirectory() as root:
            for combination, by_fault in measure_family(family, Path(root) / family).items():
                said = ", ".join(f"{fault} {off:.2g}" for fault, off in by_fault.items())
                out.write(f"{family}, {combination}: {said}\n")
                out.flush()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
