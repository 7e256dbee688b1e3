"""The linear path from heads to logits, as the model itself has it: norms, multipliers, logit scale and soft cap.

Architectures put norms before attention, after it or both, scale what they add to the residual stream, and scale or
cap logits; their configurations name this in as many ways. So it is found in one forward pass of a few tokens
(`path_trace`): which norm's output attention reads, which norm reads attention's output, and by which factors the
block's output is the sum of what its modules wrote. What is found must give the block's output to rounding; else the
layer's path is withheld, with the reason. Decomposition of the residual stream, logit effects, copying scores, logit
attribution and successor scores all read this description.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from app.adapters.norm_probe import describe_norm
from app.adapters.path_trace import BlockCalls, ModuleCall, Trace
from app.attribution.float64 import widened
from app.attribution.norms import FrozenNorm

_ROUNDINGS = 4.0  # of the dtype, by which a sum may miss
_MAX_SLACK = 0.05  # by which a measured factor may miss the model's own


@dataclass(frozen=True)
class Writer:
    """A module of a block that writes to the residual stream, and what its output is multiplied by."""

    module: Any
    multiplier: float


@dataclass(frozen=True, eq=False)
class LayerPath:
    """How the heads of one layer read the residual stream and write to it; the block adds nothing but this.

    A block with attention adds multiplier * norm_after(attention output) + what `others` write.
    """

    has_attention: bool
    norm_before: FrozenNorm | None = None
    norm_after: FrozenNorm | None = None
    norm_after_module: Any = None
    multiplier: float = 1.0
    others: tuple[Writer, ...] = ()
    withheld: str | None = None  # why the path is not described
    values_withheld: str | None = None  # why what heads read is not described


@dataclass(frozen=True, eq=False)
class ModelPath:
    """Every layer's path, and the one from the last block's output to the logits."""

    layers: tuple[LayerPath, ...]
    final_norm: FrozenNorm | None = None
    hidden_multiplier: float = 1.0  # between final norm and unembedding
    logit_multiplier: float = 1.0  # after it
    soft_cap: float | None = None
    withheld: str | None = None

    def reason(self, layer: int = 0) -> str | None:
        """Why no path leads from a layer's heads to the logits; None where it does."""
        return self.withheld or next((p.withheld for p in self.layers[layer:] if p.withheld), None)


