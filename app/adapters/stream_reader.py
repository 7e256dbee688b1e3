"""What the modules along a model's path write, at one position of each sequence of a forward pass."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from app.adapters.residual_path import ModelPath


class StreamReader:
    """Reads one forward pass inside its `with`, in float32. Positions: one of each sequence."""

    def __init__(self, bridge: Any, path: ModelPath, position: Int[Tensor, " batch"]) -> None:
        self._bridge, self._path, self._position = bridge, path, position
        self._read: dict[Any, Tensor] = {}
        self._written: dict[Any, Tensor] = {}
        self._hooks = ExitStack()

    def __enter__(self) -> "StreamReader":
        blocks = list(self._bridge.blocks)
        modules: list[Any] = [*blocks, self._bridge.unembed]
        for block, path in zip(blocks, self._path.layers, strict=True):
            modules += [block.attn.o] if path.has_attention else []
            modules += [writer.module for writer in path.others]
        for module in modules:
            handle = module.register_forward_hook(self._keep(module), with_kwargs=True)
            self._hooks.callback(handle.remove)
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.close()

    def _keep(self, module: Any) -> Callable[..., None]:
        def hook(_module: Any, args: Any, kwargs: Any, output: Any) -> None:
            read = next(value for value in (*args, *kwargs.values()) if isinstance(value, Tensor))
            self._read[module] = self._at_position(read)
            self._written[module] = self._at_position(output[0] if isinstance(output, tuple) else output)

        return hook

    def _at_position(self, value: Tensor) -> Float[Tensor, "n width"]:
        n = len(self._position)
        rows = value.detach().reshape(n, -1, value.shape[-1]) if value.ndim < 4 else value.detach().flatten(2)
        return rows[torch.arange(n, device=rows.device), self._position].float()

    def block_input(self, layer: int) -> Float[Tensor, "n d_model"]:
        """The residual stream before a block."""
        return self._read[self._bridge.blocks[layer]]

    def projection(self, layer: int) -> tuple[Float[Tensor, "n n_heads_d_head"], Float[Tensor, "n d_model"]]:
        """What the output projection of a layer's attention read and wrote."""
        module = self._bridge.blocks[layer].attn.o
        return self._read[module], self._written[module]

    def others(self, layer: int) -> Float[Tensor, "n d_model"]:
        """What a block adds to the stream beside attention."""
        total = torch.zeros_like(self.block_input(layer))
        for writer in self._path.layers[layer].others:
            total = total + writer.multiplier * self._written[writer.module]
        return total

    @property
    def unembedded(self) -> Float[Tensor, "n d_vocab"]:
        """What the unembedding wrote."""
        return self._written[self._bridge.unembed]
