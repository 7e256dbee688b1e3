"""Bodies that no page of ours sends are refused, and store nothing."""

import pytest

from tests.support.html_forms import HEAD, fields_of, record


@pytest.mark.parametrize(
    "change",
    [
        {"base_version": "x"},
        {"base_version": "-1"},
        {"base_version": "9" * 20},
        {"confidence": "7"},
        {"confidence": "NaN"},
        {"knew_before": "maybe"},
        {"override": "omnisemantic", "override_reason": "x"},
        {"roles": "emperor"},
        {"label:L0F9999999": "1"},
        {"label:L2F3": "1"},
        {"label:x": "1"},
        {"k": "0"},
        {"group_family": "IN"},
        {"evidence_kind": "example"},
        {"evidence_kind": "x", "evidence_target": "y", "evidence_note": ""},
        {"action": "accept", "suggestion": "[1"},
        {"action": "propose", "from_label": "induction"},
        {"action": "cite:example"},
    ],
)
def test_what_our_page_does_not_send_is_refused(local, change):
    fields = {**fields_of(local.get(HEAD).text), "action": "save", **change}
    assert local.post(f"{HEAD}/annotation", data=fields).status_code in (404, 422)
    assert record(local) is None


JSON_BODY = b'{"notes": "long work"}'


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (JSON_BODY, "application/json", 415),
        (JSON_BODY, "text/plain", 415),
        (JSON_BODY, None, 415),
        (b"<notes/>", "application/xml", 415),
        (b"notes=x", "application/x-www-form-urlencoded; charset=utf-7", 415),
        (b"", "multipart/form-data; boundary=x; charset=unicode_escape", 415),
        (b"", "multipart/form-data; charset=utf-8; boundary=x; charset=unicode_escape", 415),
        (b"", "multipart/form-data; boundary=x; charset*=utf-8''unicode_escape", 415),
        (b"", "multipart/form-data; boundary=x; charset*0=unicode_; charset*1=escape", 415),
        (JSON_BODY, "application/x-www-form-urlencoded", 422),
        (b"", "application/x-www-form-urlencoded", 422),
        (b"colour=red&Notes=x", "application/x-www-form-urlencoded", 422),
    ],
)
def test_a_body_that_is_no_form_or_not_ours_stores_no_empty_draft(local, body, media_type, status):
    headers = {} if media_type is None else {"Content-Type": media_type}
    for scripted in ({}, {"Accept": "application/json"}):
        answer = local.post(f"{HEAD}/annotation", content=body, headers={**headers, **scripted})
        assert answer.status_code == status
    assert record(local) is None


@pytest.mark.parametrize(
    "path",
    [
        "/tiny/features/L0F3/notes",
        "/tiny/annotations/settle/L0H1",
        f"{HEAD}/history",
        "/tiny/annotations/import",
    ],
)
def test_e05_no_page_takes_a_body_that_is_no_form(local, path):
    assert local.post(path, json={"base_version": 0, "key": "k"}).status_code == 415


def test_a_form_in_utf_8_may_say_so(local):
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
    assert local.post(f"{HEAD}/annotation", content="notes=%C3%A9", headers=headers).status_code == 303
    assert record(local)["content"]["notes"] == "\u00e9"
