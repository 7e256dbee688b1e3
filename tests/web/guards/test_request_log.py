"""Each request has an id, a line in the log without secrets, and a count in the metrics, if those are on."""

import io
import json
import logging
import re

import pytest
import structlog
from starlette.testclient import TestClient

from app.log import configure_logging
from app.settings import Settings
from app.web.factory import create_app
from app.web.metrics import Metrics
from tests.support.annotated_site import team_of
from tests.support.logins import PASSWORD, log_in, visitor
from tests.support.serving import HOSTS


@pytest.fixture
def lines():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging("INFO", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def requests(lines):
    return [line for line in lines() if line["event"] == "request"]


def test_a_request_is_one_line_under_the_id_of_its_answer(client, lines):
    response = client.get("/tiny/heads/L0H1?k=7")
    [line] = requests(lines)
    assert re.fullmatch("[0-9a-f]{32}", line["request_id"])
    assert response.headers["X-Request-ID"] == line["request_id"]
    assert (line["method"], line["route"], line["path"]) == (
        "GET",
        "/{model}/heads/{head}",
        "/tiny/heads/L0H1",
    )
    assert (line["status"], line["level"]) == (200, "info")
    assert line["bytes"] > 1000
    assert line["ms"] > 0


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("from-the-proxy-1", True),
        ("short", False),
        ("x" * 65, False),
        ('a"b\x1b[31mcdefgh', False),
        ("", False),
    ],
)
def test_an_id_of_a_proxy_is_taken_if_it_is_one(client, lines, given, taken):
    response = client.get("/about", headers={"X-Request-ID": given})
    assert (response.headers["X-Request-ID"] == given) == taken
    assert requests(lines)[0]["request_id"] == response.headers["X-Request-ID"]


def test_errors_are_logged_under_the_same_id(client, app, lines, monkeypatch):
    def broken(*_):
        raise RuntimeError("a mistake")

    monkeypatch.setattr(app.state.app_context, "check", broken)
    response = client.get("/healthz")
    assert response.status_code == 500
    failed = [line for line in lines() if line["event"] == "request failed"]
    assert [line["request_id"] for line in failed] == [response.headers["X-Request-ID"]]
    assert "a mistake" in failed[0]["exception"]
    assert requests(lines)[0]["status"] == 500
    assert client.get("/tiny/heads/L0H99").headers["X-Request-ID"]
    assert client.get("/tiny", headers={"Host": "evil.example"}).headers["X-Request-ID"]


def test_no_secret_and_no_text_of_a_visitor_is_logged(store, lines):
    with visitor(team_of(store)) as client:
        log_in(client, "ada")
        log_in(client, "ben", "wrong password of ben")
        client.get("/tiny/prompt?text=private-text&q=private-text")
        client.post("/tiny/heads/L0H2/annotation", data={"notes": "private-text", "base_version": "0"})
        [token] = [cookie.value for cookie in client.cookies.jar]
    text = json.dumps(
        [line for line in lines() if not line["logger"].startswith("httpx")]
    )  # the client's own
    assert len(requests(lines)) == 4
    for secret in (PASSWORD, "wrong password of ben", "private-text", token):
        assert secret not in text


def test_metrics_are_off_by_default_and_count_by_route(client, store):
    assert client.get("/metrics").status_code == 404
    application = create_app(Settings(store=store, allowed_hosts=HOSTS, metrics=True, team=True))
    with TestClient(application) as counting:
        for path in ("/readyz", "/healthz", "/healthz", "/wp-admin.php", "/wp-login.php"):
            counting.get(path)
        answer = counting.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert 'head_atlas_requests_total{method="GET",route="/healthz",status="200"} 2' in lines
    assert 'head_atlas_request_seconds_count{route="/healthz"} 2' in lines
    assert 'head_atlas_request_seconds_bucket{route="/healthz",le="+Inf"} 2' in lines
    assert "head_atlas_requests_under_way 1" in lines  # this one
    assert "wp-" not in answer.text  # addresses that anyone can make up are one route
    for line in lines:
        assert re.fullmatch(r'# (HELP|TYPE) .+|[a-z_]+(\{([a-z]+="[^"\\]*",?)+\})? [0-9.e+-]+', line), line


def test_buckets_are_cumulative():
    metrics = Metrics()
    for seconds in (0.005, 0.02, 0.02, 99):
        metrics.begin()
        metrics.end("BREW", "/x", 200, seconds)
    text = metrics.text()
    for bound, count in (("0.01", 1), ("0.025", 3), ("10", 3), ("+Inf", 4)):
        assert f'head_atlas_request_seconds_bucket{{route="/x",le="{bound}"}} {count}\n' in text
    assert 'head_atlas_request_seconds_sum{route="/x"} 99.045000' in text
    assert 'method="other"' in text


def test_ready_is_a_store_that_answers_and_is_of_this_version(client, app, monkeypatch):
    assert client.get("/readyz").text == "ready\n"
    monkeypatch.setattr("app.store.database.schema_versions.revision_of_code", lambda: "9999")
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200
