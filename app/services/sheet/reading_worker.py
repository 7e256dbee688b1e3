"""The process that reads one uploaded sheet for the server: `python -m app.services.sheet.reading_worker FORMAT`.

The file comes on stdin; rows, or one sentence why there are none, go to stdout as JSON. Memory, processor time and
the size of the answer are bounded by the system, so that no file can take more of them, whatever it holds.
"""

import json
import os
import resource
import sys
from typing import Any

from app.errors import AppError
from app.services.sheet.csv_json_parquet import InvalidSheet
from app.services.sheet.files import read_sheet
from app.services.sheet.imports import Numbered
from app.services.sheet.rows import NumberCell

MAX_MEMORY, MAX_SECONDS, MAX_ANSWER = 2**30, 30, 256 * 2**20
MAX_CELLS, MAX_LETTERS = 4_000_000, 64 * 2**20
TOO_MUCH = "the file needs more memory to read than a sheet may take"


def encoded(rows: Numbered) -> list[Any]:
    """The rows as JSON; the text of a cell that held a number is in a list."""
    return [
        [number, {name: [cell] if isinstance(cell, NumberCell) else cell for name, cell in row.items()}]
        for number, row in rows
    ]


def answer(data: bytes, file_format: str) -> dict[str, Any]:
    """The rows of heads and notes, or what is wrong with the file."""
    try:
        heads, notes = read_sheet(data, file_format)  # pyright: ignore[reportArgumentType] - it checks the format
        rows = [row for numbered in (heads, notes) for _, row in numbered]
        letters = sum(len(cell) for row in rows for cell in row.values())
        if sum(map(len, rows)) > MAX_CELLS or letters > MAX_LETTERS:
            raise InvalidSheet(TOO_MUCH)
        return {"heads": encoded(heads), "notes": encoded(notes)}
    except AppError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": TOO_MUCH}


def main() -> None:
    """Read the sheet within the limits."""
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_ANSWER, MAX_ANSWER))
    json.dump(answer(sys.stdin.buffer.read(), sys.argv[1]), sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # threads of a library may still be there, and abort the process while it is taken down


if __name__ == "__main__":
    main()
