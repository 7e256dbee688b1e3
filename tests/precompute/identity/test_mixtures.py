"""Runs, shares and processes never mix two SAEs or two models."""

import pytest
from starlette.testclient import TestClient

from app.errors import InvalidModel, InvalidSae
from app.precompute.loaded_run import LoadedRun
from app.precompute.plan import RunPlanChanged
from app.precompute.prepare import prepare
from app.precompute.request import RunOptions
from tests.support.changed_inputs import CHANGES, RAW
from tests.support.serving import served
from tests.support.tiny_jobs import SLUG, PublishedAtlas, Tiny, digest_of, edit_config, run

pytestmark = pytest.mark.slow

OTHER_CONFIG = "sae-1 has the same weights and another config or factor"


# What follows: runs, shares and processes never mix two SAEs.


def test_with_another_k_the_same_command_computes_another_run(tiny: Tiny) -> None:
    store = tiny.root / "store.sqlite"
    first = run(tiny, str(store))
    rows = digest_of(store)
    labels = {sae.layer: sae.checksum for sae in PublishedAtlas.open(str(store)).run.record.saes}
    edit_config(tiny.saes[1], k=5)
    with pytest.raises(
        RunPlanChanged,
        match=r"other options \(saes: sae-1 has the same weights and another config or factor\); add",
    ):
        run(tiny, str(store))
    second = run(tiny, str(store), RunOptions(new_run=True))
    assert "up to date" not in second
    assert first.splitlines()[0] != second.splitlines()[0]
    assert digest_of(store) != rows
    assert {sae.layer: sae.checksum for sae in PublishedAtlas.open(str(store)).run.record.saes} == labels
    assert run(tiny, str(store)).startswith("up to date")


def test_a_browser_gets_the_pages_of_another_k_anew(tiny: Tiny) -> None:
    store, path = str(tiny.root / "store.sqlite"), f"/{SLUG}/heads/L1H0"
    run(tiny, store)
    with TestClient(served(store)) as client:
        tag = client.get(path).headers["ETag"]
        assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
        edit_config(tiny.saes[1], k=5)
        run(tiny, store, RunOptions(new_run=True))
        assert client.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_shares_of_two_saes_are_not_mixed(tiny: Tiny) -> None:
    store = str(tiny.root / "store.sqlite")
    run(tiny, store, RunOptions(shard=(0, 2)))
    edit_config(tiny.saes[1], k=5)
    with pytest.raises(RunPlanChanged, match=f"saes: {OTHER_CONFIG}"):
        run(tiny, store, RunOptions(shard=(1, 2)))


@pytest.mark.parametrize("name", ["k", "SAE b_enc"])
def test_a_process_that_finds_another_sae_stops(tiny: Tiny, name: str) -> None:
    spec, _ = prepare(tiny.request(**RAW))
    CHANGES[name].do(tiny)
    with pytest.raises(InvalidSae, match="the SAE sae-1 is no longer the one that the run was made with"):
        _ = LoadedRun(spec).saes


@pytest.mark.parametrize(
    "name", ["model configuration", "model weight", "tokenizer rules", "tokenizer roles"]
)
def test_a_process_that_finds_another_model_stops(tiny: Tiny, name: str) -> None:
    spec, _ = prepare(tiny.request(**RAW))
    CHANGES[name].do(tiny)
    message = "the model tiny-model is no longer the one that the run was made with"
    with pytest.raises(InvalidModel, match=message):
        LoadedRun(spec).model()
