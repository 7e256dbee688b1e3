"""Everything counted about the features of one layer's SAE over some shards of the corpus."""

from dataclasses import dataclass, replace

import numpy as np

from app.domain.records import N_INTERVAL_EXAMPLES, N_TOP_EXAMPLES
from app.statistics.activation_bins import MAX_FEATURES, BinCounts
from app.statistics.activation_sample import ActivationSample
from app.statistics.arrays import AnyArray, Floats, Floats32, Ints, distinct, places
from app.statistics.feature_sums import FeatureSums, OrderedPairs
from app.statistics.kept_tokens import TopTokens, activation_rank, token_key
from app.statistics.leaves import Count, Shards, Total
from app.statistics.moments import CoMoments, GroupedCoMoments
from app.statistics.partial import Partial
from app.statistics.payloads import Payloads, payload_key, split_key
from app.statistics.token_groups import TokenGroup, token_groups


@dataclass(frozen=True)
class FeatureShape:
    """Sizes of one layer's SAE. d_in = n_heads * d_head."""

    d_sae: int
    n_heads: int
    d_in: int


@dataclass(frozen=True)
class FeatureBatch:
    """One batch of counted tokens: BOS and padding are in neither the pairs nor z nor n_tokens.

    A pair is an active (token, feature); its token index counts over the whole corpus.
    """

    n_tokens: int
    token_index: Ints  # [pairs]
    text: Ints  # [pairs] equal for tokens whose texts are, as `text_keys` has it
    feature: AnyArray  # [pairs] integers
    activation: Floats32  # [pairs] > 0
    pre_activation: Floats32  # [pairs] from the encode path
    contribution: Floats32  # [pairs n_heads] their sum over heads + bias = pre_activation
    z: AnyArray  # [tokens d_in]
    squared_error: float  # sum over tokens of |z - reconstruction|^2


