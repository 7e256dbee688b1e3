"""What makes an SAE unusable for a model, found before its first forward pass."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from app.adapters.sae_config import Architecture, SaeConfig
from app.adapters.sae_sources import one_line
from app.domain.records import ModelRecord
from app.errors import InvalidSae

_HOOK_Z = re.compile(r"blocks\.(0|[1-9][0-9]{0,5})\.attn\.hook_z", re.ASCII)
_SITES = {
    "hook_resid": "the residual stream",
    "hook_mlp": "the MLP",
    "hook_attn_out": "attention after W_O, where heads are already summed",
    "hook_embed": "the embedding",
    "attn.hook_q": "queries",
    "attn.hook_k": "keys",
    "attn.hook_v": "values before they are mixed",
    "attn.hook_result": "each head after W_O",
    ".ln": "a normalised residual stream",
}
_COMMON = ("W_enc", "W_dec", "b_dec")
TENSORS: Mapping[Architecture, tuple[str, ...]] = {
    "standard": (*_COMMON, "b_enc"),
    "topk": (*_COMMON, "b_enc"),
    "jumprelu": (*_COMMON, "b_enc", "threshold"),
    "gated": (*_COMMON, "b_gate", "b_mag", "r_mag"),
}
_FAMILY = re.compile(
    r"(?<![a-z])(?:gpt-?2|gpt-?neox?|gpt-?j|pythia|gemma|llama|mistral|mixtral|qwen|smollm|phi|opt|bloom|falcon|olmo"
    r"|stablelm|tiny-?stories|deepseek|gelu|solu|attn-only)"
)
_GENERATION = re.compile(r"[-_ ]?(\d+(?:\.\d+)?)(?![\d.]*[mb])")
_SIZE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?[mb])(?![a-z0-9])|(?<![a-z])(small|medium|large|xl)(?![a-z])")


def check_site(config: SaeConfig, model: ModelRecord) -> int:
    """The layer whose hook_z the SAE reads. Raises InvalidSae unless it reads all heads of one layer of the model."""
    layer = layer_of(config)
    check_depth(config, layer, model.name, model.n_layers)
    return layer


def layer_of(config: SaeConfig) -> int:
    """The layer that the config names. Raises InvalidSae unless it reads all heads of one layer."""
    match = _HOOK_Z.fullmatch(config.hook_name)
    if match is None:
        raise _error(config, f"it reads {describe_hook(config.hook_name)}, not blocks.LAYER.attn.hook_z")
    if config.hook_head_index is not None:
        raise _error(config, f"it reads only head {config.hook_head_index}, not all heads of the layer")
    return int(match[1])


def check_depth(config: SaeConfig, layer: int, model: str, n_layers: int) -> None:
    """Raises InvalidSae where the model has no such layer."""
    if layer >= n_layers:
        last = n_layers - 1
        raise _error(
            config,
            f"it reads {config.hook_name}, but {model} has layers 0 to {last} (blocks.{last}.attn.hook_z)",
        )


def describe_hook(hook_name: str) -> str:
    """A hook's name, and in words what it is where that is known."""
    site = next((words for part, words in _SITES.items() if part in hook_name), None)
    hook = one_line(hook_name, 80)
    return f"{hook} ({site})" if site else hook


def check_model(config: SaeConfig, model: ModelRecord) -> None:
    """Check that the SAE was made for this model, and this way to split d_in into heads. Raises InvalidSae.

    The width alone does not tell: 4 heads of 16 and 8 heads of 8 have the same one.
    """
    check_name(config, model.name)
    split = f"{model.n_heads} heads of {model.d_head}"
    if config.n_heads not in (None, model.n_heads) or config.d_head not in (None, model.d_head):
        recorded = f"{config.n_heads or '?'} heads of {config.d_head or '?'}"
        raise _error(config, f"its metadata says {recorded}, and {model.name} has {split}")
    if config.d_in != model.n_heads * model.d_head:
        width = model.n_heads * model.d_head
        raise _error(config, f"its d_in is {config.d_in}, and hook_z of {model.name} has {width} ({split})")


