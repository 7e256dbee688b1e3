"""Annotators and their passwords, and annotations to and from files."""

import sys
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.commands.files import format_of, read_file, write_whole
from app.commands.options import Store
from app.commands.store_access import opened_store, settings_of
from app.errors import AppError
from app.extras import need

if TYPE_CHECKING:  # commands load what they run, and nothing else
    from app.services.reading.visibility import Viewer
    from app.services.sheet.imports import Plan
    from app.store.database.engine import Session

Name = Annotated[str, typer.Argument(help="the annotator's name")]
Atlas = Annotated[str, typer.Option("--model", help="the atlas's name in URLs")]


class NoPassword(AppError):
    """No password came where one was needed."""


def annotators_add(
    name: Name,
    role: Annotated[
        Literal["viewer", "annotator", "admin"],
        typer.Option(help="viewers only read; admins also save the consensus and import"),
    ] = "annotator",
    blind: Annotated[
        bool,
        typer.Option(
            "--blind",
            help="hide others' records and published facts until the annotator has submitted theirs",
        ),
    ] = False,
    no_password: Annotated[
        bool,
        typer.Option(
            "--no-password", help="an account without a login, for records that someone else enters"
        ),
    ] = False,
    store: Store = None,
) -> None:
    """Add an annotator. The password is prompted for twice, or read from the first line of stdin."""
    from app.services.accounts.accounts import hash_password
    from app.store.annotators import add_annotator

    hashed = None if no_password else hash_password(_read_password())
    with _writing(store) as session:
        added = add_annotator(session, name, datetime.now(UTC), role, blind, hashed)
    typer.echo(f"added {added.name}, {added.role}{', blind' if added.blind else ''}")


def annotators_list(store: Store = None) -> None:
    """List the annotators, one per line: name, role, and whether blind, removed or without a password."""
    from app.store.annotators import list_annotators
    from app.store.database.engine import read_session

    with read_session(opened_store(store)) as session:
        people = list_annotators(session)
    for person in people:
        notes = [
            note
            for note, holds in (
                ("blind", person.blind),
                ("no login", person.password_hash is None and person.role != "system"),
                ("removed", person.removed_at is not None),
            )
            if holds
        ]
        typer.echo("\t".join((person.name, person.role, ", ".join(notes))).rstrip())


def annotators_remove(name: Name, store: Store = None) -> None:
    """End an annotator's logins. What they wrote stays, under their name."""
    from app.store.annotators import get_annotator, remove_annotator

    with _writing(store) as session:
        remove_annotator(session, get_annotator(session, name), datetime.now(UTC))
    typer.echo(f"removed {name}; their records stay")


def annotators_password(name: Name, store: Store = None) -> None:
    """Set a password, prompted for twice or read from the first line of stdin. Ends the annotator's logins."""
    from app.services.accounts.accounts import hash_password
    from app.store.annotators import change_annotator, get_annotator

    hashed = hash_password(_read_password())
    with _writing(store) as session:
        annotator = get_annotator(session, name)
        if annotator.removed_at is not None:
            raise NoPassword(f"{name!r} was removed and cannot log in")
        change_annotator(session, replace(annotator, password_hash=hashed))
    typer.echo(f"the password of {name} is set")


def export_annotations(
    model: Atlas,
    out: Annotated[Path, typer.Option(help="file to write")],
    file_format: Annotated[
        Literal["csv", "xlsx", "json", "parquet"] | None,
        typer.Option("--format", help="default: the ending of --out"),
    ] = None,
    store: Store = None,
) -> None:
    """Write every annotation of an atlas to a file, as an admin sees them on the spreadsheet page."""
    from app.services.reading.context import AtlasContext
    from app.services.reading.visibility import Viewer
    from app.services.sheet.files import SHEET_FORMATS
    from app.services.sheet.files import export_annotations as export
    from app.store.atlas.reads import get_live_run
    from app.store.database.engine import read_session

    chosen = file_format or format_of(out, SHEET_FORMATS)
    _check_format(chosen)
    with read_session(opened_store(store, to_read=True)) as session:
        context = AtlasContext(session, get_live_run(session, model), Viewer(0, "", "admin"))
        sheet = export(context, chosen)
    write_whole(out, sheet.data)
    typer.echo(f"wrote {out}, {len(sheet.data)} bytes")


