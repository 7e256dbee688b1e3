"""Calibration: check on the first sequences that each SAE fits the model and its weight processing.

z of a model with folded layer norms and value biases differs from z of the model as released, while the
logits agree. An SAE on the wrong one gives wrong pre-activations without any error. If the processing that an
SAE was trained with is not recorded, both are tried and the one with the lower FVU is taken. The fit must be
plausible, also if it is recorded.
"""

import logging
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from app.adapters.language_model import LanguageModel, Processing
from app.adapters.sae_formats import LoadedSae
from app.errors import InvalidCorpus, InvalidSae
from app.precompute.layer_batch import LayerBatch
from app.precompute.layer_workers import LayerWorkers
from app.precompute.loaded_run import LayerSae, LoadedRun
from app.precompute.partial_files import CorruptPartial, SealedHeader, open_sealed, write_sealed
from app.precompute.shard import batches, read_batches
from app.precompute.smaller_batches import BatchSize, with_smaller_batches
from app.precompute.work_folder import CALIBRATION, WorkFolder
from app.statistics.moments import CoMoments

MAX_FVU = 0.7
L0_FACTOR = 5.0
_TIE = 1e-3  # relative FVU: processings that differ by less are the same to this SAE
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fit:
    """How well an SAE explains z under one weight processing."""

    processing: Processing
    fvu: float
    l0: float


class FitSums:
    """What one SAE leaves unexplained of z on some sequences, and how many features are active there."""

    def __init__(self, sae: LayerSae) -> None:
        self._z = CoMoments.empty(sae.coder.d_in)
        self._n_active, self._squared_error = 0, 0.0

    def add(self, batch: LayerBatch) -> None:
        """Count one batch in. Raises ValueError for a z that is not finite."""
        self._z = self._z.merge(CoMoments.of(batch.z.flatten(1).float().numpy(force=True)))
        self._n_active += len(batch.active[0])
        self._squared_error += float(batch.squared_error())

    def fit(self, processing: Processing) -> Fit:
        """The fit on all batches; NaN where there is no token, or where z does not vary."""
        n_tokens = int(self._z.n) or math.nan
        return Fit(
            processing,
            fvu=self._squared_error / (self._z.total_variance() or math.nan),
            l0=self._n_active / n_tokens,
        )


def measure(
    sae: LayerSae,
    model: LanguageModel,
    tokens: NDArray[np.int64],
    counted: NDArray[np.bool_],
    size: BatchSize,
) -> Fit:
    """How well the SAE explains z of a model, under its weight processing, on a few sequences [batch pos]."""
    sums = FitSums(sae)
    for start, stop in batches(size.sequences, 0, len(tokens)):
        part = slice(start, stop)
        activations = model.activations(torch.from_numpy(tokens[part]), [sae.layer])[sae.layer]
        sums.add(LayerBatch.of(sae, activations, torch.from_numpy(counted[part]), start))
    return sums.fit(model.processing)


def choose_processing(loaded: LoadedSae, fits: list[Fit]) -> Fit:
    """The fit with the lower FVU; raw on a tie. Raises InvalidSae if no fit is plausible."""
    likely = [fit for fit in fits if _is_l0_believable(loaded, fit)] or fits
    best = min(likely, key=lambda fit: fit.fvu)
    for fit in likely:
        if fit.processing == "raw" and fit.fvu <= best.fvu * (1 + _TIE):
            best = fit
    check_fit(loaded, best)
    return best


def check_fit(loaded: LoadedSae, fit: Fit) -> None:
    """Check a fit. Raises InvalidSae if the SAE cannot have been trained on this model, layer and processing.

    Raises InvalidCorpus if the sample of the corpus is too uniform to tell.
    """
    if math.isnan(fit.fvu):
        raise InvalidCorpus("the corpus has too few different tokens to tell whether the SAEs fit the model")
    if fit.fvu > MAX_FVU:
        raise InvalidSae(
            f"{loaded.name} leaves {fit.fvu:.2f} of the variance of layer {loaded.layer}'s z unexplained with "
            f"{fit.processing} weights (at most {MAX_FVU} is plausible): wrong model, layer or weight processing"
        )
    if not _is_l0_believable(loaded, fit):
        raise InvalidSae(
            f"{loaded.name} has {fit.l0:.0f} active features per token with {fit.processing} weights, where "
            f"{loaded.published_l0:.0f} were published: wrong model, layer or weight processing"
        )


def calibrate(run: LoadedRun) -> None:
    """Check on the first sequences how well every layer's SAE fits. Raises InvalidSae for one that does not."""
    sums = with_smaller_batches(run.batch, lambda: _first_sums(run))
    for sae in run.plan.saes:
        check_fit(run.saes[sae.layer].loaded, sums[sae.layer].fit(sae.processing))


def _first_sums(run: LoadedRun) -> dict[int, FitSums]:
    sums = {layer: FitSums(sae) for layer, sae in run.saes.items()}
    stop = min(run.plan.n_calibration, run.corpus.n_sequences)
    with LayerWorkers(run.threads) as workers:
        for sequences in batches(run.batch.sequences, 0, stop):
            read_batches(run, sequences, lambda batch: sums[batch.sae.layer].add(batch), workers)
    return sums


def seal_calibration(run: LoadedRun) -> None:
    """Leave word in the work folder that the run is calibrated, so that a resumed job does not repeat it."""
    write_sealed(run.folder.sealed / CALIBRATION, SealedHeader(run.plan.fingerprint, ()), {})


def is_calibrated(folder: WorkFolder, fingerprint: str) -> bool:
    """Whether the run was calibrated: not if the word of it is missing, damaged, or of another run."""
    try:
        return open_sealed(folder.sealed / CALIBRATION).header.plan == fingerprint
    except FileNotFoundError:
        return False
    except CorruptPartial as error:
        _log.warning("%s, and is computed again", error)
        return False


def _is_l0_believable(loaded: LoadedSae, fit: Fit) -> bool:
    published = loaded.published_l0
    return not published or published / L0_FACTOR <= fit.l0 <= published * L0_FACTOR
