"""Who may write: viewers, two annotators, strangers, and the labels of another SAE."""

from dataclasses import replace

from starlette.testclient import TestClient

from app.store.database.engine import open_store
from tests.support.annotated_atlas import NOW
from tests.support.html_forms import HEAD, fields_of, first_label, page_of, press, record
from tests.support.logins import add_people, logged_in, team_app
from tests.support.run_data import make_run, publish


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
    assert "labels and groups of this head (previous token) belong to another SAE of the layer" in said
    assert {
        name: value for name, value in fields_of(local.get(HEAD).text).items() if "label:" in name and value
    } == {}
    press(local, "save", {"notes": "before, and after"})
    edited = record(local)
    assert edited["content"] == {**stored["content"], "notes": "before, and after"}
    assert (edited["sae"], edited["version"]) == (stored["sae"], 2)
    assert stored["sae"][:8] in local.get(f"{HEAD}/history").text
