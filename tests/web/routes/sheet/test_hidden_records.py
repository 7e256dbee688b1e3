"""Nothing that is hidden from a blind annotator is in any page or file, and what people type is inert in all."""

import io

import openpyxl
import pytest

from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from app.services.sheet.files import SHEET_FORMATS
from app.services.sheet.rows import HEAD_COLUMNS
from tests.support.annotated_atlas import labelled
from tests.support.annotated_site import SECRET, annotate
from tests.support.sheet_pages import soup_of

PAGES = (
    "/tiny/annotations",
    f"/tiny/annotations?columns={','.join(HEAD_COLUMNS)}",
    "/tiny/annotations?by=ada",
    "/tiny/annotations?layers=0&agreement=differs",
    *(f"/tiny/annotations.{name}" for name in SHEET_FORMATS),
    f"/tiny/annotations.csv?columns={','.join(HEAD_COLUMNS)}",
    "/tiny/annotations.xlsx?layers=0-2",
    "/tiny/agreement.json",
    "/tiny/layers",
    "/tiny/layers.json",
    "/tiny/layers?by=ben",
    "/tiny/published",
    "/tiny/published.json",
    "/tiny/annotations/import",
    "/tiny/annotations/publish",
    "/tiny/annotations/publish?by=ben",
    *(f"/tiny/annotations/publish.{name}" for name in ("json", "xlsx", "csv", "md", "tex")),
)


def text_of(response, path):
    """Everything that the answer says, out of its container too."""
    if ".xlsx" in path:
        book = openpyxl.load_workbook(io.BytesIO(response.content))
        return "\n".join(str(cell.value) for sheet in book for row in sheet.iter_rows() for cell in row)
    if ".parquet" in path:
        from app.services.sheet.csv_json_parquet import read_parquet

        return str(read_parquet(response.content))
    return response.text


@pytest.mark.parametrize("path", PAGES)
def test_d16_nothing_hidden_is_in_any_page_or_file(ben, root, path):
    response = ben.get(path)
    assert response.status_code == 200
    text = text_of(response, path)
    assert SECRET not in text
    for hidden in ("L0H0", "L2H3", "copy suppression"):  # which ada or root have submitted, and ben has not
        assert hidden not in text
    # The test could fail: somebody who may see it all does.
    if path.startswith(("/tiny/annotations?columns", "/tiny/annotations.csv", "/tiny/annotations.json")):
        assert SECRET in text_of(root.get(path), path)


def test_d16_counts_of_hidden_records_are_not_shown(own):
    store, login = own
    ben = login("ben")
    lead = soup_of(ben, "/tiny/annotations").select_one(".lead").text
    assert (
        "3 records of 2 heads by 2 annotators" in lead
    )  # two of ben, and ada's of the head that ben submitted
    agreement = ben.get("/tiny/agreement.json").json()["agreement"]
    assert (agreement["head_type"]["n_heads"], len(agreement["disagreements"])) == (1, 1)
    layers = ben.get("/tiny/layers.json?by=ada").json()
    assert (layers["n_submitted"], layers["tally"]["total"], layers["n_surprising"]) == (1, 1, 1)
    assert [row["n_heads"] for row in layers["layers"]] == [1, 0, 0]
    tag = ben.get("/tiny/annotations").headers["ETag"]
    annotate(store, "ben", labelled(2, *"b" * 10), HeadRef(2, 3))
    fresh = ben.get("/tiny/annotations", headers={"If-None-Match": tag})
    assert fresh.status_code == 200
    assert "L2H3" in fresh.text
    assert SECRET in fresh.text


def test_d16_someone_whose_records_are_all_hidden_is_no_different_from_nobody(ben):
    hidden, nobody = ben.get("/tiny/layers?by=root"), ben.get("/tiny/layers?by=nobody")
    assert hidden.status_code == nobody.status_code == 404
    assert hidden.text == nobody.text


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'onmouseover='x",
    "{{7*7}}",
    "javascript:x",
)


def test_e01_what_people_type_is_inert_on_every_page(own):
    from app.domain.annotations.records import EvidenceLink, FeatureLabel, Group
    from app.domain.refs import FeatureRef

    store, login = own
    for i, text in enumerate(HOSTILE):
        for name, head in (("root", HeadRef(0, i % 4)), ("ada", HeadRef(2, i % 3))):
            content = HeadAnnotation(
                groups=(Group(text),),
                labels=(FeatureLabel(FeatureRef(head.layer, 3), text),),
                notes=text,
                override="polysemantic",
                override_reason=text,
                evidence=(EvidenceLink("score", text, text),),
            )
            annotate(store, name, content, head, base=i // (4 if name == "root" else 3))
    root = login("root")
    for path in (
        "/tiny/annotations",
        f"/tiny/annotations?columns={','.join(HEAD_COLUMNS)}",
        "/tiny/layers?by=root",
        "/tiny/published?by=root",
        "/tiny/annotations/publish?by=root",
        "/tiny/annotations/settle/L2H0",
    ):
        soup = soup_of(root, path)
        assert not soup.select("main script, main img, main [onerror], main [onmouseover], main [style]"), (
            path
        )
        assert not soup.select("main a[href^=javascript]")
    assert "{{7*7}}" in soup_of(root, "/tiny/annotations").get_text()
