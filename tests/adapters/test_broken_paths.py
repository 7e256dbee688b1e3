"""A model of one block by hand, sound, and with one thing at a time that no path is described for."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from app.adapters.path_trace import BlockCalls, ModuleCall, Trace
from app.adapters.residual_path import ModelPath, PathReader

N_HEADS, D_HEAD, D_MODEL, D_VOCAB, N_POSITIONS = 2, 4, 8, 20, 12


class Block:
    """Attention with matrices by head, behind a norm: `fault` names what is not as a path needs it."""

    def __init__(self, fault: str = "", factor: float = 1.0, cap: float | None = None) -> None:
        self._fault, self._generator = fault, torch.Generator().manual_seed(1)
        with torch.no_grad():
            calls, after = self._attention(factor)
            self.trace = self._ending(calls, after, cap)
        self.config = {"scale": factor} | ({"final_logit_softcapping": cap} if cap else {})

    def _random(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._generator)

    def _squared(self, fault: str, value: Tensor) -> Tensor:
        return value.square() if self._fault == fault else value

    def _attention(self, factor: float) -> tuple[BlockCalls, Tensor]:
        """The calls of the block, and the stream after it."""
        norm, stream = nn.RMSNorm(D_MODEL), self._random(N_POSITIONS, D_MODEL)
        w_v, w_o = self._random(N_HEADS, D_MODEL, D_HEAD), self._random(N_HEADS, D_HEAD, D_MODEL)
        module: Any = SimpleNamespace(W_V=w_v, W_O=w_o)
        if self._fault in ("no matrix", "another width"):
            module.W_V = None if self._fault == "no matrix" else w_v[:1]
        normed = norm(stream)
        read = stream.tanh() if self._fault == "attention reads no norm" else normed * factor
        values = self._squared("values", read @ w_v.transpose(0, 1).flatten(1))
        mixed = values.cumsum(0)
        written = self._squared("projection", mixed @ w_o.flatten(0, 1))
        after = self._squared("sum", stream + written)
        attention = ModuleCall("attn", module, read, written)
        value_call = ModuleCall("attn.v", None, read, values)
        projection = ModuleCall("attn.o", None, mixed, written)
        whole = None if self._fault == "whole" else ModuleCall("", None, stream, after)
        inside = [ModuleCall("ln", norm, stream, normed), value_call, projection, attention]
        return BlockCalls(inside, whole, attention, projection, value_call), after

    def _ending(self, calls: BlockCalls, after: Tensor, cap: float | None) -> Trace:
        """The trace of the block, the final norm and the unembedding."""
        seen = after * 2 if self._fault == "changed" else after
        final = (
            nn.Linear(D_MODEL, D_MODEL, bias=False) if self._fault == "final norm" else nn.RMSNorm(D_MODEL)
        )
        ended = final(seen)
        unembedded = ended @ self._random(D_MODEL, D_VOCAB)
        logits = self._squared("logits", unembedded)
        logits = cap * (logits / cap).tanh() if cap else logits
        return Trace([calls], ModuleCall("norm", final, seen, ended), (ended, unembedded), logits)

    def path(self) -> ModelPath:
        config = SimpleNamespace(get_text_config=lambda: SimpleNamespace(to_dict=lambda: self.config))
        return PathReader(self.trace, config, torch.float32, N_HEADS).path()


def test_the_sound_block_has_a_path() -> None:
    path = Block().path()
    assert path.reason() is None
    layer = path.layers[0]
    assert layer.values_withheld is None
    assert layer.norm_before is not None
    torch.testing.assert_close(layer.norm_before.weight, torch.ones(D_MODEL))
    assert (layer.multiplier, layer.others, path.logit_multiplier, path.soft_cap) == (1.0, (), 1.0, None)


def test_a_factor_between_norm_and_attention_belongs_to_the_norm() -> None:
    layer = Block(factor=0.5).path().layers[0]
    assert layer.norm_before is not None
    torch.testing.assert_close(layer.norm_before.weight, torch.full((D_MODEL,), 0.5))


def test_a_soft_cap_of_the_configuration_is_found() -> None:
    path = Block(cap=30.0).path()
    assert path.reason() is None
    assert (path.soft_cap, path.logit_multiplier) == (30.0, 1.0)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("whole", "its blocks are not a chain from embedding to final norm"),
        ("changed", "what block 0 writes is changed before it is read"),
        ("final norm", "its final norm is neither a LayerNorm nor an RMSNorm"),
        ("logits", "its logits are not a multiple of what it unembeds"),
        ("projection", "the output of layer 0 is not a sum over its heads"),
        ("sum", "what block 0 adds to the residual stream is not a sum of what its modules write"),
    ],
)
def test_what_breaks_the_way_to_the_logits_is_withheld_with_its_reason(fault: str, reason: str) -> None:
    assert Block(fault).path().reason() == reason


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("values", "the values of layer 0 are not one matrix times what its attention reads"),
        ("no matrix", "the values of layer 0 are not one matrix times what its attention reads"),
        ("another width", "the values of layer 0 are not one matrix times what its attention reads"),
        (
            "attention reads no norm",
            "what the attention of layer 0 reads is not a norm of the residual stream",
        ),
    ],
)
def test_what_breaks_the_way_into_the_heads_withholds_their_values_alone(fault: str, reason: str) -> None:
    path = Block(fault).path()
    assert path.layers[0].values_withheld == reason
    assert path.reason() is None


def test_a_block_that_maps_no_stream_says_so() -> None:
    layer = Block("whole").path().layers[0]
    assert (layer.has_attention, layer.withheld) == (True, "block 0 does not map one stream to one")


def test_logits_of_another_shape_than_the_unembedding_have_no_factor() -> None:
    block = Block()
    block.trace = replace(block.trace, logits=block.trace.logits[:, 1:])
    assert block.path().reason() == "its logits are not a multiple of what it unembeds"