@dataclass(frozen=True, eq=False)
class FeaturePartial(Partial):
    """Per-feature statistics of one SAE. `active` is over each feature's active tokens, `z` over all."""

    n_tokens: Count  # []
    n_active: Count  # [d_sae]
    activation_sum: Total  # [d_sae]
    histogram: BinCounts
    active: GroupedCoMoments
    z: CoMoments
    squared_error: Total  # []
    top: TopTokens  # unit = feature, rank = activation
    sample: ActivationSample
    payloads: Payloads

    @classmethod
    def empty(
        cls,
        plan: str,
        shape: FeatureShape,
        seed: int,
        shards: Shards | None = None,
        n_top: int = N_TOP_EXAMPLES,
        n_sample: int = N_INTERVAL_EXAMPLES,
    ) -> "FeaturePartial":
        if shape.d_sae > MAX_FEATURES:
            raise ValueError(f"{shape.d_sae} features are more than {MAX_FEATURES}")
        return cls(
            plan=plan,
            shards=Shards.of() if shards is None else shards,
            n_tokens=Count.zeros(),
            n_active=Count.zeros(shape.d_sae),
            activation_sum=Total.zeros(shape.d_sae),
            histogram=BinCounts.empty(),
            active=GroupedCoMoments.empty(shape.d_sae, shape.n_heads),
            z=CoMoments.empty(shape.d_in),
            squared_error=Total.zeros(),
            top=TopTokens.empty(n_top),
            sample=ActivationSample.empty(shape.d_sae, n_sample, seed),
            payloads=Payloads.empty(),
        )

    @property
    def d_sae(self) -> int:
        return len(self.n_active.total)

    def update(self, batch: FeatureBatch) -> "FeaturePartial":
        """Fold one batch in. Returns a new partial; the order of the batch's pairs does not matter.

        Raises ValueError on a batch whose columns disagree, repeat a pair or hold a value not finite.
        """
        order = self._pair_order(batch)
        feature, token_index = (x[order].astype(np.int64) for x in (batch.feature, batch.token_index))
        activation, text = batch.activation[order], batch.text[order]
        rank = activation_rank(activation)
        pairs = OrderedPairs(
            n_tokens=batch.n_tokens,
            feature=feature,
            activation=activation,
            pre_activation=batch.pre_activation[order],
            contribution=batch.contribution[order],
            z=batch.z,
            squared_error=batch.squared_error,
        )
        return self.with_sums(self.sums.add(pairs)).with_kept(
            histogram=self.histogram.merge(BinCounts.of(feature, activation)),
            top=self.top.add(feature, token_key(rank, token_index), text),
            sample=self.sample.add(feature, activation, token_index, text),
        )

    @property
    def sums(self) -> FeatureSums:
        """Everything that is a sum."""
        return FeatureSums(self.n_tokens, self.activation_sum, self.active, self.z, self.squared_error)

    def with_sums(self, sums: FeatureSums) -> "FeaturePartial":
        """A partial with these sums in place of its own."""
        return replace(
            self,
            n_tokens=sums.n_tokens,
            n_active=Count(sums.active.n),
            activation_sum=sums.activation_sum,
            active=sums.active,
            z=sums.z,
            squared_error=sums.squared_error,
        )

    def with_kept(self, histogram: BinCounts, top: TopTokens, sample: ActivationSample) -> "FeaturePartial":
        """A partial with these counts and kept tokens in place of its own; payloads of others are dropped."""
        return replace(self, histogram=histogram, top=top, sample=sample).normalise()

    def _pair_order(self, batch: FeatureBatch) -> AnyArray:
        """The order of pairs by feature, then token: in it sums are the same however the caller found the pairs."""
        n_pairs, n_heads = len(batch.feature), self.active.mean_c.shape[1]
        columns = (batch.token_index, batch.text, batch.activation, batch.pre_activation, batch.contribution)
        if any(len(column) != n_pairs for column in columns) or len(batch.z) != batch.n_tokens:
            raise ValueError("the columns of a batch differ in length")
        if batch.contribution.shape != (n_pairs, n_heads):
            raise ValueError(f"contributions must be [pairs, {n_heads}], not {batch.contribution.shape}")
        if n_pairs and not 0 <= batch.feature.min() <= batch.feature.max() < self.d_sae:
            raise ValueError(f"feature indices must be in 0..{self.d_sae - 1}")
        key = payload_key(batch.feature, batch.token_index)
        order = np.argsort(key)
        if (np.diff(key[order]) == 0).any():
            raise ValueError("a (token, feature) pair is in the batch twice")
        return order

    def normalise(self) -> "FeaturePartial":
        """Drop the payloads of tokens that are no longer kept."""
        if not len(self.payloads):
            return self
        return replace(self, payloads=self.payloads.restrict(self._kept_keys()))

    def _kept_keys(self) -> Ints:
        keys = (
            payload_key(self.top.unit, self.top.token_index),
            payload_key(self.sample.feature, self.sample.kept.token_index),
        )
        return distinct(np.concatenate(keys))

    def winners(self, features: AnyArray | None = None) -> tuple[Ints, Ints]:
        """(feature, token_index) of every kept token, ascending, for the given features or all."""
        feature, token_index = split_key(self._kept_keys())
        if features is None:
            return feature, token_index
        is_chosen = np.isin(feature, features)
        return feature[is_chosen], token_index[is_chosen]

    def winners_without_payload(self, features: AnyArray | None = None) -> tuple[Ints, Ints]:
        """The kept tokens that still need a payload. Asked after each update, they are all of the last batch."""
        feature, token_index = self.winners(features)
        missing = places(payload_key(feature, token_index), self.payloads.key) < 0
        return feature[missing], token_index[missing]

    def with_payloads(self, payloads: Payloads) -> "FeaturePartial":
        """A partial that has these payloads too; those of tokens that are not kept are dropped."""
        return replace(self, payloads=self.payloads.merge(payloads)).normalise()

    @property
    def max_activation(self) -> Floats32:
        """[d_sae] 0 for a feature never active."""
        return self.sample.max_activation

    def density(self) -> Floats:
        """[d_sae] share of counted tokens on which each feature is active. NaN without tokens."""
        n_tokens = float(self.n_tokens.total) or np.nan
        return self.n_active.total / n_tokens

    def l0(self) -> float:
        """Mean active features per counted token. NaN without tokens."""
        return float(self.density().sum())

    def fvu(self) -> float:
        """Fraction of the variance of z that the SAE leaves unexplained. NaN where z does not vary."""
        return float(self.squared_error.total / (self.z.total_variance() or np.nan))

    def activation_groups(self, feature: int) -> tuple[TokenGroup, ...]:
        """The top tokens, then the intervals from the highest down. None for a dead feature."""
        return token_groups(feature, self.top, self.sample, self.histogram)
