"""Serving a store, and looking after it."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.options import Port, Store
from app.commands.store_access import run_server, settings_of, tell

if TYPE_CHECKING:
    from app.store.holdings import HeldAtlas


def serve(
    store: Store = None,
    host: Annotated[str | None, typer.Option(help="address to serve on [HEAD_ATLAS_HOST]")] = None,
    port: Port = None,
    open_to_network: Annotated[
        bool, typer.Option("--open-to-network", help="allow a host that other machines can reach")
    ] = False,
    team: Annotated[
        bool | None,
        typer.Option("--team", help="accounts and logins, for several annotators [HEAD_ATLAS_TEAM]"),
    ] = None,
    prompts: Annotated[
        bool | None,
        typer.Option(
            help="let visitors run texts through the model; "
            "by default without --team on this machine's own address [HEAD_ATLAS_PROMPTS]"
        ),
    ] = None,
) -> None:
    """Serve a store."""
    settings = settings_of(store=store, host=host, port=port, team=team, prompts=prompts)
    run_server(settings, open_to_network)


def doctor(store: Store = None) -> None:
    """Report what is installed, and whether the store is sound."""
    from app.doctor import check, findings

    settings = settings_of(store=store)
    for line in findings(settings):
        typer.echo(line)
    typer.echo(check(settings))


def db_upgrade(store: Store = None) -> None:
    """Create the store, or bring its schema up to date."""
    settings = settings_of(store=store)
    from app.store.database.engine import read_session
    from app.store.holdings import list_held
    from app.store.opening import migrated_store

    with migrated_store(settings.store, say=tell) as engine, read_session(engine) as session:
        for held in list_held(session):
            for what in dict.fromkeys(what for run in held.runs for what in run.additions):
                typer.echo(f"{held.slug}: a new run would add {what}")
    typer.echo("the store is up to date")


def db_backup(out: Annotated[Path, typer.Argument(help="file to write")], store: Store = None) -> None:
    """Copy a SQLite store while it is in use."""
    from app.store.database.engine import backup, open_store

    engine = open_store(settings_of(store=store).store, must_exist=True, to_read=True)
    try:
        backup(engine, out)
    finally:
        engine.dispose()
    typer.echo(f"wrote {out}")


def db_check(store: Store = None) -> None:
    """Check that a store is sound and has this version's schema."""
    from app.store.checks import check_store
    from app.store.database.engine import is_read_only, open_store

    engine = open_store(settings_of(store=store).store, must_exist=True, to_read=True)
    try:
        check_store(engine)
    finally:
        engine.dispose()
    typer.echo("the store is sound" + (", and read-only" if is_read_only(engine) else ""))


def db_runs(
    remove: Annotated[
        str | None,
        typer.Option(
            metavar="ATLAS[/RUN]",
            help="an atlas, or one of its runs by the first digits of its fingerprint",
        ),
    ] = None,
    with_annotations: Annotated[
        bool,
        typer.Option(
            "--with-annotations", help="remove an atlas even if people labelled it, with their labels"
        ),
    ] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="remove; without this only show what would go")
    ] = False,
    store: Store = None,
) -> None:
    """List the atlases and runs of a store, with what they hold and who labelled them, or remove one."""
    from app.store.database.engine import read_session, write_session
    from app.store.holdings import get_held, list_held, remove_atlas, remove_run
    from app.store.opening import migrated_store

    place = settings_of(store=store).store
    with migrated_store(place, must_exist=True, to_read=not apply, say=tell) as engine:
        if remove is None:
            with read_session(engine) as session:
                for held in list_held(session):
                    typer.echo("\n".join(held_lines(held)))
            return
        slug, of_run, prefix = remove.partition("/")
        with write_session(engine) if apply else read_session(engine) as session:
            held = get_held(session, slug)
            run = held.run_of(prefix) if of_run else None
            going = (
                held if run is None else replace(held, runs=(run,), labels=(), n_revisions=0, n_experiments=0)
            )
            if apply and run is not None:
                remove_run(session, held, run)
            elif apply:
                remove_atlas(session, held, with_annotations)
    typer.echo("\n".join(held_lines(going)))
    typer.echo("removed" if apply else "nothing is removed yet: --apply does it")


def held_lines(held: "HeldAtlas") -> list[str]:
    """An atlas in words: its runs, who has labelled what, and its experiments."""
    lines = [held.slug]
    for run in held.runs:
        state = "live" if run.live else "unfinished"
        when = f", of {run.finished_at:%Y-%m-%d %H:%M} UTC" if run.finished_at else ""
        lines.append(
            f"  run {run.fingerprint[:16]} ({state}{when}): {run.n_saes} SAEs, {run.n_features} features, "
            f"{run.n_sequences} sequences"
        )
        lines += [f"    a new run would add {what}" for what in run.additions]
    for each in held.labels:
        lines.append(
            f"  labelled by {each.annotator}: {each.n_heads} heads, {each.n_features} features; "
            f"{each.n_submitted} submitted"
        )
    if held.n_revisions or held.n_experiments:
        lines.append(f"  {held.n_revisions} saves of annotations, {held.n_experiments} experiments")
    return lines
