"""Weight processing is found where it is not recorded, and a wrong one stops the job before any row."""

from pathlib import Path
from typing import Any

import pytest
import torch

import app.precompute.loaded_run
from app.adapters.sae_sources import LocalSae
from app.errors import InvalidSae
from app.precompute.calibration import Fit, check_fit, choose_processing
from app.precompute.prepare import prepare
from tests.support.tiny_jobs import D_IN, Tiny, fitting_sae, make_tiny, run, z_of


def sharp_sae(tiny: Tiny, folder: Path, processing: Any, layer: int = 0) -> Path:
    """An SAE of few active features: z about its own mean fits in them, z about another mean does not."""
    z = z_of(tiny.model, tiny.text, layer, processing)
    return fitting_sae(folder, z, layer, "topk", k=4)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("guard"))


def processing_of(tiny: Tiny, sae: Path, work: Path, **options: Any) -> str:
    spec, _ = prepare(tiny.request(saes=(LocalSae(sae),), work_dir=work, **options))
    return spec.plan.saes[0].processing


@pytest.mark.parametrize("processing", ["raw", "processed"])
def test_the_processing_that_an_sae_was_trained_on_is_found(
    tiny: Tiny, tmp_path: Path, processing: Any
) -> None:
    sae = sharp_sae(tiny, tmp_path / "sae", processing)
    assert processing_of(tiny, sae, tmp_path / "work") == processing


def test_the_record_of_an_sae_is_believed(tiny: Tiny, tmp_path: Path) -> None:
    z = z_of(tiny.model, tiny.text, 0, "processed")
    sae = fitting_sae(tmp_path / "sae", z, 0, "topk", metadata={"head_atlas_processing": "processed"})
    assert processing_of(tiny, sae, tmp_path / "work") == "processed"


def test_forcing_the_wrong_processing_stops_the_job_before_any_row(tiny: Tiny, tmp_path: Path) -> None:
    sae = sharp_sae(tiny, tmp_path / "sae", "processed")
    store = tmp_path / "store.sqlite"
    with pytest.raises(
        InvalidSae, match=r"leaves \d\.\d\d of the variance of layer 0's z unexplained with raw weights"
    ):
        run(tiny, str(store), saes=(LocalSae(sae),), processing="raw", work_dir=tmp_path / "work")
    assert not store.exists()
    assert not (tmp_path / "work" / "tiny" / "plan.json").exists()
    run(
        tiny, str(store), saes=(LocalSae(sae),), work_dir=tmp_path / "work"
    )  # and nothing is in the way after


def test_b07_an_sae_of_another_layer_is_refused_without_a_row(tiny: Tiny, tmp_path: Path) -> None:
    z = z_of(tiny.model, tiny.text, 1, "raw")
    generator = torch.Generator().manual_seed(3)
    shuffled = z[:, torch.randperm(D_IN, generator=generator)] * 4 + 1
    sae = fitting_sae(tmp_path / "sae", shuffled, 0, "topk", k=4)
    store = tmp_path / "store.sqlite"
    with pytest.raises(InvalidSae, match="wrong model, layer or weight processing"):
        run(tiny, str(store), saes=(LocalSae(sae),), work_dir=tmp_path / "work")
    assert not store.exists()


def test_where_processing_changes_nothing_raw_is_taken(tmp_path: Path) -> None:
    tiny = make_tiny(tmp_path, "llama")
    assert processing_of(tiny, tiny.saes[0], tmp_path / "work") == "raw"


class _Published:
    name, layer, published_l0 = "an-sae", 3, 40.0


@pytest.mark.parametrize(
    ("raw", "processed", "chosen"),
    [
        ((0.30, 40), (0.20, 40), "processed"),
        ((0.20, 40), (0.30, 40), "raw"),
        ((0.20001, 40), (0.20, 40), "raw"),  # a tie
        ((0.10, 900), (0.20, 40), "processed"),  # the better fit is of no believable sparsity
    ],
)
def test_the_better_believable_fit_is_chosen(raw: Any, processed: Any, chosen: str) -> None:
    fits = [Fit("raw", *raw), Fit("processed", *processed)]
    assert choose_processing(_Published(), fits).processing == chosen  # type: ignore[arg-type]


@pytest.mark.parametrize(("l0", "fvu"), [(7.9, 0.1), (201, 0.1), (40, 0.71)])
def test_a_fit_beyond_belief_stops_the_run(l0: float, fvu: float) -> None:
    with pytest.raises(InvalidSae, match="an-sae"):
        check_fit(_Published(), Fit("raw", fvu, l0))  # type: ignore[arg-type]


@pytest.mark.parametrize(("l0", "fvu"), [(8, 0.7), (200, 0.0)])
def test_a_fit_at_the_edge_of_belief_passes(l0: float, fvu: float) -> None:
    check_fit(_Published(), Fit("raw", fvu, l0))  # type: ignore[arg-type]


@pytest.mark.parametrize(("model", "tried"), [("llama", ["raw"]), ("gpt2", ["raw", "processed"])])
def test_both_are_tried_only_where_they_can_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, tried: list[str]
) -> None:
    tiny = make_tiny(tmp_path, model)
    loaded: list[str] = []
    real = app.precompute.loaded_run.load_model

    def counting(source: Any, processing: Any, *rest: Any) -> Any:
        loaded.append(processing)
        return real(source, processing, *rest)

    monkeypatch.setattr(app.precompute.loaded_run, "load_model", counting)
    assert processing_of(tiny, tiny.saes[0], tmp_path / "work") == "raw"
    assert loaded == tried
