"""Checkpoints as the library loads them, with nothing completed: what does not fit the model is refused by name."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from app.errors import InvalidModel

# What older versions of the libraries saved beside the weights, and every later one makes anew from the configuration.
_DERIVED = re.compile(
    r"(^|\.)(rotary_emb\.(inv_freq|cos_cached|sin_cached)|(attn|attention|self_attn)\.(bias|masked_bias)|position_ids)$"
)
_N_NAMED = 3
_HASHING_THREADS = min(4, os.cpu_count() or 1)
# What a configuration says of where it was read from, and by what.
_NOT_OF_THE_MODEL = frozenset({"_name_or_path", "name_or_path", "_commit_hash", "transformers_version"})


class CheckpointLoader:
    """A stand-in for the class by which a bridge loads its weights, which checks what that class reports.

    The library itself warns, and goes on with random numbers for what is missing. `checksum` is, once the model is
    loaded, that of its configuration and weights, before a bridge edits them.
    """

    def __init__(self, name: str, class_of: Callable[[Any], Any]) -> None:
        """class_of: the library's class for a configuration."""
        self._name, self._class_of = name, class_of
        self.checksum = ""

    def from_pretrained(self, location: str, **options: Any) -> Any:
        """The model. Raises InvalidModel where its checkpoint is not exactly the architecture's."""
        library = self._class_of(options["config"])
        model = load_checked(library, self._name, location, **options)
        self.checksum = model_checksum(model)
        return model


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


def model_checksum(model: Any) -> str:
    """sha256 of all that decides what a model does: its configuration, and every weight as it was loaded."""
    config = {key: value for key, value in model.config.to_dict().items() if key not in _NOT_OF_THE_MODEL}
    names, tensors = zip(*_weights(model), strict=True)
    with ThreadPoolExecutor(_HASHING_THREADS) as pool:  # hashing leaves the interpreter to others
        weights = dict(zip(names, pool.map(_tensor_checksum, tensors), strict=True))
    text = json.dumps({"config": config, "weights": weights}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _tensor_checksum(tensor: Tensor) -> str:
    digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _weights(model: Any) -> Iterator[tuple[str, Tensor]]:
    """Every weight once, by the first of its names."""
    seen: set[int] = set()
    for key, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            yield key, tensor


def _is_finite(tensor: Tensor) -> bool:
    """Whether all numbers are finite, by the extremes, which NaN takes over: a tenth of the time of testing each."""
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
