"""The content of a store: the rows of every table, and a digest of each column."""

import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any

from names import Names

MAX_LISTED = 300  # rows; larger tables have digests only
_MEASURED = frozenset(
    ("seconds", "stage_seconds", "peak_memory_bytes", "rate", "idempotency_key", "token_hash")
)


def _varies(name: str) -> bool:
    """Whether a column or field says when or how fast, or is random."""
    return name.endswith("_at") or name in _MEASURED


def table_contents(store: Path, names: Names) -> dict[str, Any]:
    """By table: how many rows; by column its kind, how many are null, and the digest; small tables in full.

    A digest is that of the sorted values, so that it does not depend on the order of rows.
    """
    with sqlite3.connect(store) as connection:
        query = (
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        )
        tables = [name for (name,) in connection.execute(query)]
        return {table: _table(connection, table, names) for table in tables}


def _table(connection: sqlite3.Connection, table: str, names: Names) -> dict[str, Any]:
    columns = [(row[1], row[2]) for row in connection.execute(f'PRAGMA table_info("{table}")')]
    rows = connection.execute(f'SELECT * FROM "{table}"').fetchall()  # noqa: S608 - a name from the store itself
    cells = [
        {name: _cell(name, value, names) for (name, _), value in zip(columns, row, strict=True)}
        for row in rows
    ]
    cells.sort(key=_text)
    about = {
        name: {
            "kind": kind,
            "n_null": sum(row[place] is None for row in rows),
            "digest": _digest(sorted(_text(cell[name]) for cell in cells)),
        }
        for place, (name, kind) in enumerate(columns)
    }
    content = {"n_rows": len(rows), "columns": about, "digest": _digest([_text(cell) for cell in cells])}
    return content | ({"rows": cells} if len(rows) <= MAX_LISTED else {})


def _cell(name: str, value: Any, names: Names) -> Any:
    if value is None:
        return None
    if _varies(name):
        return "«varies»"
    if isinstance(value, bytes):
        return f"{len(value)} bytes, {hashlib.sha256(value).hexdigest()[:16]}"
    if not isinstance(value, str):
        return value
    text = names.stable(value)
    if text[:1] in ("{", "["):
        try:
            return _without_measures(json.loads(text))
        except ValueError:
            return text
    return text


def _without_measures(value: Any) -> Any:
    """Stored JSON without times, and with the last part alone of a path of this machine."""
    if isinstance(value, dict):
        return {
            name: "«varies»" if _varies(name) else _without_measures(item) for name, item in value.items()
        }
    if isinstance(value, list):
        return [_without_measures(item) for item in value]
    if isinstance(value, str) and value.startswith("/"):
        return f".../{Path(value).name}"
    return value


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _digest(texts: list[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
