"""The published tables as files: a workbook to print, CSV, and tables for Markdown and LaTeX."""

import io
import re
from collections.abc import Sequence
from textwrap import wrap
from typing import Any, Literal, get_args

from app.services.reading.cells import csv_text
from app.services.reading.context import AtlasContext
from app.services.sheet.csv_json_parquet import BOM
from app.services.sheet.files import Export
from app.services.sheet.publication import publication
from app.services.sheet.publication_tables import (
    Cell,
    Kind,
    PublishedTable,
    TableColumn,
    about_table,
    features_table,
    heads_table,
    layers_table,
    types_table,
)
from app.services.sheet.xlsx import MAX_CELL, check_written, new_workbook

PublicationFormat = Literal["xlsx", "csv", "md", "tex"]
PUBLICATION_FORMATS: tuple[PublicationFormat, ...] = get_args(PublicationFormat)
_A4, _MARGIN, _LOWER_MARGIN = 9, 0.4, 0.6  # paper code; inches
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_LINE, _HIGHEST = 11.2, 409.0  # points
_CHARACTERS = 1.15  # of the text's font, in a unit of column width
_LOOKS: dict[Kind, dict[str, Any]] = {
    "text": {"num_format": "@", "align": "left", "indent": 1},
    "whole": {"num_format": "0", "align": "right"},
    "number": {"num_format": "0.00", "align": "right"},
    "percent": {"num_format": "0%", "align": "right"},
}
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # else an option of the row's end before it
    "]": "{]}",
    **{char: f"\\{char}" for char in "&%$#_"},
}


def export_publication(
    context: AtlasContext, file_format: PublicationFormat, by: str | None = None, site: str = ""
) -> Export:
    """The tables to publish, of the records that the viewer may see, as a file; the same records give the same bytes.

    site: where the atlas is served, for links. Raises NoSuchAnnotator.
    """
    whole = publication(context, by)
    if file_format in ("md", "tex"):
        tables = [types_table(whole), layers_table(whole)]
        text = "\n".join(map(markdown_table if file_format == "md" else latex_table, tables))
        data = text.encode("utf-8", "replace")
    else:
        entries = list(whole.all_entries())
        heads = heads_table(whole, entries, site)
        if file_format == "csv":
            data = _csv(heads)
        else:
            beside = [features_table(entries), types_table(whole), layers_table(whole), about_table(whole)]
            data = _workbook([heads, *beside], context.run.slug)
    return Export(data, f"{context.run.slug}-publication.{file_format}")


def _csv(table: PublishedTable) -> bytes:
    header = [*(column.title for column in table.columns), "Page"]
    rows = ((*row, link) for row, link in zip(table.rows, table.links, strict=True))
    return (BOM + csv_text((header, *rows))).encode("utf-8", "replace")


def _workbook(tables: Sequence[PublishedTable], name: str) -> bytes:
    """One sheet per table: landscape, as wide as a page, its header frozen and on every page."""
    sink = io.BytesIO()
    with new_workbook(sink, f"Attention heads of {name}") as book:
        for table in tables:
            _write_sheet(book, table, name)
    return sink.getvalue()


