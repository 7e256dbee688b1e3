"""Reading an uploaded sheet without trusting it: outside transactions, within limits, and only while somebody waits."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import IO, Any

from app.errors import AppError
from app.services.sheet.csv_json_parquet import InvalidSheet, check_size
from app.services.sheet.files import SHEET_FORMATS, read_sheet
from app.services.sheet.imports import Numbered, Watch
from app.services.sheet.rows import NumberCell

WORKER = (sys.executable, "-m", "app.services.sheet.reading_worker")
MAX_WAIT_S = 60.0
# Text of this size is read in milliseconds, whatever it holds: no process is worth its start.
MAX_READ_HERE, READ_HERE = 2**20, ("csv", "json")
_POLL_S = 0.02


class UploadAbandoned(AppError):
    """The client that sent the file has disconnected."""

    status_code = 499


def read_upload(data: bytes, file_name: str, watch: Watch = lambda: None) -> tuple[Numbered, Numbered]:
    """Rows of heads and rows of feature notes of an uploaded file. `watch` is called all the while, and may raise.

    Raises InvalidSheet, also for a file that takes too much time or memory.
    """
    file_format = file_name.rpartition(".")[2].lower()
    if file_format not in SHEET_FORMATS:
        raise InvalidSheet(f"the file's name must end in one of {', '.join(SHEET_FORMATS)}")
    check_size(data)
    if file_format in READ_HERE and len(data) <= MAX_READ_HERE:
        return read_sheet(data, file_format)  # pyright: ignore[reportArgumentType] - one of them
    with tempfile.TemporaryFile() as request, tempfile.TemporaryFile() as reply:
        request.write(data)
        request.seek(0)
        if _run((*WORKER, file_format), request, reply, watch) != 0:  # it was ended before it could say why
            raise InvalidSheet("the file needs more time or memory to read than a sheet may take")
        reply.seek(0)
        return _rows(reply)


def _run(command: Sequence[str], request: IO[bytes], reply: IO[bytes], watch: Watch) -> int:
    """Run the command to its end and return its exit status; it does not outlive this call."""
    # The command is this interpreter, a module of ours and the name of a format: nothing that anyone typed is in it.
    # What a library prints is not for the log: a file could write lines of its own there.
    child = subprocess.Popen(command, stdin=request, stdout=reply, stderr=subprocess.DEVNULL)  # noqa: S603
    deadline = time.monotonic() + MAX_WAIT_S
    try:
        while child.poll() is None:
            watch()
            if time.monotonic() > deadline:
                raise InvalidSheet(f"the file was not read within {MAX_WAIT_S:g} seconds")
            time.sleep(_POLL_S)
        return child.returncode
    finally:
        child.kill()
        child.wait()


def _rows(reply: IO[bytes]) -> tuple[Numbered, Numbered]:
    content: dict[str, Any] = json.load(reply)
    if "error" in content:
        raise InvalidSheet(content["error"])
    return _decoded(content["heads"]), _decoded(content["notes"])


def _decoded(rows: list[tuple[int, dict[str, str | list[str]]]]) -> Numbered:
    return [
        (number, {name: cell if isinstance(cell, str) else NumberCell(cell[0]) for name, cell in row.items()})
        for number, row in rows
    ]
