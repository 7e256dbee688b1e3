"""SAEs on hook_z from folders and releases, as our own frozen SparseCoder. The only importer of sae_lens."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from torch import Tensor

from app.adapters.cached_shapes import shapes_from_cache
from app.adapters.hub import ask_for_repository, hub_cause
from app.adapters.language_model import Processing
from app.adapters.sae_checks import check_model, check_site, check_tensors
from app.adapters.sae_config import SaeConfig, parse_config, sae_identity
from app.adapters.sae_registry import ResolvedSae, find_neuronpedia_id, resolve_in
from app.adapters.sae_sources import (
    LocalSae,
    ReleaseSae,
    SaeFacts,
    SaeSpec,
    file_checksum,
)
from app.adapters.sae_storage import as_floats
from app.adapters.sae_weights import RawSae, read_folder
from app.attribution.sae import SparseCoder
from app.attribution.sae_steps import (
    Activation,
    ConstantNormRescale,
    FixedScale,
    Gated,
    InputNorm,
    JumpReLU,
    LayerNorm,
    NoNorm,
    ReLU,
    RescaledTopK,
    TopK,
)
from app.domain.records import ModelRecord
from app.errors import InvalidSae

with warnings.catch_warnings():
    # The library still imports a TransformerLens module by its former name.
    warnings.filterwarnings("ignore", "The 'utils' module", DeprecationWarning)
    import sae_lens
    from sae_lens.loading import pretrained_sae_loaders
    from sae_lens.loading.pretrained_sae_loaders import (
        NAMED_PRETRAINED_SAE_CONFIG_GETTERS,
        NAMED_PRETRAINED_SAE_LOADERS,
    )
    from sae_lens.loading.pretrained_saes_directory import get_config_overrides, get_pretrained_saes_directory

__all__ = ["LoadedSae", "LocalSae", "ReleaseSae", "SaeSpec", "load_sae", "parse_neuronpedia_id", "resolve"]


@dataclass(frozen=True, eq=False)
class LoadedSae:
    """An SAE ready to use, and what is known of it. None: not known."""

    coder: SparseCoder
    name: str
    layer: int
    checksum: str  # sha256 of the weights file, as it is stored
    identity: str  # of everything that was read, config and all
    architecture: str
    hook_name: str
    processing: Processing | None
    normalize_activations: str
    published_l0: float | None
    neuronpedia_id: str | None
    training_context_size: int | None


def load_sae(
    spec: SaeSpec,
    model: ModelRecord,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> LoadedSae:
    """The SAE, checked against the model. Raises InvalidSae where it cannot be used, in one sentence."""
    local = isinstance(spec, LocalSae)
    raw = read_folder(spec) if local else _download(resolve(spec.release, spec.sae_id), model)
    facts = raw.facts
    config = parse_config(facts.name, facts.config)
    layer = check_site(config, model)
    check_model(config, model)
    input_norm = _input_norm(config, facts.normalize_factor)
    tensors = check_tensors(config, as_floats(config, raw.tensors), dtype)
    weights = _through_library(config, tensors)
    return LoadedSae(
        coder=_coder(config, model, input_norm, {name: weights[name].to(device) for name in weights}),
        name=facts.name,
        layer=layer,
        checksum=facts.checksum,
        identity=sae_identity(facts, config),
        architecture=config.architecture,
        hook_name=config.hook_name,
        processing=config.processing or facts.processing,
        normalize_activations=config.normalize_activations,
        published_l0=config.l0 or facts.published_l0,
        neuronpedia_id=facts.neuronpedia_id or config.neuronpedia_id,
        training_context_size=config.context_size,
    )


def resolve(release: str, sae_id: str) -> ResolvedSae:
    """The place of a published SAE, from the registry alone. Raises InvalidSae for a name that is not there."""
    return resolve_in(get_pretrained_saes_directory(), release, sae_id)


def parse_neuronpedia_id(text: str) -> ReleaseSae:
    """The release and id of a Neuronpedia id such as gpt2-small/5-att-kk. Raises InvalidSae."""
    return find_neuronpedia_id(get_pretrained_saes_directory(), text)


def _download(resolved: ResolvedSae, model: ModelRecord) -> RawSae:
    """Download an SAE, its config first, so that a wrong one is refused before its weights are fetched."""
    with shapes_from_cache(pretrained_sae_loaders):
        return _fetch(resolved, model)


def _fetch(resolved: ResolvedSae, model: ModelRecord) -> RawSae:
    try:
        _probe(resolved)
        overrides = {**get_config_overrides(resolved.release, resolved.sae_id), "device": "cpu"}
        place: dict[str, Any] = {
            "repo_id": resolved.repo_id,
            "folder_name": resolved.path,
            "device": "cpu",
            "force_download": False,
            "cfg_overrides": overrides,
        }
        raw_config = NAMED_PRETRAINED_SAE_CONFIG_GETTERS[resolved.loader](**place)
        config = parse_config(resolved.name, raw_config)
        check_site(config, model)
        check_model(config, model)
        place["cfg_overrides"] = {**overrides, "dtype": "float32"}
        _, tensors, _ = NAMED_PRETRAINED_SAE_LOADERS[resolved.loader](**place)
        checksum = file_checksum(_cached(resolved))
    except InvalidSae:
        raise
    except Exception as error:  # hub clients, HTTP and pickle errors share no base class
        why = hub_cause(error, resolved.repo_id)
        raise InvalidSae(f"SAE {resolved.name} cannot be fetched from the hub: {why}") from error
    facts = SaeFacts(
        name=resolved.name,
        config=raw_config,
        checksum=checksum,
        # The registry also lists factors of SAEs that have them in their weights already.
        normalize_factor=resolved.normalize_factor if config.needs_factor else None,
        published_l0=resolved.published_l0,
        neuronpedia_id=resolved.neuronpedia_id,
        processing=resolved.processing,
    )
    return RawSae(facts, tensors)


def _probe(resolved: ResolvedSae) -> None:
    """Ask the hub once, unless the weights are cached: its own client retries a dead network for long."""
    if isinstance(try_to_load_from_cache(resolved.repo_id, resolved.weights_file), str):
        return
    ask_for_repository(resolved.repo_id)


def _cached(resolved: ResolvedSae) -> Path:
    return Path(hf_hub_download(resolved.repo_id, resolved.weights_file, local_files_only=True))


def _through_library(config: SaeConfig, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The weights as the library's own class holds them after loading, copied out of it."""
    form = {
        "architecture": config.architecture,
        "d_in": config.d_in,
        "d_sae": config.d_sae,
        "dtype": str(weights["W_enc"].dtype),
        "apply_b_dec_to_input": config.apply_b_dec_to_input,
        "normalize_activations": config.normalize_activations,
        "metadata": {"sae_lens_version": sae_lens.__version__},
    }
    if config.k is not None:
        form |= {"k": config.k, "rescale_acts_by_decoder_norm": config.rescale_acts_by_decoder_norm}

    def already_read(*_: object, **__: object) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return form, dict(weights)

    library = sae_lens.SAE.load_from_disk(config.name, converter=already_read)
    return {name: parameter.detach().clone() for name, parameter in library.named_parameters()}


