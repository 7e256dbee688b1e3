"""The page of heads side by side: its addresses, its marks, and what it prints."""

import pytest
from bs4 import BeautifulSoup
from data import StoredRun
from starlette.testclient import TestClient

from app.domain.refs import HeadRef
from app.web import charts, urls
from app.web.formats import number


def soup(text: str) -> BeautifulSoup:
    return BeautifulSoup(text, "html.parser")


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
    assert "At most 4 heads fit side by side; this address names 5." in many.text
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
    row = page.select(".sct tbody tr")[0]
    assert [cell.text for cell in row.select("td.n")] == [
        number(stored[HeadRef(0, index)].scores["induction"]) for index in (1, 3)
    ]
    features = page.select(".bf tbody tr")
    assert all(len(row.select("td.n")) == len(row.select("svg")) == 2 for row in features)
    assert page.select(".bf tr.all .both")
    assert "in both lists" in page.text
    assert len(page.select(".pairs section")) == 4


def test_heads_can_be_added_swapped_and_left_out(client: TestClient) -> None:
    page = soup(client.get("/tiny/compare?heads=L0H1,L0H3&rank=fve").text)
    links = {str(link["href"]) for link in page.select(".ch1 a, .chs a")}
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
def test_any_head_can_be_chosen_and_alike_ones_are_one_step_away(
    client: TestClient, run: StoredRun, chosen: str
) -> None:
    address = f"/tiny/compare?heads={chosen}&rank=fve" if chosen else "/tiny/compare"
    page = soup(client.get(address).text)
    offered = {link.text: str(link["href"]) for link in page.select(".pks a")}
    assert set(offered) == {str(head.ref) for head in run.heads} - {chosen}
    first = f"/tiny/compare?heads={chosen},L2H1&rank=fve" if chosen else "/tiny/compare?heads=L2H1"
    assert offered["L2H1"] == first
    pairs = page.select(".alk tr")
    twin = client.get(address.replace("/compare", "/compare.json")).json()["alike"]
    assert [row.select_one("th").text for row in pairs] == [" and ".join(pair["heads"]) for pair in twin]  # type: ignore[union-attr]
    assert [row.select_one(".n").text for row in pairs] == [str(pair["n_shared"]) for pair in twin]  # type: ignore[union-attr]
    for link in [*offered.values(), *(str(link["href"]) for link in page.select(".alk a"))][::5]:
        assert client.get(link).status_code == 200


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
