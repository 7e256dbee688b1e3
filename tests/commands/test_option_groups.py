"""Options that a dataclass declares become options of a command, under the same name and default."""

from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from app.commands.option_groups import with_options
from app.domain.options import Option, check_minimums
from app.errors import AppError


@dataclass(frozen=True, kw_only=True)
class Sizes:
    dataset: Annotated[str, Option("what is read")]
    batch_size: Annotated[int, Option("sequences in a pass", min=1)] = 16
    threads: Annotated[int, Option("threads of a pass", min=1)] = field(default_factory=lambda: 7)
    again: Annotated[bool, Option("once more")] = False


def _run(*words: str) -> tuple[int, str, list[Any]]:
    app, calls = typer.Typer(), []

    @app.command()
    @with_options
    def command(*, seed: int = 0, sizes: Sizes) -> None:
        calls.append((seed, sizes))

    outcome = CliRunner().invoke(app, list(words), env={"COLUMNS": "200", "TERM": "dumb"})
    return outcome.exit_code, outcome.output, calls


def test_a_dataclass_arrives_whole_with_its_own_defaults():
    _, _, calls = _run("--dataset", "a.txt")
    assert calls == [(0, Sizes(dataset="a.txt"))]
    assert calls[0][1].threads == 7


def test_options_bear_the_names_of_the_fields():
    words = ["--dataset", "b", "--batch-size", "3", "--threads", "2", "--again", "--seed", "5"]
    _, _, calls = _run(*words)
    assert calls == [(5, Sizes(dataset="b", batch_size=3, threads=2, again=True))]


def test_help_shows_texts_defaults_and_least_values():
    _, text, _ = _run("--help")
    assert "sequences in a pass" in text
    assert "[default: 16]" in text
    assert "--no-again" not in text
    assert text.index("--dataset") < text.index("--seed") < text.index("--batch-size")


@pytest.mark.parametrize("words", [["--dataset", "b", "--batch-size", "0"], ["--batch-size", "2"]])
def test_too_little_and_a_missing_one_are_refused(words: list[str]):
    code, _, calls = _run(*words)
    assert code == 2
    assert not calls


def test_the_sentence_about_a_minimum_names_the_option():
    with pytest.raises(AppError, match="--batch-size must be at least 1, not 0"):
        check_minimums(Sizes(dataset="b", batch_size=0))


@dataclass(frozen=True)
class Rule:
    least: Annotated[float, Option("least gain")] = 0.1
    n_needed: int = 20


@dataclass(frozen=True)
class Parameters:
    batch_size: Annotated[int, Option("sequences that repeat", flag="--n-repeated")] = 4
    modes: Annotated[tuple[str, ...], Option("kinds between commas")] = ("zero", "mean")
    n_shuffles: int = 3
    rule: Rule = field(default_factory=Rule)


def _run_nested(*words: str) -> tuple[str, list[Any]]:
    app, calls = typer.Typer(), []

    @app.command()
    @with_options
    def command(*, parameters: Parameters, sizes: Sizes) -> None:
        calls.append((parameters, sizes.batch_size))

    command_line = ["--dataset", "a", *words]
    return CliRunner().invoke(app, command_line, env={"COLUMNS": "200", "TERM": "dumb"}).output, calls


def test_a_dataclass_in_a_dataclass_has_its_options_too_and_other_fields_keep_their_defaults():
    assert _run_nested()[1] == [(Parameters(), 16)]
    output, calls = _run_nested("--least", "0.5", "--n-repeated", "2", "--modes", " mean, resample,")
    assert calls == [(Parameters(2, ("mean", "resample"), rule=Rule(0.5)), 16)], output
    text = _run_nested("--help")[0]
    assert "[default: zero,mean]" in text
    assert "--n-shuffles" not in text
    assert "--n-needed" not in text


@dataclass(frozen=True, kw_only=True)
class Texts:
    dataset: Annotated[tuple[str, ...], Option("what is read", repeated=True)]


def test_a_repeated_option_is_typed_once_for_each_value_and_at_least_once():
    app, calls = typer.Typer(), []

    @app.command()
    @with_options
    def command(*, texts: Texts) -> None:
        calls.append(texts)

    runner = CliRunner()
    assert runner.invoke(app, ["--dataset", "a, b.txt", "--dataset", "c"]).exit_code == 0
    assert calls == [Texts(dataset=("a, b.txt", "c"))]
    assert runner.invoke(app, []).exit_code == 2
