"""A language model with attention weights written by hand, so that what each head does is known.

Two layers, no MLPs, one-hot embeddings. Every head's query and key meet in a score of `sharp` per match, against a
constant score for BOS. The residual stream holds the token, its position, the two tokens before it, and what the
second layer predicts, each in its own block of dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from app.adapters.interventions import ReadOut, ResidualDecomposition, ZEdit
from app.adapters.language_model import HeadWeights, LayerActivations, ReadLayer, ReadPattern, UnembedWeights
from app.domain.records import ModelRecord
from app.domain.refs import HeadRef
from app.domain.tokens import Vocabulary

BOS = 0
N_LAYERS, N_HEADS = 2, 4
N_WORDS, N_CTX = 50, 44
SHARP = 40.0
PREVIOUS, SECOND_PREVIOUS, DUPLICATE, IDLE = (HeadRef(0, head) for head in range(4))
STANDARD, LONG_PREFIX, SUPPRESSOR, SUCCESSOR = (HeadRef(1, head) for head in range(4))


class WordTokenizer:
    """Longest match over a fixed list of words; id 0 is BOS, and stands for all text from an unknown word on."""

    bos_token_id = BOS
    separator_token_id = BOS
    special_token_ids = frozenset({BOS})

    def __init__(self, words: Sequence[str]) -> None:
        self.words = ["<bos>", *words]

    def encode(self, text: str) -> list[int]:
        ids: list[int] = []
        while text:
            matches = [i for i, word in enumerate(self.words) if i != BOS and text.startswith(word)]
            best = max(matches, key=lambda i: len(self.words[i]), default=BOS)
            if best == BOS:
                return [*ids, BOS]
            ids.append(best)
            text = text[len(self.words[best]) :]
        return ids

    def token_bytes(self, token_id: int) -> bytes:
        return self.words[token_id].encode() if token_id < len(self.words) else b""

    def vocabulary(self, d_vocab: int) -> Vocabulary:
        return Vocabulary.from_tokens([self.token_bytes(i) for i in range(d_vocab)], {BOS})


def numbered_words(n: int) -> list[str]:
    """n words, each of which only equals itself whatever its letter case."""
    return [f"w{i:03d}." for i in range(n)]


@dataclass
class Weights:
    """One layer: bilinear query-key maps (BOS's constant apart), values and outputs of each head."""

    qk: Tensor  # [n_heads d_model d_model]
    bos_score: Tensor  # [n_heads]
    w_v: Tensor  # [n_heads d_model d_head]
    w_o: Tensor  # [n_heads d_head d_model]


@dataclass
class HandBuiltModel:
    """An ExperimentModel in plain torch, float64 inside. calls counts forward passes."""

    tokenizer: WordTokenizer
    embed: Tensor  # [d_vocab d_model]
    pos_embed: Tensor  # [n_ctx d_model]
    layers: list[Weights]
    w_u: Tensor  # [d_model d_vocab]
    processing: str = "raw"
    attention_layers: tuple[int, ...] = tuple(range(N_LAYERS))
    record: ModelRecord = field(init=False)

    def __post_init__(self) -> None:
        d_vocab, d_model = self.embed.shape
        d_head = self.layers[0].w_v.shape[2]
        self.record = ModelRecord(
            "hand-built", "1", N_LAYERS, N_HEADS, N_HEADS, d_head, d_model, d_vocab, BOS
        )

    @property
    def context_limit(self) -> int:
        return len(self.pos_embed)

    def activations(self, tokens: Tensor, layers: Sequence[int]) -> dict[int, LayerActivations]:
        run = self._forward(tokens, [])
        return {layer: run.layers[layer] for layer in layers}

    def read_patterns(self, tokens: Tensor, read: ReadPattern) -> None:
        self.read_layers(tokens, (), lambda *_: None, read)

    def read_layers(
        self,
        tokens: Tensor,
        layers: Sequence[int],
        read: ReadLayer,
        read_pattern: ReadPattern | None = None,
    ) -> None:
        for layer, part in enumerate(self._forward(tokens, []).layers):
            if read_pattern is not None:
                read_pattern(layer, part.pattern)
            if layer in layers:
                read(layer, part)

    def patterns(self, tokens: Tensor) -> dict[int, Tensor]:
        return {layer: part.pattern for layer, part in enumerate(self._forward(tokens, []).layers)}

    def logits(self, tokens: Tensor) -> Tensor:
        return self.run_with_z(tokens, [])

    def run_with_z(self, tokens: Tensor, edits: Sequence[ZEdit]) -> Tensor:
        resid = self._forward(tokens, edits).resid[-1]
        return (resid / (resid.square().mean(-1, keepdim=True) + 1e-6).sqrt() @ self.w_u).float()

    def residual_before(self, tokens: Tensor, layer: int) -> Tensor:
        return self._forward(tokens, []).resid[layer].float()

    def residual_decomposition(self, tokens: Tensor, position: Tensor) -> ResidualDecomposition:
        run = self._forward(tokens, [])
        rows = torch.arange(len(tokens))
        heads = [
            torch.einsum("nhd,hdm->nhm", part.z.double()[rows, position], weights.w_o)
            for part, weights in zip(run.layers, self.layers, strict=True)
        ]
        d_model = self.embed.shape[1]
        return ResidualDecomposition(
            embedding=run.resid[0][rows, position].float(),
            heads=torch.stack(heads, dim=1).float(),
            attention_bias=torch.zeros(len(tokens), N_LAYERS, d_model),
            mlp=torch.zeros(len(tokens), N_LAYERS, d_model),
            logits=self.logits(tokens)[rows, position],
        )

    def logits_withheld(self, layer: int) -> None:
        return None

    def values_withheld(self, layer: int) -> None:
        return None

    def processing_moves_z(self, layer: int) -> bool:
        return False  # it has no biases to fold

    def head_weights(self, layer: int) -> HeadWeights:
        part = self.layers[layer]
        return HeadWeights(part.w_v.float(), part.w_o.float(), torch.ones(self.embed.shape[1]))

    def unembed_weights(self) -> UnembedWeights:
        return UnembedWeights(self.w_u.float(), torch.ones(self.embed.shape[1]), centre_residual=False)

    def read_out(self) -> ReadOut:
        d_model, d_vocab = self.w_u.shape
        return ReadOut(
            self.w_u.float(), torch.zeros(d_vocab), torch.ones(d_model), torch.zeros(d_model), 1e-6, False
        )

    def embedding(self) -> Tensor:
        return self.embed.float()

    def _forward(self, tokens: Tensor, edits: Sequence[ZEdit]) -> "_Run":
        resid = [self.embed[tokens] + self.pos_embed[: tokens.shape[1]]]
        found: list[LayerActivations] = []
        for layer, weights in enumerate(self.layers):
            x = resid[-1]
            score = torch.einsum("bdm,hmk,bsk->bhds", x, weights.qk, x)
            score[..., 0] = weights.bos_score[:, None]
            future = torch.ones(score.shape[-2:], dtype=torch.bool).triu(1)
            pattern = score.masked_fill(future, -torch.inf).softmax(-1)
            v = torch.einsum("bsm,hmd->bshd", x, weights.w_v)
            z = torch.einsum("bhds,bshe->bdhe", pattern, v)
            for edit in edits:
                if edit.head.layer == layer:
                    z[:, :, edit.head.head] = _edited(z[:, :, edit.head.head], edit)
            found.append(LayerActivations(z.float(), v.float(), pattern.float()))
            resid.append(x + torch.einsum("bdhe,hem->bdm", z, weights.w_o))
        return _Run(found, resid)


@dataclass
class _Run:
    layers: list[LayerActivations]
    resid: list[Tensor]


def _edited(old: Tensor, edit: ZEdit) -> Tensor:
    new = torch.zeros_like(old) if edit.values is None else edit.values.to(old).expand_as(old)
    return new if edit.positions is None else torch.where(edit.positions[..., None], new, old)


def hand_built_model(words: Sequence[str] | None = None, n_ctx: int = N_CTX) -> HandBuiltModel:
    """Layer 0: previous token, second previous token, duplicate token, and a head that only looks at BOS.

    Layer 1: induction that needs one matching token, induction that needs two, copy suppression (attends to the
    token that the earlier induction head reads, and writes its negative), and succession (attends to itself, and
    writes the next word of the list).
    """
    tokenizer = WordTokenizer(numbered_words(N_WORDS) if words is None else words)
    n_words = len(tokenizer.words)
    tok, prev, prev2, out, copied = (slice(i * n_words, (i + 1) * n_words) for i in range(5))
    d_model = 5 * n_words + n_ctx
    pos = slice(5 * n_words, d_model)
    embed, pos_embed = torch.zeros(n_words, d_model).double(), torch.zeros(n_ctx, d_model).double()
    embed[1:, tok] = torch.eye(n_words).double()[1:]
    pos_embed[:, pos] = torch.eye(n_ctx).double()
    eye, shift = torch.eye(n_words).double() * SHARP, torch.eye(n_ctx).double() * SHARP
    first, second = _blank(d_model, n_words), _blank(d_model, n_words)
    first.qk[0, pos, pos] = shift.diagonal()[1:].diag(-1)
    first.qk[1, pos, pos] = shift.diagonal()[2:].diag(-2)
    first.qk[2, tok, tok] = eye
    first.qk[2, pos, pos] = -shift  # the token itself is no earlier copy
    first.bos_score[:] = torch.tensor([0.5, 0.5, 0.5, 2.0]) * SHARP
    for head, target in ((0, prev), (1, prev2), (2, copied)):
        _writes(first, head, tok, target, torch.eye(n_words).double())
    second.qk[0, tok, prev] = eye
    second.qk[1, tok, prev], second.qk[1, prev, prev2] = eye, eye
    second.qk[2, tok, prev] = eye
    second.qk[3, pos, pos] = shift
    second.bos_score[:] = torch.tensor([0.5, 1.5, 0.5, 0.5]) * SHARP
    identity = torch.eye(n_words).double()
    _writes(second, 0, tok, out, 4 * identity)
    _writes(second, 1, tok, out, 2 * identity)
    _writes(second, 2, tok, out, -1 * identity)
    _writes(second, 3, tok, out, 0.25 * identity.roll(1, dims=1))
    w_u = torch.zeros(d_model, n_words).double()
    w_u[out] = 3 * identity
    w_u[tok] = 0.05 * identity  # so that OV circuits have a path from token to logit and back
    return HandBuiltModel(tokenizer, embed, pos_embed, [first, second], w_u)


def random_model(seed: int = 0, n_ctx: int = N_CTX, words: Sequence[str] | None = None) -> HandBuiltModel:
    """The same shapes with random weights: no head does anything in particular."""
    model = hand_built_model(words, n_ctx)
    generator = torch.Generator().manual_seed(seed)

    def noise(like: Tensor, scale: float) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float64) * scale

    d_model = model.embed.shape[1]
    layers = [
        Weights(
            noise(w.qk, 2 / d_model),
            noise(w.bos_score, 1.0),
            noise(w.w_v, d_model**-0.5),
            noise(w.w_o, d_model**-0.5),
        )
        for w in model.layers
    ]
    embed, pos_embed = noise(model.embed, 1.0), noise(model.pos_embed, 0.5)
    return HandBuiltModel(model.tokenizer, embed, pos_embed, layers, noise(model.w_u, d_model**-0.5))


def _blank(d_model: int, d_head: int) -> Weights:
    return Weights(
        torch.zeros(N_HEADS, d_model, d_model).double(),
        torch.zeros(N_HEADS).double(),
        torch.zeros(N_HEADS, d_model, d_head).double(),
        torch.zeros(N_HEADS, d_head, d_model).double(),
    )


def _writes(weights: Weights, head: int, source: slice, target: slice, matrix: Tensor) -> None:
    weights.w_v[head, source] = torch.eye(matrix.shape[0]).double()
    weights.w_o[head, :, target] = matrix


def repeating_text(
    model: HandBuiltModel, n_sequences: int = 24, length: int = 40, seed: int = 0
) -> np.ndarray:
    """Random words in which spans of one, two and three tokens come again; BOS first."""
    generator = np.random.default_rng(seed)
    tokens = np.empty((n_sequences, length), np.int64)
    for row in range(n_sequences):
        tokens[row] = [BOS, *generator.choice(np.arange(1, model.record.d_vocab), length - 1, replace=False)]
        for span, start, again in ((1, 2, 20), (2, 6, 24), (3, 10, 30)):
            tokens[row, again : again + span] = tokens[row, start : start + span]
    return tokens
