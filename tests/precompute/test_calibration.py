"""How well an SAE fits, as calibration measures it, is what the statistics of the same sequences say."""

import math
from dataclasses import replace

import pytest

from app.precompute.calibration import FitSums
from app.precompute.loaded_run import LoadedRun
from app.precompute.prepare import prepare
from app.precompute.shard import empty_partial, layer_batches
from app.statistics.leaves import Shards
from tests.support.tiny_jobs import make_tiny


@pytest.fixture(scope="module", params=[("gpt2", "topk"), ("llama", "jumprelu")], ids="-".join)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    tiny = make_tiny(tmp_path_factory.mktemp("tiny"), *request.param)
    return LoadedRun(*prepare(tiny.request()))


def test_the_fit_is_that_of_the_statistics(loaded: LoadedRun) -> None:
    for layer, sae in loaded.saes.items():
        sums, partial = FitSums(sae), empty_partial(loaded, layer, Shards.of())
        for start in (0, 3):
            for batch in layer_batches(loaded, start, start + 3, only=[layer]):
                sums.add(batch)
                partial = partial.update(batch.feature_batch())
        fit = sums.fit("raw")
        assert fit.fvu == pytest.approx(partial.fvu(), rel=1e-9)
        assert fit.l0 == pytest.approx(partial.l0(), rel=1e-9)
        assert fit.l0 > 0


def test_no_token_fits_nothing(loaded: LoadedRun) -> None:
    sae = next(iter(loaded.saes.values()))
    fit = FitSums(sae).fit("processed")
    assert math.isnan(fit.fvu)
    assert math.isnan(fit.l0)
    (batch,) = layer_batches(loaded, 0, 1, only=[sae.layer])
    constant = FitSums(sae)
    constant.add(replace(batch, z=batch.z * 0))
    assert math.isnan(constant.fit("raw").fvu)
