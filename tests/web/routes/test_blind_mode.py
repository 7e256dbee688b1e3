"""Blind mode and the history: what of others is shown, and when."""

import pytest
from starlette.testclient import TestClient

from app.store.atlas.reads import find_live_fingerprint
from app.store.database.engine import open_store, write_session
from app.store.tables.atlas import RunRow
from tests.support.annotated_atlas import NOW
from tests.support.html_forms import HEAD, page_of, press
from tests.support.logins import add_people, logged_in, team_app
from tests.support.run_data import make_run, publish
from tests.support.serving import served
from tests.support.soups import soup

SECRET = "a secret of adas"
FEATURE = "/tiny/features/L0F3"
PATHS = (
    HEAD,
    f"{HEAD}.json",
    f"{HEAD}/annotation.json",
    f"{HEAD}/history",
    f"{HEAD}/history?annotator=ada",
    f"{HEAD}/history.json?annotator=ada",
    f"{HEAD}?open=L0F3",
    FEATURE,
    f"{FEATURE}.json",
    f"{FEATURE}/notes.json",
    "/tiny/heads/L0H2",
    "/tiny",
    "/tiny.json",
    "/embed" + HEAD,
    "/docs",
)


@pytest.fixture
def team(store):
    add_people(store, NOW, ada={}, ben={"blind": True})
    app = team_app(store)
    ada = logged_in(app, "ada")
    press(ada, "add_group", {"new_group": SECRET})
    label = page_of(ada).select_one('input[name^="label:"]')["name"]
    press(ada, "submit", {label: "1", "notes": SECRET})
    ada.post(f"{FEATURE}/notes", data={"base_version": "0", "label": SECRET, "note": SECRET})
    return app


def test_d16_no_page_of_a_head_shows_a_blind_annotator_what_is_hidden(team):
    ben = logged_in(team, "ben")
    for path in PATHS:
        for headers in ({}, {"HX-Request": "true"}):
            response = ben.get(path, headers=headers)
            assert SECRET not in response.text, path
    page = page_of(ben)
    assert not page.select(".suggestion, [name=suggestion], .roles i")
    assert "shown after you submit" in page.text
    value = ben.get(f"{HEAD}/annotation.json").json()
    assert (value["others"], value["others_open"]) == ([], False)


def test_d16_submitting_opens_the_head_and_a_pages_tag_does_not_keep_it_shut(team):
    ben = logged_in(team, "ben")
    tag = ben.get(HEAD).headers["ETag"]
    press(ben, "submit", {})
    opened = ben.get(HEAD, headers={"If-None-Match": tag})
    assert opened.status_code == 200
    assert SECRET in opened.text
    assert SECRET in ben.get(f"{HEAD}/history?annotator=ada").text
    assert SECRET not in ben.get(f"{FEATURE}/notes.json").text
    ben.post(f"{FEATURE}/notes", data={"base_version": "0", "label": "mine"})
    assert SECRET in ben.get(f"{FEATURE}/notes.json").text
    assert ben.get(f"{HEAD}/annotation.json").json()["record"]["blind"]


def test_known_roles_are_hidden_until_submitted_or_revealed_which_is_recorded(store, monkeypatch):
    from app.domain.annotations.records import HeadAnnotation
    from app.domain.refs import HeadRef
    from app.services.annotations import panel as annotation_panel
    from app.services.rollups.published import PublishedFacts, PublishedHead

    ref = HeadRef(0, 1)
    known = PublishedHead(ref, HeadAnnotation(roles=("copying",), notes="told by others"), True, "")
    facts = PublishedFacts("a source", {ref: known}, {}, ())
    monkeypatch.setattr(annotation_panel, "published_for", lambda _model: facts)
    add_people(store, NOW, ada={}, ben={"blind": True})
    app = team_app(store)
    for name in ("ada", "ben"):
        client = logged_in(app, name)
        assert "told by others" not in client.get(HEAD).text
        assert "hidden while you annotate" in client.get(HEAD).text
    press(client, "reveal", {})
    assert "told by others" in client.get(HEAD).text
    press(client, "submit", {"roles": "copying"})
    assert not client.get(f"{HEAD}/annotation.json").json()["record"]["blind"]
    assert "shares a role with yours" in client.get(HEAD).text
    ada = logged_in(app, "ada")
    press(ada, "submit", {})
    assert "told by others" in ada.get(HEAD).text