class PathReader:
    """Reads a model's path off a trace of it."""

    def __init__(self, trace: Trace, config: Any, dtype: torch.dtype, n_heads: int) -> None:
        self._trace, self._dtype, self._n_heads = trace, dtype, n_heads
        self._eps = torch.finfo(dtype).eps
        self._numbers = _numbers(config)
        self._caps = [value for name, value in _named(config) if "softcap" in name and "att" not in name]

    def path(self) -> ModelPath:
        """The model's path."""
        layers = tuple(self._layer(i, calls) for i, calls in enumerate(self._trace.blocks))
        final, unembed = self._trace.final_norm, self._trace.unembed
        if any(calls.whole is None for calls in self._trace.blocks) or final is None or unembed is None:
            return ModelPath(layers, withheld="its blocks are not a chain from embedding to final norm")
        wholes = [calls.whole for calls in self._trace.blocks if calls.whole is not None]
        reads = [*(whole.read for whole in wholes[1:]), final.read]
        for layer, (whole, read) in enumerate(zip(wholes, reads, strict=True)):
            if not torch.equal(whole.written, read):
                return ModelPath(layers, withheld=f"what block {layer} writes is changed before it is read")
        norm = describe_norm(final.module, final.read.shape[1], self._dtype, final.read.device)
        if norm is None:
            return ModelPath(layers, withheld="its final norm is neither a LayerNorm nor an RMSNorm")
        before = self._fit(unembed[0], [final.written])
        after = self._logits(unembed[1])
        if before is None or after is None:
            return ModelPath(layers, withheld="its logits are not a multiple of what it unembeds")
        return ModelPath(layers, norm, before[0], after[0], after[1])

    def _logits(self, unembedded: Tensor) -> tuple[float, float | None] | None:
        """The factor between the unembedding's output and the logits, and the soft cap."""
        logits = self._trace.logits
        if (factor := self._fit(logits, [unembedded])) is not None:
            return factor[0], None
        for cap in self._caps:
            uncapped = cap * torch.atanh((widened(logits) / cap).clamp(-1, 1))
            safe = (logits.abs() < 0.9 * cap).to(uncapped.device)
            if (
                safe.any()
                and (factor := self._fit(uncapped[safe], [unembedded.to(safe.device)[safe]])) is not None
            ):
                return factor[0], cap
        return None

    def _layer(self, layer: int, calls: BlockCalls) -> LayerPath:
        whole, attention, projection = calls.whole, calls.attention, calls.projection
        if whole is None:
            return LayerPath(attention is not None, withheld=f"block {layer} does not map one stream to one")
        if attention is None or projection is None:
            others = self._others(whole.read, whole.written, calls.calls)
            missing = None if others is not None else self._unexplained(layer)
            return LayerPath(False, others=others or (), withheld=missing)
        before, reason = self._norm_before(layer, calls, whole, attention)
        if not reason and not self._is_linear(calls.values, attention.module, "W_V"):
            reason = f"the values of layer {layer} are not one matrix times what its attention reads"
        if not self._is_linear(projection, attention.module, "W_O"):
            return LayerPath(True, withheld=f"the output of layer {layer} is not a sum over its heads")
        after = self._norm_after(calls, projection)
        written = projection.written if after is None else after[1].written
        path = LayerPath(True, before, after[0] if after else None, after[1].module if after else None)
        path = replace(path, values_withheld=reason)
        writers = self._writers(whole, written, calls.calls)
        if writers is None:
            return replace(path, withheld=self._unexplained(layer))
        return replace(path, multiplier=writers[0], others=writers[1])

    def _is_linear(self, call: ModuleCall | None, attention: Any, name: str) -> bool:
        """Whether what a projection wrote is what it read times the weights of that name, and a constant."""
        weight = weight_by_head(attention, name, self._n_heads)
        if call is None or weight is None:
            return False
        flat = weight.flatten(0, 1) if name == "W_O" else weight.transpose(0, 1).flatten(1)
        if flat.shape != (call.read.shape[1], call.written.shape[1]):
            return False
        rest = widened(call.written) - widened(call.read) @ widened(flat)
        rest = rest - rest.mean(dim=0)
        size = widened(call.read).norm() * widened(flat).norm()
        return float(rest.norm()) <= _ROUNDINGS * self._eps * float(size)

    @staticmethod
    def _unexplained(layer: int) -> str:
        return f"what block {layer} adds to the residual stream is not a sum of what its modules write"

    def _norm_before(
        self, layer: int, calls: BlockCalls, whole: ModuleCall, attention: ModuleCall
    ) -> tuple[FrozenNorm | None, str | None]:
        """The norm whose output attention reads, none where it reads the stream itself, or why it is not known."""
        stream = whole.read
        if torch.equal(attention.read, stream):
            return None, None
        for call in calls.calls:
            if call.read.equal(stream) and (factor := self._fit(attention.read, [call.written])):
                norm = describe_norm(call.module, stream.shape[1], self._dtype, stream.device)
                if norm is not None:
                    return norm if factor[0] == 1 else _times(norm, factor[0]), None
        return None, f"what the attention of layer {layer} reads is not a norm of the residual stream"

    def _norm_after(self, calls: BlockCalls, projection: ModuleCall) -> tuple[FrozenNorm, ModuleCall] | None:
        for call in calls.calls:
            if call.read.equal(projection.written) and not call.written.equal(call.read):
                norm = describe_norm(call.module, call.read.shape[1], self._dtype, call.read.device)
                if norm is not None:
                    return norm, call
        return None

    def _writers(
        self, whole: ModuleCall, attention: Tensor, calls: Sequence[ModuleCall]
    ) -> tuple[float, tuple[Writer, ...]] | None:
        """The factor of attention's part, and all else that the block adds."""
        distinct = _distinct(calls, whole.read, whole.written, attention)
        for middle in _states(calls, whole):
            for others in ((), *((call,) for call in distinct)):
                parts = [attention, *(call.written for call in others)]
                fitted = self._fit(middle - whole.read, parts, middle)
                if fitted is None or not all(fitted):
                    continue
                writers = tuple(Writer(c.module, f) for c, f in zip(others, fitted[1:], strict=True))
                rest = self._others(middle, whole.written, calls)
                if rest is not None:
                    return fitted[0], (*writers, *rest)
        return None

    def _others(self, start: Tensor, end: Tensor, calls: Sequence[ModuleCall]) -> tuple[Writer, ...] | None:
        """The modules whose outputs add up to what lies between two states of the stream."""
        if torch.equal(start, end):
            return ()
        distinct = _distinct(calls, start, end)
        for n_parts in (1, 2):
            for chosen in combinations(distinct, n_parts):
                fitted = self._fit(end - start, [call.written for call in chosen], end)
                if fitted is not None and all(fitted):
                    return tuple(Writer(c.module, f) for c, f in zip(chosen, fitted, strict=True))
        return None

    def _fit(
        self, target: Tensor, parts: Sequence[Tensor], stream: Tensor | None = None
    ) -> list[float] | None:
        """Factors by which the parts sum to the target, to the rounding of the stream that they are added to."""
        matrix = torch.stack([widened(part).flatten() for part in parts], dim=1)
        goal = widened(target).flatten()
        if matrix.shape[0] != goal.shape[0]:
            return None
        factors = torch.linalg.lstsq(matrix, goal[:, None]).solution[:, 0]
        size = float(widened(target if stream is None else stream).norm())
        # Rounding of a large stream moves the factor of a small part by as much.
        slack = (_ROUNDINGS * self._eps * size / matrix.norm(dim=0).clamp(min=1e-30)).clamp(max=_MAX_SLACK)
        measured = zip(factors.tolist(), slack.tolist(), strict=True)
        exact = torch.tensor([self._exact(*each) for each in measured], dtype=torch.float64)
        missed = float((matrix @ exact.to(matrix) - goal).norm())
        return exact.tolist() if missed <= _ROUNDINGS * self._eps * size and size > 0 else None

    def _exact(self, factor: float, slack: float) -> float:
        """The number that a measured factor is: 1, else the nearest that the configuration names, within the slack."""
        if abs(factor - 1) <= slack:
            return 1.0
        slack = max(slack, _ROUNDINGS * self._eps)
        near = [value for value in self._numbers if abs(factor - value) <= slack * max(abs(value), slack)]
        return min(near, key=lambda value: abs(value - factor), default=factor)


