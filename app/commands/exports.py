"""An atlas as plain files."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import Store
from app.commands.store_access import settings_of
from app.extras import need


def export_site(
    model: Annotated[str, typer.Option("--model", help="the atlas's name in URLs")],
    out: Annotated[Path, typer.Option(help="new folder for the files")],
    annotations: Annotated[
        bool,
        typer.Option(
            "--with-annotations/--without-annotations",
            help="everyone's submitted annotations, with their names and never a draft, or none at all",
        ),
    ] = True,
    store: Store = None,
) -> None:
    """Write an atlas as pages that open from a disk, without a server. Its front page is index.html."""
    if annotations:
        need(
            "parquet",
            "export site, whose files hold the annotations as Parquet too (--without-annotations does not),",
        )
    from app.store.database.engine import open_store
    from app.web.static_site.writer import export_site as export

    engine = open_store(settings_of(store=store).store, must_exist=True, to_read=True)
    try:
        n_files = export(engine, model, out, annotations)
    finally:
        engine.dispose()
    typer.echo(f"wrote {n_files} files; open {out / 'index.html'}")
