"""Checkpoints as the library loads them, with nothing completed: what does not fit the model is refused by name."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from app.errors import InvalidModel

# What older versions of the libraries saved beside the weights, and every later one makes anew from the configuration.
_DERIVED = re.compile(
    r"(^|\.)(rotary_emb\.(inv_freq|cos_cached|sin_cached)|(attn|attention|self_attn)\.(bias|masked_bias)|position_ids)$"
)
_N_NAMED = 3


class CheckpointLoader:
    """Stands for the class by which a bridge loads its weights, and checks what that class reports.

    The library itself warns, and goes on with random numbers for what is missing.
    """

    def __init__(self, name: str, class_of: Callable[[Any], Any]) -> None:
        """class_of: the library's class for a configuration."""
        self._name, self._class_of = name, class_of

    def from_pretrained(self, location: str, **options: Any) -> Any:
        """The model. Raises InvalidModel where its checkpoint is not exactly the architecture's."""
        library = self._class_of(options["config"])
        return load_checked(library, self._name, location, **options)


def load_checked(library: Any, name: str, location: str, **options: Any) -> Any:
    """A model by a class of transformers. Raises InvalidModel where its checkpoint is not the architecture's."""
    model, report = library.from_pretrained(
        location, output_loading_info=True, ignore_mismatched_sizes=True, **options
    )
    check_report(name, report)
    check_finite(name, model)
    return model


def check_report(name: str, report: Mapping[str, Any]) -> None:
    """Check the library's report on a checkpoint. Raises InvalidModel that names the first weights that do not fit.

    What the architecture ties or ignores is not in the report; masks and rotary tables are allowed.
    """
    if missing := sorted(report["missing_keys"]):
        raise _error(name, f"its weights lack {_listed(missing)}, which the model needs")
    if mismatched := sorted(report["mismatched_keys"]):
        key, stored, needed = mismatched[0]
        raise _error(name, f"its weight {key} has shape {tuple(stored)}, and the model needs {tuple(needed)}")
    if unexpected := sorted(key for key in report["unexpected_keys"] if not _DERIVED.search(key)):
        raise _error(name, f"its weights hold {_listed(unexpected)}, unknown to the model")


def check_finite(name: str, model: Any) -> None:
    """Check every weight, as it was loaded. Raises InvalidModel that names the first with NaN or infinity."""
    if wrong := [key for key, tensor in _weights(model) if not _is_finite(tensor)]:
        dtype = str(model.dtype).removeprefix("torch.")
        raise _error(name, f"its weights hold NaN or infinite numbers in {dtype}: {_listed(wrong)}")


def _weights(model: Any) -> Iterator[tuple[str, Tensor]]:
    """Every weight once, by the first of its names."""
    seen: set[int] = set()
    for key, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            yield key, tensor


def _is_finite(tensor: Tensor) -> bool:
    """By the extremes, which NaN takes over: a tenth of the time of asking every number."""
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    return bool(torch.stack(torch.aminmax(tensor)).isfinite().all())


def _listed(names: Iterable[str]) -> str:
    """The first names, and how many there are beside."""
    every = list(names)
    more = f" and {len(every) - _N_NAMED} more" if len(every) > _N_NAMED else ""
    return ", ".join(every[:_N_NAMED]) + more


def _error(name: str, problem: str) -> InvalidModel:
    return InvalidModel(f"the model {name} cannot be used: {problem}")
