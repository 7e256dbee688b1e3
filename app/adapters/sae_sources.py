"""Where an SAE comes from, and what is read there: a config as written, and weights with their checksum."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from app.domain.records import Json
from app.errors import InvalidSae
from app.paths import file_sha256

CONFIG_FILE = "cfg.json"
WEIGHTS_FILE = "sae_weights.safetensors"
CHECKSUM_FILE = "SHA256SUMS"
_MAX_CONFIG_BYTES = 10_000_000
_CHECKSUM_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](?:\./)?(.+)")
_WEIGHT_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int8)


@dataclass(frozen=True)
class LocalSae:
    """A folder with cfg.json and sae_weights.safetensors.

    normalize_factor: the factor of an `expected_average_only_in` SAE, which the folder does not hold.
    """

    path: Path
    normalize_factor: float | None = None


@dataclass(frozen=True)
class ReleaseSae:
    """A published SAE by release and id, as the sae_lens registry names them."""

    release: str
    sae_id: str


SaeSpec = LocalSae | ReleaseSae


@dataclass(frozen=True)
class RawSae:
    """An SAE as found, nothing checked yet but that it can be read."""

    name: str
    config: Mapping[str, Json]
    tensors: Mapping[str, Tensor]
    checksum: str
    normalize_factor: float | None = None
    published_l0: float | None = None
    neuronpedia_id: str | None = None


def one_line(value: object, limit: int = 200) -> str:
    """Outside text made fit for a one-sentence message."""
    text = " ".join(str(value).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def read_folder(spec: LocalSae) -> RawSae:
    """Raises InvalidSae where the folder, its config, its weights or their recorded checksum is bad."""
    folder = spec.path
    if not _is_folder(folder):
        raise InvalidSae(f"SAE folder {one_line(folder)} does not exist or is not a folder")
    config = _read_config(folder / CONFIG_FILE)
    weights = folder / WEIGHTS_FILE
    if not weights.is_file():
        raise InvalidSae(f"SAE folder {one_line(folder)} has no {WEIGHTS_FILE}")
    checksum = file_checksum(weights)
    _compare_with_recorded(folder, checksum)
    return RawSae(
        one_line(folder.resolve().name), config, _read_weights(weights), checksum, spec.normalize_factor
    )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def file_checksum(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    try:
        return file_sha256(path)
    except OSError as error:
        raise InvalidSae(f"SAE file {one_line(path)} cannot be read: {one_line(error.strerror)}") from error


def _read_config(path: Path) -> Mapping[str, Json]:
    try:
        if path.stat().st_size > _MAX_CONFIG_BYTES:
            raise InvalidSae(f"SAE config {one_line(path)} is larger than {_MAX_CONFIG_BYTES} bytes")
        config: Json = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InvalidSae(f"SAE folder {one_line(path.parent)} has no {CONFIG_FILE}") from error
    except OSError as error:
        raise InvalidSae(f"SAE config {one_line(path)} cannot be read: {one_line(error.strerror)}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidSae(f"SAE config {one_line(path)} is not valid JSON: {one_line(error)}") from error
    if not isinstance(config, dict):
        raise InvalidSae(f"SAE config {one_line(path)} is not a JSON object")
    return config


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


def _compare_with_recorded(folder: Path, checksum: str) -> None:
    """A checksum file is optional; one that is there has to be right."""
    path = folder / CHECKSUM_FILE
    if not path.exists():
        return
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InvalidSae(f"checksum file {one_line(path)} cannot be read: {one_line(error)}") from error
    recorded: dict[str, str] = {}
    for line in filter(str.strip, lines):
        match = _CHECKSUM_LINE.fullmatch(line.rstrip())
        if match is None:
            raise InvalidSae(f"checksum file {one_line(path)} has the malformed line {one_line(line, 80)!r}")
        recorded[match[2]] = match[1].lower()
    expected = recorded.get(WEIGHTS_FILE)
    if expected is None:
        raise InvalidSae(f"checksum file {one_line(path)} does not list {WEIGHTS_FILE}")
    if expected != checksum:
        raise InvalidSae(
            f"SAE weights {one_line(folder / WEIGHTS_FILE)} have sha256 {checksum},"
            f" but {CHECKSUM_FILE} records {expected}"
        )
