"""An SAE folder written anew with its weights in 8 bits or as floats, so that any reader of its kind can have it."""

import errno
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save
from torch import Tensor

from app.adapters.sae_checks import check_tensors
from app.adapters.sae_config import INT8_ROWS, STORAGE_KEY, Storage, parse_config
from app.adapters.sae_sources import CONFIG_FILE, WEIGHTS_FILE, LocalSae, one_line
from app.adapters.sae_storage import as_floats, to_int8_rows
from app.adapters.sae_weights import read_folder
from app.domain.records import Json
from app.errors import InvalidSae

WeightForm = Literal["int8", "float16", "float32"]
_DTYPES = {"float16": torch.float16, "float32": torch.float32}


def convert_sae(folder: Path, out: Path, form: WeightForm) -> None:
    """Write the SAE in the folder to `out`, which is there whole or not at all.

    As floats it is an ordinary sae_lens folder. Raises InvalidSae where the SAE is bad or `out` is there already.
    """
    if out.exists():
        raise InvalidSae(f"{one_line(out)} exists already; name a new folder")
    raw = read_folder(LocalSae(folder))
    config = parse_config(raw.facts.name, raw.facts.config)
    weights = check_tensors(config, as_floats(config, raw.tensors), torch.float32)
    stored = to_int8_rows(weights) if form == "int8" else _floats(raw.facts.name, weights, _DTYPES[form])
    scratch = out.with_name(f"{out.name}.tmp{os.getpid()}")
    try:
        scratch.mkdir(parents=True)
        (scratch / WEIGHTS_FILE).write_bytes(save({name: stored[name].contiguous() for name in stored}))
        text = json.dumps(_config(raw.facts.config, form), indent=2)
        (scratch / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
        scratch.rename(out)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise  # the command line has its own sentence for a full disk
        raise InvalidSae(f"{one_line(out)} cannot be written: {one_line(error.strerror)}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _floats(name: str, weights: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    converted = {key: tensor.to(dtype) for key, tensor in weights.items()}
    if not all(tensor.isfinite().all() for tensor in converted.values()):
        raise InvalidSae(f"the weights of SAE {name} are too large for {dtype}")
    return converted


def _config(config: Mapping[str, Json], form: WeightForm) -> Mapping[str, Json]:
    """The config with what it says of the storage, in its metadata where it has any."""
    written = _with_storage(config, None)
    metadata = written.get("metadata")
    storage = INT8_ROWS if form == "int8" else None
    if not isinstance(metadata, dict):
        return _with_storage(written, storage)
    written["metadata"] = _with_storage(metadata, storage)
    return written


def _with_storage(config: Mapping[str, Json], storage: Storage | None) -> dict[str, Json]:
    rest = {key: value for key, value in config.items() if key != STORAGE_KEY}
    if storage is not None:
        rest[STORAGE_KEY] = storage
    return rest
