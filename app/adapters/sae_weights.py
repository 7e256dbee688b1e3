"""An SAE's weights, read from a folder together with what the folder says of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from app.adapters.sae_sources import WEIGHTS_FILE, LocalSae, SaeFacts, folder_facts, one_line
from app.errors import InvalidSae

_WEIGHT_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int8)


@dataclass(frozen=True)
class RawSae:
    """An SAE as it was read, nothing checked yet but that it can be read."""

    facts: SaeFacts
    tensors: Mapping[str, Tensor]


def read_folder(spec: LocalSae) -> RawSae:
    """Read an SAE. Raises InvalidSae where the folder, its config, its weights or their recorded checksum is bad."""
    facts = folder_facts(spec)
    return RawSae(facts, _read_weights(spec.path / WEIGHTS_FILE))


def _read_weights(path: Path) -> Mapping[str, Tensor]:
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InvalidSae(f"SAE weights {one_line(path)} are corrupt: {one_line(error)}") from error
    for name, tensor in tensors.items():
        if tensor.dtype not in _WEIGHT_DTYPES:
            raise InvalidSae(
                f"SAE weights {one_line(path)} are unusable: tensor {one_line(name)} holds {tensor.dtype},"
                " not floats of 16 to 64 bits or whole numbers of 8"
            )
    return tensors
