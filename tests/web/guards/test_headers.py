"""Headers on every answer, hosts, errors that echo nothing, tokens that stay text, a server without torch."""

import base64
import hashlib
import re
import subprocess
import sys

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.errors import StoreBusy
from app.settings import Settings, is_loopback
from app.web.guards.headers import SECURITY_HEADERS, host_name
from app.web.server import ExposedServerError, make_application
from tests.support.serving import HOSTS, served
from tests.support.soups import soup

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
ANSWERS = {
    "/": 307,
    "/tiny": 200,
    "/tiny/heads/L0H1": 200,
    "/tiny/heads/L0H1.json": 200,
    "/tiny/heads/L0H99": 404,
    "/tiny/heads/L0H1?k=0": 422,
    "/tiny/heads/5.1": 308,
    "/nothing": 404,
    "/static/css/theme.css": 200,
    "/static/nothing.css": 404,
    "/static/../app/errors.py": 404,
    "/static/%2e%2e/%2e%2e/pyproject.toml": 404,
    "/healthz": 200,
    "/openapi.json": 200,
    "/docs": 200,
    "/about": 200,
    "/tiny/compare?heads=L0H1,L0H3": 200,
    "/tiny/compare?heads=0.1": 307,
    "/tiny/compare?heads=x": 404,
    "/tiny/search?q=the": 200,
    "/tiny/search?q=L0H1": 307,
}


@pytest.mark.parametrize(("path", "status"), ANSWERS.items())
def test_e10_e19_every_answer_has_the_headers(client: TestClient, path: str, status: int) -> None:
    for method in ("GET", "HEAD"):
        response = client.request(method, path)
        assert response.status_code == status
        assert response.headers["Content-Security-Policy"] == POLICY
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"
        if method == "HEAD":
            assert response.content == b""


def test_crashes_have_the_headers_too(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("<b>secret detail</b>")

    monkeypatch.setattr(app.state.app_context, "live_run", fail)
    client = TestClient(app, raise_server_exceptions=False)
    for path, kind in (("/tiny", "text/html"), ("/tiny.json", "application/problem+json")):
        response = client.get(path)
        assert response.status_code == 500
        assert response.headers["Content-Type"].startswith(kind)
        assert "secret" not in response.text
        assert {name: response.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS


def test_a_busy_store_is_503(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise StoreBusy("the store is in use")

    monkeypatch.setattr(app.state.app_context, "live_run", busy)
    response = TestClient(app).get("/tiny")
    assert response.status_code == 503
    assert response.headers["Retry-After"]


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "[::2]", "127.0.0.1.evil"])
def test_e06_other_hosts_are_refused(client: TestClient, host: str) -> None:
    for path in ("/tiny", "/static/css/theme.css", "/healthz"):
        response = client.get(path, headers={"Host": host})
        assert response.status_code == 400
        assert host not in response.text or not host
        assert response.headers["Content-Security-Policy"] == POLICY


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]"])
def test_own_hosts_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


def test_host_names() -> None:
    assert [host_name(text) for text in ("A:1", "[::1]:80", "[::1]", "a", "")] == ["a", "::1", "::1", "a", ""]


def test_e07_redirects_ignore_the_host(client: TestClient) -> None:
    for path in ("/", "/tiny/heads/5.1", "/tiny/head/5/1", "/tiny/5-att-kk/3"):
        location = client.get(path, headers={"Host": "localhost"}).headers["Location"]
        assert location.startswith("/tiny")
    for path in ("/tiny/", "//evil.example/head/5/1", "/tiny/heads/L0H1/"):
        assert client.get(path).status_code == 404


def with_twin(path: str) -> list[str]:
    """The address and that of its JSON twin; which row is open is a matter of the page alone."""
    page, mark, query = path.partition("?")
    return [path] if query.startswith(("open", "group")) else [path, f"{page}.json{mark}{query}"]


@pytest.mark.parametrize(
    "path",
    [
        "/xyzzy",
        "/tiny/heads/xyzzy",
        "/tiny/features/xyzzy",
        "/tiny/layers/1xyzzy",
        "/tiny?score=xyzzy",
        "/tiny/heads/L0H1?rank=xyzzy",
        "/tiny/heads/L0H1?k=xyzzy",
        "/tiny/heads/L0H1?open=xyzzy",
        "/tiny/features/L0F3?head=xyzzy",
        "/xyzzy/heads/L0H1",
        "/tiny/xyzzy/3",
        "/static/xyzzy",
    ],
)
def test_e02_errors_do_not_echo(client: TestClient, path: str) -> None:
    for asked in with_twin(path):
        response = client.get(asked)
        assert response.status_code in (404, 422)
        assert "xyzzy" not in response.text
    assert "xyzzy" not in client.get(path, headers={"HX-Request": "true"}).text


