"""Reading and writing the spreadsheet as CSV, JSON and Parquet, with the same bytes on every machine."""

import csv
import io
import json
import warnings
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, cast

from app.errors import AppError
from app.services.reading.cells import csv_text, unescape_cell
from app.services.sheet.csv_dialects import decoded_csv
from app.services.sheet.rows import NOTE_COLUMNS, InvalidSheet, Row, Rows

FORMAT, FORMAT_VERSION = "head-atlas annotations", 1
MAX_IMPORT_BYTES = 50 * 2**20
MAX_ROWS, MAX_COLUMNS = 100_000, 256
BOM = "\ufeff"


def write_csv(rows: Rows) -> bytes:
    """The rows of heads as CSV: RFC 4180, UTF-8 with a byte order mark.

    Feature notes would need a second table.
    """
    cells = ([row[name] for name in rows.columns] for row in rows.heads)
    return (BOM + csv_text((rows.columns, *cells))).encode()


def read_csv(data: bytes) -> list[tuple[int, Row]]:
    """The rows with their number in the sheet; the header is row 1. Raises InvalidSheet."""
    check_size(data)
    text, delimiter = decoded_csv(data)
    # The limit is one of the whole process; a larger one does no harm, and the file's size is bounded.
    csv.field_size_limit(MAX_IMPORT_BYTES)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    rows: list[list[str]] = []
    try:
        for row in reader:
            check_shape(len(rows) + 1, len(row))
            rows.append([unescape_cell(cell) for cell in row])
    except csv.Error as error:
        raise InvalidSheet(f"row {len(rows) + 1} is not CSV: {error}") from error
    return table_rows(rows)


def table_rows(rows: Sequence[Sequence[str]]) -> list[tuple[int, Row]]:
    """Rows as cells by column name, with their number; the first row is the header, empty rows are left out.

    Raises InvalidSheet.
    """
    if not rows or not any(cell.strip() for cell in rows[0]):
        raise InvalidSheet("the sheet has no header row")
    header = [name.strip() for name in rows[0]]
    _check_names(header)
    numbered_rows: list[tuple[int, Row]] = []
    for number, row in enumerate(rows[1:], 2):
        if len(row) > len(header) and any(row[len(header) :]):
            raise InvalidSheet(f"row {number} has {len(row)} cells, the header {len(header)}")
        cells = {name: cell for name, cell in zip(header, row, strict=False) if name}
        if any(cell.strip() for cell in cells.values()):
            numbered_rows.append((number, cells))
    return numbered_rows


def _check_names(header: Sequence[str]) -> None:
    """Raise InvalidSheet for two columns of one name."""
    doubled = sorted(name for name, count in Counter(header).items() if name and count > 1)
    if doubled:
        raise InvalidSheet(f"the sheet has two columns {doubled[0][:60]!r}")


def check_shape(n_rows: int, n_columns: int) -> None:
    """Raise InvalidSheet for more rows, with the header, or columns than are read."""
    if n_rows > MAX_ROWS + 1:
        raise InvalidSheet(f"the sheet has more than {MAX_ROWS} rows; at most {MAX_ROWS} are read")
    if n_columns > MAX_COLUMNS:
        raise InvalidSheet(f"row {n_rows} has {n_columns} columns; at most {MAX_COLUMNS} are read")


def check_size(data: bytes) -> None:
    """Raise InvalidSheet for a file above the size limit."""
    if len(data) > MAX_IMPORT_BYTES:
        raise InvalidSheet(f"the file has {len(data)} bytes; at most {MAX_IMPORT_BYTES} are read")


@contextmanager
def read_by_library(kind: str) -> Generator[None]:
    """Turn whatever a library raises for a file that is damaged, or made to do harm, into InvalidSheet.

    Nothing that it warns of is shown: texts of the file would be in a log or on a terminal.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (AppError, MemoryError):
        raise
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        plain = "".join(letter if letter.isprintable() else " " for letter in reason[:80])
        raise InvalidSheet(f"the file is not {kind}: {plain}") from error


def write_json(rows: Rows, atlas: str) -> bytes:
    """Heads and feature notes as strict JSON."""
    whole = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "atlas": atlas,
        "heads": [{name: row[name] for name in rows.columns} for row in rows.heads],
        "feature_notes": [{name: row[name] for name in NOTE_COLUMNS} for row in rows.notes],
    }
    return (json.dumps(whole, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()


def read_json(data: bytes) -> tuple[list[tuple[int, Row]], list[tuple[int, Row]]]:
    """Rows of heads and rows of feature notes, each numbered from 1. Raises InvalidSheet."""
    check_size(data)
    try:
        whole: Any = json.loads(data, parse_constant=_refuse_constant, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise InvalidSheet(f"the file is not JSON: {str(error)[:80]}") from error
    content = cast(dict[str, Any], whole) if isinstance(whole, dict) else {}
    if content.get("format") != FORMAT:
        raise InvalidSheet(f'the file is not an export of annotations: it lacks "format": {FORMAT!r}')
    version = content.get("version")
    if isinstance(version, bool) or version != FORMAT_VERSION:  # to Python true is 1
        version = json.dumps(version)[:20]
        raise InvalidSheet(f"the file has format version {version}; this version reads {FORMAT_VERSION}")
    return _objects(content.get("heads", [])), _objects(content.get("feature_notes", []))


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs as a dictionary. Raises ValueError for a name that is there twice: which value counts is not said."""
    made = dict(pairs)
    if len(made) < len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"an object has {name[:40]!r} twice")
    return made


def _objects(value: Any) -> list[tuple[int, Row]]:
    if not isinstance(value, list) or len(cast(list[Any], value)) > MAX_ROWS:
        raise InvalidSheet(f"the file's rows are not a list of at most {MAX_ROWS}")
    rows: list[tuple[int, Row]] = []
    names: set[str] = set()
    for number, item in enumerate(cast(list[Any], value), 1):
        cells = cast(dict[str, Any], item) if isinstance(item, dict) else None
        if cells is None or not all(isinstance(cell, str) for cell in cells.values()):
            raise InvalidSheet(f"row {number} is not an object of texts")
        names |= cells.keys()
        check_shape(number, len(names))  # of all rows so far: each may have names of its own
        rows.append((number, cells))
    return rows


def _pyarrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise InvalidSheet("Parquet needs a package: pip install 'head-atlas[parquet]'") from error


def write_parquet(rows: Rows) -> bytes:
    """The rows of heads as a table of strings. Raises InvalidSheet if pyarrow is not installed."""
    pyarrow, parquet = _pyarrow()
    columns = {name: [row[name] for row in rows.heads] for name in rows.columns}
    schema = pyarrow.schema([(name, pyarrow.string()) for name in rows.columns])
    sink = io.BytesIO()
    parquet.write_table(pyarrow.table(columns, schema=schema), sink, compression="zstd")
    return sink.getvalue()


def read_parquet(data: bytes) -> list[tuple[int, Row]]:
    """Rows numbered from 1, with other types converted to text. Raises InvalidSheet."""
    check_size(data)
    _, parquet = _pyarrow()
    with read_by_library("Parquet"):
        shape = parquet.read_metadata(io.BytesIO(data))
        check_shape(1 + shape.num_rows, shape.num_columns)
        _check_names(shape.schema.to_arrow_schema().names)
        rows = parquet.read_table(io.BytesIO(data)).to_pylist()
    return [
        (number, {name: "" if cell is None else str(cell) for name, cell in row.items()})
        for number, row in enumerate(rows, 1)
    ]
