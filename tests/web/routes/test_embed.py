"""Pages for the frames of notebooks: who may show them, and what they leave out."""

import pytest
from bs4 import BeautifulSoup
from pydantic import ValidationError
from starlette.testclient import TestClient

from app.settings import Settings
from app.web.factory import create_app
from tests.support.serving import HOSTS
from tests.support.soups import soup

PATHS = ("/embed/tiny/heads/L0H1", "/embed/tiny/heads/L1H2?rank=fve", "/embed/tiny/features/L0F3?head=L0H2")


# Links of a head without features to other examples and their patterns.
HEAD_WITHOUT_FEATURES = "#attention .groups-of-attention a, #attention .example-row a.link"


def plain(page: BeautifulSoup) -> str:
    """The text of a page, without the white space around what it leaves out, and where its links lead."""
    main = page.select_one("main")
    assert main
    return "".join(main.text.split()) + " ".join(str(link["href"]) for link in main.select("a"))


@pytest.mark.parametrize("path", PATHS)
def test_a_framed_page_is_the_page_without_its_surroundings(client: TestClient, path: str) -> None:
    framed = soup(client.get(path).text)
    page = soup(client.get(path.removeprefix("/embed")).text)
    for form in page.select(
        ".panel, #notes, .hbar, .group-field, .cite-example, #cite, #cited, button[form], "
        ".feature-columns span:last-child"
    ):
        form.decompose()  # a frame is for reading
    for group in page.select(".example-head > span:last-child"):
        if group.text == "group":
            group.decompose()
    for link in (*framed.select(HEAD_WITHOUT_FEATURES), *page.select(HEAD_WITHOUT_FEATURES)):
        link["href"] = ""  # beside a form they lead to the head's page again
    for chips in (*framed.select(".feature-row .token-list"), *page.select(".feature-row .token-list")):
        chips.decompose()  # as many as there is room for
    assert not framed.select("main form, .panel, [form=annotation]")
    assert plain(framed) == plain(page)
    assert not framed.select("header.nav, .status")
    assert framed.select('base[target="_blank"]')
    [link] = framed.select("footer a")
    assert client.get(str(link["href"])).status_code == 200
    assert len(framed.select("h1")) == 1


def test_only_these_pages_may_be_framed_and_only_by_those_named(store: str) -> None:
    settings = Settings(
        store=store, allowed_hosts=HOSTS, frame_ancestors="https://a.example,https://b.example"
    )  # type: ignore[arg-type]
    with TestClient(create_app(settings)) as client:
        for path in (*PATHS, "/embed/tiny/heads/L9H9"):
            policy = client.get(path).headers["Content-Security-Policy"]
            assert policy.endswith("; frame-ancestors https://a.example https://b.example")
            assert "script-src 'self'" in policy
        assert client.get("/tiny/heads/L0H1").headers["Content-Security-Policy"].endswith("'none'")
        assert client.get("/embed").headers["Content-Security-Policy"].endswith("'none'")


def test_notebooks_of_this_machine_may_by_default(client: TestClient) -> None:
    policy = client.get(PATHS[0]).headers["Content-Security-Policy"]
    assert policy.endswith("frame-ancestors 'self' http://localhost:* http://127.0.0.1:*")


@pytest.mark.parametrize("source", ["https://a; script-src *", "a b", "https://ä.example"])
def test_a_source_cannot_change_the_rest_of_the_policy(source: str) -> None:
    with pytest.raises(ValidationError, match="frame ancestors are sources"):
        Settings(frame_ancestors=source)  # type: ignore[arg-type]


def test_none_may_when_none_is_named(store: str) -> None:
    settings = Settings(store=store, allowed_hosts=HOSTS, frame_ancestors="")  # type: ignore[arg-type]
    with TestClient(create_app(settings)) as client:
        assert client.get(PATHS[0]).headers["Content-Security-Policy"].endswith("frame-ancestors 'none'")
