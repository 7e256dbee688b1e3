"""The spreadsheet page, its files, agreement, layers and the published comparison, as people of a team see them."""

import io
import json
import re
import shutil
from contextlib import ExitStack
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import openpyxl
import pytest

from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.services.sheet.csv_json_parquet import read_csv
from app.services.sheet.files import SHEET_FORMATS, export_annotations
from app.services.sheet.rows import HEAD_COLUMNS
from app.services.sheet.selection import DEFAULT_COLUMNS
from app.store.atlas.reads import get_live_run
from app.store.database.engine import open_store, read_session
from app.web.forms.downloads import content_disposition
from tests.support.annotated_atlas import NOW, labelled
from tests.support.annotated_site import SECRET, annotate, team_of
from tests.support.logins import add_people, logged_in, team_app
from tests.support.response_sizes import MAX_HTML, sent_bytes
from tests.support.run_data import Shape, make_run, publish
from tests.support.soups import soup as parsed


@pytest.fixture(scope="module")
def shared(published, tmp_path_factory):
    """A store with what a team has said, and logins of root and ben, for tests that only read."""
    path = str(shutil.copyfile(published, tmp_path_factory.mktemp("team") / "store.sqlite"))
    team = team_of(path)
    with logged_in(team, "root") as root, logged_in(team, "ben") as ben:
        yield path, root, ben


@pytest.fixture
def shared_store(shared):
    return shared[0]


@pytest.fixture
def root(shared):
    return shared[1]


@pytest.fixture
def ben(shared):
    return shared[2]


@pytest.fixture
def own(store):
    """(store, name -> login) of a team that a test may add to."""
    team = team_of(store)
    with ExitStack() as opened:
        yield store, lambda name: opened.enter_context(logged_in(team, name))


def soup_of(client, path):
    response = client.get(path)
    assert response.status_code == 200, response.text
    return parsed(response.text)


def sheet(client, query=""):
    """The shown rows as lists of text."""
    found = soup_of(client, f"/tiny/annotations{query}").select(".sheet tbody tr")
    return [[cell.get_text(" ", strip=True) for cell in row.find_all(["th", "td"])] for row in found]


def test_the_sheet_has_a_row_for_each_head_and_annotator(root):
    soup = soup_of(root, "/tiny/annotations")
    assert "6 records of 4 heads by 3 annotators." in soup.select_one(".lead").text
    rows = sheet(root)
    assert [row[:2] for row in rows] == [
        ["L0H0", "ada"],
        ["L0H1", "ada"],
        ["L0H1", "ben"],
        ["L1H0", "ben"],
        ["L2H3", "ada"],
        ["L2H3", "root"],
    ]
    assert rows[0][3:8] == ["with minor exceptions", "IN CS", "a", "2", ""]
    assert [row[11] for row in rows] == ["", "differs", "differs", "", "differs", "differs"]
    assert [row[9] for row in rows] == ["new", "", "new", "", "new", "new"]
    bar = soup.select_one(".sheet .sheet-group-bar")
    assert bar["aria-label"] == f"8 a, 1 {SECRET}, 1 unclear or open"
    assert len(soup.select(".sheet thead th")) == len(DEFAULT_COLUMNS)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("layers=2", ["L2H3 ada", "L2H3 root"]),
        ("layers=0-1&by=ben", ["L0H1 ben", "L1H0 ben"]),
        ("type=monosemantic", ["L0H1 ada", "L2H3 root"]),
        ("role=copying", ["L2H3 root"]),
        ("role=CS", ["L0H0 ada"]),
        ("status=draft", ["L1H0 ben"]),
        ("agreement=single&layers=0", ["L0H0 ada"]),
        ("agreement=differs&sort=-head&layers=0", ["L0H1 ada", "L0H1 ben"]),
        ("sort=-n_groups&layers=0", ["L0H1 ben", "L0H0 ada", "L0H1 ada"]),
        ("sort=head_type&by=ada", ["L0H1 ada", "L0H0 ada", "L2H3 ada"]),
        ("by=nobody", []),
    ],
)
def test_filters_and_order_are_in_the_address(root, query, rows):
    assert [" ".join(row[:2]) for row in sheet(root, f"?{query}")] == rows
    data = root.get(f"/tiny/annotations.csv?{query}").content
    assert [f"{cells['head']} {cells['annotator']}" for _, cells in read_csv(data)] == rows


