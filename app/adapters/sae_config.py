"""An SAE's config in one form, whichever generation of the library wrote it. Imports no model library."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal, cast, get_args

from app.adapters.sae_sources import SaeFacts, one_line
from app.domain.records import Json, Processing
from app.errors import InvalidSae

Architecture = Literal["standard", "topk", "jumprelu", "gated"]
Normalization = Literal["none", "layer_norm", "constant_norm_rescale", "expected_average_only_in"]
Storage = Literal["int8_rows"]  # how the weights are stored where they are not plain floats
SUPPORTED: tuple[Architecture, ...] = get_args(Architecture)
NORMALIZATIONS: tuple[Normalization, ...] = get_args(Normalization)
TRAINING_ONLY = ("batchtopk", "matryoshka_batchtopk")
PROCESSING_KEY = "head_atlas_processing"
L0_KEY = "head_atlas_l0"
STORAGE_KEY = "head_atlas_storage"
INT8_ROWS: Storage = "int8_rows"
_VERSION = re.compile(r"(\d+)\.\d+.*")
_FORMER_KEYS = {
    "hook_name": ("hook_point",),
    "hook_head_index": ("hook_point_head_index",),
    "activation_fn": ("activation_fn_str",),
}


@dataclass(frozen=True)
class SaeConfig:
    """What an SAE's config says. None: it does not say."""

    name: str
    architecture: Architecture
    d_in: int
    d_sae: int
    hook_name: str
    hook_head_index: int | None
    model_name: str | None
    apply_b_dec_to_input: bool
    normalize_activations: Normalization
    k: int | None
    rescale_acts_by_decoder_norm: bool
    finetuning_scaling_factor: bool
    n_heads: int | None
    d_head: int | None
    processing: Processing | None
    l0: float | None
    neuronpedia_id: str | None
    context_size: int | None
    storage: Storage | None

    @property
    def needs_factor(self) -> bool:
        return self.normalize_activations == "expected_average_only_in"


def parse_config(name: str, config: Mapping[str, Json]) -> SaeConfig:
    """What a config says. Raises InvalidSae where it is incomplete, contradicts itself or asks for the unsupported."""
    fields = _Fields(name, config)
    architecture, k = _architecture(fields)
    hook_name = fields.text("hook_name")
    if hook_name is None:
        raise fields.error("its config names no hook, so the layer is unknown; add hook_name to the metadata")
    reshape = fields.text("reshape_activations")
    if reshape not in (None, "none", "hook_z"):
        raise fields.error(f"reshape_activations {reshape!r} is not supported, only 'hook_z' and 'none'")
    return SaeConfig(
        name=name,
        architecture=architecture,
        d_in=fields.required_count("d_in"),
        d_sae=fields.required_count("d_sae"),
        hook_name=hook_name,
        hook_head_index=fields.index("hook_head_index"),
        model_name=fields.text("model_name"),
        apply_b_dec_to_input=fields.flag("apply_b_dec_to_input", default=True),
        normalize_activations=_normalization(fields),
        k=k,
        rescale_acts_by_decoder_norm=fields.flag("rescale_acts_by_decoder_norm", default=False),
        finetuning_scaling_factor=fields.flag("finetuning_scaling_factor", default=False),
        n_heads=fields.count("n_heads"),
        d_head=fields.count("d_head"),
        processing=_processing(fields),
        l0=fields.positive(L0_KEY),
        neuronpedia_id=fields.text("neuronpedia_id"),
        context_size=fields.count("context_size"),
        storage=_storage(fields),
    )


