"""Where an SAE comes from, and what is read there beside its weights. Imports no model library."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.domain.records import Json, Processing
from app.errors import InvalidSae
from app.paths import file_sha256

CONFIG_FILE = "cfg.json"
WEIGHTS_FILE = "sae_weights.safetensors"
CHECKSUM_FILE = "SHA256SUMS"
_MAX_CONFIG_BYTES = 10_000_000
_CHECKSUM_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](?:\./)?(.+)")


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


@dataclass(frozen=True, kw_only=True)
class SaeFacts:
    """All that is known of an SAE beside its numbers, nothing checked yet but that it can be read.

    Every field but `config`, which is understood first, goes into the SAE's identity as it is.
    """

    name: str
    config: Mapping[str, Json]  # as it is written
    checksum: str  # sha256 of the weights file, as it is stored
    normalize_factor: float | None = None
    published_l0: float | None = None
    neuronpedia_id: str | None = None
    processing: Processing | None = None  # as the publisher says


def one_line(value: object, limit: int = 200) -> str:
    """Text from outside on one line, fit for a message of one sentence."""
    text = " ".join(str(value).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def folder_config(folder: Path) -> Mapping[str, Json]:
    """The config of a folder's SAE alone, without a look at its weights. Raises InvalidSae."""
    if not _is_folder(folder):
        raise InvalidSae(f"SAE folder {one_line(folder)} does not exist or is not a folder")
    return _read_config(folder / CONFIG_FILE)


def folder_facts(spec: LocalSae) -> SaeFacts:
    """What a folder says. Raises InvalidSae where it, its config or the recorded checksum of its weights is bad."""
    folder = spec.path
    config = folder_config(folder)
    weights = folder / WEIGHTS_FILE
    if not weights.is_file():
        raise InvalidSae(f"SAE folder {one_line(folder)} has no {WEIGHTS_FILE}")
    checksum = file_checksum(weights)
    _compare_with_recorded(folder, checksum)
    return SaeFacts(
        name=one_line(folder.resolve().name),
        config=config,
        checksum=checksum,
        normalize_factor=spec.normalize_factor,
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


def _compare_with_recorded(folder: Path, checksum: str) -> None:
    """Compare the weights with the folder's checksum file, which is optional but has to be right if it is there."""
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
