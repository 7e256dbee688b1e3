"""Logit effects of features and of their slices, where the path from the layer's heads to the logits is known."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from app.adapters.language_model import UnembedWeights
from app.attribution.logits import (
    TopLogits,
    feature_directions,
    head_slice_tops,
    summarise_logits,
    token_logit_by_head,
)
from app.domain.records import Histogram, TokenLogits
from app.precompute.loaded_run import LayerSae

N_LOGITS = 20
N_SLICE_LOGITS = 10


@dataclass(frozen=True, eq=False)
class LogitsOfFeature:
    """Logit effects of one feature, under the names that its record has for them."""

    promoted: TokenLogits
    suppressed: TokenLogits
    head_promoted: TokenLogits
    head_suppressed: TokenLogits
    top_logit: NDArray[np.float32] | None
    logit_histogram: Histogram


@dataclass(frozen=True, eq=False)
class FeatureLogits:
    """Logit effects of some features of a layer, whole and by head, each array with one row per feature."""

    promoted: TokenLogits
    suppressed: TokenLogits
    head_promoted: TokenLogits
    head_suppressed: TokenLogits
    first_by_head: NDArray[np.float32] | None  # [feature n_heads]; None where nothing is said of logits
    histogram: Histogram

    def of(self, place: int) -> LogitsOfFeature:
        """Those of one of the features."""
        return LogitsOfFeature(
            *(
                TokenLogits(tokens.token_id[place], tokens.logit[place])
                for tokens in (self.promoted, self.suppressed, self.head_promoted, self.head_suppressed)
            ),
            top_logit=None if self.first_by_head is None else self.first_by_head[place],
            logit_histogram=Histogram(self.histogram.edges[place], self.histogram.counts[place]),
        )


@dataclass(frozen=True, eq=False)
class LayerLogits:
    """What the logit effects of a layer's features are made of, and the tokens of their slices."""

    write_by_head: Float[Tensor, "feature n_heads d_head"]  # of the features' decoder rows
    w_o: Float[Tensor, "n_heads d_head d_model"]
    unembed: UnembedWeights
    slice_tops: tuple[TopLogits, TopLogits]  # promoted and suppressed, [feature n_heads k]

    @classmethod
    def of_layer(
        cls,
        sae: LayerSae,
        features: NDArray[np.int64],
        w_o: Float[Tensor, "n_heads d_head d_model"],
        unembed: UnembedWeights,
        with_tokens: NDArray[np.bool_],
        each: Callable[[Callable[..., Any], Iterable[Any]], Iterable[Any]] = map,
    ) -> Self:
        """Those of these features of a layer whose heads write by w_o.

        with_tokens: [feature n_heads], the heads whose slices have their own tokens stored. each: `map`, or what does
        the work of several heads at once.
        """
        write = sae.coder.write_by_head[torch.from_numpy(features).to(sae.coder.w_dec.device)]
        wanted = torch.from_numpy(with_tokens)
        tops = head_slice_tops(write, w_o, *_read_out(unembed), k=N_SLICE_LOGITS, wanted=wanted, each=each)
        return cls(write, w_o, unembed, tops)

    def of(self, part: slice) -> FeatureLogits:
        """The logit effects of some of the features."""
        read_out = _read_out(self.unembed)
        direction = feature_directions(self.write_by_head[part], self.w_o)
        whole = summarise_logits(direction.sum(1), *read_out, k=N_LOGITS)
        strongest = whole.promoted.token_id[:, 0]
        first = token_logit_by_head(direction, strongest, *read_out, mean=self.unembed.mean)
        top, bottom = self.slice_tops
        return FeatureLogits(
            *map(_on_host, (whole.promoted, whole.suppressed, top.of(part), bottom.of(part))),
            first_by_head=first.numpy(force=True),
            histogram=Histogram(whole.edges.numpy(force=True), whole.counts.numpy(force=True)),
        )


def _read_out(unembed: UnembedWeights) -> tuple[Tensor, Tensor, bool]:
    return unembed.w_u, unembed.final_norm_weight, unembed.centre_residual


def _on_host(tokens: TopLogits) -> TokenLogits:
    return TokenLogits(
        tokens.token_id.to(torch.int32).numpy(force=True), tokens.logit.float().numpy(force=True)
    )


def no_logits(n_features: int, n_heads: int) -> FeatureLogits:
    """The logit effects of a layer whose path to the logits is not known: no tokens, and a histogram of none."""
    whole, by_head = (
        TokenLogits(np.zeros(shape, np.int32), np.zeros(shape, np.float32))
        for shape in ((n_features, 0), (n_features, n_heads, 0))
    )
    none = Histogram(np.zeros((n_features, 2)), np.zeros((n_features, 1), np.int64))
    return FeatureLogits(whole, whole, by_head, by_head, None, none)
