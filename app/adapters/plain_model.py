"""A model through transformers alone, with eager attention: what the bridge's activations are held against."""

import logging
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from app.adapters.devices import unless_out_of_memory
from app.adapters.model_sources import ModelSource
from app.errors import InvalidModel


@dataclass(frozen=True)
class ModulePlaces:
    """The names in the plain model of each layer's attention and of its output projection, and the plain class.

    The class is that of models of more than text. Others are what transformers makes of their configuration.
    """

    attention: dict[int, str]
    projection: dict[int, str]
    library_class: Any = None

    @classmethod
    def of(cls, bridge: Any, layers: tuple[int, ...]) -> "ModulePlaces":
        """As the bridge's own mapping has them."""
        mapping = bridge.adapter.component_mapping["blocks"]
        attention, projection = {}, {}
        for layer in layers:
            block = bridge.blocks[layer]
            attention[layer] = f"{mapping.name}.{layer}.{block.attn.name}"
            projection[layer] = f"{attention[layer]}.{block.attn.o.name}"
        original = bridge.original_model
        is_of_text = original.config.get_text_config() is original.config
        return cls(attention, projection, None if is_of_text else type(original))


@dataclass
class PlainActivations:
    """What the plain model gives for a few tokens, in float32. A family may not give its patterns."""

    logits: Float[Tensor, "batch pos d_vocab"] = field(default_factory=lambda: torch.zeros(0, 0, 0))
    z: dict[int, Tensor] = field(default_factory=dict)  # [batch pos n_heads*d_head]
    pattern: dict[int, Tensor] = field(default_factory=dict)  # [batch n_heads dest src]
    # The same weights computed with in float32, where they are in another format.
    exact: "PlainActivations | None" = None


def plain_activations(
    source: ModelSource,
    tokens: Int[Tensor, "batch pos"],
    places: ModulePlaces,
    device: torch.device,
    dtype: torch.dtype,
) -> PlainActivations:
    """Load the model once more, run the tokens through it, and let it go.

    Weights in half precision are computed with in float32 as well, where there is memory for it: the difference is
    the rounding of this very model.
    """
    from transformers import AutoModelForCausalLM

    logging.getLogger("transformers").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model: Any = (places.library_class or AutoModelForCausalLM).from_pretrained(
                source.location, revision=source.requested_revision, attn_implementation="eager", dtype=dtype
            )
        except (
            ValueError,
            ImportError,
        ) as error:  # no such configuration, or a library that is not installed
            cause = " ".join(str(error).split())[:200]
            raise InvalidModel(
                f"transformers does not load {source.name} as a decoder of text, with which it is compared: {cause}"
            ) from error
    model = model.to(device).eval()
    found = _run(model, tokens.to(device), places)
    if dtype != torch.float32:
        with unless_out_of_memory():
            found.exact = _run(model.float(), tokens.to(device), places)
    return found


def _run(model: Any, tokens: Int[Tensor, "batch pos"], places: ModulePlaces) -> PlainActivations:
    found = PlainActivations()
    with ExitStack() as hooks, torch.inference_mode():
        for layer, name in places.projection.items():
            hook = model.get_submodule(name).register_forward_pre_hook(_keep_z(found, layer))
            hooks.callback(hook.remove)
        for layer, name in places.attention.items():
            hook = model.get_submodule(name).register_forward_hook(_keep_pattern(found, layer))
            hooks.callback(hook.remove)
        found.logits = model(tokens, output_attentions=True).logits.float()
    return found


def _keep_z(found: PlainActivations, layer: int) -> Callable[..., None]:
    def hook(_module: Any, args: Any) -> None:
        found.z[layer] = args[0].detach().float()

    return hook


def _keep_pattern(found: PlainActivations, layer: int) -> Callable[..., None]:
    def hook(_module: Any, _args: Any, output: Any) -> None:
        parts = output if isinstance(output, tuple) else ()
        patterns = [part for part in parts if isinstance(part, Tensor) and part.ndim == 4]
        square = [part for part in patterns if part.shape[-1] == part.shape[-2]]
        if square:
            found.pattern[layer] = square[0].detach().float()

    return hook
