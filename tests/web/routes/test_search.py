"""The page of search: its parts, and how one leads to the next."""

import pytest
from starlette.testclient import TestClient

from app.services.search import page as search_pages
from tests.support.soups import soup

ASKED = "/tiny/search?q=evidence%3Acopying%3E0.1"


def test_a_list_that_fits_has_no_parts(client: TestClient) -> None:
    page = soup(client.get(ASKED).text)
    assert page.select(".hits article")
    assert not page.select(".pagination")
    assert "More than" not in page.select_one("h1").text  # type: ignore[union-attr]


def test_parts_lead_to_each_other(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [
        hit["feature"] for hit in client.get(ASKED.replace("search?", "search.json?")).json()["features"]
    ]
    monkeypatch.setattr(search_pages, "N_HITS", 4)
    address, seen, titles = ASKED, list[str](), list[str]()
    while address:
        page = soup(client.get(address).text)
        seen += [str(article["aria-label"]) for article in page.select(".hits article")]
        titles.append(page.select_one("h1").text)  # type: ignore[union-attr]
        back = [str(link["href"]) for link in page.select('.pagination a[rel="prev"]')]
        assert back == (
            [ASKED if len(titles) == 2 else f"{ASKED}&page={len(titles) - 1}"] if titles[1:] else []
        )
        address = next((str(link["href"]) for link in page.select('.pagination a[rel="next"]')), "")
        assert address in ("", f"{ASKED}&page={len(titles) + 1}")
    assert seen == whole
    assert titles[0] == "More than 4 features"
    assert titles[1] == "Features 5 to 8"
    twin = client.get(f"{ASKED.replace('search?', 'search.json?')}&page=2").json()
    assert [hit["feature"] for hit in twin["features"]] == whole[4:8]


def test_a_part_that_is_not_there_is_said(client: TestClient) -> None:
    beyond = client.get(f"{ASKED}&page=7")
    assert beyond.status_code == 200
    assert "there is no part 7 of them" in beyond.text
    for wrong in ("0", "41", "-1", "two"):
        assert client.get(f"{ASKED}&page={wrong}").status_code == 422