def import_annotations(
    file: Annotated[Path, typer.Argument(help="csv, xlsx, json or parquet")],
    model: Atlas,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help="COLUMN=NAME reads COLUMN of a sheet made by hand as NAME; COLUMN= ignores it; repeatable",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="annotator of rows that name no annotator [HEAD_ATLAS_LOCAL_ANNOTATOR]"),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="store the changes; without it they are only shown")
    ] = False,
    store: Store = None,
) -> None:
    """Show what a sheet would change, row by row, and with --apply store it: every row or none."""
    from app.services.reading.context import AtlasContext
    from app.services.sheet.csv_json_parquet import MAX_IMPORT_BYTES
    from app.services.sheet.files import SHEET_FORMATS, read_sheet
    from app.services.sheet.imports import apply_import, plan_import, rename_columns
    from app.services.sheet.rows import NOTE_COLUMNS
    from app.store.atlas.reads import get_live_run
    from app.store.database.engine import read_session, write_session

    file_format = format_of(file, SHEET_FORMATS)
    _check_format(file_format)
    heads, notes = read_sheet(read_file(file, MAX_IMPORT_BYTES), file_format)
    mapped = rename_columns(heads, parse_mapping(columns or []))
    own_notes = rename_columns(notes, {}, NOTE_COLUMNS)
    engine, now = opened_store(store), datetime.now(UTC)
    with write_session(engine) if apply else read_session(engine) as session:
        run = get_live_run(session, model)
        context = AtlasContext(session, run, _importing_viewer(session, by, apply, now))
        plan = plan_import(context, mapped, own_notes, now)
        for line in plan_lines(plan):
            typer.echo(line)
        done = apply_import(context, plan, now) if apply or plan.errors else 0
    typer.echo(f"stored {done} records" if apply else "nothing is stored yet: --apply does it")


def _importing_viewer(session: "Session", by: str | None, apply: bool, now: datetime) -> "Viewer":
    """The person who types the command, with an admin's rights: the store is theirs to write."""
    from app.services.reading.visibility import Viewer
    from app.store.annotators import ensure_annotator, find_annotator, get_annotator

    name = settings_of().local_annotator if by is None else by
    if by is None and apply:
        person = ensure_annotator(session, name, now, "admin")
    else:
        person = find_annotator(session, name) if by is None else get_annotator(session, name)
    return Viewer(person.id if person else 0, name, "admin")


def plan_lines(plan: "Plan") -> list[str]:
    """The lines of a dry run: what each row would change, then what is wrong with which row, then the sums."""
    lines = [
        f"row {change.row}\t{change.kind}\t{change.subject.ref}\t{change.annotator}"
        + "".join(f"\n\t{name}: {_short(before)} -> {_short(after)}" for name, before, after in change.fields)
        for change in plan.changes
        if change.kind != "unchanged"
    ]
    lines += [f"row {error.row} of {error.sheet}\twrong\t{error.message}" for error in plan.errors]
    counts = ", ".join(f"{plan.count(kind)} {kind}" for kind in ("new", "changed", "unchanged"))
    return [*lines, f"{counts}, {len(plan.errors)} wrong"]


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def parse_mapping(pairs: list[str]) -> dict[str, str]:
    """The mapping of columns that the words COLUMN=NAME give. Raises AppError for other words."""
    mapping: dict[str, str] = {}
    for pair in pairs:
        column, equals, ours = pair.rpartition("=")
        if not equals or not column.strip():
            raise AppError(
                f"--map {pair[:60]!r} is not of the form COLUMN=NAME, such as --map Beschreibung=notes"
            )
        mapping[column.strip()] = ours.strip()
    return mapping


def _check_format(file_format: str) -> None:
    if file_format == "parquet":
        need("parquet", "a Parquet file")


def _read_password() -> str:
    """Read a password, twice from a terminal or once from stdin. Never an argument: others can list those."""
    if _is_terminal():
        return str(typer.prompt("password", hide_input=True, confirmation_prompt=True))
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise NoPassword("no password was given: type it, or pass it as the first line of stdin")
    return line


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _writing(store: str | None) -> "AbstractContextManager[Session]":
    from app.store.database.engine import write_session

    return write_session(opened_store(store))
