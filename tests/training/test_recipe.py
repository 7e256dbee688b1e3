"""Options that make no sense are refused, and a folder holds one run."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.training.recipe import RECIPE_FILE, InvalidRecipe, Recipe
from tests.support.training_runs import small_recipe


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"layers": ()}, "--layers needs distinct layers"),
        ({"layers": (1, 1)}, "--layers needs distinct layers"),
        ({"datasets": ()}, "--dataset is needed"),
        ({"k": 0}, "--k must be from 1 to d_sae (64), not 0"),
        ({"k": 65}, "--k must be from 1 to d_sae (64), not 65"),
        ({"d_sae": 0, "kind": "standard"}, "--d-sae must be at least 1, not 0"),
        ({"n_tokens": 9 * 128}, "--n-tokens 1152 is less than 10 batches of 128"),
        ({"held_out_sequences": 0}, "--held-out must be at least 1"),
        ({"lr": 0.0}, "--lr 0.0"),
        ({"context_size": 3}, "--context-size must be at least 4, not 3"),
        ({"context_size": 4}, "32 sequences of --context-size 4 hold less than one batch of 128 tokens"),
        ({"batch_tokens": 0}, "--batch-tokens must be at least 1"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidRecipe) as caught:
        small_recipe(**options)
    assert problem in str(caught.value)


def test_k_is_of_no_concern_to_a_standard_sae() -> None:
    assert small_recipe(kind="standard", k=1000).n_steps == 200


def test_a_recipe_comes_back_as_it_was_written(tmp_path: Path) -> None:
    recipe = small_recipe(layers=(1, 0))
    assert Recipe.load(tmp_path) is None
    recipe.save(tmp_path / "new")
    assert Recipe.load(tmp_path / "new") == recipe
    assert [path.name for path in (tmp_path / "new").iterdir()] == [RECIPE_FILE]


def test_what_is_written_tells_nothing_of_this_machine(tmp_path: Path) -> None:
    prose = tmp_path / "prose"
    prose.mkdir()
    recipe = small_recipe(datasets=(str(prose), "python-docs", "org/data"))
    recipe.save(tmp_path)
    stored = Recipe.load(tmp_path)
    assert stored is not None
    assert stored.datasets == ("prose", "python-docs", "org/data")
    assert str(tmp_path) not in (tmp_path / RECIPE_FILE).read_text()
    recipe.require_same(stored)


@pytest.mark.parametrize(("option", "value"), [("seed", 1), ("layers", (1, 0)), ("datasets", ("other",))])
def test_another_option_in_the_same_folder_is_named(option: str, value: object) -> None:
    with pytest.raises(InvalidRecipe, match=f"was started with {option}="):
        small_recipe(**{option: value}).require_same(small_recipe())


@pytest.mark.parametrize(
    "content", ["{", "[]", json.dumps({"layers": [0]}), '{"layers": [0], "datasets": ["a"], "x": 1}']
)
def test_a_recipe_of_another_kind_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / RECIPE_FILE).write_text(content)
    with pytest.raises(InvalidRecipe, match="is not a recipe that this version can read"):
        Recipe.load(tmp_path)