def _write_sheet(book: Any, table: PublishedTable, name: str) -> None:
    sheet = book.add_worksheet(table.name)
    cell = {"font_name": "Arial", "font_size": 9, "text_wrap": True, "valign": "top", "bottom": 4}
    header = {**cell, "bold": True, "bg_color": "#E8EEF0", "bottom": 1, "valign": "vcenter"}
    formats = {kind: book.add_format({**cell, **look}) for kind, look in _LOOKS.items()}
    titles = {kind: book.add_format({**header, **look}) for kind, look in _LOOKS.items()}
    first = book.add_format({**cell, **_LOOKS["text"], "bold": True})
    sheet.set_landscape()
    sheet.set_paper(_A4)
    sheet.set_margins(left=_MARGIN, right=_MARGIN, top=_MARGIN, bottom=_LOWER_MARGIN)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
    sheet.freeze_panes(1, 1)
    sheet.set_footer(f"&L&8{name}: {table.name.lower()}&R&8page &P of &N")
    for place, column in enumerate(table.columns):
        sheet.set_column(place, place, column.width)
        check_written(sheet.write_string(0, place, column.title, titles[column.kind]))
    for number, row in enumerate(table.rows, 1):
        sheet.set_row(number, _height(table.columns, row))
        for place, (column, value) in enumerate(zip(table.columns, row, strict=True)):
            look = first if place == 0 and column.kind == "text" else formats[column.kind]
            check_written(_write_cell(sheet, (number, place), value, look))
    for number, link in enumerate(table.links, 1):
        if link.startswith(("https://", "http://")):
            check_written(sheet.write_url(number, 0, link, first, str(table.rows[number - 1][0])))


def _height(columns: Sequence[TableColumn], row: Sequence[Cell]) -> float:
    """The height of a row in points, for its longest wrapped text: programs that only print need it in the file."""
    n_lines = 1
    for column, cell in zip(columns, row, strict=True):
        if isinstance(cell, str):
            width = max(1, round(_CHARACTERS * column.width) - 1)
            n_lines = max(n_lines, sum(len(wrap(line, width)) or 1 for line in cell.split("\n")))
    return min(_LINE * n_lines + 2, _HIGHEST)


def _write_cell(sheet: Any, place: tuple[int, int], value: Cell, look: Any) -> int:
    if value is None or value == "":
        return sheet.write_blank(*place, None, look)
    if not isinstance(value, str):
        return sheet.write_number(*place, value, look)
    return sheet.write_string(*place, _writable(value), look)


def _writable(text: str) -> str:
    """The text without characters that XML cannot hold, cut to the size of a cell. Nothing reads it back."""
    plain = _UNWRITABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
    plain = plain.encode("utf-8", "replace").decode()
    while len(plain.encode("utf-16-le")) // 2 > MAX_CELL:
        plain = plain[: MAX_CELL // 2] + "…"
    return plain


def markdown_table(table: PublishedTable) -> str:
    """The table in Markdown, with numbers aligned to the right."""
    titles = " | ".join(column.title for column in table.columns)
    rule = " | ".join("---" if column.kind == "text" else "---:" for column in table.columns)
    lines = [f"## {table.name}", "", f"| {titles} |", f"| {rule} |"]
    for row in table.rows:
        cells = (_markdown(_printed(c, column.kind)) for c, column in zip(row, table.columns, strict=True))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _markdown(text: str) -> str:
    plain = re.sub(r"([\\|*_`<\[\]])", r"\\\1", text)
    return " ".join(plain.split())


def latex_table(table: PublishedTable) -> str:
    """The table in LaTeX, for the package booktabs; text columns share the line by their widths."""
    widest = sum(column.width for column in table.columns)
    form = "".join(
        f"p{{{0.9 * column.width / widest:.2f}\\linewidth}}" if column.kind == "text" else "r"
        for column in table.columns
    )
    titles = " & ".join(_latex(column.title) for column in table.columns)
    lines = [
        "% needs \\usepackage{booktabs}",
        f"\\begin{{tabular}}{{{form}}}",
        "\\toprule",
        f"{titles} \\\\",
        "\\midrule",
    ]
    for row in table.rows:
        cells = (_latex(_printed(c, column.kind)) for c, column in zip(row, table.columns, strict=True))
        lines.append(f"{' & '.join(cells)} \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def _latex(text: str) -> str:
    return " ".join("".join(_LATEX.get(char, char) for char in text).split())


def _printed(cell: Cell, kind: Kind) -> str:
    if cell is None or isinstance(cell, str):
        return cell or ""
    if kind == "percent":
        return f"{cell:.0%}"
    return f"{cell:.2f}" if kind == "number" else str(cell)
