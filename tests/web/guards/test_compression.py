"""Compressed responses: who gets them, what stays as it is, and that caches and HEAD agree with them."""

import gzip

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.web.guards.compression import LEVEL
from tests.support.response_sizes import sent_bytes

STYLE = "/static/css/theme.css"
COMPRESSED = ("/tiny", "/tiny/heads/L0H1", "/tiny/heads/L0H1.json", "/openapi.json", STYLE)
PLAIN = {"Accept-Encoding": "identity"}


@pytest.mark.parametrize("path", COMPRESSED)
def test_clients_that_accept_gzip_get_the_same_content_in_fewer_bytes(client: TestClient, path: str) -> None:
    plain, small = client.get(path, headers=PLAIN), client.get(path, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert small.headers["Content-Encoding"] == "gzip"
    assert small.content == plain.content
    for response in (plain, small):
        assert response.headers["Vary"].endswith("Accept-Encoding")
    sent = sent_bytes(client, path)
    assert gzip.decompress(sent) == plain.content
    assert len(sent) <= 1.05 * len(gzip.compress(plain.content, LEVEL)) + 100


@pytest.mark.parametrize("path", ["/tiny", "/tiny/heads/L0H1"])
def test_head_tells_the_size_that_get_sends(client: TestClient, path: str) -> None:
    get, head = client.get(path), client.head(path)
    assert head.content == b""
    for name in ("Content-Length", "Content-Encoding", "ETag", "Vary"):
        assert head.headers[name] == get.headers[name]
    assert int(get.headers["Content-Length"]) == len(sent_bytes(client, path))


@pytest.mark.parametrize("path", ["/tiny/heads/L0H1", STYLE])
def test_what_a_browser_has_is_not_sent_again_in_either_encoding(client: TestClient, path: str) -> None:
    first = client.get(path)
    assert first.headers["ETag"].startswith('W/"')
    for encoding in ("gzip", "identity"):
        headers = {"If-None-Match": first.headers["ETag"], "Accept-Encoding": encoding}
        again = client.get(path, headers=headers)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert again.headers["Vary"] == first.headers["Vary"]


def test_small_answers_and_parts_of_files_stay_plain(client: TestClient) -> None:
    assert "Content-Encoding" not in client.get("/healthz").headers
    part = client.get(STYLE, headers={"Range": "bytes=0-99"})
    assert (part.status_code, len(part.content)) == (206, 100)
    assert "Content-Encoding" not in part.headers


def test_files_that_are_compressed_already_stay_as_they_are(client: TestClient) -> None:
    for form, encoding in (("xlsx", None), ("csv", "gzip"), ("json", "gzip")):
        response = client.get(f"/tiny/annotations.{form}")
        assert response.status_code == 200
        if len(response.content) >= 500:
            assert response.headers.get("Content-Encoding") == encoding, form


def test_a_compressed_error_is_still_an_error(app: FastAPI, client: TestClient) -> None:
    missing = client.get("/tiny/heads/L0H99")
    assert missing.status_code == 404
    assert missing.headers["Content-Encoding"] == "gzip"
    assert missing.headers["Cache-Control"] == "no-store"