def check_name(config: SaeConfig, model: str) -> None:
    """Raises InvalidSae where the config names a model that is clearly another one."""
    if config.model_name is not None and names_differ(config.model_name, model):
        raise _error(config, f"it was trained on {one_line(config.model_name, 80)}, and the model is {model}")


def names_differ(left: str, right: str) -> bool:
    """Whether two model names clearly mean different models.

    One model goes by many names (gpt2, gpt2-small, openai-community/gpt2, a folder of one's own), so only a
    known family, generation or size that differs counts; a name without a known family is no evidence.
    """
    a, b = _name_parts(left), _name_parts(right)
    if a is None or b is None:
        return False
    return a[:2] != b[:2] or (None not in (a[2], b[2]) and a[2] != b[2])


def _name_parts(name: str) -> tuple[str, str, str | None] | None:
    """Family, generation and size."""
    base = name.lower().replace("_", "-").rsplit("/", 1)[-1]
    family = _FAMILY.search(base)
    if family is None:
        return None
    kind = family[0].replace("-", "")
    generation = _GENERATION.match(base, family.end())
    size = _SIZE.search(base, family.end())
    size_name = (size[1] or size[2]) if size else None
    # A first generation is seldom numbered, and the smallest GPT-2 is as often called plain gpt2.
    return kind, generation[1] if generation else "1", size_name or ("small" if kind == "gpt2" else None)


def check_tensors(
    config: SaeConfig, tensors: Mapping[str, Tensor], dtype: torch.dtype
) -> Mapping[str, Tensor]:
    """The weights in dtype, if they are complete, of the shapes that the config says, and finite. Raises InvalidSae."""
    weights = _as_of_today(config, tensors)
    expected = TENSORS[config.architecture]
    if missing := [name for name in expected if name not in weights]:
        raise _error(
            config, f"its weights lack {', '.join(missing)}, which a {config.architecture} SAE needs"
        )
    if extra := sorted(set(weights) - set(expected)):
        raise _error(
            config,
            f"its weights hold {one_line(', '.join(extra), 80)}, unknown to a {config.architecture} SAE",
        )
    shapes = {
        "W_enc": (config.d_in, config.d_sae),
        "W_dec": (config.d_sae, config.d_in),
        "b_dec": (config.d_in,),
    }
    for name in expected:
        shape, promised = tuple(weights[name].shape), shapes.get(name, (config.d_sae,))
        if shape != promised:
            raise _error(config, f"tensor {name} has shape {shape}, and its config promises {promised}")
    if config.k is not None and config.k > config.d_sae:
        raise _error(config, f"k is {config.k}, more than d_sae {config.d_sae}")
    converted = {name: weights[name].to(dtype) for name in expected}
    for name, tensor in converted.items():
        if not tensor.isfinite().all():
            raise _error(config, f"tensor {name} holds NaN or infinite numbers")
    return converted


def _as_of_today(config: SaeConfig, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of former checkpoints as today's: log_threshold becomes threshold, a scaling_factor of 1 goes."""
    weights = dict(tensors)
    if config.architecture == "jumprelu" and "log_threshold" in weights and "threshold" not in weights:
        weights["threshold"] = weights.pop("log_threshold").exp()
    factor = weights.pop("scaling_factor", None)
    if factor is not None and tuple(factor.shape) != (config.d_sae,):
        shape = f"{tuple(factor.shape)}, not ({config.d_sae},)"
        raise _error(config, f"tensor scaling_factor has shape {shape}")
    if factor is not None and not torch.allclose(factor, torch.ones_like(factor)):
        raise _error(config, "it holds a fine-tuning scaling_factor, which is not supported")
    if factor is None and config.finetuning_scaling_factor:
        raise _error(config, "its config promises a fine-tuning scaling factor, which its weights lack")
    return weights


def _error(config: SaeConfig, problem: str) -> InvalidSae:
    return InvalidSae(f"SAE {config.name} cannot be used: {problem}")
