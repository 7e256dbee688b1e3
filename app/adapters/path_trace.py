"""One forward pass of a few tokens, with what every module of every block read and wrote."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

_N_TOKENS = 12


@dataclass(frozen=True, eq=False)
class ModuleCall:
    """What a module wrote, [pos d_model], and what it read of that shape. `name` is its name within its block."""

    name: str
    module: Any
    read: Tensor  # empty where it reads another shape
    written: Tensor


@dataclass
class BlockCalls:
    """The calls of one block's modules, in order; the block's own; and those of its attention, where it has one."""

    calls: list[ModuleCall] = field(default_factory=list)
    whole: ModuleCall | None = None
    attention: ModuleCall | None = None
    projection: ModuleCall | None = None  # from the heads' outputs, read [pos n_heads*d_head], to d_model
    values: ModuleCall | None = None  # from what attention reads to v, written [pos n_key_value_heads*d_head]


@dataclass
class Trace:
    """All blocks, then the final norm, the unembedding and the logits [pos d_vocab]."""

    blocks: list[BlockCalls]
    final_norm: ModuleCall | None = None
    unembed: tuple[Tensor, Tensor] | None = None
    logits: Tensor = field(default_factory=lambda: torch.zeros(0))


def probe_tokens(bridge: Any, bos_token_id: int) -> Tensor:
    """BOS, and tokens from all over the vocabulary."""
    ids = torch.linspace(1, bridge.cfg.d_vocab - 1, _N_TOKENS - 1).long()
    return torch.cat([torch.tensor([bos_token_id]), ids])[None].to(next(bridge.parameters()).device)


def trace_forward(bridge: Any, tokens: Tensor) -> Trace:
    """Run the tokens through the model, and keep what the modules between heads and logits did."""
    trace = Trace([BlockCalls() for _ in bridge.blocks])
    width = bridge.cfg.d_model
    with torch.inference_mode(), _hooked(list(_hooks(bridge, trace, tokens.shape[1], width))):
        trace.logits = bridge(tokens, return_type="logits")[0]
    return trace


def _hooks(bridge: Any, trace: Trace, n_pos: int, width: int) -> Iterator[tuple[Any, Callable[..., None]]]:
    for block, calls in zip(bridge.blocks, trace.blocks, strict=True):
        for name, module in block.named_modules():
            if name and "hook_" not in name:
                yield module, _keeper(name, module, calls.calls.append, n_pos, width)
        yield block, _keeper("", block, lambda call, calls=calls: setattr(calls, "whole", call), n_pos, width)
        if (attention := getattr(block, "attn", None)) is not None:
            keep = _keeper(
                "", attention, lambda call, calls=calls: setattr(calls, "attention", call), n_pos, width
            )
            yield attention, keep
        if (projection := getattr(attention, "o", None)) is not None:
            yield projection, _keep_flat(calls, "projection", n_pos)
        if (values := getattr(attention, "v", None)) is not None:
            yield values, _keep_flat(calls, "values", n_pos)
    if (norm := getattr(bridge, "ln_final", None)) is not None:
        yield norm, _keeper("", norm, lambda call: setattr(trace, "final_norm", call), n_pos, width)
    if (unembed := getattr(bridge, "unembed", None)) is not None:
        yield unembed, lambda _m, args, _k, out: setattr(trace, "unembed", (args[0][0], out[0]))


def _keeper(
    name: str, module: Any, keep: Callable[[ModuleCall], None], n_pos: int, width: int
) -> Callable[..., None]:
    def hook(_module: Any, args: Any, kwargs: Any, output: Any) -> None:
        inputs = [_rows(value, n_pos, width) for value in (*args, *kwargs.values())]
        outputs = output if isinstance(output, tuple | list) else (output,)
        written = _rows(outputs[0], n_pos, width) if outputs else None
        if written is not None:
            read = next((value for value in inputs if value is not None), written[:0])
            keep(ModuleCall(name, module, read, written))

    return hook


def _keep_flat(calls: BlockCalls, name: str, n_pos: int) -> Callable[..., None]:
    def hook(module: Any, args: Any, _kwargs: Any, output: Any) -> None:
        read, written = (value.detach().reshape(n_pos, -1).clone() for value in (args[0], output))
        setattr(calls, name, ModuleCall("", module, read, written))

    return hook


def _rows(value: Any, n_pos: int, width: int) -> Tensor | None:
    """A tensor as [pos d_model], if it holds as many numbers; some modules flatten their batch."""
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.numel() != n_pos * width:
        return None
    return value.detach().reshape(n_pos, width).clone() if value.shape[-1] == width else None


@contextmanager
def _hooked(hooks: list[tuple[Any, Callable[..., None]]]) -> Iterator[None]:
    handles = [module.register_forward_hook(hook, with_kwargs=True) for module, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
