"""Exports of an atlas's annotations: the same records in every file format."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from app.domain.annotations.records import Revision
from app.domain.refs import FeatureRef, HeadRef
from app.services.reading.context import AtlasContext
from app.services.rollups.agreement import Agreement, agreement
from app.services.rollups.rollup import RollUp, add_up, submitted_heads
from app.services.sheet.csv_json_parquet import (
    InvalidSheet,
    read_csv,
    read_json,
    read_parquet,
    write_csv,
    write_json,
    write_parquet,
)
from app.services.sheet.imports import Numbered
from app.services.sheet.rows import Rows, rows_of
from app.services.sheet.selection import SheetView, view_rows
from app.services.sheet.xlsx import Table, read_xlsx, write_xlsx
from app.store.annotators import CONSENSUS
from app.store.atlas.reads import LiveRun

SheetFormat = Literal["csv", "xlsx", "json", "parquet"]
WHOLE = SheetView()
SHEET_FORMATS: tuple[SheetFormat, ...] = get_args(SheetFormat)
_WHOLE_BESIDE = "features, tally, layers and agreement are of all records"
_HOW_COUNTED = "Fractions are count / total and never rounded; total counts heads with a settled type."


@dataclass(frozen=True)
class Export:
    """An exported file. Its name comes from the atlas's slug, never from text that people typed."""

    data: bytes
    file_name: str


def export_annotations(context: AtlasContext, file_format: SheetFormat, view: SheetView = WHOLE) -> Export:
    """The annotations that the viewer may see, as a file; the same records always give the same bytes.

    A view restricts the rows and columns of heads and leaves out feature notes. The computed sheets of XLSX
    still cover all records, as their README says.
    """
    records = tuple(record for record in context.records if not record.subject.second)
    rows = rows_of(records, _second_looks(context) if view.is_whole else ())
    if not view.is_whole:
        rows = Rows(view_rows(rows.heads, view), [], view.columns)
    writers = {
        "csv": lambda: write_csv(rows),
        "json": lambda: write_json(rows, context.run.slug),
        "parquet": lambda: write_parquet(rows),
        "xlsx": lambda: write_xlsx(rows, _tables(context.run, records, rows, view)),
    }
    return Export(writers[file_format](), f"{context.run.slug}-annotations.{file_format}")


def _second_looks(context: AtlasContext) -> list[Revision]:
    opened = [record for record in context.records if record.subject.second]
    return sorted((*context.second_looks, *opened), key=lambda look: (look.subject.ref, look.annotator))


def read_sheet(data: bytes, file_format: SheetFormat) -> tuple[Numbered, Numbered]:
    """Rows of heads and rows of feature notes, each with its number. Raises InvalidSheet."""
    if file_format == "csv":
        return read_csv(data), []
    if file_format == "parquet":
        return read_parquet(data), []
    if file_format == "json":
        return read_json(data)
    if file_format == "xlsx":
        return read_xlsx(data)
    raise InvalidSheet(
        f"{str(file_format)[:20]!r} is an unknown format; choose from {', '.join(SHEET_FORMATS)}"
    )


def _tables(run: LiveRun, records: Sequence[Revision], rows: Rows, view: SheetView) -> list[Table]:
    """The sheets of an XLSX file that are for people to read and are not imported again."""
    by_annotator = submitted_heads(records)
    model = run.record.model
    added = [
        add_up(name, heads, model.n_layers, model.n_heads) for name, heads in sorted(by_annotator.items())
    ]
    by_annotator.pop(CONSENSUS, None)
    return [
        _features(records),
        _tally(added),
        _layers(added),
        _agreement(agreement(by_annotator)),
        _readme(run, records, rows, view),
    ]


def _features(records: Sequence[Revision]) -> Table:
    rows: list[Sequence[str | int | None]] = []
    for record in records:
        ref = record.subject.ref
        if isinstance(ref, HeadRef):
            for rank, label in enumerate(record.head.labels, 1):
                group = "unclear" if label.unclear else label.group or ""
                labelled_group = next((g for g in record.head.groups if g.name == label.group), None)
                family, level = (
                    (labelled_group.family, labelled_group.abstraction or "") if labelled_group else ("", "")
                )
                of = label.feature
                index, place = (of.index, "") if isinstance(of, FeatureRef) else (None, str(of))
                rows.append((str(ref), record.annotator, rank, ref.layer, index, group, family, level, place))
    header = ("head", "annotator", "rank", "layer", "feature", "group", "family", "abstraction", "example")
    if not any(place for *_, place in rows):  # where every layer has features
        header, rows = header[:-1], [row[:-1] for row in rows]
    return Table("features", header, rows)


def _tally(added: list[RollUp]) -> Table:
    rows = [
        (
            summary.annotator,
            row.head_type,
            row.count,
            row.total,
            row.fraction,
            summary.tally.n_provisional,
            len(summary.novel),
        )
        for summary in added
        for row in summary.tally.rows
    ]
    header = ("annotator", "head_type", "count", "total", "fraction", "n_provisional", "n_novel")
    return Table("tally", header, rows)


def _layers(added: list[RollUp]) -> Table:
    rows: list[Sequence[str | int | float | None]] = []
    for summary in added:
        for row in summary.layers:
            groups = "; ".join(f"{name} ({n})" for name, n in row.groups)
            notable = "; ".join(f"{n.head}{'*' if n.all_alike else ''}" for n in row.notable)
            rows.append((summary.annotator, row.layer, row.n_heads, groups, notable, row.abstraction))
    return Table("layers", ("annotator", "layer", "n_heads", "groups", "notable_heads", "abstraction"), rows)


def _agreement(result: Agreement) -> Table:
    numbers = (("head type, Krippendorff's alpha", result.head_type), ("roles, mean overlap", result.roles))
    rows = [
        (name, "n/a" if e.value is None else e.value, e.low, e.high, e.n_heads, e.reason)
        for name, e in numbers
    ]
    return Table("agreement", ("number", "value", "low", "high", "n_heads", "reason"), rows)


def _readme(run: LiveRun, records: Sequence[Revision], rows: Rows, view: SheetView) -> Table:
    record = run.record
    view_lines = () if view.is_whole else (("view", f"rows and columns that were chosen; {_WHOLE_BESIDE}"),)
    lines = [
        ("what", "Annotations of attention heads, made with Head Atlas"),
        ("atlas", run.slug),
        ("model", f"{record.model.name} at {record.model.revision}"),
        ("run", record.fingerprint),
        ("corpus", record.corpus),
        *((f"SAE of layer {sae.layer}", f"{sae.name} ({sae.checksum})") for sae in record.saes),
        ("records", f"{len(rows.heads)} of heads, {len(rows.notes)} of features"),
        *view_lines,
        ("software", "; ".join(sorted({revision.against.software for revision in records}))),
        ("heads, feature_notes", "what was annotated; these sheets are read on import, with overflow"),
        ("features, tally, layers, agreement", "computed from them; not read on import"),
        ("overflow", "text that a cell cannot hold, in parts; a cell that begins with \u21aa points to it"),
        ("fractions", _HOW_COUNTED),
        (
            "honesty",
            "Types rest on the top features only: a negative result falsifies, a positive one is weak evidence.",
        ),
    ]
    return Table("README", ("about", "text"), lines)
