"""What a client says in the place of a proxy counts for nothing."""

import uvicorn
from fastapi import FastAPI

from app.settings import Settings
from app.web.server import serve
from tests.support.annotated_site import team_of
from tests.support.logins import logged_in

FORGED = {
    "X-Forwarded-For": "10.0.0.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "Forwarded": "for=10.0.0.1;proto=https;host=evil.example",
}


def test_e16_the_server_takes_no_address_or_scheme_from_a_header(monkeypatch):
    options = {}
    monkeypatch.setattr(uvicorn, "run", lambda _application, **given: options.update(given))
    serve(FastAPI(), Settings())
    assert options["proxy_headers"] is False


def test_e16_forged_headers_change_no_redirect_cookie_or_limit(store):
    client = logged_in(team_of(store), "ada")
    moved = client.get("/tiny/head/0/0", headers=FORGED, follow_redirects=False)
    assert moved.headers["location"] == "/tiny/heads/L0H0"
    answers = [
        client.post(
            "/login",
            data={"name": "ada", "password": "wrong"},
            headers={**FORGED, "X-Forwarded-For": f"10.0.0.{n}"},
        )
        for n in range(8)
    ]
    assert answers[0].status_code in (401, 422, 200, 403)
    assert answers[-1].status_code == 429
    assert not any("secure" in answer.headers.get("set-cookie", "").lower() for answer in answers)
