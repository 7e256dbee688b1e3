"""The form beside a head: what its buttons do, with scripts and without, and what is never lost."""

import re
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from app.domain.annotations.note_text import MAX_NOTE_BYTES
from app.store.database.engine import open_store
from tests.support.annotated_atlas import NOW
from tests.support.html_forms import HEAD, button, fields_of, page_of, press, say
from tests.support.logins import add_people, logged_in, team_app
from tests.support.run_data import make_run, publish
from tests.support.serving import served
from tests.support.soups import soup


@pytest.fixture
def local(store):
    """The local annotator's browser, without scripts."""
    with TestClient(served(store), follow_redirects=False, raise_server_exceptions=False) as client:
        yield client


def record(client, path=HEAD):
    return client.get(f"{path}/annotation.json").json()["record"]


def first_label(client):
    return next(name for name in fields_of(client.get(HEAD).text) if name.startswith("label:"))


def test_a_new_form_is_empty_and_offers_groups(local):
    page = page_of(local)
    assert len(page.select('input[name^="label:"][list=slots]')) == 10
    assert [option["value"] for option in page.select("#slots option")] == [*"1234567", "unclear"]
    assert [item["value"] for item in page.select('[name="group_name"]')][:2] == [
        "induction",
        "previous token",
    ]
    assert "no type yet" in page.select_one("#type").text
    assert record(local) is None


def test_a_label_is_saved_without_scripts_and_only_groups_that_are_used(local):
    name = first_label(local)
    response = press(local, "save", {name: "2"})
    assert (response.status_code, response.headers["Location"]) == (
        303,
        f"{HEAD}#annotation",
    )
    kept = record(local)
    assert [group["name"] for group in kept["content"]["groups"]] == ["previous token"]
    assert kept["content"]["labels"][0] == {
        "feature": name.removeprefix("label:"), "group": "previous token", "unclear": False, "suggested": False,
    }  # fmt: skip
    assert (kept["version"], kept["status"], kept["provisional"]) == (1, "draft", True)
    assert "so far one group, 9 open" in page_of(local).select_one("#type").text


def test_ten_labels_make_a_type_and_submitting_leads_to_the_next_head(local):
    labels = {name: "1" for name in fields_of(local.get(HEAD).text) if name.startswith("label:")}
    response = press(
        local, "submit", {**labels, "confidence": "4", "knew_before": "no", "roles": ["induction"]}
    )
    assert response.headers["Location"].startswith("/tiny/heads/L0H2")
    kept = record(local)
    assert (kept["status"], kept["head_type"], kept["provisional"]) == ("submitted", "monosemantic", False)
    assert kept["content"]["roles"] == ["induction"]
    assert "plausibly monosemantic" in page_of(local).select_one("#type").text


def test_an_edit_of_a_submitted_record_leaves_it_submitted_and_one_of_a_skipped_head_takes_it_up(local):
    press(local, "submit", {"notes": "a"})
    press(local, "save", {"notes": "b"})
    assert record(local)["status"] == "submitted"
    press(local, "skip", {})
    assert record(local)["status"] == "skipped"
    press(local, "save", {"notes": "c"})
    assert record(local)["status"] == "draft"


def test_the_tally_says_which_submitted_heads_it_leaves_out_and_why(local):
    press(local, "submit", {first_label(local): "1"})
    press(local, "save", {"notes": "a draft"}, "/tiny/heads/L0H2")
    for path in ("/tiny", "/tiny/layers"):
        words = " ".join(local.get(path).text.split())
        assert "L0H1 (9 of 10 features open)." in words, path
        assert "L0H2 (" not in words


def test_the_next_head_is_the_next_without_a_settled_record(local):
    assert local.get("/tiny/next").headers["Location"] == "/tiny/heads/L0H0"
    for head in ("L0H0", "L0H1", "L0H2"):
        press(local, "unsure", {}, f"/tiny/heads/{head}")
    assert local.get("/tiny/next").headers["Location"] == "/tiny/heads/L0H3"
    # Layer 1 has no SAE.
    assert press(local, "skip", {}, "/tiny/heads/L0H3").headers["Location"].startswith("/tiny/heads/L2H0")
    for head in ("L2H0", "L2H1", "L2H2"):
        press(local, "skip", {}, f"/tiny/heads/{head}")
    last = press(local, "submit", {}, "/tiny/heads/L2H3")
    assert last.headers["Location"].startswith("/tiny/heads/L2H3")
    assert local.get("/tiny/next").headers["Location"] == "/tiny"


def test_groups_of_the_last_head_are_offered_first_in_their_order(local):
    for name in ("towns", "dates"):
        press(local, "add_group", {"new_group": name}, "/tiny/heads/L0H3")
    press(local, "add_group", {"new_group": "dates"}, "/tiny/heads/L0H2")
    press(local, "add_group", {"new_group": "months"}, "/tiny/heads/L0H3")
    offered = [item["value"] for item in page_of(local).select('[name="group_name"]')]
    assert offered[:4] == ["towns", "dates", "months", "induction"]
    assert len(offered) == 9