@pytest.mark.parametrize(
    "path",
    [
        "/tiny/heads/L" + "9" * 30 + "H0",
        "/tiny/heads/L-1H0",
        "/tiny/features/L0F" + "9" * 10,
        "/tiny/features/L0F1e3",
        "/tiny/layers/99999999999999999999",
        "/tiny/layers/-1",
        "/tiny/layers/5",
        "/tiny/layers/0?after=99999999999999999999",
        "/tiny/heads/L0H1?k=" + "9" * 40,
        "/tiny/heads/L0H1?k=NaN",
        "/tiny/heads/L0H1?group=-1",
        "/tiny/heads/%00",
        "/%00",
        "/tiny%00",
        "/tiny/features/L%EF%BC%95F3",
        "/" + "a" * 5000,
        "/tiny/heads/L0H1?open=%ED%A0%80",
        "/tiny?score=%00",
        "/tiny/" + "9" * 30 + "-att-kk/3",
        "/tiny/search?q=" + "a" * 301,
        "/tiny/compare?heads=" + "a" * 201,
    ],
)
def test_e23_bad_numbers_and_text_are_refused(client: TestClient, path: str) -> None:
    for asked in with_twin(path):
        assert client.get(asked).status_code in (404, 422)


def test_errors_are_pages_problems_or_fragments(client: TestClient) -> None:
    page = client.get("/tiny/heads/L9H9")
    assert soup(page.text).find("main")
    assert page.headers["Cache-Control"] == "no-store"
    part = client.get("/tiny/heads/L0H1?open=F999", headers={"HX-Request": "true"})
    assert part.status_code == 404
    assert not soup(part.text).find("main")
    problem = client.get("/tiny/heads/L9H9.json")
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert set(problem.json()) == {"type", "title", "status", "detail"}
    refused = client.post("/tiny/heads/L0H1")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET")
    assert soup(refused.text).find("main")


def test_c04_odd_tokens_stay_text(client: TestClient) -> None:
    paths = ["/tiny/layers/0", "/tiny/layers/2"]
    paths += [
        f"/tiny/heads/L0H{head}?k=50&rank={rank}" for head in range(4) for rank in ("fve", "decoder_weight")
    ]
    text = "".join(client.get(path).text for path in paths)
    page = soup(text)
    assert not [script for script in page.find_all("script") if not script.get("src")]
    assert not [tag for tag in page.find_all(True) if any(name.startswith("on") for name in tag.attrs)]
    assert page.find_all(string=re.compile(re.escape('" onmouseover="x')))
    assert page.find_all(string=re.compile(re.escape("&lt;b&gt;")))
    assert "\u202e" not in text
    assert "\ufffd" not in text
    assert page.select("b.special")
    assert {chip.text for chip in page.select("b.hex-byte")} >= {"E2 80", "9C", "FF", "U+202E", "U+00AD"}


def test_e11_no_page_needs_what_the_policy_forbids(client: TestClient) -> None:
    for path in (
        "/tiny",
        "/tiny/heads/L0H1",
        "/tiny/features/L0F3",
        "/docs",
        "/about",
        "/nothing",
        "/tiny/layers/0",
        "/tiny/compare?heads=L0H1,L0H3",
    ):
        page = soup(client.get(path).text)
        for tag in page.find_all(True):
            assert "style" not in tag.attrs
            assert not [name for name in tag.attrs if name.startswith(("on", "hx-on", "hx-vals"))]
        assert not page.find_all("style")
        for link in page.select("[src], link[href]:not([rel=expect])"):
            address = str(link.get("src") or link.get("href"))
            assert address.startswith("/static/")
            assert client.get(address).status_code == 200


def test_scripts_and_styles_are_what_the_page_says(client: TestClient) -> None:
    page = soup(client.get("/tiny").text)
    pinned = page.select("[integrity]")
    assert len(pinned) == 7
    for tag in pinned:
        response = client.get(str(tag.get("src") or tag.get("href")))
        digest = base64.b64encode(hashlib.sha256(response.content).digest()).decode()
        assert tag["integrity"] == f"sha256-{digest}"
        assert "immutable" in response.headers["Cache-Control"]
    assert client.get("/static/css/theme.css").headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", ""])  # noqa: S104
def test_an_exposed_server_must_be_asked_for(host: str, store: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(ExposedServerError, match="no login"):
        make_application(Settings(store=store, host=host))


def test_loopback_names() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]")))


def test_the_server_needs_no_torch(store: str) -> None:
    program = """
import sys
for name in ("torch", "transformer_lens", "sae_lens", "transformers", "safetensors", "jaxtyping", "ray"):
    sys.modules[name] = None
from starlette.testclient import TestClient
from app.settings import Settings, is_loopback
from app.web.factory import create_app
import app.web.server
client = TestClient(create_app(Settings(store=sys.argv[1], allowed_hosts=("testserver",))))
response = client.get("/tiny/heads/L0H1")
assert response.status_code == 200 and "L0H1" in response.text, response.text
"""
    done = subprocess.run([sys.executable, "-c", program, store], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_health_check_asks_the_store(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    client = TestClient(app)
    assert client.get("/healthz").text == "ok\n"

    def busy(*_: object) -> None:
        raise StoreBusy("the store is in use")

    monkeypatch.setattr(app.state.app_context, "check", busy)
    assert client.get("/healthz").status_code == 503


def test_hosts_of_tests_are_not_in_the_defaults() -> None:
    assert set(HOSTS) - set(Settings().allowed_hosts) == {"testserver"}
    assert served is not None
