"""Five thousand notes through every format, and through LibreOffice: the text stays, and no cell is a formula."""

import io
import subprocess
from pathlib import Path

import openpyxl
import pytest

from app.domain.annotations.records import Against, HeadAnnotation, Revision, Subject
from app.domain.refs import HeadRef
from app.services.reading.cells import unescape_cell
from app.services.reading.visibility import Viewer
from app.services.sheet.csv_json_parquet import write_csv, write_json, write_parquet
from app.services.sheet.files import SHEET_FORMATS, read_sheet
from app.services.sheet.publication_files import export_publication
from app.services.sheet.rows import HEAD_COLUMNS, rows_of
from app.services.sheet.xlsx import read_xlsx, write_xlsx
from tests.support.annotated_atlas import NOW, labelled
from tests.support.annotating import Team
from tests.support.generated_notes import make_notes

N_NOTES = 5000
SOFFICE = "/usr/bin/soffice"
CSV_FILTER = "CSV:44,34,76,1,,0,false,true"  # comma, quote, UTF-8, from the first row, no special numbers


def sheet_of(notes):
    records = [
        Revision(
            Subject(HeadRef(i // 100, i % 100)),
            "ada",
            "ada",
            1,
            "submitted",
            HeadAnnotation(notes=note),
            Against("r", "s", "0.1"),
            NOW,
        )
        for i, note in enumerate(notes)
    ]
    return rows_of(records)


WRITERS = {
    "csv": write_csv,
    "json": lambda rows: write_json(rows, "tiny"),
    "parquet": write_parquet,
    "xlsx": lambda rows: write_xlsx(rows, []),
}


def test_the_generated_notes_are_of_every_kind():
    notes = make_notes(N_NOTES)
    assert len(notes) == N_NOTES
    assert len(set(notes)) > 4000
    assert sum(note[:1] in set("=+-@\t\r\n|%") for note in notes) > 1000
    assert sum(len(note) > 32_767 for note in notes) > 10
    for character in "\n\r\t\u202e\u05e9\u200d\U0001f469\ufffe\U0010ffff":
        assert sum(character in note for note in notes) > 20, repr(character)


@pytest.mark.parametrize("file_format", SHEET_FORMATS)
def test_notes_survive_every_format(file_format):
    notes = make_notes(300, seed=2)
    heads, _ = read_sheet(WRITERS[file_format](sheet_of(notes)), file_format)
    assert [cells["notes"] for _, cells in heads] == notes


@pytest.mark.slow
@pytest.mark.parametrize("file_format", SHEET_FORMATS)
def test_five_thousand_notes_survive_every_format(file_format):
    notes = make_notes(N_NOTES)
    rows = sheet_of(notes)
    data = WRITERS[file_format](rows)
    heads, _ = read_sheet(data, file_format)
    assert [cells for _, cells in heads] == rows.heads
    assert [cells["notes"] for _, cells in heads] == notes


def office(folder: Path, name: str, *options: str) -> bytes:
    """The file as LibreOffice saves it as XLSX."""
    command = [SOFFICE, f"-env:UserInstallation=file://{folder}/profile", "--headless", *options]
    out = folder / "out"
    run = subprocess.run(
        [*command, "--convert-to", "xlsx", "--outdir", str(out), str(folder / name)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    return (out / Path(name).with_suffix(".xlsx").name).read_bytes()


def kinds_of_cells(data: bytes) -> set[str]:
    book = openpyxl.load_workbook(io.BytesIO(data))
    return {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row}


@pytest.mark.slow
def test_g02_xlsx_through_libreoffice_has_identical_text_and_no_formula(tmp_path):
    notes = make_notes(N_NOTES)
    rows = sheet_of(notes)
    data = write_xlsx(rows, [])
    (tmp_path / "notes.xlsx").write_bytes(data)
    saved = office(tmp_path, "notes.xlsx")
    heads, _ = read_xlsx(saved)
    assert [cells["notes"] for _, cells in heads] == notes
    assert [cells for _, cells in heads] == rows.heads
    for each in (data, saved):
        assert "f" not in kinds_of_cells(each)


@pytest.mark.slow
def test_g03_csv_opened_in_libreoffice_has_no_formula(tmp_path):
    notes = [note for note in make_notes(N_NOTES, seed=3) if len(note) < 1000]
    (tmp_path / "notes.csv").write_bytes(write_csv(sheet_of(notes)))
    kinds = kinds_of_cells(office(tmp_path, "notes.csv", f"--infilter={CSV_FILTER}"))
    assert "f" not in kinds
    assert "s" in kinds
    # As its dialogue offers to open it at first: cut at commas, semicolons and tabs.
    cut = ("x;=1+1;y", "x\t=1+1", ";=1+1", '"";"=1+1', "a;b\n=1+1;-1")
    (tmp_path / "cut.csv").write_bytes(write_csv(sheet_of((*cut, *notes))))
    offered = CSV_FILTER.replace("44", "44/59/9")
    assert "f" not in kinds_of_cells(office(tmp_path, "cut.csv", f"--infilter={offered}"))
    # The test could fail: what is not escaped becomes a formula.
    (tmp_path / "bare.csv").write_text("head,notes\nL0H0,=1+1\n", "utf-8")
    assert "f" in kinds_of_cells(office(tmp_path, "bare.csv", f"--infilter={CSV_FILTER}"))


@pytest.mark.slow
def test_g07_g09_csv_keeps_its_text_where_libreoffice_is_told_that_columns_are_text(tmp_path):
    """A CR becomes an LF there, which is why XLSX is the format to edit; all else comes back as it was."""
    likely = ("0123", "1e5", "5e1", "2024-01-01", "1/2", "TRUE", "1,5", "=1+1", "'=1", "a\nb", 'a "b"; c, d')
    notes = [*likely, *(note for note in make_notes(1000, seed=4) if kept_by_calc(note))]
    rows = sheet_of(notes)
    (tmp_path / "notes.csv").write_bytes(write_csv(rows))
    as_text = "/".join(f"{column}/2" for column in range(1, len(HEAD_COLUMNS) + 1))
    saved = office(tmp_path, "notes.csv", f"--infilter=CSV:44,34,76,1,{as_text},0,false,true")
    heads, _ = read_xlsx(saved)
    assert [unescape_cell(cells.get("notes", "")) for _, cells in heads] == notes


def kept_by_calc(note: str) -> bool:
    """Without what a cell cannot hold, and what our own reader of XLSX takes for a pointer to the overflow sheet."""
    return not any(part in note for part in ("\r", "_x", "\u21aa")) and len(note) < 30_000


@pytest.mark.slow
def test_what_is_published_prints_in_libreoffice_with_every_row_on_landscape_pages(tmp_path, engine):
    team = Team(engine, ada={})
    for head in range(4):
        for layer in (0, 2):
            team.save("ada", labelled(layer, *"aaaaa", *"bbbbb", notes="a note " * 30), HeadRef(layer, head))
    file = team.view(export_publication, Viewer(0, "", "admin"), "xlsx", None, "")
    (tmp_path / "heads.xlsx").write_bytes(file.data)
    book = openpyxl.load_workbook(io.BytesIO(office(tmp_path, "heads.xlsx")))
    for sheet in book:
        assert sheet.page_setup.orientation == "landscape"
        assert sheet.print_title_rows == "$1:$1"
    assert [cell.value for cell in book["Heads"]["A"][1:]] == [f"L{i}H{j}" for i in (0, 2) for j in range(4)]
    assert {cell.data_type for cell in book["Features"]["E"][1:]} == {"n"}
    # Each row is as high as what it holds: a note of 210 letters in a column of 28 has eight lines.
    assert all(book["Heads"].row_dimensions[row].height > 70 for row in range(2, 10))