@pytest.mark.parametrize("action", ["submit", "unsure", "skip"])
def test_a_head_is_settled_in_the_version_that_was_shown_alone(local, action):
    old = fields_of(local.get(HEAD).text)
    press(local, "save", {"notes": "newer"})
    assert local.post(f"{HEAD}/annotation", data={**old, "action": action}).status_code == 409
    without = {name: value for name, value in old.items() if name != "base_version"}
    refused = local.post(f"{HEAD}/annotation", data={**without, "action": action})
    assert refused.status_code == 422
    assert "which version" in refused.text
    kept = record(local)
    assert (kept["status"], kept["version"], kept["content"]["notes"]) == ("draft", 1, "newer")


def test_groups_are_added_renamed_given_a_family_and_removed(local):
    name = first_label(local)
    press(local, "add_group", {"new_group": "dates and years"})
    press(local, "save", {name: "1"})
    page = fields_of(local.get(HEAD).text)
    assert page["group_name"][0] == "dates and years"
    renamed = ["years", *page["group_name"][1:]]
    families = ["LX", *page["group_family"][1:]]
    levels = ["token", *page["group_abstraction"][1:]]
    press(local, "save", {"group_name": renamed, "group_family": families, "group_abstraction": levels})
    content = record(local)["content"]
    assert content["groups"] == [{"name": "years", "family": "LX", "abstraction": "token"}]
    assert content["labels"][0]["group"] == "years"
    press(local, "drop_group:1", {})
    content = record(local)["content"]
    assert content["groups"] == []
    assert content["labels"][0]["group"] is None


def test_evidence_is_cited_once_with_a_claim_and_removed(local):
    cite = page_of(local).select_one(".cite-example")["value"]
    press(local, cite, {})
    press(local, cite, {})
    press(local, "cite:score:induction", {})
    press(local, "save", {"evidence_note": ["attends back", ""]})
    evidence = record(local)["content"]["evidence"]
    assert [item["kind"] for item in evidence] == ["example", "score"]
    assert evidence[0]["note"] == "attends back"
    assert re.fullmatch(r"L0F\d+:\d+:\d+", evidence[0]["target"])
    press(local, "drop_evidence:1", {})
    assert [item["kind"] for item in record(local)["content"]["evidence"]] == ["score"]
    assert press(local, "cite:rumour:x", {}).status_code == 422


def test_suggestions_are_accepted_one_by_one_or_all_and_recorded(local):
    page = page_of(local)
    offered = page.select_one('[name="suggestion"]')["value"].split(";")
    assert len(offered) >= 2
    press(local, page.select_one(".suggestion")["value"], {})
    labels = record(local)["content"]["labels"]
    assert sum(label["suggested"] for label in labels) == 1
    press(local, "accept", {})
    labels = record(local)["content"]["labels"]
    assert sum(label["suggested"] for label in labels) == len(offered)
    assert not page_of(local).select(".suggestion")
    suggested = next(label for label in labels if label["suggested"])
    press(local, "save", {f"label:{suggested['feature']}": "unclear"})
    assert sum(label["suggested"] for label in record(local)["content"]["labels"]) == len(offered) - 1


def test_undo_and_redo_walk_the_stored_revisions(local):
    for note in ("one", "two", "three"):
        press(local, "save", {"notes": note})
    seen = []
    for action in ("undo", "undo", "undo", "redo", "redo", "redo"):
        press(local, action, {})
        seen.append(record(local)["content"]["notes"])
    assert seen == ["two", "one", "one", "two", "three", "three"]
    press(local, "undo", {})
    press(local, "save", {"notes": "four"})
    assert "disabled" in button(local, "redo").attrs
    press(local, "undo", {})
    assert record(local)["content"]["notes"] == "two"


def test_an_override_needs_a_reason_and_stays_in_the_form(local):
    response = press(local, "save", {"override": "bisemantic", "notes": "kept"})
    assert response.status_code == 422
    page = soup(response.text)
    assert "needs a reason" in page.select_one(".warning").text
    assert page.select_one('[name="override"] [selected]')["value"] == "bisemantic"
    assert "kept" in page.select_one("textarea").text
    assert record(local) is None
    press(local, "save", {"override": "bisemantic", "override_reason": "two jobs"})
    assert record(local)["head_type"] == "bisemantic"


def test_the_type_can_be_counted_over_another_ranking_and_number(local):
    press(local, "save", {"k": "5", "ranking": "fve", first_label(local): "1"})
    content = record(local)["content"]
    assert (content["k"], content["ranking"]) == (5, "fve")
    shown = [item["feature"] for item in local.get(f"{HEAD}.json?rank=fve&k=5").json()["features"]]
    assert [label["feature"] for label in content["labels"]][:5] == shown
    assert "of 5 grouped" in page_of(local).select_one("#grouped").text
    assert "Places are those by FVE" in page_of(local).select_one("#type").text
    assert "Places are those" not in page_of(local, f"{HEAD}?rank=fve").select_one("#type").text