@pytest.mark.parametrize(
    "query",
    [
        "columns=secret",
        "sort=password_hash",
        "type=x",
        "status=x",
        "agreement=x",
        "role=x",
        "layers=x",
        "page=0",
    ],
)
@pytest.mark.parametrize("path", ["/tiny/annotations", "/tiny/annotations.csv", "/tiny/annotations.json"])
def test_views_that_there_are_not(root, path, query):
    response = root.get(f"{path}?{query}")
    if query == "page=0" and "." in path:
        assert response.status_code == 200
    else:
        assert response.status_code == 422
    assert root.get("/tiny/annotations?page=2").status_code == 404
    assert root.get("/tiny/annotations.doc").status_code == 404


def test_links_of_the_page_keep_the_view(root):
    soup = soup_of(root, "/tiny/annotations?layers=0&by=ada&columns=notes,head_type&sort=-notes")
    assert [th.get_text(strip=True) for th in soup.select(".sheet thead th")] == [
        "head",
        "by",
        "notes ↓",
        "head type",
    ]
    for link in (*soup.select(".sheet thead a"), *soup.select(".export-bar a[download]")):
        query = parse_qs(urlsplit(link["href"]).query)
        assert (query["layers"], query["by"]) == (["0"], ["ada"])
        assert query["columns"] == ["head,annotator,notes,head_type"]
    assert soup.select_one('[data-key="O"]')["href"].count("sort=notes")
    assert soup.select_one('[data-key="o"]')["href"].count("sort=head_type")
    hidden = {tag["name"]: tag["value"] for tag in soup.select(".popover input[type=hidden]")}
    assert hidden == {"layers": "0", "by": "ada", "sort": "-notes"}
    assert {box["value"] for box in soup.select(".popover input[checked]")} == {"notes", "head_type"}
    # What the column chooser sends without scripts: one parameter a column.
    assert [len(row) for row in sheet(root, "?columns=notes&columns=head_type")] == [4] * 6


def test_every_column_can_be_shown_and_chosen(root):
    assert [len(row) for row in sheet(root, f"?columns={','.join(HEAD_COLUMNS)}")] == [len(HEAD_COLUMNS)] * 6
    soup = soup_of(root, "/tiny/annotations")
    offered = {box["value"] for box in soup.select(".popover input[type=checkbox]")}
    assert offered | {"head", "annotator"} == set(HEAD_COLUMNS)


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


def test_the_layer_table_by_hand(root):
    page = root.get("/tiny/layers.json?by=ada").json()
    counts = {
        row["head_type"]: (row["count"], row["total"], row["fraction"]) for row in page["tally"]["rows"]
    }
    assert counts["monosemantic"] == (1, 3, 1 / 3)
    assert counts["minor_exceptions"] == (1, 3, 1 / 3)
    assert counts["bisemantic"] == (1, 3, 1 / 3)
    assert (page["n_heads"], page["n_submitted"], page["n_novel"], page["n_surprising"]) == (12, 3, 2, 1)
    first, _, last = page["layers"]
    assert [(group["name"], group["count"]) for group in first["groups"]] == [("a", 18), (SECRET, 1)]
    assert [(family["family"], family["count"]) for family in first["families"]] == [
        ("IN", 19),
        ("unclear", 1),
    ]
    assert [(head["head"], head["all_alike"]) for head in first["notable"]] == [
        ("L0H0", False),
        ("L0H1", True),
    ]
    assert (first["n_novel"], last["n_novel"]) == (1, 1)
    assert len(page["sensitivity"]) == 6
    soup = soup_of(root, "/tiny/layers?by=ada")
    cells = [td.get_text(" ", strip=True) for td in soup.select(".tall tbody tr:first-child > *")]
    assert cells == ["plausibly monosemantic", "1/3", "33%"]
    assert "L0H1 *" in soup.select_one(".layer-table tbody tr").get_text(" ", strip=True)
    assert "2 heads bring a group that no earlier head has; 1 was flagged" in soup.select_one(
        "section[aria-labelledby=novel]"
    ).get_text(" ", strip=True)


