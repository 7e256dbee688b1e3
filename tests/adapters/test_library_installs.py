"""Loading a model installs nothing: a library that would is refused it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.adapters.library_installs import nothing_installed
from app.adapters.model_sources import find_model
from app.adapters.transformer_lens_model import load_model
from tests.support.model_families import save_family


def test_a_model_that_reads_images_too_is_loaded_without_installing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Any] = []

    def run(command: Any, *_more: Any, **_options: Any) -> int:
        ran.append(command)
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, "check_call", run)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    model = load_model(find_model(str(save_family("gemma3", tmp_path / "gemma3")), tmp_path))
    assert ran == []
    assert model.self_check is not None
    assert model.self_check.worst < 1e-5
    assert subprocess.check_call is run


@pytest.mark.parametrize("installer", [["uv", "pip"], [sys.executable, "-m", "pip"]])
def test_only_installers_are_refused(installer: list[str]) -> None:
    with nothing_installed():
        with pytest.raises(subprocess.CalledProcessError):
            subprocess.check_call([*installer, "install", "torchvision", "-q"])
        assert subprocess.check_call([sys.executable, "-c", "pass"]) == 0
