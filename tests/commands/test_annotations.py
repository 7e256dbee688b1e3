"""Annotators, export and import as typed."""

import io
import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import openpyxl
import pytest

import app.cli
from app.commands.annotations import parse_mapping
from app.errors import AppError
from app.services.accounts.accounts import WrongLogin, log_in
from app.services.sheet.files import SHEET_FORMATS
from app.store.annotators import list_annotators
from app.store.database.engine import open_store, read_session
from tests.support.run_data import make_run, publish

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(make_sqlite_store: Callable[[], str]) -> str:
    path = make_sqlite_store()
    engine = open_store(path)
    publish(engine, make_run())
    engine.dispose()
    return path


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], store: str
) -> Iterator[Command]:
    """Runs head-atlas in this process; gives exit code, output, and errors."""
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setenv("HEAD_ATLAS_STORE", store)

    def call(*words: str, typed: str = "") -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["head-atlas", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            app.cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    yield call
    signal.signal(signal.SIGTERM, handler)


def people(store):
    engine = open_store(store)
    with read_session(engine) as session:
        return {person.name: person for person in list_annotators(session)}


def logs_in(store, name, password):
    with read_session(open_store(store)) as session:
        try:
            return log_in(session, name, password).name == name
        except WrongLogin:
            return False


def test_annotators_are_added_listed_and_removed(command: Command, store: str) -> None:
    assert command("annotators", "add", "ada", "--role", "admin", typed="correct horse\n")[:2] == (
        0,
        "added ada, admin\n",
    )
    assert (
        command("annotators", "add", "ben", "--blind", typed="battery staple\n")[1]
        == "added ben, annotator, blind\n"
    )
    assert command("annotators", "add", "cyd", "--no-password")[0] == 0
    assert command("annotators", "list")[1] == "ada\tadmin\nben\tannotator\tblind\ncyd\tannotator\tno login\n"
    assert logs_in(store, "ada", "correct horse")
    assert "correct" not in str(people(store)["ada"].password_hash)
    assert command("annotators", "remove", "ben")[0] == 0
    assert not logs_in(store, "ben", "battery staple")
    assert command("annotators", "list")[1].splitlines()[1] == "ben\tannotator\tblind, no login, removed"


def test_a_password_is_changed(command: Command, store: str) -> None:
    command("annotators", "add", "ada", typed="correct horse\n")
    assert command("annotators", "password", "ada", typed="battery staple\n")[0] == 0
    assert logs_in(store, "ada", "battery staple")
    assert not logs_in(store, "ada", "correct horse")


def test_a_terminal_is_asked_twice(command: Command, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def prompt(text, **options):
        asked.append((text, options))
        return "correct horse"

    monkeypatch.setattr("app.commands.annotations._is_terminal", lambda: True)
    monkeypatch.setattr("typer.prompt", prompt)
    assert command("annotators", "add", "ada")[0] == 0
    assert asked == [("password", {"hide_input": True, "confirmation_prompt": True})]
    assert logs_in(store, "ada", "correct horse")


@pytest.mark.parametrize(
    ("words", "typed", "sentence"),
    [
        (("add", "ada"), "short\n", "8 to 1000 characters"),
        (("add", "ada"), "", "no password was given"),
        (("add", "consensus"), "long enough\n", "is reserved"),
        (("add", "ada", "--role", "system"), "long enough\n", "'system' is not one of"),
        (("add", "a\nb"), "long enough\n", "line break"),
        (("password", "nobody"), "long enough\n", "no annotator 'nobody'"),
        (("remove", "nobody"), "", "no annotator 'nobody'"),
    ],
)
def test_what_cannot_be_an_annotator_is_one_sentence(command: Command, store, words, typed, sentence) -> None:
    code, out, errors = command("annotators", *words, typed=typed)
    assert (code, out, errors.count("\n")) == (2, "", 1)
    assert sentence in errors
    assert people(store) == {}


SHEET = "head,roles,description,mine\nL0H1,induction,says who,x\nL0H2,copying,=1+1,y\n"


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    path = tmp_path / "by-hand.csv"
    path.write_text(SHEET, "utf-8")
    return path


def imported(command: Command, path, *words: str) -> tuple[int, str, str]:
    return command("import", "annotations", str(path), "--model", "tiny", *words)


def test_an_import_is_shown_first_and_stored_with_apply(command: Command, store: str, sheet: Path) -> None:
    code, out, errors = imported(command, sheet)
    assert (code, errors.count("\n")) == (2, 1)
    assert "row 2 of heads\twrong\t'mine' is not a column of the sheet" in out
    assert out.splitlines()[-1] == "0 new, 0 changed, 0 unchanged, 2 wrong"
    code, out, _ = imported(command, sheet, "--map", "mine=")
    assert code == 0
    assert out.splitlines()[:3] == [
        "row 2\tnew\tL0H1\tme",
        "\troles: '' -> 'induction'",
        "\tnotes: '' -> 'says who'",
    ]
    assert out.splitlines()[-1] == "nothing is stored yet: --apply does it"
    assert people(store) == {}
    code, out, _ = imported(command, sheet, "--map", "mine=", "--apply")
    assert (code, out.splitlines()[-1]) == (0, "stored 2 records")
    assert people(store)["me"].role == "admin"
    assert imported(command, sheet, "--map", "mine=", "--apply")[1].splitlines() == [
        "0 new, 0 changed, 2 unchanged, 0 wrong",
        "stored 0 records",
    ]


def test_g12_with_one_wrong_row_nothing_is_stored(command: Command, store: str, sheet: Path) -> None:
    sheet.write_text(SHEET.replace("L0H2", "L9H9"), "utf-8")
    code, out, errors = imported(command, sheet, "--map", "mine=", "--apply")
    assert code == 2
    assert "row 3 of heads\twrong\tL9H9 is not one of" in out
    assert errors == "error: nothing was imported, 1 rows are wrong: " + errors.partition("wrong: ")[2]
    assert people(store) == {}


def test_rows_are_those_of_whoever_is_named(command: Command, store: str, sheet: Path) -> None:
    assert "no annotator 'ada'" in imported(command, sheet, "--map", "mine=", "--by", "ada", "--apply")[2]
    command("annotators", "add", "ada", "--no-password")
    assert "\tL0H1\tada" in imported(command, sheet, "--map", "mine=", "--by", "ada", "--apply")[1]
    assert set(people(store)) == {"ada"}


def exported(command: Command, path: Path, *words: str) -> bytes:
    code, out, errors = command("export", "annotations", "--model", "tiny", "--out", str(path), *words)
    assert (code, errors) == (0, "")
    assert out == f"wrote {path}, {path.stat().st_size} bytes\n"
    return path.read_bytes()


@pytest.mark.parametrize("file_format", SHEET_FORMATS)
def test_export_import_export_on_the_command_line(
    command: Command, sheet, tmp_path: Path, file_format
) -> None:
    imported(command, sheet, "--map", "mine=", "--apply")
    path = tmp_path / f"out.{file_format}"
    first = exported(command, path)
    assert imported(command, path, "--apply")[1].splitlines() == [
        "0 new, 0 changed, 2 unchanged, 0 wrong",
        "stored 0 records",
    ]
    assert exported(command, tmp_path / "again", "--format", file_format) == first
    assert [found.name for found in tmp_path.iterdir() if found.name.startswith(".")] == []


def test_the_formats_are_what_they_say(command: Command, sheet: Path, tmp_path: Path) -> None:
    imported(command, sheet, "--map", "mine=", "--apply")
    assert exported(command, tmp_path / "a.csv").startswith(b"\xef\xbb\xbfhead,annotator,")
    assert len(json.loads(exported(command, tmp_path / "a.json"))["heads"]) == 2
    assert openpyxl.load_workbook(io.BytesIO(exported(command, tmp_path / "a.xlsx"))).sheetnames[0] == "heads"
    assert exported(command, tmp_path / "a.parquet").startswith(b"PAR1")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("export", "annotations", "--model", "tiny", "--out", "a.doc"), "a.doc does not end in csv, xlsx"),
        (("export", "annotations", "--model", "none", "--out", "a.csv"), "no atlas 'none'"),
        (("export", "annotations", "--model", "tiny", "--out", "no/such/a.csv"), "cannot be written"),
        (("import", "annotations", "none.csv", "--model", "tiny"), "none.csv cannot be read"),
        (("import", "annotations", ".", "--model", "tiny"), " does not end in csv"),
        (
            ("export", "annotations", "--store", "none.sqlite", "--model", "tiny", "--out", "a.csv"),
            "there is no store",
        ),
        (("annotators", "list", "--store", "none.sqlite"), "there is no store"),
    ],
)
def test_files_and_stores_that_are_not_there(
    command: Command, tmp_path, monkeypatch, words, sentence
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, errors = command(*words)
    assert (code, errors.count("\n")) == (2, 1)
    assert sentence in errors
    assert list(tmp_path.glob("none*")) == list(tmp_path.glob("a.*")) == []


def test_mappings() -> None:
    assert parse_mapping(["My column=notes", "a=b=roles", "x="]) == {
        "My column": "notes",
        "a=b": "roles",
        "x": "",
    }
    for text in ("notes", "=notes"):
        with pytest.raises(AppError, match="COLUMN=NAME"):
            parse_mapping([text])


def test_a_sheet_of_another_program_is_read_and_an_unreadable_one_named(
    command: Command, tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.csv"
    sheet.write_bytes('sep=;\r\n"Head";"Notes"\r\n"L0H1";"naïve"\r\n'.encode("utf-16"))
    code, out, _ = command("import", "annotations", str(sheet), "--model", "tiny", "--apply")
    assert (code, out.splitlines()[-1]) == (0, "stored 1 records")
    sheet.write_bytes("head,notes\nL0H1,café\n".encode("cp1252"))
    code, _, error = command("import", "annotations", str(sheet), "--model", "tiny")
    assert code != 0
    assert "line 2 has the byte 0xe9" in error
    assert "save it as 'CSV UTF-8'" in error


def test_what_is_published_is_written_by_its_ending(command: Command, tmp_path: Path) -> None:
    for name in ("a.xlsx", "a.csv", "a.md", "a.tex"):
        out = tmp_path / name
        code, said, _ = command("export", "publication", "--model", "tiny", "--out", str(out))
        assert (code, said) == (0, f"wrote {out}, {out.stat().st_size} bytes\n")
    code, _, error = command("export", "publication", "--model", "tiny", "--out", str(tmp_path / "a.pdf"))
    assert code == 2
    assert "a.pdf does not end in xlsx, csv, md, tex" in error
    code, _, error = command("export", "publication", "--model", "tiny", "--out", "x.md", "--by", "nobody")
    assert code == 2
    assert "nobody" in error
