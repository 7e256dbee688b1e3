"""Comparison of a feature with a proxy: specificity and sensitivity over intervals of activation."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from app.adapters.interventions import ExperimentModel
from app.attribution.sae import SparseCoder
from app.domain.experiments.errors import InvalidExperiment
from app.domain.experiments.feature_check import ActivationInterval, FeatureCheckResult
from app.domain.experiments.intervals import Interval, Resampling, ratio_interval
from app.domain.refs import FeatureRef
from app.experiments.natural_text import Text
from app.experiments.progress import PLAIN, Batching

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ObservedFeature:
    """A feature's activation, the proxy's selection, and which tokens are counted, each [sequence pos]."""

    activation: Floats
    proxy: NDArray[np.bool_]
    counted: NDArray[np.bool_]


def feature_activations(
    model: ExperimentModel,
    coder: SparseCoder,
    feature: FeatureRef,
    text: Text,
    batching: Batching = PLAIN,
) -> Floats:
    """The feature's activation at every position: [sequence pos].

    Raises InvalidExperiment for a feature that the SAE does not have, or a text that the model cannot read.
    """
    text.check(model)
    if not 0 <= feature.index < coder.d_sae:
        raise InvalidExperiment(f"the SAE has no feature {feature}: it has {coder.d_sae}")
    out = np.empty(text.tokens.shape)
    for part in batching.slices(len(text.tokens), f"activations of {feature}"):
        z = model.activations(torch.from_numpy(text.tokens[part]), [feature.layer])[feature.layer].z
        acts = coder.encode(z.flatten(2).flatten(0, 1)).feature_acts[:, feature.index]
        out[part] = acts.cpu().double().numpy().reshape(out[part].shape)
    return out


def feature_check(
    feature: FeatureRef,
    observed: ObservedFeature,
    proxy_name: str,
    n_intervals: int = 10,
    resampling: Resampling | None = None,
) -> FeatureCheckResult:
    """The proxy's share, sensitivity and specificity over intervals of activation.

    The first interval holds inactive tokens, the others divide the range up to the largest activation
    equally. Bootstrap resamples are of whole sequences. Raises InvalidExperiment if the feature never fires,
    or if the proxy selects all tokens or none.
    """
    sequence = np.nonzero(observed.counted)[0]
    acts, is_proxy = observed.activation[observed.counted], observed.proxy[observed.counted]
    _check(feature, acts, is_proxy, proxy_name)
    edges = np.linspace(0, float(acts.max()), n_intervals + 1)
    lowers = np.concatenate([[-np.inf], edges[:-1]])
    uppers = np.concatenate([[0.0], edges[1:]])
    resampling = resampling or Resampling()

    def share(above: NDArray[np.bool_], below: NDArray[np.bool_]) -> Interval | None:
        return ratio_interval(
            (above & below).astype(np.float64), below.astype(np.float64), resampling, sequence
        )

    intervals = tuple(
        ActivationInterval(
            lower=0.0 if np.isneginf(lower) else float(lower),
            upper=float(upper),
            n_tokens=int(inside.sum()),
            n_proxy=int((inside & is_proxy).sum()),
            proxy_share=share(is_proxy, inside),
            sensitivity=share(acts > lower, is_proxy),
            specificity=share(acts <= lower, ~is_proxy),
        )
        for lower, upper in zip(lowers, uppers, strict=True)
        for inside in [(acts > lower) & (acts <= upper)]
    )
    return FeatureCheckResult(
        feature, proxy_name, len(acts), int((acts > 0).sum()), int(is_proxy.sum()), intervals
    )


def _check(feature: FeatureRef, acts: Floats, is_proxy: NDArray[np.bool_], proxy_name: str) -> None:
    if not (acts > 0).any():
        raise InvalidExperiment(f"{feature} is active on none of {len(acts)} tokens")
    if is_proxy.all() or not is_proxy.any():
        raise InvalidExperiment(f"the proxy {proxy_name} selects {int(is_proxy.sum())} of {len(acts)} tokens")
