"""What is chosen for an experiment and refused before a model is loaded: tasks, SAEs, heads of a scoreboard."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.domain.experiments.errors import InvalidExperiment
from app.domain.refs import FeatureRef
from app.studies import saes
from app.studies.saes import sae_of
from app.studies.task_choice import TaskChoice, find_predicate
from tests.support.hand_built_model import hand_built_model

FEATURE = FeatureRef(1, 3)


def test_tasks_are_named_and_at_least_one() -> None:
    with pytest.raises(InvalidExperiment, match="no tasks were given"):
        TaskChoice(names=()).check()
    with pytest.raises(InvalidExperiment, match="'nonsense' is an unknown task; choose from"):
        TaskChoice(names=("nonsense",)).check()
    TaskChoice(names=("induction", "proxy:dog")).check()


def test_a_proxy_needs_text_and_a_regular_expression() -> None:
    with pytest.raises(InvalidExperiment, match="the task proxy:dog needs text"):
        TaskChoice(names=("proxy:dog",)).make(hand_built_model(), None)
    with pytest.raises(InvalidExperiment, match=r"\("):
        find_predicate("(")


@pytest.fixture
def atlas(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An atlas of a model that ships with no SAEs; what is loaded for it is told, and fits."""
    monkeypatch.setattr(saes, "load_sae", lambda spec, _: spec)
    monkeypatch.setattr(saes, "check_sae", lambda *_: None)
    return SimpleNamespace(model=SimpleNamespace(name="someone/model"))


def test_one_sae_is_needed_of_a_folder_or_a_release(atlas: Any) -> None:
    with pytest.raises(InvalidExperiment, match="one SAE is needed, and 2 were given"):
        sae_of(atlas, FEATURE, (Path("a"), Path("b")), None, None)
    with pytest.raises(InvalidExperiment, match="--release and --sae-id must be given together"):
        sae_of(atlas, FEATURE, (), "release", None)
    with pytest.raises(InvalidExperiment, match="--sae-path"):
        sae_of(atlas, FEATURE, (), None, None)
    folder: Any = sae_of(atlas, FEATURE, (Path("a"),), None, None)
    assert folder.path == Path("a")
    release: Any = sae_of(atlas, FEATURE, (), "release", "id")
    assert (release.release, release.sae_id) == ("release", "id")


def test_the_embedded_model_has_an_sae_of_each_layer(atlas: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    atlas.model.name = saes.EMBEDDED
    monkeypatch.setattr(saes, "sae_folders", lambda: [Path("layer_0"), Path("layer_1")])
    found: Any = sae_of(atlas, FEATURE, (), None, None)
    assert found.path == Path("layer_1")
    with pytest.raises(InvalidExperiment):
        sae_of(atlas, FeatureRef(2, 0), (), None, None)
