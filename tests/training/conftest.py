"""One tiny model and one tokenised corpus for all training tests."""

import shutil
from pathlib import Path

import pytest

from app.adapters.model_sources import ModelSource, find_model
from app.adapters.transformer_lens_model import TransformerLensModel, load_model
from app.training.run import CORPUS_FILE
from tests.support.tiny_models import save_tiny_gpt2
from tests.support.training_runs import sequences_of, small_recipe


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    folder = save_tiny_gpt2(tmp_path_factory.mktemp("model") / "tiny")
    return find_model(str(folder), folder)


@pytest.fixture(scope="session")
def model(source: ModelSource) -> TransformerLensModel:
    return load_model(source)


@pytest.fixture(scope="session")
def corpus_folder(model: TransformerLensModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    sequences_of(small_recipe(), model, folder)
    return folder


@pytest.fixture
def folder(corpus_folder: Path, tmp_path: Path) -> Path:
    """A folder for a run, with its corpus tokenised already."""
    return _copied(corpus_folder, tmp_path / "run")


@pytest.fixture
def other_folder(corpus_folder: Path, tmp_path: Path) -> Path:
    """A second one, for the run to compare with."""
    return _copied(corpus_folder, tmp_path / "other")


def _copied(corpus_folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(corpus_folder, target, ignore=shutil.ignore_patterns(CORPUS_FILE)))
