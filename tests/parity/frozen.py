"""What one head adds to the logits of a plain model, measured: all else is held still, and its z is changed.

Every module of a block but its norms gives again what it gave in the clean pass, so that only what the head writes
moves, and the model's own code adds, scales and caps it. Norms keep the scale that they had.
"""

from collections.abc import Callable
from contextlib import ExitStack
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from tests.parity.hooks import after, at_scale, is_norm, scale_of
from tests.parity.plain import PlainModel


class FrozenPaths:
    """The paths from one layer's heads to the logits, at the scales of a few tokens [batch pos]."""

    def __init__(self, plain: PlainModel, tokens: Tensor, layer: int) -> None:
        self._plain, self._tokens, self._layer = plain, tokens, layer
        self._norms = [m for m in plain.model.modules() if is_norm(m)]
        self._in_blocks = {module for block in plain.blocks for module in block.modules()}
        self._read: dict[nn.Module, list[Tensor]] = {}  # of each call
        self._given: dict[nn.Module, Any] = {}
        self._projected = torch.zeros(0)
        with ExitStack() as stack:
            for norm in self._norms:
                stack.enter_context(after(norm, self._keep_read(norm)))
            for module in self._still():
                stack.enter_context(after(module, self._keep_given(module)))
            projection = plain.projections[layer]
            stack.enter_context(after(projection, lambda _read, out: setattr(self, "_projected", out)))
            self._clean = self._logits(tokens, lambda z: z)

    def _keep_read(self, norm: nn.Module) -> Callable[[Tensor, Any], None]:
        return lambda read, _out: self._read.setdefault(norm, []).append(read)

    def _keep_given(self, module: nn.Module) -> Callable[[Tensor, Any], None]:
        return lambda _read, out: self._given.__setitem__(module, _repeated(out, 1))

    def _still(self) -> list[nn.Module]:
        """Children of this block and of those after it, but norms and what this layer's heads go through."""
        projection = self._plain.projections[self._layer]
        children = [m for block in self._plain.blocks[self._layer :] for m in _writers(block)]
        moving = [*self._norms, *(m for m in children if projection in set(m.modules()))]
        return [m for m in children if m not in moving and not isinstance(m, nn.Dropout)]

    def change(self, edit: Callable[[Tensor], Tensor], copies: int = 1) -> Tensor:
        """By how much the logits [copies*batch pos d_vocab] change with z [copies*batch pos heads d_head]."""
        with ExitStack() as stack:
            for norm, reads in self._read.items():
                stack.enter_context(after(norm, _at_clean_scale(norm, reads, copies)))
            for module, given in self._given.items():
                again = _again(given, copies)
                stack.enter_context(after(module, again))
            changed = self._logits(self._tokens.repeat(copies, 1), edit)
        return changed - self._clean.repeat(copies, 1, 1)

    def _logits(self, tokens: Tensor, edit: Callable[[Tensor], Tensor]) -> Tensor:
        """Logits, or before a soft cap what is unembedded."""
        unembedded: list[Tensor] = []
        head = self._plain.model.get_output_embeddings()
        with after(head, lambda _read, out: unembedded.append(out)):
            logits = self._plain.with_z(tokens, self._layer, edit)
        return unembedded[0] if self._plain.cap else logits

    def scales(self) -> Tensor:
        """What the norms on the way divide each token by [batch pos 1]: one after attention, and the final one."""
        total = torch.ones(*self._tokens.shape, 1)
        outside = [norm for norm in self._read if norm not in self._in_blocks]
        for norm, reads in self._read.items():
            if norm is outside[-1] or _same(reads[-1], self._projected):
                total = total * scale_of(norm, reads[-1]).reshape(total.shape)
        return total

    def logit_map(self) -> Tensor:
        """Logits about their mean [heads d_head d_vocab] that a unit of each number of z adds, norms at scale 1."""
        n_heads, width, at = self._plain.n_heads, self._plain.d_head, self._tokens.shape[1] - 1
        units, batch = n_heads * width, len(self._tokens)

        def add(z: Tensor) -> Tensor:
            each = z[:, at].reshape(units, batch, units) + torch.eye(units)[:, None]
            z[:, at] = each.reshape(z[:, at].shape)
            return z

        change = self.change(add, copies=units)[:, at].reshape(units, batch, -1)[:, 0]
        logits = change * self.scales()[0, at]
        return (logits - logits.mean(-1, keepdim=True)).reshape(n_heads, width, -1)


def _at_clean_scale(norm: nn.Module, reads: list[Tensor], copies: int) -> Callable[[Tensor, Any], Tensor]:
    scales = iter([scale_of(norm, read) for read in reads])

    def again(read: Tensor, out: Tensor) -> Tensor:
        scale = _repeated(next(scales), copies)
        return at_scale(norm, read, out, scale) if read.shape[:-1] == scale.shape[:-1] else out

    return again


def _writers(block: nn.Module) -> list[nn.Module]:
    """A block's children; in place of one that adds what it is given of the stream, its own."""
    adds = [m for m in block.children() if "residual" in signature(m.forward).parameters]
    return [m for child in block.children() for m in (child.children() if child in adds else (child,))]


def _again(given: Any, copies: int) -> Callable[[Tensor, Any], Any]:
    return lambda _read, _out: _repeated(given, copies)  # a copy: some blocks add to it in place


def _repeated(value: Any, copies: int) -> Any:
    if isinstance(value, Tensor):
        return value.repeat(copies, *([1] * (value.ndim - 1)))
    return tuple(_repeated(each, copies) for each in value) if isinstance(value, tuple) else value


def _same(one: Tensor, other: Tensor) -> bool:
    return one.numel() == other.numel() and torch.equal(one.reshape(-1), other.reshape(-1))