def weight_by_head(attention: Any, name: str, n_heads: int) -> Tensor | None:
    """W_V [n_key_value_heads d_model d_head] or W_O [n_heads d_head d_model]; None where there is no such matrix."""
    try:
        weight = getattr(attention, name, None)
    except (RuntimeError, ValueError):  # heads of another width than the queries'
        weight = None
    if weight is None and name == "W_O":
        module = getattr(attention.o, "original_component", None)
        if isinstance(module, torch.nn.Linear):
            return module.weight.detach().T.unflatten(0, (n_heads, -1))
    return weight.detach() if isinstance(weight, Tensor) else None


def _distinct(calls: Sequence[ModuleCall], *but: Tensor) -> list[ModuleCall]:
    """Calls with different outputs, the outermost module of each, without the given ones."""
    kept: list[ModuleCall] = []
    for call in sorted(calls, key=lambda call: call.name.count(".")):
        if not any(call.written.equal(other) for other in (*but, *(k.written for k in kept))):
            kept.append(call)
    return sorted(kept, key=calls.index)


def _states(calls: Sequence[ModuleCall], whole: ModuleCall) -> list[Tensor]:
    """States that the stream may have been in: what modules read, each once, then what the block wrote."""
    states: list[Tensor] = []
    for read in [*(call.read for call in calls), whole.written]:
        if read.numel() and not any(read.equal(other) for other in (whole.read, *states)):
            states.append(read)
    return states


def _times(norm: FrozenNorm, factor: float) -> FrozenNorm:
    return FrozenNorm(norm.weight * factor, norm.bias * factor, norm.eps, norm.centre)


def _named(config: Any) -> Iterator[tuple[str, float]]:
    values = config.get_text_config().to_dict()
    return (
        (name, float(v)) for name, v in values.items() if isinstance(v, float | int) and v and v is not True
    )


def _numbers(config: Any) -> list[float]:
    """Factors that a model may use: 1, the numbers of its configuration, and one over each."""
    numbers = {value for _, value in _named(config)}
    return [1.0, *sorted(numbers | {1 / value for value in numbers})]
