"""The page of heads side by side: its addresses, its marks, and what it prints."""

import pytest
from starlette.testclient import TestClient

from app.domain.refs import HeadRef
from app.web import urls
from app.web.drawing import charts
from app.web.drawing.numbers import number
from tests.support.run_data import StoredRun
from tests.support.soups import soup


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("/tiny/compare?heads=0.1,l0h3", "/tiny/compare?heads=L0H1,L0H3"),
        ("/tiny/compare?heads=L0H1,L0H1", "/tiny/compare?heads=L0H1"),
        ("/tiny/compare?heads=L0H1&add=0.3", "/tiny/compare?heads=L0H1,L0H3"),
        ("/tiny/compare?heads=L0H1&add=L0H1&rank=fve", "/tiny/compare?heads=L0H1&rank=fve"),
        ("/tiny/compare?heads=,&add=L0H1", "/tiny/compare?heads=L0H1"),
    ],
)
def test_one_address_a_comparison(client: TestClient, asked: str, path: str) -> None:
    response = client.get(asked)
    assert (response.status_code, response.headers["Location"]) == (307, path)
    assert client.get(path).status_code == 200


def test_what_cannot_be_compared_says_why(client: TestClient) -> None:
    many = client.get("/tiny/compare?heads=L0H0,L0H1,L0H2,L0H3,L1H0")
    assert many.status_code == 422
    assert "At most 4 heads can be compared; this address names 5." in many.text
    assert client.get("/tiny/compare.json?heads=L0H0,L0H1,L0H2,L0H3,L1H0").status_code == 422
    wrong = client.get("/tiny/compare?heads=L0H0&add=<b>")
    assert wrong.status_code == 404
    assert "heads look like L5H1" in wrong.text
    assert "<b>." not in wrong.text
    assert client.get("/tiny/compare?heads=L9H9,L0H1").status_code == 404


def test_both_heads_stand_in_every_row(client: TestClient, run: StoredRun) -> None:
    page = soup(client.get("/tiny/compare?heads=L0H1,L0H3").text)
    assert [link.text for link in page.select("h1 a.mono")] == ["L0H1", "L0H3"]
    stored = {head.ref: head for head in run.heads}
    row = page.select(".score-table tbody tr")[0]
    assert [cell.text for cell in row.select("td.number")] == [
        number(stored[HeadRef(0, index)].scores["induction"]) for index in (1, 3)
    ]
    features = page.select(".butterfly tbody tr")
    assert all(len(row.select("td.number")) == len(row.select("svg")) == 2 for row in features)
    assert page.select(".butterfly tr.all .both")
    assert "in both lists" in page.text
    assert len(page.select(".pairs section")) == 4


def test_heads_can_be_added_swapped_and_left_out(client: TestClient) -> None:
    page = soup(client.get("/tiny/compare?heads=L0H1,L0H3&rank=fve").text)
    links = {str(link["href"]) for link in page.select(".compare-top a, .compare-choices a")}
    for heads in ("L0H3,L0H1", "L0H1", "L0H3", "L0H1,L0H3,L0H0", "L0H1,L0H3,L0H2"):
        assert f"/tiny/compare?heads={heads}&rank=fve" in links
    for link in links:
        assert client.get(link).status_code == 200
    full = soup(client.get("/tiny/compare?heads=L0H1,L0H3,L0H0,L2H1").text)
    assert not full.select("form.add")
    assert "different layers" in full.text


def test_a_head_links_to_its_comparison(client: TestClient) -> None:
    page = soup(client.get("/tiny/heads/L0H1").text)
    [link] = page.select('a[data-key="x"]')
    assert link["href"] == "/tiny/compare?heads=L0H1"
    assert "Choose another head" in client.get(str(link["href"])).text


@pytest.mark.parametrize("chosen", ["", "L0H1"])
def test_any_head_can_be_chosen(client: TestClient, run: StoredRun, chosen: str) -> None:
    page = soup(client.get(f"/tiny/compare?heads={chosen}&rank=fve" if chosen else "/tiny/compare").text)
    offered = {link.text: str(link["href"]) for link in page.select(".head-picks a")}
    assert set(offered) == {str(head.ref) for head in run.heads} - {chosen}
    first = f"/tiny/compare?heads={chosen},L2H1&rank=fve" if chosen else "/tiny/compare?heads=L2H1"
    assert offered["L2H1"] == first
    for link in list(offered.values())[::4]:
        assert client.get(link).status_code == 200
    # What the chosen head shows comes before the choice of any other.
    places = [section["class"][0] for section in page.select("main > section")]
    assert places == (["compared-pair", "pick"] if chosen else ["leading-heads", "pick"])


def test_heads_with_near_scores_are_one_step_away(client: TestClient) -> None:
    page = soup(client.get("/tiny/compare?heads=L0H1&rank=fve").text)
    nearest = client.get("/tiny/compare.json?heads=L0H1").json()["nearest"]
    links = page.select(".compare-choices a.mono")
    assert [link.text for link in links] == [f"add {near['head']}" for near in nearest]
    assert [link["href"] for link in links] == [
        f"/tiny/compare?heads=L0H1,{near['head']}&rank=fve" for near in nearest
    ]
    assert [str(link["title"]).split()[0] for link in links] == [number(near["distance"]) for near in nearest]
    assert client.get(str(links[0]["href"])).status_code == 200


def test_the_first_heads_of_each_score_are_where_to_begin(client: TestClient) -> None:
    rows = soup(client.get("/tiny/compare").text).select(".leading-table tbody tr")
    leading = client.get("/tiny/compare.json").json()["leading"]
    assert len(rows) == len(leading) > 3
    for row, lead in zip(rows, leading, strict=True):
        [link] = row.select("a")
        near = lead["nearest"]
        assert link.text == f"{lead['head']} and {near['head']}"
        assert link["href"] == f"/tiny/compare?heads={lead['head']},{near['head']}"
        assert [cell.text for cell in row.select("td")[::2]] == [
            number(lead["value"]),
            f"{number(near['distance'])} apart",
        ]
        assert client.get(str(link["href"])).status_code == 200


def test_addresses_of_comparisons() -> None:
    assert urls.compare_url("tiny", []) == "/tiny/compare"
    assert urls.compare_url("a b", [HeadRef(0, 1), HeadRef(2, 3)], rank="fve") == (
        "/a%20b/compare?heads=L0H1,L2H3&rank=fve"
    )


def test_marks_stand_at_their_values() -> None:
    line = charts.dumbbell([0.0, 0.5, 1.0, float("nan")], [0.25, None, 1.0], width=110)
    assert line.places == ("30", None, "105")
    assert line.join == "M30 9H105"
    assert line.rest == "M5 6v6M30 6v6M55 6v6M105 6v6"
    assert (line.low, line.high) == (0.0, 1.0)
    below = charts.dumbbell([-1.0, 1.0], [-1.0], width=110)
    assert (below.places, below.join) == (("5",), "")