def test_labels_of_features_that_are_not_shown_stay(local):
    path = f"{HEAD}?k=20"
    fields = fields_of(local.get(path).text)
    last = [name for name in fields if name.startswith("label:")][-1]
    local.post(f"{HEAD}/annotation", data={**fields, last: "1", "action": "save"})
    press(local, "save", {"notes": "seen from ten rows"})
    labels = {label["feature"]: label["group"] for label in record(local)["content"]["labels"]}
    assert labels[last.removeprefix("label:")] == "induction"


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
def test_no_page_takes_a_body_that_is_no_form(local, path):
    assert local.post(path, json={"base_version": 0, "key": "k"}).status_code == 415


def test_a_form_in_utf_8_may_say_so(local):
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
    assert local.post(f"{HEAD}/annotation", content="notes=%C3%A9", headers=headers).status_code == 303
    assert record(local)["content"]["notes"] == "\u00e9"


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


def test_a_viewer_reads_and_cannot_write(store):
    add_people(store, NOW, ada={}, eve={"role": "viewer"})
    app = team_app(store)
    ada, eve = logged_in(app, "ada"), logged_in(app, "eve")
    press(ada, "submit", {"notes": "of ada"})
    page = page_of(eve)
    assert not page.select("#annotation, [form=annotation]")
    assert "of ada" in page.text
    assert eve.post(f"{HEAD}/annotation", data={"action": "save"}).status_code == 403
    assert eve.post("/tiny/features/L0F3/notes", data={"base_version": "0", "label": "x"}).status_code == 403


def test_d01_two_annotators_have_a_record_each(store):
    add_people(store, NOW, ada={}, ben={})
    app = team_app(store)
    for name in ("ada", "ben"):
        assert press(logged_in(app, name), "submit", {"notes": f"of {name}"}).status_code == 303
    value = logged_in(app, "ben").get(f"{HEAD}/annotation.json").json()
    assert value["record"]["content"]["notes"] == "of ben"
    assert [other["content"]["notes"] for other in value["others"]] == ["of ada"]


def test_strangers_of_an_open_server_read_only(store):
    from app.settings import Settings
    from app.web.factory import create_app
    from tests.support.serving import HOSTS

    client = TestClient(create_app(Settings(store=store, allowed_hosts=HOSTS), allow_anonymous=True))
    assert not page_of(client).select("#annotation")
    assert client.post(f"{HEAD}/annotation", data={"action": "save"}).status_code == 403


def test_after_another_sae_the_form_begins_anew_and_says_whose_the_old_labels_are(local, store):
    press(local, "save", {first_label(local): "2", "notes": "before"})
    stored = record(local)
    made = make_run()
    other = [replace(sae, checksum="f" * 64) for sae in made.record.saes]
    engine = open_store(store)
    publish(engine, replace(made, record=replace(made.record, fingerprint="0" * 64, saes=tuple(other))))
    engine.dispose()
    page = page_of(local)
    said = " ".join(page.select_one("#annotation").text.split())
    assert "labels and groups of this head (previous token) are of another SAE of the layer" in said
    assert {
        name: value for name, value in fields_of(local.get(HEAD).text).items() if "label:" in name and value
    } == {}
    press(local, "save", {"notes": "before, and after"})
    edited = record(local)
    assert edited["content"] == {**stored["content"], "notes": "before, and after"}
    assert (edited["sae"], edited["version"]) == (stored["sae"], 2)
    assert stored["sae"][:8] in local.get(f"{HEAD}/history").text


def test_the_browser_keeps_the_order_of_work(local):
    first = local.get("/tiny/next").headers["Location"]
    by_score = local.get("/tiny/next?order=score")
    assert by_score.headers["Location"] != first
    assert "order_of_work=score" in by_score.headers["Set-Cookie"]
    assert local.get("/tiny/next").headers["Location"] == by_score.headers["Location"]
    rail = soup(local.get("/tiny").text).select_one("a[data-key=n]")
    assert rail["href"] == by_score.headers["Location"]
    assert local.get("/tiny/next?order=size").status_code == 422
    local.cookies.set("order_of_work", "size")
    assert local.get("/tiny/next").status_code == 307
    assert local.get("/tiny/next?order=layer").headers["Location"] == first


def test_a_head_page_in_the_cache_does_not_lead_in_another_order(local):
    before = local.get(HEAD)
    assert local.get(HEAD, headers={"If-None-Match": before.headers["ETag"]}).status_code == 304
    local.get("/tiny/next?order=score")
    after = local.get(HEAD, headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert next_link(after) != next_link(before)


def next_link(response):
    return soup(response.text).select_one("a[data-key=n]")["href"]
