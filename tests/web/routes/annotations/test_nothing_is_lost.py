"""Notes, saves that are sent again, and forms that are out of date: nothing that was typed is lost."""

import pytest

from app.domain.annotations.note_text import MAX_NOTE_BYTES
from tests.support.html_forms import HEAD, fields_of, first_label, page_of, press, record, say
from tests.support.soups import soup


@pytest.mark.parametrize(
    "text", ["", "x", " ", "x" * MAX_NOTE_BYTES, "\n" * 60000, "é" * (MAX_NOTE_BYTES // 2)]
)
def test_d11_notes_up_to_64_kib_are_stored_exactly(local, text):
    assert press(local, "save", {"notes": text, "surprising": "1"}).status_code == 303
    assert record(local)["content"]["notes"] == text
    assert page_of(local).select_one("textarea").text == "\n" + text


@pytest.mark.parametrize("size", [MAX_NOTE_BYTES + 1, 200_000])
def test_d11_longer_notes_are_refused_with_the_text_still_in_the_box(local, size):
    response = press(local, "save", {"notes": "x" * size})
    assert response.status_code == 413
    page = soup(response.text)
    assert str(MAX_NOTE_BYTES) in page.select_one(".warning").text
    assert page.select_one("textarea").text.strip() == "x" * size
    assert press(local, "save", {"notes": "x" * 2**20}).status_code == 413
    assert record(local) is None


@pytest.mark.parametrize(
    "text", ["é", "e\u0301", "👩‍👩‍👧", "\u05d0\u202e", "a\tb\r\nc\nd", "\ufffe", "=1+1", "</textarea><b>"]
)
def test_d12_text_is_stored_as_it_was_sent(local, text):
    press(local, "save", {"notes": text})
    assert record(local)["content"]["notes"] == text


@pytest.mark.parametrize("letter", ["\x00", "\x01", "\x0b", "\x1f"])
def test_d12_what_cannot_be_stored_is_refused_with_its_position(local, letter):
    response = press(local, "save", {"notes": f"ab{letter}c"})
    assert response.status_code == 422
    assert f"U+{ord(letter):04X} at position 2" in say(response)


def test_d03_the_same_save_three_times_is_one_revision(local):
    fields = {**fields_of(local.get(HEAD).text), "notes": "once", "action": "save"}
    for _ in range(3):
        assert local.post(f"{HEAD}/annotation", data=fields).status_code == 303
    assert record(local)["version"] == 1


def test_d04_a_save_that_is_sent_again_gets_the_stored_answer(local):
    headers = {"Accept": "application/json"}
    fields = {**fields_of(local.get(HEAD).text), "notes": "once", "action": "save"}
    first = local.post(f"{HEAD}/annotation", data=fields, headers=headers)
    second = local.post(f"{HEAD}/annotation", data=fields, headers=headers)
    assert first.json()["version"] == second.json()["version"] == 1
    # Also where the record has moved on since.
    press(local, "save", {"notes": "later"})
    assert local.post(f"{HEAD}/annotation", data=fields, headers=headers).json()["version"] == 1
    assert record(local)["content"]["notes"] == "later"


def test_d05_an_old_form_conflicts_and_both_texts_are_shown(local):
    old = fields_of(local.get(HEAD).text)
    press(local, "save", {"notes": "theirs", "confidence": "2"})
    response = local.post(
        f"{HEAD}/annotation", data={**old, "notes": "mine", "roles": "copying", "action": "save"}
    )
    assert response.status_code == 409
    page = soup(response.text)
    assert "mine" in page.select_one(".clash").text
    assert "theirs" in page.select_one(".clash").text
    assert record(local)["content"]["notes"] == "theirs"
    merged = {**fields_of(response.text), "action": "save"}
    kept_mine = local.post(f"{HEAD}/annotation", data=merged)
    assert kept_mine.status_code == 303
    content = record(local)["content"]
    assert (content["notes"], content["confidence"], content["roles"]) == ("mine", 2, ["copying"])


def test_d02_a_conflict_of_two_tabs_can_take_the_stored_text(local):
    name = first_label(local)
    old = fields_of(local.get(HEAD).text)
    press(local, "save", {"notes": "theirs", name: "2"})
    response = local.post(f"{HEAD}/annotation", data={**old, "notes": "mine", name: "3", "action": "save"})
    assert response.status_code == 409
    choice = {"take:notes": "theirs", f"take:{name.removeprefix('label:')}": "theirs"}
    done = local.post(f"{HEAD}/annotation", data={**fields_of(response.text), **choice, "action": "save"})
    assert done.status_code == 303
    content = record(local)["content"]
    assert content["notes"] == "theirs"
    assert content["labels"][0]["group"] == "previous token"


def test_scripts_get_the_state_and_conflicts_as_json(local):
    headers = {"Accept": "application/json", "HX-Request": "true"}
    old = fields_of(local.get(HEAD).text)
    state = local.post(f"{HEAD}/annotation", data={**old, "notes": "x", "action": "save"}, headers=headers)
    assert state.headers["Cache-Control"] == "no-store"
    value = state.json()
    assert (value["version"], value["status"], value["can_undo"]) == (1, "draft", False)
    assert value["next"].startswith("/tiny/heads/")
    again = local.post(f"{HEAD}/annotation", data={**old, "notes": "y", "action": "save"}, headers=headers)
    assert again.status_code == 409
    assert "version 1" in again.json()["error"]


def test_pages_are_fresh_after_every_save(local):
    tag = local.get(HEAD).headers["ETag"]
    assert local.get(HEAD, headers={"If-None-Match": tag}).status_code == 304
    press(local, "save", {"notes": "new"})
    fresh = local.get(HEAD, headers={"If-None-Match": tag})
    assert fresh.status_code == 200
    assert "new" in fresh.text
    other = local.get("/tiny/features/L0F3").headers["ETag"]
    local.post("/tiny/features/L0F3/notes", data={"base_version": "0", "label": "x"})
    assert local.get("/tiny/features/L0F3", headers={"If-None-Match": other}).status_code == 200