def _coder(
    config: SaeConfig, model: ModelRecord, input_norm: InputNorm, weights: Mapping[str, Tensor]
) -> SparseCoder:
    return SparseCoder(
        architecture=config.architecture,
        n_heads=model.n_heads,
        d_head=model.d_head,
        w_enc=weights["W_enc"],
        w_dec=weights["W_dec"],
        b_enc=weights["b_gate" if config.architecture == "gated" else "b_enc"],
        b_dec=weights["b_dec"],
        apply_b_dec_to_input=config.apply_b_dec_to_input,
        activation=_activation(config, weights, input_norm),
        input_norm=input_norm,
    )


def _activation(config: SaeConfig, weights: Mapping[str, Tensor], input_norm: InputNorm) -> Activation:
    match config.architecture:
        case "standard":
            return ReLU()
        case "jumprelu":
            return JumpReLU(weights["threshold"])
        case "gated":
            return Gated(weights["r_mag"], weights["b_mag"])
        case "topk":
            if config.k is None:
                raise ValueError("a topk config without k")
            if not config.rescale_acts_by_decoder_norm:
                return TopK(config.k)
            # In the library a fixed input factor ends up in the weights, and shortens the decoder by as much.
            factor = input_norm.factor if isinstance(input_norm, FixedScale) else 1.0
            return RescaledTopK(config.k, weights["W_dec"].norm(dim=-1) / factor)


def _input_norm(config: SaeConfig, factor: float | None) -> InputNorm:
    if config.needs_factor:
        if factor is None:
            raise InvalidSae(
                f"SAE {config.name} cannot be used: normalize_activations 'expected_average_only_in' needs"
                " the factor it was trained with (normalize_factor), and none is given"
            )
        if not 0 < factor < math.inf:
            raise InvalidSae(
                f"SAE {config.name} cannot be used: its factor {factor} is not a positive number"
            )
        return FixedScale(factor)
    if factor is not None:
        raise InvalidSae(
            f"SAE {config.name} cannot be used: the factor {factor} is given, but its normalize_activations"
            f" is {config.normalize_activations!r}, which takes none"
        )
    norms: Mapping[str, InputNorm] = {
        "none": NoNorm(),
        "layer_norm": LayerNorm(),
        "constant_norm_rescale": ConstantNormRescale(),
    }
    return norms[config.normalize_activations]
