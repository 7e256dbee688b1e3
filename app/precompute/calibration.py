"""The look at the first sequences, whether the SAEs fit the model: sealed, so that a resume does not look again."""

from app.precompute.calibrate import Fit, check_fit
from app.precompute.loaded_run import LoadedRun
from app.precompute.partial_files import CorruptPartial, SealedHeader, open_sealed, write_sealed
from app.precompute.shard import empty_partial, layer_batches, layer_name
from app.precompute.work_folder import CALIBRATION, WorkFolder
from app.statistics.feature_partial import FeaturePartial
from app.statistics.leaves import Shards

Calibration = dict[int, FeaturePartial]


def calibrate(bench: LoadedRun) -> Calibration:
    """Every layer's statistics on the first sequences. Raises InvalidSae where one does not fit the model."""
    plan = bench.plan
    partials = {layer: empty_partial(bench, layer, Shards.of()) for layer in bench.saes}
    stop = min(plan.n_calibration, bench.corpus.n_sequences)
    for start in range(0, stop, plan.batch_size):
        for batch in layer_batches(bench, start, min(start + plan.batch_size, stop)):
            layer = batch.sae.layer
            partials[layer] = partials[layer].update(batch.feature_batch())
    for sae in plan.saes:
        partial = partials[sae.layer]
        check_fit(bench.saes[sae.layer].loaded, Fit(sae.processing, partial.fvu(), partial.l0()))
    return partials


def save_calibration(bench: LoadedRun, calibration: Calibration) -> None:
    """Seal it, for a resume."""
    header = SealedHeader(plan=bench.plan.fingerprint, shards=())
    named = {layer_name(layer): partial for layer, partial in calibration.items()}
    write_sealed(bench.folder.sealed / CALIBRATION, header, named)


def load_calibration(folder: WorkFolder, fingerprint: str) -> Calibration | None:
    """The calibration of a run; None where there is none, or it is damaged or of another run."""
    path = folder.sealed / CALIBRATION
    try:
        file = open_sealed(path)
        if file.header.plan != fingerprint:
            return None
        partials = {int(name.removeprefix("L")): file.read(name) for name in file.names}
    except (FileNotFoundError, CorruptPartial):
        return None
    return {layer: part for layer, part in partials.items() if isinstance(part, FeaturePartial)}
