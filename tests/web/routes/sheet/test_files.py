"""Files of the spreadsheet page: the bytes of the command line, of the view that is shown, under a safe name."""

import io
import json
import re

import openpyxl
import pytest

from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.services.sheet.files import SHEET_FORMATS, export_annotations
from app.store.atlas.reads import get_live_run
from app.store.database.engine import open_store, read_session
from app.web.forms.downloads import content_disposition
from tests.support.annotated_site import SECRET


def export(store, file_format, name="root"):
    engine = open_store(store)
    with read_session(engine) as session:
        return export_annotations(
            AtlasContext(session, get_live_run(session, "tiny"), Viewer(0, "", "admin")), file_format
        ).data


@pytest.mark.parametrize("file_format", SHEET_FORMATS)
def test_page_and_command_line_give_identical_bytes(root, shared_store, file_format, tmp_path, monkeypatch):
    import sys

    import app.cli

    page = root.get(f"/tiny/annotations.{file_format}")
    out = tmp_path / f"out.{file_format}"
    words = [
        "export",
        "annotations",
        "--model",
        "tiny",
        "--store",
        shared_store,
        "--format",
        file_format,
        "--out",
        str(out),
    ]
    monkeypatch.setattr(sys, "argv", ["head-atlas", *words])
    with pytest.raises(SystemExit) as ended:
        app.cli.main()
    assert not ended.value.code
    assert page.content == out.read_bytes()
    assert page.content == export(shared_store, file_format)


@pytest.mark.parametrize("file_format", SHEET_FORMATS)
def test_files_are_of_the_view_that_is_shown(root, file_format):
    from app.services.sheet.files import read_sheet

    data = root.get(
        f"/tiny/annotations.{file_format}?layers=2&columns=head,annotator,notes&sort=-annotator"
    ).content
    heads, feature_notes = read_sheet(data, file_format)
    assert [cells for _, cells in heads] == [
        {"head": "L2H3", "annotator": "root", "notes": ""},
        {"head": "L2H3", "annotator": "ada", "notes": SECRET},
    ]
    assert feature_notes == []
    if file_format == "xlsx":
        readme = {row[0]: row[1] for row in openpyxl.load_workbook(io.BytesIO(data))["README"].values}
        assert "of all records" in readme["view"]


def test_g16_names_of_files_follow_rfc_6266(root):
    response = root.get("/tiny/annotations.xlsx")
    wanted = "attachment; filename=\"tiny-annotations.xlsx\"; filename*=UTF-8''tiny-annotations.xlsx"
    assert response.headers["Content-Disposition"] == wanted
    assert response.headers["Content-Type"].endswith("spreadsheetml.sheet")
    assert root.get("/tiny/annotations.csv").headers["Content-Type"] == "text/csv; charset=utf-8"


@pytest.mark.parametrize(
    "name", ['a"b.csv', "a\r\nSet-Cookie: x=1.csv", "été 😀.csv", "a;b\\c.csv", "\ud800.csv", "../x"]
)
def test_g16_no_name_ends_the_header(name):
    header = content_disposition(name)
    assert header.isascii()
    assert not re.search(r"[\r\n\x00-\x1f]", header)
    plain, _, exact = header.partition("; filename*=UTF-8''")
    assert re.fullmatch(r'attachment; filename="[A-Za-z0-9 ._()-]+"', plain)
    assert re.fullmatch(r"[A-Za-z0-9._~%-]+", exact)


def test_g15_the_json_file_is_strict(root):
    def refuse(constant):
        raise AssertionError(constant)

    whole = json.loads(root.get("/tiny/annotations.json").text, parse_constant=refuse)
    assert len(whole["heads"]) == 6
    assert len(whole["feature_notes"]) == 1
