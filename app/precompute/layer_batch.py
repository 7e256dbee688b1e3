"""One layer's activations on a batch of sequences: what is counted, and the payloads of examples."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from numpy.typing import NDArray
from torch import Tensor

from app.accumulators.batches import PairBatch, ShardTokens
from app.adapters.language_model import LayerActivations
from app.attribution.dfa import (
    dfa_by_source,
    keep_sources,
    pair_contributions,
    residual,
    sequence_dfa,
)
from app.attribution.float64 import widened
from app.attribution.rows import places_of_true
from app.attribution.sae import EncodedTokens
from app.errors import InvalidModel
from app.precompute.loaded_run import LayerSae
from app.precompute.side_by_side import side_by_side
from app.statistics.arrays import Ints
from app.statistics.feature_partial import FeatureBatch
from app.statistics.payloads import Payloads

Columns = dict[str, NDArray[np.generic]]
# Values by head and source: some memory, but with fewer, threads wait for one another between short steps.
_DFA_AT_ONCE = 2**19
_MOST_THREADS = 8  # that make payloads, each with its own DFA in memory


@dataclass(frozen=True, eq=False)
class LayerBatch:
    """One layer on a batch of sequences: z of the counted tokens, their features, and attention for DFA.

    Tokens are numbered over the whole corpus: token index = sequence * context_size + position.
    """

    sae: LayerSae
    v: Float[Tensor, "batch src n_heads d_head"]
    pattern: Float[Tensor, "batch n_heads dest src"]
    first_sequence: int
    z: Float[Tensor, "token n_heads d_head"]  # counted tokens only
    encoded: EncodedTokens
    counted: Bool[Tensor, "batch pos"]
    row: Int64[Tensor, "batch pos"]  # where a counted token is in z; -1 elsewhere
    features: Ints | None = None  # [column] ascending: those that `encoded` has; None: all

    @classmethod
    def of(
        cls, sae: LayerSae, activations: LayerActivations, counted: Bool[Tensor, "batch pos"], first: int
    ) -> "LayerBatch":
        """Encode the counted tokens. Raises InvalidModel if z is not finite."""
        counted = counted.to(activations.z.device)
        z = activations.z[counted]
        if not torch.isfinite(z).all():
            raise InvalidModel(
                f"hook_z of layer {sae.layer} is not finite on sequences from {first}; try --dtype float32"
            )
        encoded = sae.coder.encode(z.flatten(1))
        return cls(sae, activations.v, activations.pattern, first, z, encoded, counted, token_rows(counted))

    @cached_property
    def active(self) -> tuple[Int64[Tensor, " pair"], Int64[Tensor, " pair"]]:
        """The token (as a row of z) and the feature of every active pair: [pair] each."""
        return places_of_true(self.encoded.feature_acts > 0)

    @property
    def context_size(self) -> int:
        """Positions in a sequence."""
        return self.counted.shape[1]

    def feature_batch(self) -> FeatureBatch:
        """Every active (token, feature) pair of the batch, and z of its tokens, on the host; texts all differ."""
        token, feature = self.active
        token_index = self._positions[token].numpy(force=True) + self.first_sequence * self.context_size
        acts, hidden_pre = self.encoded.feature_acts, self.encoded.hidden_pre
        return FeatureBatch(
            n_tokens=len(self.z),
            token_index=token_index,
            text=token_index,
            feature=feature.numpy(force=True),
            activation=acts[token, feature].float().numpy(force=True),
            pre_activation=hidden_pre[token, feature].float().numpy(force=True),
            contribution=self._contributions().numpy(force=True),
            z=self.z.flatten(1).float().numpy(force=True),
            squared_error=float(self.squared_error()),
        )

    def pair_batch(self, tokens: ShardTokens) -> PairBatch:
        """What the statistics of a shard are accumulated from, where these are."""
        token, feature = self.active
        acts, hidden_pre = self.encoded.feature_acts, self.encoded.hidden_pre
        feature, order = feature.sort(stable=True)  # the pairs come by token
        token = token[order]
        position = self._positions[token] + (self.first_sequence * self.context_size - tokens.first)
        columns = (
            feature,
            position,
            acts[token, feature].float(),
            hidden_pre[token, feature].float(),
            self._contributions()[order],
            self.z.flatten(1),
            self.squared_error(),
        )
        return PairBatch(*(column.to(tokens.device) for column in columns))

    @property
    def _positions(self) -> Int64[Tensor, " token"]:
        """Where each counted token is in the batch, all positions counted."""
        return self.counted.flatten().nonzero()[:, 0]

    def _contributions(self) -> Float[Tensor, "pair n_heads"]:
        """What each head adds to the pre-activation of each active pair."""
        token, feature = self.active
        scale = self.encoded.scale
        return pair_contributions(self.z, self.sae.read_by_head, scale, token, feature).float()

    def squared_error(self) -> Float64[Tensor, ""]:
        """The sum over tokens of |z - reconstruction|^2."""
        decoded = self.sae.coder.decode(self.encoded.feature_acts, self.encoded, self.active)
        missed = widened(decoded - self.z.flatten(1))
        return (missed**2).sum()

    def payloads(
        self, feature: NDArray[np.int64], token_index: NDArray[np.int64], n_threads: int = 1
    ) -> Payloads:
        """Payloads of examples in this batch: contributions, DFA, and the feature over the whole sequence.

        feature, token_index: [example] each; every token must be one of this batch, every feature one of `features`.
        The bits are the same for any n_threads.
        """
        if not len(token_index):
            return Payloads.empty()
        local = token_index - self.first_sequence * self.context_size
        sequence, dest = np.divmod(local, self.context_size)
        order = np.argsort(sequence, kind="stable")

        def columns_of(part: slice) -> Columns:
            chosen = order[part]
            where = (self._on_device(values[chosen]) for values in (dest, feature, column))
            return self._sequence_columns(int(sequence[chosen[0]]), *where)

        column = feature if self.features is None else np.searchsorted(self.features, feature)
        n_threads = min(n_threads, _MOST_THREADS)
        at_once = max(1, _DFA_AT_ONCE // (self.context_size * self.sae.coder.n_heads))
        parts = side_by_side(columns_of, _parts(sequence[order], at_once), self.row.device, n_threads)
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return Payloads.of(feature[order], token_index[order], columns)

    def _on_device(self, values: NDArray[np.int64]) -> Int64[Tensor, " example"]:
        return torch.from_numpy(values).to(self.row.device)

    def _sequence_columns(
        self,
        sequence: int,
        dest: Int64[Tensor, " example"],
        feature: Int64[Tensor, " example"],
        column: Int64[Tensor, " example"],
    ) -> Columns:
        row = self.row[sequence, dest]
        encoded, read = self.encoded, self.sae.read_by_head
        dfa = self.dfa(sequence, dest, feature)
        sources = keep_sources(dfa, dest)
        summed = keep_sources(dfa_by_source(dfa)[:, None], dest)
        bias = self.sae.coder.bias(encoded, row, feature)
        pre_activation = encoded.hidden_pre[row, column]
        pair = torch.arange(len(row), device=row.device)
        contribution = pair_contributions(self.z[row], read, encoded.scale[row], pair, feature)
        return {
            "activation": encoded.feature_acts[row, column].float().numpy(force=True),
            "pre_activation": pre_activation.float().numpy(force=True),
            "bias": bias.float().numpy(force=True),
            "residual": residual(dfa, bias, pre_activation).float().numpy(force=True),
            "head_contribution": contribution.float().numpy(force=True),
            "source": sources.source.numpy(force=True),
            "dfa": sources.dfa.numpy(force=True),
            "dfa_rest": sources.rest.numpy(force=True),
            "summed_source": summed.source[:, 0].numpy(force=True),
            "summed_dfa": summed.dfa[:, 0].numpy(force=True),
            "summed_rest": summed.rest[:, 0].numpy(force=True),
            "sequence_activations": self._over_sequence(sequence, column),
        }

    def dfa(
        self, sequence: int, dest: Int64[Tensor, " example"], feature: Int64[Tensor, " example"]
    ) -> Float[Tensor, "example n_heads src"]:
        """DFA of counted tokens of one sequence, by head and source token."""
        return sequence_dfa(
            self.v[sequence],
            self.pattern[sequence],
            self.sae.read_by_head,
            dest,
            feature,
            self.encoded.scale[self.row[sequence, dest]],
        )

    def _over_sequence(self, sequence: int, column: Int64[Tensor, " example"]) -> NDArray[np.float16]:
        """Each example's feature at every position of its sequence: [example pos], 0 at BOS and padding."""
        rows = self.row[sequence]
        acts = self.encoded.feature_acts[rows.clamp(min=0), column[:, None]] * (rows >= 0)
        return acts.clamp(max=torch.finfo(torch.float16).max).half().numpy(force=True)


def token_rows(counted: Bool[Tensor, "batch pos"]) -> Int64[Tensor, "batch pos"]:
    """The index of each counted token among the counted ones; -1 for other tokens."""
    return torch.where(counted, counted.flatten().cumsum(0).view(counted.shape) - 1, -1)


def _parts(sequence: NDArray[np.int64], at_once: int) -> Iterator[slice]:
    """Slices of at most at_once examples of one sequence each. sequence: [example], ascending."""
    starts = np.flatnonzero(np.diff(sequence, prepend=-1)).tolist()
    for start, stop in zip(starts, [*starts[1:], len(sequence)], strict=True):
        for first in range(start, stop, at_once):
            yield slice(first, min(first + at_once, stop))
