"""Experiment commands that cannot be run, or do not come to their end."""

from pathlib import Path

import pytest

from tests.support.experiment_commands import SMALL, ExperimentCommands
from tests.support.tiny_jobs import SLUG

LONG = "{" + '"text": "' + "dog " * 80 + '[[;]]"}'


@pytest.mark.parametrize(
    ("name", "words", "sentence"),
    [
        ("long-prefix-induction", ("--heads", "L5H1"), "tiny-model has no head L5H1"),
        ("long-prefix-induction", ("--heads", "L1"), "not a head reference"),
        ("long-prefix-induction", (), "give either --heads"),
        ("long-prefix-induction", ("--heads", "0.0", "--layer", "0"), "give either --heads"),
        ("long-prefix-induction", ("--layer", "7"), "no head L7H0"),
        ("long-prefix-induction", ("--heads", "0.0,L0H0"), "named twice"),
        ("long-prefix-induction", ("--heads", "0.0", "--length", "90"), "longer than the 64"),
        ("long-prefix-induction", ("--heads", "0.0", "--length", "9"), "cannot hold a span of 9"),
        ("long-prefix-induction", ("--heads", "0.0", "--threshold", "2"), "between 0 and 1"),
        ("head-ablation", ("--layer", "9"), "no head L9H0"),
        ("head-ablation", ("--layer", "0", "--task", "poetry"), "'poetry' is an unknown task"),
        ("head-ablation", ("--layer", "0", "--task", "proxy:("), "nor a regular expression"),
        ("head-ablation", ("--layer", "0", "--task", "proxy:zzz9"), "selects no position"),
        ("head-ablation", ("--layer", "0", "--modes", "zero,none"), "not none"),
        ("head-ablation", ("--layer", "0", "--prompts", "{two}"), "is not one token of tiny-model"),
        ("head-ablation", ("--layer", "0", "--prompts", "{long}"), "longer than the 64"),
        ("head-ablation", ("--layer", "0", "--prompts", "none.jsonl"), "none.jsonl cannot be read"),
        ("known-heads", ("--length", "40"), "longer than the 64"),
        ("weight-vs-fve", ("--layers", "7"), "no features of layer 7"),
        ("universality", ("--length", "5", "--max-prefix", "4"), "cannot hold a span of 4"),
        ("polysemanticity", ("--head", "0.1"), "nobody has submitted roles for L0H1"),
        ("polysemanticity", ("--head", "0.1", "--roles", "poetry"), "no role of L0H1 has a task"),
        ("feature-check", ("--feature", "L0F1", "--proxy", "fox"), "the SAE of layer 0 is needed"),
        ("feature-check", ("--feature", "L0F1", "--proxy", "fox", "--sae-path", "{sae}"), "is not the SAE"),
        ("feature-check", ("--feature", "L0F1", "--proxy", "("), "nor a regular expression"),
        ("feature-check", ("--feature", "L0F1", "--proxy", "x", "--release", "y"), "must be given together"),
    ],
)
def test_invalid_requests_are_one_sentence_and_leave_nothing(
    typed: ExperimentCommands, tmp_path: Path, name: str, words: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "two.jsonl").write_text('{"text": "the lazy[[ dog;]]"}')
    (tmp_path / "long.jsonl").write_text(LONG)
    places = {
        "{two}": str(tmp_path / "two.jsonl"),
        "{long}": str(tmp_path / "long.jsonl"),
        "{sae}": str(typed.tiny.saes[1]),
    }
    ended = typed.run(name, *(places.get(word, word) for word in words))
    assert ended.code != 0
    [error] = [line for line in ended.err.splitlines() if line.startswith("error:")]
    assert sentence in error
    assert "Traceback" not in ended.err
    assert typed.stored() == []


def test_a_store_an_atlas_or_a_model_that_is_not_there(typed: ExperimentCommands, tmp_path: Path) -> None:
    missing = tmp_path / "none.sqlite"
    words = ("--heads", "0.1", "--model", str(typed.tiny.model))
    for more, sentence in (
        (("--store", str(missing), "--name", SLUG), "there is no store"),
        (("--store", str(typed.store)), "no atlas 'tiny-model'"),
        (("--store", str(typed.store), "--name", "API"), "is not an atlas name"),
    ):
        ended = typed.call("experiment", "long-prefix-induction", *words, *more)
        assert ended.code != 0
        assert sentence in ended.err
    assert not missing.exists()


def test_a_model_other_than_the_atlas_was_made_from(typed: ExperimentCommands, tmp_path: Path) -> None:
    from tests.support.tiny_models import save_tiny_gpt2

    other = save_tiny_gpt2(tmp_path / "tiny-model", seed=9)
    words = ("--model", str(other), "--name", SLUG, "--store", str(typed.store))
    ended = typed.call("experiment", "universality", *words)
    assert ended.code != 0
    assert "was made from revision" in ended.err
    without_bos = save_tiny_gpt2(tmp_path / "no-bos", bos=None, end=None)
    ended = typed.call("experiment", "universality", "--model", str(without_bos), *words[2:])
    assert ended.code != 0
    assert "no BOS token" in ended.err
    assert typed.stored() == []


def test_a_run_that_breaks_says_why(typed: ExperimentCommands, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("odd")

    monkeypatch.setattr("app.studies.experiments.universality", broken)
    with pytest.raises(OSError, match="odd"):
        typed.run("universality", *SMALL["universality"])
    [stored] = typed.stored()
    assert (stored.state, stored.result, stored.message) == ("failed", None, "OSError: odd")


def test_an_interrupted_one_can_be_run_again(typed: ExperimentCommands) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.studies.experiments.universality", _interrupt)
        assert typed.run("universality", *SMALL["universality"]).code == 130
    [stored] = typed.stored()
    assert (stored.state, stored.message) == ("failed", "it was stopped before it ended")
    typed.done("universality", *SMALL["universality"])


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
