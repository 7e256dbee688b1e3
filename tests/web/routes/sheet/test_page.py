"""The spreadsheet page: its rows, filters, order and columns, as people of a team see them."""

from urllib.parse import parse_qs, urlsplit

import pytest

from app.domain.refs import HeadRef
from app.services.sheet.csv_json_parquet import read_csv
from app.services.sheet.rows import HEAD_COLUMNS
from app.services.sheet.selection import DEFAULT_COLUMNS
from tests.support.annotated_atlas import NOW, labelled
from tests.support.annotated_site import SECRET, annotate
from tests.support.logins import add_people, logged_in, team_app
from tests.support.response_sizes import MAX_HTML, sent_bytes
from tests.support.sheet_pages import shown_rows, soup_of


def test_the_sheet_has_a_row_for_each_head_and_annotator(root):
    soup = soup_of(root, "/tiny/annotations")
    assert "6 records of 4 heads by 3 annotators." in soup.select_one(".lead").text
    rows = shown_rows(root)
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
    assert [" ".join(row[:2]) for row in shown_rows(root, f"?{query}")] == rows
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
    # What the column chooser sends without scripts: one parameter per column.
    assert [len(row) for row in shown_rows(root, "?columns=notes&columns=head_type")] == [4] * 6


def test_every_column_can_be_shown_and_chosen(root):
    assert [len(row) for row in shown_rows(root, f"?columns={','.join(HEAD_COLUMNS)}")] == [
        len(HEAD_COLUMNS)
    ] * 6
    soup = soup_of(root, "/tiny/annotations")
    offered = {box["value"] for box in soup.select(".popover input[type=checkbox]")}
    assert offered | {"head", "annotator"} == set(HEAD_COLUMNS)


def test_an_atlas_without_annotations(client):
    for path in ("/tiny/annotations", "/tiny/layers", "/tiny/published"):
        assert client.get(path).status_code == 200
    assert "No head is annotated yet." in client.get("/tiny/annotations").text
    assert "n/a" in client.get("/tiny/annotations").text
    assert client.get("/tiny/layers.json").json()["by"] is None
    assert "Head Atlas has no published reference for org/Tiny" in client.get("/tiny/published").text
    assert client.get("/tiny/published.json").json()["source"] is None


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
    root.get("/tiny/annotations")  # from now on the run is in memory
    annotate(store, "root", labelled(0, *"ab" * 5), HeadRef(0, 0))
    before = {path: count_queries(engine, root, path) for path in paths}  # the first reads the new record
    assert max(before.values()) <= 7
    for head in range(1, 4):
        annotate(store, "root", labelled(0, *"ab" * 5), HeadRef(0, head))
    assert {path: count_queries(engine, root, path) for path in paths} == before
