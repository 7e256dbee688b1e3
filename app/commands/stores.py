"""Serving a store, and looking after it."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import Port, Store
from app.commands.store_access import run_server, settings_of


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
        typer.Option("--prompts", help="let visitors run texts through the model [HEAD_ATLAS_PROMPTS]"),
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
    from app.store.opening import open_migrated

    open_migrated(settings.store).dispose()
    typer.echo("the store is up to date")


def db_backup(out: Annotated[Path, typer.Argument(help="file to write")], store: Store = None) -> None:
    """Copy a SQLite store while it is in use."""
    from app.store.database.engine import backup, open_store

    backup(open_store(settings_of(store=store).store, must_exist=True, to_read=True), out)
    typer.echo(f"wrote {out}")


def db_check(store: Store = None) -> None:
    """Check that a store is sound and has this version's schema."""
    from app.store.checks import check_store
    from app.store.database.engine import is_read_only, open_store

    engine = open_store(settings_of(store=store).store, must_exist=True, to_read=True)
    check_store(engine)
    typer.echo("the store is sound" + (", and read-only" if is_read_only(engine) else ""))
