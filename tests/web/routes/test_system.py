"""The page about the method: credit, citation, limits, and a word for every score that pages show."""

from starlette.testclient import TestClient

from app.services.about import BIBTEX, GROUPS
from app.web.drawing import display_names as labels
from tests.support.soups import soup


def test_every_score_and_kind_of_evidence_is_explained() -> None:
    words = " ".join(f"{number.name} {number.help}" for group in GROUPS for number in group.numbers).lower()
    for label in labels.SCORES.values():
        assert label.name.lower() in words, label.name
    for term in ("decoder weight", "fve", "dfa", "logit effect", "density", "l0", "fvu", "promotes"):
        assert term in words, term


def test_credit_and_citation_are_on_the_page(client: TestClient) -> None:
    page = soup(client.get("/about").text)
    assert "Callum McDougall" in page.text
    [citation] = page.select("#cite pre")
    assert citation.text == BIBTEX
    assert "Krzyzanowski and Connor Kissane and Arthur Conmy and Neel Nanda" in citation.text
    assert "only weak evidence" in page.select("#limits")[0].text
    assert client.get("/about.json").json()["bibtex"] == BIBTEX


def test_every_page_leads_there(client: TestClient) -> None:
    for path in ("/tiny", "/tiny/heads/L0H1", "/docs", "/nothing"):
        page = soup(client.get(path).text)
        assert page.select('header a[href="/about"]')
    head = soup(client.get("/tiny/heads/L0H1").text)
    assert head.select('aside a[href="/about#limits"]')
