"""Files that would take much to read: bounds before parsing, limits of time and memory, no work for nobody."""

import io
import json
import subprocess
import threading
import time
import zipfile
from pathlib import Path

import openpyxl
import pyarrow
import pytest
from pyarrow import parquet

from app.services.sheet import reading_process, reading_worker
from app.services.sheet.csv_json_parquet import MAX_COLUMNS, MAX_ROWS, InvalidSheet
from app.services.sheet.files import SHEET_FORMATS, read_sheet
from app.services.sheet.reading_process import MAX_READ_HERE, UploadAbandoned, read_upload
from app.services.sheet.rows import NumberCell
from tests.support.time_limits import less_than

HEADS = {"format": "head-atlas annotations", "version": 1}


def as_csv(header, rows):
    return "\n".join([",".join(header), *(",".join(row) for row in rows)]).encode()


def as_json(header, rows):
    return json.dumps({**HEADS, "heads": [dict(zip(header, row, strict=True)) for row in rows]}).encode()


def as_xlsx(header, rows):
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("heads")
    for row in (header, *rows):
        sheet.append(row)
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def as_parquet(header, rows):
    sink = io.BytesIO()
    columns = zip(*rows, strict=True) if rows else [[]] * len(header)
    parquet.write_table(pyarrow.table(dict(zip(header, map(list, columns), strict=True))), sink)
    return sink.getvalue()


WRITERS = {"csv": as_csv, "json": as_json, "xlsx": as_xlsx, "parquet": as_parquet}


@pytest.mark.parametrize("file_format", SHEET_FORMATS)
def test_a_header_of_40_000_columns_is_refused_at_once(file_format):
    n = 16_000 if file_format == "xlsx" else 40_000  # the format has no more
    header = [f"c{i}" for i in range(n)]
    data = WRITERS[file_format](header, [["x"] * n])
    said = f"has {n} columns; at most {MAX_COLUMNS} are read"
    with less_than(2, time.process_time), pytest.raises(InvalidSheet, match=said):
        read_sheet(data, file_format)


def test_rows_with_columns_of_their_own_are_counted_together():
    heads = [{f"column {i} {j}": "" for j in range(2)} for i in range(MAX_COLUMNS // 2 + 1)]
    with pytest.raises(InvalidSheet, match=f"has {MAX_COLUMNS + 2} columns; at most {MAX_COLUMNS} are read"):
        read_sheet(json.dumps({**HEADS, "heads": heads}).encode(), "json")


@pytest.mark.parametrize(
    "file_format", ["csv", "json", "parquet", pytest.param("xlsx", marks=pytest.mark.slow)]
)
def test_more_rows_than_a_sheet_may_have_are_refused(file_format):
    data = WRITERS[file_format](["head"], [["x"]] * (MAX_ROWS + 1))
    with pytest.raises(InvalidSheet, match=f"at most {MAX_ROWS}"):
        read_sheet(data, file_format)


@pytest.mark.parametrize("file_format", SHEET_FORMATS)
def test_a_process_of_its_own_reads_the_same_rows(file_format, monkeypatch):
    rows = [["L0H1", "é\u2028\n"], ["5.1", "x"]]
    data = WRITERS[file_format](["head", "notes"], rows)
    if file_format == "xlsx":
        data = as_xlsx(["head", "notes"], [["L0H1", "é\u2028\n"], [5.1, "x"]])
    monkeypatch.setattr(reading_process, "MAX_READ_HERE", 0)
    here, there = read_sheet(data, file_format), read_upload(data, f"a.{file_format.upper()}")
    assert there == here
    kinds = [[type(cell) for _, row in rows for cell in row.values()] for rows in (here[0], there[0])]
    assert kinds[0] == kinds[1]
    assert (NumberCell in kinds[0]) == (file_format == "xlsx")


def test_a_file_that_unpacks_to_gigabytes_is_refused_by_the_limit_of_memory():
    text = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * MAX_ROWS, pyarrow.int32()), ["x" * 65536])
    sink = io.BytesIO()
    parquet.write_table(pyarrow.table({"head": ["L0H1"] * MAX_ROWS, "notes": text}), sink, compression="zstd")
    assert len(sink.getvalue()) < 5000
    with pytest.raises(InvalidSheet, match="needs more memory to read|more time or memory"):
        read_upload(sink.getvalue(), "bomb.parquet")


