"""What configs alone tell is refused before any weights are read."""

import shutil
from pathlib import Path

import pytest

import app.precompute.loaded_run
from tests.support.command_line import Command
from tests.support.tiny_jobs import Tiny, edit_config, make_tiny
from tests.support.tiny_models import save_tiny_gpt2


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("early"))


@pytest.mark.parametrize(
    ("changed", "more", "sentence"),
    [
        pytest.param({}, ["--layers", "0,5"], "--layers 0,1", id="no SAE for a layer of --layers"),
        pytest.param(
            {"hook_name": "blocks.7.attn.hook_z"}, [], "tiny-model has layers 0 to 1", id="another layer"
        ),
        pytest.param(
            {"model_name": "gemma-2-2b"},
            [],
            "it was trained on gemma-2-2b, and the model is",
            id="another model",
        ),
    ],
)
def test_it_is_said_before_the_model_is_loaded(
    tiny: Tiny,
    tmp_path: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, str],
    more: list[str],
    sentence: str,
) -> None:
    def loaded(*_: object, **__: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(app.precompute.loaded_run, "load_model", loaded)
    words = tiny.arguments(str(tmp_path / "s.sqlite"), *more)
    sae = shutil.copytree(tiny.saes[0], tmp_path / "sae")
    edit_config(sae, metadata=changed)
    words[words.index(str(tiny.saes[0]))] = str(sae)
    if "model_name" in changed:
        words[words.index("--model") + 1] = str(save_tiny_gpt2(tmp_path / "gpt2"))
    ended = command(*words)
    assert (ended.code, len(ended.errors)) == (2, 1)
    assert sentence in ended.errors[0]
    assert not (tmp_path / "s.sqlite").exists()
