"""Documents name files that exist, and commands with options that they take."""

import re

import pytest
import typer
from typer.core import TyperGroup

from app.cli import app
from tests.support.repository import DOCUMENTS, ROOT, relative

FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
PATH = re.compile(r"(?<![\w/.{])(?:app|benchmarks|docs|frontend|migrations|scripts|tests)/[\w/.-]*[\w/]")
OPTION = re.compile(r"--[a-z][a-z-]*")
SCRIPTS = [
    path for folder in ("scripts", "benchmarks", "tests/parity") for path in (ROOT / folder).rglob("*.py")
]


def pieces_of_code(markdown: str) -> list[str]:
    """The spans and the lines of fenced blocks, with lines that a backslash continues as one."""
    blocks = "".join(FENCE.findall(markdown)).replace("\\\n", "")
    return re.findall(r"`([^`\n]+)`", FENCE.sub("", markdown)) + blocks.splitlines()


def missing_files(markdown: str) -> list[str]:
    return [
        path for code in pieces_of_code(markdown) for path in PATH.findall(code) if not (ROOT / path).exists()
    ]


def options_by_command() -> dict[str, set[str]]:
    """The options of each command by the words that call it, "db check", and of groups of commands."""
    options: dict[str, set[str]] = {}
    commands = [("", typer.main.get_command(app))]
    while commands:
        words, command = commands.pop()
        names = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
        options[words] = names | {"--help"}
        if isinstance(command, TyperGroup):
            commands += [(f"{words} {name}".strip(), each) for name, each in command.commands.items()]
    return options


OPTIONS = options_by_command()
OF_SCRIPTS = {name for path in SCRIPTS for name in re.findall(r'"(--[a-z-]+)"', path.read_text("utf-8"))}


def command_of(words: list[str]) -> str:
    """The command that these words begin with; "" where that is none."""
    beginnings = (" ".join(words[:n]) for n in range(len(words), -1, -1))
    return next(beginning for beginning in beginnings if beginning in OPTIONS)


def unknown_options(markdown: str) -> list[str]:
    """Options that the command before them does not take; of an option by itself, one that nothing takes."""
    unknown: list[str] = []
    for code in pieces_of_code(markdown):
        _, program, arguments = code.rpartition("head-atlas ")
        command = command_of(arguments.split())
        if program or command:
            known = OPTIONS[command]
        elif code.startswith("--"):
            known = OF_SCRIPTS.union(*OPTIONS.values())
        else:
            continue  # another program
        unknown += [
            f"{command} {option}".strip() for option in OPTION.findall(arguments) if option not in known
        ]
    return unknown


# Decisions and the changelog are history: what they name may have moved.
CURRENT = [path for path in DOCUMENTS if path.name != "CHANGELOG.md" and "decisions" not in path.parts]


@pytest.mark.parametrize("document", CURRENT, ids=relative)
def test_the_files_that_documents_name_exist(document):
    assert missing_files(document.read_text("utf-8")) == []


@pytest.mark.parametrize("document", CURRENT, ids=relative)
def test_the_options_that_documents_name_exist(document):
    assert unknown_options(document.read_text("utf-8")) == []


def test_a_missing_file_is_found_inside_a_command_and_a_block():
    text = (
        "`app/cli.py` `python benchmarks/no_such.py 256`\n```\npytest tests/no_such -q\n```\n`x/app/none.py`"
    )
    assert missing_files(text) == ["benchmarks/no_such.py", "tests/no_such"]


def test_an_option_of_another_command_is_found():
    text = "`serve --team` `serve --k` `--no-such` `other --no-such`\n```\nhead-atlas db check \\\n  --features\n```"
    assert unknown_options(text) == ["serve --k", "--no-such", "db check --features"]


def test_documents_name_many_files_and_options():
    text = "\n".join(path.read_text("utf-8") for path in CURRENT)
    code = pieces_of_code(text)
    assert sum(len(PATH.findall(piece)) for piece in code) > 100
    assert sum(len(OPTION.findall(piece)) for piece in code) > 100