def test_the_history_shows_changes_and_restores(local):
    for note in ("one", "two"):
        press(local, "save", {"notes": note})
    page = page_of(local, f"{HEAD}/history")
    assert next(tag.text for tag in page.select("del")) == "one"
    assert next(tag.text for tag in page.select("ins")) == "two"
    form = page.select_one("article form")
    data = {tag["name"]: tag["value"] for tag in form.select("input")}
    assert local.post(form["action"], data=data).status_code == 303
    entries = local.get(f"{HEAD}/history.json").json()["entries"]
    assert [entry["record"]["restored_from"] for entry in entries] == [1, None, None]
    assert entries[0]["record"]["content"]["notes"] == "one"
    assert local.post(form["action"], data={**data, "base_version": "2"}).status_code in (303, 409)
    assert local.post(form["action"], data={"version": "99", "base_version": "3"}).status_code == 404
    assert local.get(f"{HEAD}/history?annotator=nobody").status_code == 404
    assert local.get(f"{HEAD}/history?annotator=%00").status_code == 404


def test_a_feature_has_a_label_and_a_note_and_groups_are_proposed_from_labels(local):
    shown = [item["feature"] for item in local.get(f"{HEAD}.json").json()["features"]][:2]
    for feature in shown:
        path = f"/tiny/features/{feature}/notes"
        assert local.post(path, data={"base_version": "0", "label": "of years"}).status_code == 303
    assert "groups from my 2 feature labels" in page_of(local).text
    press(local, "propose", {})
    labels = local.get(f"{HEAD}/annotation.json").json()["record"]["content"]["labels"]
    assert [(label["feature"], label["group"]) for label in labels[:2]] == [
        (name, "of years") for name in shown
    ]
    stale = local.post(path, data={"base_version": "0", "label": "of dates", "note": "n"})
    assert stale.status_code == 409
    page = soup(stale.text)
    assert page.select_one("#notes [name=label]")["value"] == "of dates"
    assert "of years" in page.select_one("#notes").text
    again = {tag["name"]: tag.get("value", "") for tag in page.select("#notes input")}
    assert local.post(path, data={**again, "note": "n"}).status_code == 303
    assert local.post(path, data={"base_version": "2", "label": "x" * 500}).status_code == 413
    assert local.post(path, data={"base_version": "2", "note": "\x00"}).status_code == 422


def test_d14_the_page_says_which_run_a_record_was_made_against(store):
    client = TestClient(served(store), follow_redirects=False)
    press(client, "save", {"notes": "kept"})
    first = client.get(f"{HEAD}.json").json()["run"]["fingerprint"]
    engine = open_store(store)
    publish(engine, make_run(seed=2))
    engine.dispose()
    page = page_of(client)
    assert "Annotated against run" in page.select_one(".known").text
    assert first[:8] in page.select_one(".known").text
    assert "kept" in page.select_one("textarea").text
    press(client, "save", {"notes": "again"})
    assert "Annotated against run" not in page_of(client).text


def test_d18_an_edit_that_is_left_holds_nothing_up(store):
    """There are no locks: a form that was opened and never sent keeps nobody from saving."""
    client = TestClient(served(store), follow_redirects=False)
    client.get(HEAD)
    assert press(client, "save", {"notes": "x"}).status_code == 303
    engine = open_store(store)
    with write_session(engine) as session:
        assert find_live_fingerprint(session, "tiny")
        assert "lock" not in " ".join(RunRow.metadata.tables)
    engine.dispose()