def sae_identity(facts: SaeFacts, config: SaeConfig) -> str:
    """sha256 of all that decides what an SAE does: its config as it is understood, its weights, what else was given.

    Labels do not go by this but by the weights' checksum alone.
    """
    beside = {part.name: getattr(facts, part.name) for part in fields(facts) if part.name != "config"}
    text = json.dumps({**beside, "config": asdict(config)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class _Fields:
    """Typed look-ups in a config: at the top level and in the metadata, under present and former names."""

    def __init__(self, name: str, config: Mapping[str, Json]) -> None:
        self.name = name
        metadata = config.get("metadata")
        if metadata is not None and not isinstance(metadata, dict):
            raise self.error("metadata is not a JSON object")
        self._places: tuple[Mapping[str, Json], ...] = (metadata or {}, config)
        self.is_legacy = self._is_legacy()

    def error(self, problem: str) -> InvalidSae:
        return InvalidSae(f"SAE {self.name} cannot be used: {one_line(problem, 400)}")

    def get(self, key: str) -> Json:
        names = (key, *_FORMER_KEYS.get(key, ()))
        values = [place[name] for name in names for place in self._places if place.get(name) is not None]
        if any(value != values[0] for value in values):
            raise self.error(f"its config gives {key} as {_quoted(values[0])} and as {_quoted(values[-1])}")
        return values[0] if values else None

    def text(self, key: str) -> str | None:
        value = self.get(key)
        if value is None or isinstance(value, str):
            return value
        raise self.error(f"{key} is {_quoted(value)}, not a string")

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.get(key)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        raise self.error(f"{key} is {_quoted(value)}, not true or false")

    def index(self, key: str) -> int | None:
        value = self.get(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
            return value
        raise self.error(f"{key} is {_quoted(value)}, not an index")

    def count(self, key: str) -> int | None:
        value = self.get(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
            return value
        raise self.error(f"{key} is {_quoted(value)}, not a positive whole number")

    def required_count(self, key: str) -> int:
        value = self.count(key)
        if value is None:
            raise self.error(f"its config has no {key}")
        return value

    def positive(self, key: str) -> float | None:
        value = self.get(key)
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
            return float(value)
        raise self.error(f"{key} is {_quoted(value)}, not a positive number")

    def _is_legacy(self) -> bool:
        """Whether the config is from before 6.0, as the library takes one without a version to be."""
        version = self.text("sae_lens_version")
        if version is None:
            return True
        match = _VERSION.fullmatch(version)
        if match is None:
            raise self.error(f"sae_lens_version {_quoted(version)} is not a version")
        return int(match[1]) < 6


def _architecture(fields: _Fields) -> tuple[Architecture, int | None]:
    """The architecture, and k where it is a TopK SAE."""
    architecture = fields.text("architecture")
    function = fields.text("activation_fn") or "relu"
    k = fields.get("k")
    if fields.is_legacy:
        architecture = architecture or "standard"
        # Before 6.0 TopK was the standard architecture with another activation function.
        arguments = fields.get("activation_fn_kwargs")
        if function == "topk" and isinstance(arguments, dict):
            architecture, k = "topk", arguments.get("k")
    if architecture is None:
        raise fields.error("its config has no architecture")
    if architecture in TRAINING_ONLY:
        raise fields.error(
            f"it is a training checkpoint of architecture {architecture!r}, which has no inference form;"
            " save the inference model with save_inference_model (it becomes jumprelu) and use that"
        )
    if architecture not in SUPPORTED:
        raise fields.error(
            f"architecture {_quoted(architecture)} is not supported, only {', '.join(SUPPORTED)}"
        )
    if function != "relu" and function != architecture:
        raise fields.error(
            f"activation_fn {_quoted(function)} does not go with architecture {architecture!r}"
        )
    if architecture != "topk":
        return cast(Architecture, architecture), None
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise fields.error(f"a topk SAE needs a positive whole number k, not {_quoted(k)}")
    return "topk", k


def _normalization(fields: _Fields) -> Normalization:
    value = fields.get("normalize_activations")
    if value is None or value is False:
        return "none"
    if value is True:  # how configs spelled it before there was a choice
        return "expected_average_only_in"
    if value == "covariance_whitening":
        raise fields.error("normalize_activations 'covariance_whitening' is not supported; fold it first")
    if not isinstance(value, str) or value not in NORMALIZATIONS:
        raise fields.error(
            f"normalize_activations {_quoted(value)} is not supported, only {', '.join(NORMALIZATIONS)}"
        )
    return cast(Normalization, value)


def _processing(fields: _Fields) -> Processing | None:
    value = fields.get(PROCESSING_KEY)
    if value is None or value in ("raw", "processed"):
        return cast(Processing | None, value)
    raise fields.error(f"{PROCESSING_KEY} is {_quoted(value)}, not 'raw' or 'processed'")


def _storage(fields: _Fields) -> Storage | None:
    value = fields.get(STORAGE_KEY)
    if value is None or value == INT8_ROWS:
        return cast(Storage | None, value)
    raise fields.error(f"{STORAGE_KEY} {_quoted(value)} is not supported, only {INT8_ROWS!r}")


def _quoted(value: Json) -> str:
    return one_line(repr(value), 60)
