"""Checks of a run's model before any unit: against plain transformers on loading, and z = A v on the corpus.

Direct feature attribution rests on z being the pattern times v. Where a model puts a gate or a norm between them, every
share of a source would be wrong, so the run stops.
"""

import numpy as np
import torch
from torch import Tensor, einsum

from app.adapters.language_model import LayerActivations
from app.adapters.self_check import relative_difference
from app.domain.records import Json
from app.errors import InvalidModel
from app.precompute.loaded_run import LoadedRun
from app.precompute.smaller_batches import with_smaller_batches

N_SEQUENCES = 4
# Relative to the size of z. In bfloat16 the 65 families whose z is A v are at most 3e-3 off in `make parity`, and the 7
# with a gate, a norm or a scale in between at least 0.6: nothing adds up over layers here.
TOLERANCES = {"float32": 1e-3, "float16": 1e-2, "bfloat16": 2e-2}


def check_run(run: LoadedRun) -> dict[str, Json]:
    """Check z = A v on the first sequences of the corpus, and return the results of all checks for the run's record.

    Raises InvalidModel where the DFA identity fails in a layer of the run.
    """
    return with_smaller_batches(run.batch, lambda: _check(run))


def _check(run: LoadedRun) -> dict[str, Json]:
    worst: float | None = None  # without SAEs nothing is attributed
    withheld: dict[str, Json] = {}
    tokens = torch.from_numpy(
        np.asarray(run.corpus.tokens[: min(N_SEQUENCES, run.batch.sequences)]).astype(np.int64)
    )
    for processing, layers in run.layers_by_processing.items():
        model = run.model(processing)
        for layer, activations in model.activations(tokens, layers).items():
            missed = mixing_error(activations)
            if not missed <= TOLERANCES[run.plan.dtype]:
                raise InvalidModel(
                    f"hook_z of layer {layer} of {run.record.name} is not its pattern times its values: it is off by "
                    f"{missed:.0%}, so something is between them, such as a gate or a norm, which direct feature "
                    "attribution does not follow"
                )
            worst = max(worst or 0.0, missed)
            if (reason := model.logits_withheld(layer)) is not None:
                withheld[f"L{layer}"] = reason
    checks: dict[str, Json] = {"dfa": None if worst is None else _short(worst), "withheld": withheld}
    for processing in sorted(run.plan.processings):
        check = getattr(run.model(processing), "self_check", None)
        if check is not None:
            pattern = None if check.pattern is None else _short(check.pattern)
            checks[processing] = {"logits": _short(check.logits), "z": _short(check.z), "pattern": pattern}
    return checks


def mixing_error(activations: LayerActivations) -> float:
    """|A v - z| / |z| over all tokens and heads."""
    mixed: Tensor = einsum("bhds,bshe->bdhe", activations.pattern, activations.v)
    return relative_difference(mixed, activations.z)


def _short(value: float) -> float:
    """A difference rounded to one significant digit."""
    return float(f"{value:.0e}")
