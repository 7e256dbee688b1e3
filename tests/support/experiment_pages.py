"""Pages of experiments as a client sees them, each within its size."""

from bs4 import BeautifulSoup
from starlette.testclient import TestClient

from app.web import urls
from tests.support.soups import soup as parsed

MAX_HTML = 100_000


def soup_of(site: TestClient, path: str, **headers: str) -> BeautifulSoup:
    response = site.get(path, headers=headers)
    assert response.status_code == 200
    assert len(response.content) < MAX_HTML
    return parsed(response.text)


def page_of(site: TestClient, ids: dict[str, str], name: str, **query: str) -> BeautifulSoup:
    return soup_of(site, urls.experiment_url("tiny", ids[name], **query))
