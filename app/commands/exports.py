"""An atlas as plain files, and its annotations as they are published."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.commands.annotations import Atlas
from app.commands.files import format_of, write_whole
from app.commands.options import Store
from app.commands.store_access import opened_store, settings_of
from app.extras import need


def export_site(
    model: Annotated[str, typer.Option("--model", help="the atlas's name in URLs")],
    out: Annotated[Path, typer.Option(help="new folder for the files")],
    annotations: Annotated[
        bool,
        typer.Option(
            "--with-annotations/--without-annotations",
            help="everyone's submitted annotations, with their names and without drafts, or none at all",
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


def export_publication(
    model: Atlas,
    out: Annotated[Path, typer.Option(help="file to write")],
    file_format: Annotated[
        Literal["xlsx", "csv", "md", "tex"] | None,
        typer.Option("--format", help="default: the ending of --out"),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="whose submitted records to write for heads without a consensus; default the first by name"
        ),
    ] = None,
    store: Store = None,
) -> None:
    """Write submitted heads and the consensus to read and to print: what they do, features, examples, tables.

    xlsx: heads, features, types and layers. csv: one row per head. md, tex: the tables of types and layers. Links lead
    to HEAD_ATLAS_PUBLIC_URL. The file is not imported again; `export annotations` writes one that is.
    """
    from app.services.reading.context import AtlasContext
    from app.services.reading.visibility import Viewer
    from app.services.sheet.publication_files import PUBLICATION_FORMATS
    from app.services.sheet.publication_files import export_publication as export
    from app.store.atlas.reads import get_live_run
    from app.store.database.engine import read_session

    chosen = file_format or format_of(out, PUBLICATION_FORMATS)
    with read_session(opened_store(store, to_read=True)) as session:
        context = AtlasContext(session, get_live_run(session, model), Viewer(0, "", "admin"))
        file = export(context, chosen, by, settings_of(store=store).public_url)
    write_whole(out, file.data)
    typer.echo(f"wrote {out}, {len(file.data)} bytes")