def test_more_cells_or_text_than_a_sheet_may_have_are_refused(monkeypatch):
    data = as_json(["head", "notes"], [["L0H1", "x" * 90], ["L0H2", "x" * 90]])
    assert "heads" in reading_worker.answer(data, "json")
    for limit in ({"MAX_CELLS": 3}, {"MAX_LETTERS": 180}):
        with monkeypatch.context() as patch:
            patch.setattr(reading_worker, *limit.popitem())
            assert reading_worker.answer(data, "json") == {"error": reading_worker.TOO_MUCH}


def children():
    return Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()


@pytest.mark.parametrize("ends", [UploadAbandoned("left"), InvalidSheet("late")])
def test_reading_ends_with_the_wait_for_it_and_leaves_no_process(ends):
    data = b"[" + b"[]," * MAX_READ_HERE + b"[]]"
    began, before = time.monotonic(), children()

    def watch():
        if time.monotonic() > began + 0.1:
            raise ends

    with pytest.raises(type(ends)):
        read_upload(data, "a.json", watch)
    assert children() == before


def test_a_process_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.setattr(reading_process, "WORKER", ("sh", "-c", "sleep 60"))
    monkeypatch.setattr(reading_process, "MAX_WAIT_S", 0.2)
    with pytest.raises(InvalidSheet, match=r"within 0\.2 seconds"):
        read_upload(b"", "a.xlsx")


def test_a_process_that_dies_gives_a_sentence(monkeypatch):
    monkeypatch.setattr(reading_process, "WORKER", ("false",))
    with pytest.raises(InvalidSheet, match="needs more time or memory"):
        read_upload(b"", "a.xlsx")


def test_what_the_worker_says_goes_to_stdout_and_nothing_else():
    command = (*reading_process.WORKER, "csv")
    done = subprocess.run(command, input=b"notes\nx\n", capture_output=True, check=True)
    assert json.loads(done.stdout) == {"heads": [[2, {"notes": "x"}]], "notes": []}
    assert done.stderr == b""


def rewritten(data, name, change):
    """The workbook with one of its parts changed."""
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(sink, "w") as made:
        for part in source.namelist():
            made.writestr(part, change(source.read(part)) if part == name else source.read(part))
    return sink.getvalue()


AREA = b"""<definedNames><definedName name="_xlnm.Print_Area" localSheetId="0">none&#10;{"event": "request"}&#10;
</definedName></definedNames>"""


def test_f18_no_file_writes_into_the_log(capfd):
    data = as_xlsx(["head"], [["L0H0"]])
    names = rewritten(data, "xl/workbook.xml", lambda part: part.replace(b"</sheets>", b"</sheets>" + AREA))
    assert read_upload(names, "a.xlsx") == ([(2, {"head": "L0H0"})], [])
    assert capfd.readouterr() == ("", "")


def damaged_workbooks():
    """One workbook: packed parts with a wrong bit each, in a way of packing that there is not, and locked."""
    data = as_xlsx(["head", "notes"], [["L0H0", "x"]])
    for place in range(40, len(data), 97):
        yield bytes(byte ^ (32 if at == place else 0) for at, byte in enumerate(data))
    for place, value in ((10, 99), (8, 1)):
        parts = data.split(b"PK\x01\x02")
        yield b"PK\x01\x02".join(
            [parts[0], *(part[: place - 4] + bytes([value]) + part[place - 3 :] for part in parts[1:])]
        )


def test_g11_a_damaged_workbook_is_refused_or_read_and_never_an_error_of_ours():
    refusals: list[str] = []
    for data in damaged_workbooks():
        try:
            read_sheet(data, "xlsx")
        except InvalidSheet as error:
            refusals.append(str(error))
    assert len(refusals) > 20
    assert all(map(str.isprintable, refusals))


def test_g12_two_columns_of_a_parquet_file_with_one_name_are_refused():
    table = pyarrow.table([pyarrow.array(["L0H0"]), pyarrow.array(["L0H1"])], names=["head", "head"])
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    with pytest.raises(InvalidSheet, match="two columns 'head'"):
        read_sheet(sink.getvalue(), "parquet")
