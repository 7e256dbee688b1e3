"""Loss on marked target tokens when one head's z is replaced."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from app.adapters.interventions import ExperimentModel, ZEdit
from app.attribution.float64 import widened
from app.domain.experiments.ablation import Mode
from app.domain.experiments.errors import InvalidExperiment
from app.domain.refs import HeadRef
from app.experiments.progress import PLAIN, Batching
from app.experiments.prompts import Prompts

Floats = NDArray[np.float64]


def target_losses(
    model: ExperimentModel, prompts: Prompts, edits: Sequence[ZEdit], rows: slice = slice(None)
) -> Floats:
    """Cross-entropy in nats, averaged over each prompt's targets: [prompt] for the prompts in `rows`.

    edits: replacements of z for those prompts; none for the clean model.
    """
    tokens = torch.from_numpy(prompts.tokens[rows])
    logits = model.run_with_z(tokens, edits)
    prompt, position = (torch.from_numpy(index) for index in np.nonzero(prompts.targets[rows]))
    at_target = logits[prompt, position - 1]
    target_ids = tokens[prompt, position].to(at_target.device)
    loss = widened(at_target.logsumexp(-1)) - widened(at_target.gather(1, target_ids[:, None])[:, 0])
    n_targets = prompts.targets[rows].sum(axis=1)
    return np.bincount(prompt.numpy(), weights=loss.cpu().numpy(), minlength=len(n_targets)) / n_targets


def clean_losses(model: ExperimentModel, prompts: Prompts, batching: Batching = PLAIN) -> Floats:
    """The losses of all prompts without any replacement: [prompt]."""
    stage = f"{prompts.name}, clean"
    return np.concatenate(
        [target_losses(model, prompts, [], part) for part in batching.slices(len(prompts), stage)]
    )


class LayerZ:
    """z of one layer on all prompts, from which replacements are made."""

    def __init__(
        self,
        model: ExperimentModel,
        prompts: Prompts,
        layer: int,
        batching: Batching = PLAIN,
    ) -> None:
        self._prompts, self._layer = prompts, layer
        stage = f"{prompts.name}, z of layer {layer}"
        self._z = torch.cat(
            [
                model.activations(torch.from_numpy(prompts.tokens[part]), [layer])[layer].z.cpu()
                for part in batching.slices(len(prompts), stage)
            ]
        )
        inner = torch.from_numpy(prompts.inner)
        self._mean = self._z[inner].double().mean(dim=0).float()  # [n_heads d_head]

    def edits(self, head: int, mode: Mode, seed: int, n_draws: int) -> list["Replacement"]:
        """The replacements of one head's z: one for zero and mean ablation, n_draws for resample ablation.

        Raises InvalidExperiment for resampling from a single prompt.
        """
        ref, inner = HeadRef(self._layer, head), torch.from_numpy(self._prompts.inner)
        if mode == "zero":
            return [Replacement(ref, None, None)]
        if mode == "mean":
            return [Replacement(ref, self._mean[head].expand(self._z.shape[0], 1, -1), inner)]
        return [
            Replacement(ref, self._other_prompts(head, generator), inner)
            for generator in (np.random.default_rng([seed, draw]) for draw in range(n_draws))
        ]

    def _other_prompts(self, head: int, generator: np.random.Generator) -> torch.Tensor:
        n, n_positions = self._prompts.tokens.shape
        if n < 2:
            raise InvalidExperiment(
                f"{self._prompts.name} has one prompt, so there is no other to resample from"
            )
        donor = (np.arange(n) + generator.integers(1, n, n)) % n
        place = np.minimum(np.arange(n_positions), self._prompts.lengths[donor, None] - 1)
        return self._z[torch.from_numpy(donor)[:, None], torch.from_numpy(place), head]


class Replacement:
    """A replacement of one head's z on all prompts, which is cut into batches."""

    def __init__(self, head: HeadRef, values: torch.Tensor | None, positions: torch.Tensor | None) -> None:
        self._head, self._values, self._positions = head, values, positions

    def rows(self, part: slice) -> ZEdit:
        """The replacement for some of the prompts."""
        values = None if self._values is None else self._values[part]
        return ZEdit(self._head, values, None if self._positions is None else self._positions[part])


def ablated_losses(
    model: ExperimentModel,
    prompts: Prompts,
    replacements: Sequence[Replacement],
    stage: str,
    batching: Batching = PLAIN,
) -> Floats:
    """The losses under ablation, averaged over the replacements, each of which is run by itself: [prompt]."""
    total = np.zeros(len(prompts))
    for replacement in replacements:
        for part in batching.slices(len(prompts), stage):
            total[part] += target_losses(model, prompts, [replacement.rows(part)], part)
    return total / len(replacements)
