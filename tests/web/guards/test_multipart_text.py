"""Multipart forms are UTF-8 as others are: a field of other bytes is refused, not read as Latin 1; files may be any."""

import pytest
from starlette.testclient import TestClient

from app.web.guards.body_types import NO_UTF8
from tests.support.html_forms import HEAD, record

ODD = (b"\xff", b"\xe9", b"\xed\xa0\x80", b"\xc3", b"\xc0\x80", b"\xf5\x80\x80\x80")
NAMED = b"form-data; name=%s"


def body_of(*parts: tuple[bytes, bytes, bytes]) -> bytes:
    """Parts of (content disposition, further headers, data)."""
    whole = [
        b"--x\r\nContent-Disposition: %s\r\n%s\r\n%s\r\n" % (disposition, headers, data)
        for disposition, headers, data in parts
    ]
    return b"".join(whole) + b"--x--\r\n"


def send(client: TestClient, body: bytes, path: str = f"{HEAD}/annotation", size: int = 10**6):
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    return client.post(
        path, content=iter(chunks), headers={"Content-Type": "multipart/form-data; boundary=x"}
    )


def form(notes: bytes, headers: bytes = b"", name: bytes = b"notes") -> bytes:
    texts = ((b"action", b"save"), (b"base_version", b"0"))
    fields = [(NAMED % field, b"", data) for field, data in texts]
    return body_of(*fields, (NAMED % name, headers, notes), (NAMED % b"k", b"", b"10"))


@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_fields_of_other_bytes_are_refused_and_nothing_is_saved(local: TestClient, size: int) -> None:
    refused = [form(b"a" + odd + b"b") for odd in ODD] + [form(b"at the end " + b"\xc3")]
    refused += [form(b"a", name=b"no\xfftes"), form(b"\xff", b"Content-Type: text/plain\r\n")]
    for charset in (b"iso-8859-1", b"latin-1", b"utf-16", b"unicode_escape", b"utf-7", b"no-such"):
        refused.append(form(b"\xc3\xa9", b"Content-Type: text/plain; charset=%s\r\n" % charset))
    for body in refused:
        answer = send(local, body, size=size)
        assert (answer.status_code, answer.text) == (422, NO_UTF8), body
        assert answer.headers["Cache-Control"] == "no-store"
    assert record(local) is None


@pytest.mark.parametrize("size", [1, 10**6])
def test_text_in_utf8_is_read_whole_though_chunks_cut_it(local: TestClient, size: int) -> None:
    notes = "é 😀 \ufffd"
    charset = b"Content-Type: text/plain; charset=UTF-8\r\n"
    assert send(local, form(notes.encode(), charset), size=size).status_code == 303
    assert record(local)["content"]["notes"] == notes


@pytest.mark.parametrize(
    ("path", "field"),
    [("/tiny/features/L0F3/notes", b"note"), ("/tiny/annotations/import", b"column")],
)
def test_every_form_is_read_so(local: TestClient, path: str, field: bytes) -> None:
    other = (NAMED % b"base_version", b"", b"0")
    answer = send(local, body_of(other, (NAMED % field, b"", b"\xe9")), path)
    assert (answer.status_code, answer.text) == (422, NO_UTF8)
    assert local.get("/tiny/features/L0F3/notes.json").json()["own"] is None


def test_a_file_may_hold_any_bytes(local: TestClient) -> None:
    sheet = (
        NAMED % b"file" + b'; filename="a.csv"',
        b"Content-Type: text/csv\r\n",
        b"head,notes\nL0H1,\xe9\n",
    )
    answer = send(local, body_of(sheet, (NAMED % b"action", b"", b"show")), "/tiny/annotations/import")
    assert answer.status_code == 422
    assert "is not UTF-8: line 2" in answer.text


def test_what_is_no_multipart_form_is_answered_by_the_framework(local: TestClient) -> None:
    for body in (b"", b"--x", b"no part", form(b"a")[:40]):
        assert send(local, body).status_code in (400, 422)
    assert record(local) is None
