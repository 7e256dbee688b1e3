"""Faults planted in a loaded model, as a library may have them: the self-check must find each."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from app.adapters.transformer_lens_model import TransformerLensModel

Plant = Callable[[TransformerLensModel], None]
LAYER = 1


class NotThere(Exception):
    """The model has no part that the fault is about."""


def _attention(model: TransformerLensModel) -> Any:
    layer = LAYER if LAYER in model.attention_layers else model.attention_layers[0]
    return model._bridge.blocks[layer].attn


def _of_queries(attention: Any, name: str = "q") -> Any:
    """What gives queries (or keys) to the rotation: their norm, where there is one; in latent attention its end."""
    if _is_latent(attention):
        return getattr(attention, f"hook_{name}")
    return getattr(attention, f"{name}_norm", None) or getattr(attention, name)


def _is_latent(attention: Any) -> bool:
    return hasattr(attention, "hook_kv_latent")


def _before_rotation(attention: Any, d_head: int) -> Iterator[tuple[Any, int, int]]:
    """Modules that give queries and keys before their rotation, the dimensions of a head, and how many of them rotate.

    Not norms without weights, which may come after the rotation and keep any order.
    """
    if _is_latent(attention):
        inner = attention.original_component
        width = inner.qk_rope_head_dim
        yield getattr(inner, "q_b_proj", None) or inner.q_proj, inner.qk_nope_head_dim + width, width
        yield inner.kv_a_proj_with_mqa, inner.kv_lora_rank + width, width
        return
    for name in ("q", "k"):
        found = _of_queries(attention, name)
        yield found if any(True for _ in found.parameters()) else getattr(attention, name), d_head, d_head


def drop_a_scale(model: TransformerLensModel) -> None:
    """Scores that are not divided by the root of d_head."""
    attention, factor = _attention(model), model.record.d_head**0.5
    shared = getattr(getattr(attention, "original_component", None), "qk_norm", None)
    if shared is not None:  # Llama 4 norms both after their rotation, by one module that is called twice
        shared.register_forward_hook(lambda _module, _args, out: out * factor**0.5)
    else:
        _of_queries(attention).register_forward_hook(lambda _module, _args, out: out * factor)


def skip_a_norm(model: TransformerLensModel) -> None:
    """The norm before the MLP, or in parallel blocks the only one, gives what it reads."""
    block = model._bridge.blocks[LAYER]
    norm = getattr(block, "ln2", None) or getattr(block, "ln1", None)
    if norm is None:
        raise NotThere("the block has no norm")

    def give_back(_module: Any, args: Any, named: Any, _out: Tensor) -> Tensor:
        return args[0] if args else named["hidden_states"]

    norm.register_forward_hook(give_back, with_kwargs=True)


def move_a_hook(model: TransformerLensModel) -> None:
    """hook_z of the next layer in place of a layer's own."""
    found = model.all_activations

    def moved(tokens: Tensor) -> Any:
        logits, z, pattern = found(tokens)
        layers = sorted(z)
        shifted = {
            layer: z[following] for layer, following in zip(layers, [*layers[1:], layers[0]], strict=True)
        }
        return logits, shifted, pattern

    model.all_activations = moved  # type: ignore[method-assign]


def swap_rotary_pairs(model: TransformerLensModel) -> None:
    """Rotate neighbours where the model rotates halves, or halves where it rotates neighbours, in every layer."""
    for layer in model.attention_layers:
        attention = model._bridge.blocks[layer].attn
        for module, of, width in _before_rotation(attention, model.record.d_head):
            module.register_forward_hook(_swapped(of, width))


def _swapped(of: int, width: int) -> Callable[..., Tensor]:
    """A hook that gives a module's output with the last dimensions of each head in another order."""
    last = torch.arange(of - width, of).view(2, width // 2).T.flatten()
    order = torch.cat([torch.arange(of - width), last])

    def swap(_module: Any, _args: Any, out: Tensor) -> Tensor:
        return out.reshape(*out.shape[:-1], -1, of)[..., order].reshape(out.shape)

    return swap


PLANTED: dict[str, Plant] = {
    "a scale dropped": drop_a_scale,
    "a norm skipped": skip_a_norm,
    "a hook moved by one layer": move_a_hook,
    "rotary pairs in another order": swap_rotary_pairs,
}


@contextmanager
def planted(model: TransformerLensModel, fault: str) -> Iterator[None]:
    """Plant a fault for a while, in a model that is costly to load again."""
    hooks = [module._forward_hooks for module in model._bridge.modules()]
    before = [set(each) for each in hooks]
    try:
        PLANTED[fault](model)
        yield
    finally:
        for each, kept in zip(hooks, before, strict=True):
            for handle in set(each) - kept:
                del each[handle]
        vars(model).pop("all_activations", None)
