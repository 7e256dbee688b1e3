"""Forms are UTF-8: bytes that are not are refused, and nothing is put in their place."""

import pytest
from starlette.testclient import TestClient

from app.web.guards.body_types import NO_UTF8
from tests.support.html_forms import HEAD, record

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


ODD = ("%ED%A0%80", "%FF", "%C3", "%C3%28", "%F5%80%80%80", "%C0%80")


@pytest.mark.parametrize("field", ["notes", "new_group", "key", "n%FFtes"])
def test_bytes_that_are_no_text_are_refused(local: TestClient, field: str) -> None:
    for odd in ODD:
        body = f"action=add_group&base_version=0&{field}=a{odd}b"
        answer = local.post(f"{HEAD}/annotation", content=body, headers=FORM)
        assert (answer.status_code, answer.text) == (422, NO_UTF8)
    assert record(local) is None


def test_raw_bytes_and_parts_of_a_character_in_two_chunks_are_read(local: TestClient) -> None:
    sent = {b"notes=\xc3\xa9": "é", b"notes=%C3%A9+\xf0\x9f\x98\x80&new_group=%EF%BF%BD": "é 😀"}
    for number, (body, notes) in enumerate(sent.items()):
        chunks = [body[:7], body[7:], f"&action=save&base_version={number}".encode()]
        answer = local.post(f"{HEAD}/annotation", content=iter(chunks), headers=FORM)
        assert answer.status_code == 303
        assert record(local)["content"]["notes"] == notes
    assert local.post(f"{HEAD}/annotation", content=b"notes=\xff", headers=FORM).status_code == 422
