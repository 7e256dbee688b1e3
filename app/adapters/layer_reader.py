"""What the hooks of a forward pass give of each layer, passed on as soon as the layer is whole."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from app.adapters.language_model import ReadPattern
from app.errors import InvalidModel

HOOKS = ("hook_z", "hook_v", "hook_pattern")  # of LayerActivations
Found = Mapping[str, Tensor]  # by hook name


class LayerReader:
    """Reads one forward pass: patterns of some layers, and all three tensors of others, each layer once.

    A library may call a hook under two names, and give a layer's tensors in any order: some give the pattern after the
    output.
    """

    def __init__(
        self,
        points: Mapping[str, Any],
        layers: Sequence[int],
        read: Callable[[int, Found], None],
        pattern_layers: Sequence[int] = (),
        read_pattern: ReadPattern | None = None,
    ) -> None:
        """points: the model's hook points by name. read_pattern gets the patterns of pattern_layers, read the rest."""
        self._read, self._read_pattern = read, read_pattern
        self._patterns = {hook_name(layer, "hook_pattern"): layer for layer in pattern_layers}
        self._missing = {name: layer for layer in layers for name in hook_names([layer])}
        self.names = frozenset([*self._patterns, *self._missing])
        # A point is known under a name of its own, too.
        self._own = {points[name].name: name for name in self.names if name in points}
        self._found: dict[int, dict[str, Tensor]] = {layer: {} for layer in layers}

    def hook(self, tensor: Any, hook: Any) -> None:
        """Take what a hook point gives."""
        name: str = self._own.get(hook.name) or hook.name
        tensor = tensor[0] if isinstance(tensor, tuple) else tensor
        if self._read_pattern is not None and name in self._patterns:
            self._read_pattern(self._patterns.pop(name), tensor)
        if name in self._missing:
            layer = self._missing.pop(name)
            self._found[layer][name] = tensor
            if len(self._found[layer]) == len(HOOKS):
                self._read(layer, self._found.pop(layer))

    def check(self, model: str) -> None:
        """Raises InvalidModel where a tensor has not come."""
        if left := [*self._patterns, *self._missing]:
            raise InvalidModel(f"TransformerLens gives no {left[0]} for {model}")


def hook_name(layer: int, hook: str) -> str:
    """The library's name of a hook of a layer's attention."""
    return f"blocks.{layer}.attn.{hook}"


def hook_names(layers: Sequence[int]) -> list[str]:
    """The hooks of LayerActivations."""
    return [hook_name(layer, hook) for layer in layers for hook in HOOKS]