def test_the_layer_table_is_of_the_consensus_where_there_is_one(own):
    store, login = own
    root = login("root")
    assert root.get("/tiny/layers.json").json()["by"] == "root"
    annotate(store, "root", labelled(0, *"a" * 10), HeadRef(0, 0), for_consensus=True)
    assert root.get("/tiny/layers.json").json()["by"] == "consensus"
    choices = soup_of(root, "/tiny/layers").select('[aria-label="Labels of"] a')
    assert [choice.text for choice in choices] == [
        "ada",
        "ben",
        "consensus",
        "root",
    ]


def test_the_chart_of_abstraction_has_a_table(own):
    store, login = own
    root = login("root")
    from app.domain.annotations.records import FeatureLabel, Group
    from app.domain.refs import FeatureRef

    content = HeadAnnotation(
        groups=(Group("of", "LX", "token"), Group("court", "CX", "context")),
        labels=tuple(FeatureLabel(FeatureRef(0, 7 * i + 3), "court" if i else "of") for i in range(4)),
    )
    annotate(store, "root", content, HeadRef(0, 2))
    soup = soup_of(root, "/tiny/layers?by=root")
    assert [cell.text for cell in soup.select(".table-view tbody tr > *")] == ["0", "3.25"]
    assert "from 3.25 in layer 0" in soup.select_one("svg.level-chart")["aria-label"]
    assert len(soup.select("svg.level-chart circle")) == 1


def test_an_atlas_without_annotations(client):
    for path in ("/tiny/annotations", "/tiny/layers", "/tiny/published"):
        assert client.get(path).status_code == 200
    assert "No head is annotated yet." in client.get("/tiny/annotations").text
    assert "n/a" in client.get("/tiny/annotations").text
    assert client.get("/tiny/layers.json").json()["by"] is None
    assert "Head Atlas has no published reference for org/Tiny" in client.get("/tiny/published").text
    assert client.get("/tiny/published.json").json()["source"] is None


@pytest.fixture
def gpt2(make_sqlite_store):
    """An atlas of the model that the reference is about."""
    store = make_sqlite_store()
    run = make_run(shape=Shape(12, 12, (0,), 4))
    engine = open_store(store)
    publish(engine, replace(run, record=replace(run.record, model=replace(run.record.model, name="gpt2"))))
    engine.dispose()
    add_people(store, NOW, ada={}, ben={"blind": True})
    return store


def test_the_comparison_with_the_published_reference(gpt2):
    said = HeadAnnotation(roles=("induction",), override="monosemantic", override_reason="x")
    annotate(gpt2, "ada", said, HeadRef(5, 1))
    with logged_in(team_app(gpt2), "ada") as ada:
        page = ada.get("/tiny/published.json").json()
        assert [row["head"] for row in page["comparison"]["heads"]] == ["L5H1"]
        assert (page["comparison"]["n_known_recovered"], page["n_hidden"]) == (1, 0)
        assert (page["totals"]["n_heads"], page["totals"]["by_type"]["monosemantic"]) == (144, 14)
        assert len(page["contradictions"]) == 7
        soup = soup_of(ada, "/tiny/published")
        assert "1/1 100%" in soup.select_one(".tall").get_text(" ", strip=True)
        assert "14/144 9.7%" in soup.get_text(" ", strip=True)
        assert "L6H9" in soup.select_one(".heads").text
        layers = soup_of(ada, "/tiny/layers?by=ada")
        assert [th.text for th in layers.select(".tall thead th")][3] == "published"
        assert "where the published count is 39 of 144" in layers.get_text(" ", strip=True)
        assert "L4H11" in layers.select(".layer-table tbody tr")[4].text


def test_d16_published_facts_are_hidden_from_a_blind_annotator(gpt2):
    with logged_in(team_app(gpt2), "ben") as ben:
        for path in ("/tiny/published", "/tiny/published.json", "/tiny/layers", "/tiny/layers.json"):
            text = ben.get(path).text
            assert "L6H9" not in re.sub(r"/heads/\w+", "", text)
            assert "copy suppression" not in text
            assert not re.search(r"\b39 of 144|14/144", text)
        annotate(gpt2, "ben", HeadAnnotation(roles=("induction",)), HeadRef(6, 9))
        page = ben.get("/tiny/published.json").json()
        assert [row["head"] for row in page["comparison"]["heads"]] == ["L6H9"]
        assert page["n_hidden"] > 40
        assert page["totals"] is None
        assert page["contradictions"] == []


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'onmouseover='x",
    "{{7*7}}",
    "javascript:x",
)


