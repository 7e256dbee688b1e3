"""The demo on a tiny stand-in for the embedded model: planned from files alone, published once, then up to date.

The same on the real embedded model belongs beside this file.
"""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import app.cli
import app.demo
import app.precompute.prepare
from app.adapters.model_sources import EMBEDDED, ModelSource
from app.demo import (
    DemoFolders,
    demo_plan,
    demo_request,
    demo_sae_folders,
    holds_another_run,
    is_of,
    sae_folders,
)
from app.errors import AppError, InvalidSae
from app.precompute.prepare import prepare
from tests.support import tiny_models
from tests.support.tiny_jobs import edit_config, fitting_sae, write_text, z_of
from tests.support.tiny_models import save_tiny_gpt2

CHECKSUM = "0123456789abcdef" * 4
N_SEQUENCES = 20
# A fresh interpreter, with the stand-in put in place of the embedded files.
_SCRIPT = """
import sys
from pathlib import Path
import app.cli, app.demo
app.demo._FOLDER, app.demo.N_SEQUENCES = Path({folder!r}), {n_sequences}
app.demo.embedded_checksum = lambda: {checksum!r}
sys.argv = ["head-atlas", *{words!r}]
try:
    app.cli.main()
except SystemExit as stop:
    assert not stop.code, stop.code
loaded = {{"torch", "transformers", "sae_lens", "transformer_lens", "safetensors"}} & set(sys.modules)
assert not loaded, loaded
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped SAEs, and the model that they are for."""
    monkeypatch.setattr(tiny_models, "CONTEXT", 256)  # the demo's contexts and scores need their length
    model = save_tiny_gpt2(tmp_path / EMBEDDED)
    text = write_text(tmp_path / "text.txt")
    for layer in (0, 1):
        sae = fitting_sae(tmp_path / "shipped" / f"layer_{layer}", z_of(model, text, layer, "raw"), layer)
        edit_config(sae, metadata={"head_atlas_processing": "raw"})
    monkeypatch.setattr(app.demo, "_FOLDER", tmp_path / "shipped")
    monkeypatch.setattr(app.demo, "N_SEQUENCES", N_SEQUENCES)
    monkeypatch.setattr(app.demo, "embedded_checksum", lambda: CHECKSUM)
    source = ModelSource(EMBEDDED, str(model), identity=CHECKSUM[:16])
    monkeypatch.setattr(app.precompute.prepare, "find_model", lambda *_: source)
    return tmp_path


def test_the_plan_made_from_files_is_the_plan_that_the_job_makes(stand_in: Path) -> None:
    folders = DemoFolders(stand_in / "work", stand_in / "cache")
    made, _ = prepare(demo_request(folders, threads=1))
    assert replace(demo_plan(folders, threads=1), device=made.plan.device) == made.plan.without_checksums
    assert is_of(made.plan.as_json(), demo_plan(folders, threads=1))
    only_loading_tells = ("model_checksum", "tokenizer_checksum", "corpus_checksum")
    assert all(len(getattr(made.plan, name)) == 64 for name in only_loading_tells)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_damaged_plan_is_begun_again_and_said(
    tmp_path: Path, stand_in: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    folders = DemoFolders(tmp_path / "work", tmp_path / "cache")
    plan = demo_plan(folders, threads=1)
    path = tmp_path / "work" / EMBEDDED / "plan.json"
    assert not holds_another_run(folders, plan)
    path.parent.mkdir(parents=True)
    plan.save(path)
    assert not holds_another_run(folders, plan)
    path.write_bytes(content)
    assert holds_another_run(folders, plan)
    assert caplog.messages == [f"{path} is damaged, and the run is begun again"]


@pytest.mark.parametrize("changes", [{"k": 5}, {"metadata": {"context_size": 7}}])
def test_another_config_of_a_shipped_sae_is_another_plan(stand_in: Path, changes: dict[str, object]) -> None:
    folders = DemoFolders(stand_in / "work", stand_in / "cache")
    before = demo_plan(folders, threads=1)
    edit_config(stand_in / "shipped" / "layer_1", **changes)
    after = demo_plan(folders, threads=1)
    assert [sae.checksum for sae in after.saes] == [sae.checksum for sae in before.saes]
    assert not is_of(before.as_json(), after)
    assert is_of(after.as_json(), after)


def test_the_demo_publishes_once_and_then_starts_without_a_model_library(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["demo", "--no-serve", "--threads", "1", "--store", str(stand_in / "store.sqlite")]
    words += ["--work-dir", str(stand_in / "work")]
    monkeypatch.setattr(sys, "argv", ["head-atlas", *words])
    with pytest.raises(SystemExit) as ended:
        app.cli.main()
    captured = capsys.readouterr()
    assert not ended.value.code, captured.err
    assert "atlas smollm2-135m, run" in captured.out
    shipped = str(stand_in / "shipped")
    script = _SCRIPT.format(folder=shipped, n_sequences=N_SEQUENCES, checksum=CHECKSUM, words=words)
    again = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=False
    )
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("up to date: atlas smollm2-135m shows run")


def test_shipped_saes_come_in_order_of_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for layer in (11, 2):
        (tmp_path / f"layer_{layer}").mkdir()
    monkeypatch.setattr(app.demo, "_FOLDER", tmp_path)
    assert [path.name for path in sae_folders()] == ["layer_2", "layer_11"]


def test_the_demo_computes_all_shipped_layers_or_those_that_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert demo_sae_folders() == sae_folders()
    for layer in (11, 2, 3, 4, 7):
        (tmp_path / f"layer_{layer}").mkdir()
    monkeypatch.setattr(app.demo, "_FOLDER", tmp_path)
    assert [path.name for path in demo_sae_folders((11, 3))] == ["layer_3", "layer_11"]
    with pytest.raises(AppError, match="asks for layer 5, and the shipped SAEs are of layers 2-4,7,11$"):
        demo_sae_folders((3, 5, 6))


def test_an_installation_without_its_saes_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.demo, "_FOLDER", tmp_path)
    with pytest.raises(InvalidSae, match="lacks its embedded SAEs"):
        sae_folders()
