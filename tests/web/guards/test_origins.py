"""Changes come from our own pages or not at all; bodies have limits."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.web.guards.body_limits import MAX_BODY, MAX_FILE, BodyLimits
from app.web.guards.origins import SameOrigin
from tests.support.annotated_atlas import NOW
from tests.support.logins import add_people, logged_in, team_app

OWN = "http://testserver"
COOKIE = "head_atlas_session=x"
# (headers, whether a POST passes)
CASES = [
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "none"}, True),
    ({"Sec-Fetch-Site": "same-site"}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": ""}, False),
    ({"Sec-Fetch-Site": "Same-Origin"}, False),
    ({"Sec-Fetch-Site": "cross-site", "Origin": OWN}, False),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, True),
    ({"Sec-Fetch-Site": "cross-site", "Authorization": "Bearer x"}, False),
    ({"Origin": OWN}, True),
    ({"Origin": OWN.upper()}, True),
    ({"Origin": OWN, "Cookie": COOKIE}, True),
    ({"Origin": "null"}, False),
    ({"Origin": ""}, False),
    ({"Origin": "https://testserver"}, False),
    ({"Origin": "http://testserver:81"}, False),
    ({"Origin": "http://testserver.evil.example"}, False),
    ({"Origin": "http://evil.example"}, False),
    ({"Origin": "http://evil.example", "Host": "testserver"}, False),
    ({}, True),
    ({"Cookie": COOKIE}, False),
    ({"Cookie": f"a=b; __Host-{COOKIE}"}, False),
    ({"Cookie": "theme=dark"}, True),
    ({"Referer": "http://evil.example/"}, True),
]


def echo(middleware, **options):
    async def answer(request):
        return PlainTextResponse(str(len(await request.body())))

    methods = ["GET", "POST", "PUT", "DELETE", "PATCH"]
    app = Starlette(routes=[Route("/{rest:path}", answer, methods=methods)])
    app.add_middleware(middleware, **options)
    return TestClient(app)


@pytest.mark.parametrize(("headers", "passes"), CASES)
def test_e03_e04_where_a_change_may_come_from(headers, passes):
    client = echo(SameOrigin)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, "/", headers=headers).status_code == (200 if passes else 403)
    assert client.get("/", headers=headers).status_code == 200


def test_behind_a_proxy_the_public_address_counts():
    client = echo(SameOrigin, public_url="https://atlas.example.org")
    assert client.post("/", headers={"Origin": "https://atlas.example.org"}).status_code == 200
    assert client.post("/", headers={"Origin": OWN}).status_code == 403


def test_the_server_refuses_them_on_every_route(store):
    add_people(store, NOW, ada={})
    client = logged_in(team_app(store), "ada")
    for path in ("/logout", "/me", "/login", "/tiny/heads/L0H1", "/nothing"):
        response = client.post(path, headers={"Origin": "https://evil.example"})
        assert response.status_code == 403
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert client.get("/tiny").status_code == 200


@pytest.mark.parametrize(("path", "limit"), [("/x", MAX_BODY), ("/tiny/annotations/import", MAX_FILE)])
def test_e25_larger_bodies_are_refused(path, limit):
    client = echo(BodyLimits)
    assert client.post(path, content=b"x" * 1000).text == "1000"
    assert client.post(path, content=b"", headers={"Content-Length": str(limit + 1)}).status_code == 413
    if limit == MAX_BODY:
        assert client.post(path, content=b"x" * limit).text == str(limit)
        chunks = (b"x" * 2**16 for _ in range(17))  # no Content-Length: counted as they come
        assert client.post(path, content=chunks).status_code == 413


def test_e25_the_page_says_so(store):
    add_people(store, NOW, ada={})
    client = logged_in(team_app(store), "ada")
    response = client.post("/me", content=b"new=" + b"x" * MAX_BODY, headers=FORM)
    assert response.status_code == 413


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
