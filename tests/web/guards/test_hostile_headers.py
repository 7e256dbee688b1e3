"""Headers that no browser sends: no error of the server, no way past the login, no other page than was asked for."""

import pytest
from fastapi import FastAPI
from starlette.datastructures import URL
from starlette.testclient import TestClient

from app.web.guards.headers import host_name
from tests.support.annotated_site import SECRET, team_of
from tests.support.logins import logged_in, visitor

pytestmark = pytest.mark.slow

NO_URLS = (
    "http://[bad/",
    "http://[::1/tiny",
    "http://a\u2100b/x",
    "//[",
    "http://x/%0d%0aSet-Cookie:a=b",
    "javascript:alert(1)",
    "http://x//evil.example",
    "http://x/\\evil.example",
    "\x01//evil.example",
    "http://x/" + "a" * 5000,
)
NO_HOSTS = (
    "localhost:8000/login?",
    "localhost:8000/login#",
    "localhost:x@evil.example",
    "localhost:8000@evil.example",
    "localhost:80\\evil.example",
    "localhost:80, evil.example",
    "localhost:80 evil.example",
    "localhost:123456",
    "[::1]evil.example",
    "[::1]/login?",
    "[::1]:x",
    " localhost",
    ":8000",
    "[]",
)
HEADERS = (
    *("Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Content-Type", "Cookie", "Forwarded"),
    *(
        "HX-Current-URL",
        "HX-History-Restore-Request",
        "HX-Request",
        "HX-Target",
        "HX-Trigger",
        "If-Modified-Since",
    ),
    *("If-None-Match", "Origin", "Range", "Referer", "Sec-Fetch-Dest", "Sec-Fetch-Site", "User-Agent"),
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-HTTP-Method-Override", "X-Original-URL"),
    "X-Request-ID",
)
TEXTS = (
    *NO_URLS,
    "",
    "\xff\xfe",
    "\x00",
    "true",
    "*",
    "W/",
    '"',
    ";" * 500,
    "a=b; " * 300,
    "gzip;q=0",
    "=",
    "bytes=9-",
)


@pytest.fixture(scope="module")
def site(published, tmp_path_factory) -> FastAPI:
    store = tmp_path_factory.mktemp("site") / "store.sqlite"
    store.write_bytes(published.read_bytes())
    return team_of(str(store))


@pytest.mark.parametrize("header", ["Referer", "HX-Current-URL"])
@pytest.mark.parametrize("text", NO_URLS)
def test_a_page_that_is_no_url_leads_to_the_login(site: FastAPI, header: str, text: str) -> None:
    with visitor(site) as client:
        answer = client.get("/tiny", headers={header: text.encode(), "HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"].startswith("/login?next=")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("logged", [False, True])
def test_no_header_is_an_error_of_the_server(site: FastAPI, logged: bool) -> None:
    client = logged_in(site, "ben") if logged else visitor(site)
    for header in HEADERS:
        for text in TEXTS:
            for path in ("/tiny/heads/L0H0.json", "/login"):
                answer = client.get(path, headers={header: text.encode()})
                assert answer.status_code < 500, (header, text, path)
                assert SECRET not in answer.text, (header, text, path)
            answer = client.post("/tiny/heads/L2H3/annotation", headers={header: text.encode()})
            assert 400 <= answer.status_code < 500, (header, text)


@pytest.mark.parametrize("host", NO_HOSTS)
def test_e06_a_host_is_a_name_and_a_port_and_nothing_else(site: FastAPI, host: str) -> None:
    assert host_name(host) == ""
    with visitor(site) as client:
        for path in ("/tiny", "/healthz", "/login"):
            assert client.get(path, headers={"Host": host}).status_code == 400


def test_the_path_alone_says_what_needs_a_login(site: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    # As frameworks of before made it: the Host header, then the path.
    monkeypatch.setattr(URL, "path", property(lambda _: "/login"))
    with visitor(site) as client:
        assert client.get("/about").status_code == 303


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("gzip", True),
        ("br, gzip;q=0.5", True),
        ("gzip;q=0.01", True),
        ("gzip;q=0", False),
        ("br;q=1, GZIP ; q=0.000", False),
        ("identity", False),
    ],
)
def test_gzip_is_for_those_who_accept_it(client: TestClient, accepted: str, compressed: bool) -> None:
    for path in ("/tiny", "/tiny/heads/L0H0.json", "/static/css/theme.css"):
        answer = client.get(path, headers={"Accept-Encoding": accepted})
        assert ("Content-Encoding" in answer.headers) == compressed, path
        assert "Accept-Encoding" in answer.headers["Vary"]