def test_e1_what_people_type_is_inert_on_every_page(own):
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


def test_pages_of_a_large_team_stay_small(store):
    add_people(store, NOW, **{f"annotator {i}": {} for i in range(12)}, root={"role": "admin"})
    for i in range(12):
        for layer in (0, 2):
            for head in range(4):
                names = [f"group {(i + j) % 7} of a rather long name" for j in range(10)]
                content = labelled(layer, *names, notes="all but the date feature need two tokens " * 20)
                annotate(store, f"annotator {i}", content, HeadRef(layer, head))
    with logged_in(team_app(store), "root") as root:
        for path in (
            "/tiny/annotations",
            f"/tiny/annotations?columns={','.join(HEAD_COLUMNS)}&page=2",
            "/tiny/layers",
        ):
            response = root.get(path)
            assert response.status_code == 200
            assert len(sent_bytes(root, path)) <= MAX_HTML, path
        soup = soup_of(root, "/tiny/annotations?sort=-annotator")
        assert "part 1 of 2" in soup.select_one(".pagination").text
        following = soup.select_one(".pagination a[rel=next]")["href"]
        first = {
            tuple(cell.text for cell in row.select("th, td")[:2]) for row in soup.select(".sheet tbody tr")
        }
        second = {
            tuple(cell.text for cell in row.select("th, td")[:2])
            for row in soup_of(root, following).select(".sheet tbody tr")
        }
        assert len(first | second) == len(first) + len(second) == 96


def test_the_number_of_queries_does_not_grow(own):
    from tests.support.queries import count_queries

    store, login = own
    root = login("root")
    paths = (
        "/tiny/annotations",
        "/tiny/layers",
        "/tiny/published",
        "/tiny/annotations.csv",
        "/tiny/agreement.json",
    )
    engine = root.app.state.app_context.engine
    before = {path: count_queries(engine, root, path) for path in paths}
    assert max(before.values()) <= 7
    for head in range(4):
        annotate(store, "root", labelled(0, *"ab" * 5), HeadRef(0, head))
    assert {path: count_queries(engine, root, path) for path in paths} == before


def test_the_page_to_publish_has_a_row_a_head_and_its_files(root):
    soup = soup_of(root, "/tiny/annotations/publish?by=ada")
    rows = soup.select(".publication-table tbody tr")
    assert [row.select_one("th").get_text(strip=True) for row in rows] == ["L0H0", "L0H1", "L2H3"]
    assert "a 8" in rows[0].text
    assert "induction, copy suppression" in rows[0].text
    assert len(rows[0].select(".entry-features li")) == 10
    links = [a["href"] for a in soup.select(".export-bar a")]
    assert links == [f"/tiny/annotations/publish.{name}?by=ada" for name in ("xlsx", "csv", "md", "tex")]
    for link in links:
        response = root.get(link)
        assert response.status_code == 200
        assert "attachment" in response.headers["Content-Disposition"]
        assert root.get(link, headers={"If-None-Match": response.headers["ETag"]}).status_code == 304
    assert soup_of(root, "/tiny/annotations").select_one("a[href='/tiny/annotations/publish']")
    for path in ("publish?by=nobody", "publish.xlsx?by=nobody", "publish?page=9", "publish.docx"):
        assert root.get(f"/tiny/annotations/{path}").status_code == 404


def test_the_page_to_publish_asks_no_more_for_more_heads(own):
    from tests.support.queries import count_queries

    store, login = own
    root = login("root")
    path = "/tiny/annotations/publish?by=root"
    engine = root.app.state.app_context.engine
    assert root.get(path).status_code == 200  # which reads the vocabulary, once
    before = count_queries(engine, root, path)
    assert before <= 9
    for head in range(4):
        annotate(store, "root", labelled(0, *"ab" * 5), HeadRef(0, head))
    assert count_queries(engine, root, path) == before
