"""Citing from a feature's page: form without scripts, answers to scripts, undo, and who may."""

import pytest
from starlette.testclient import TestClient

from app.domain.refs import FeatureRef
from tests.support.annotated_site import team_of
from tests.support.logins import logged_in
from tests.support.run_data import StoredRun
from tests.support.serving import served
from tests.support.soups import soup as parsed

PAGE, HEAD = "/tiny/features/L0F3", "/tiny/heads/L0H1"
JSON = {"Accept": "application/json", "HX-Request": "true"}


@pytest.fixture
def site(store):
    with TestClient(served(store), follow_redirects=False) as opened:
        yield opened


def soup(client, path=f"{PAGE}?head=L0H1"):
    return parsed(client.get(path).text)


def post(client, what, head="L0H1", **headers):
    return client.post(f"{PAGE}/cite", data={"what": what, "head": head, "align": "token"}, headers=headers)


def evidence(client):
    record = client.get(f"{HEAD}/annotation.json").json()["record"]
    return [(link["kind"], link["target"]) for link in record["content"]["evidence"]] if record else []


def example(run: StoredRun, index=0) -> str:
    examples = run.features[FeatureRef(0, 3)].examples
    return f"{examples.sequence[index]}:{examples.position[index]}"


def test_without_scripts_each_row_has_a_button_of_one_form(site, run):
    page = soup(site)
    [form] = page.select("form#cite")
    assert (form["method"], form["action"]) == ("post", f"{PAGE}/cite")
    rows, buttons = page.select("ol.examples > li"), page.select("ol.examples button.cite-example[form=cite]")
    assert len(rows) == len(buttons) > 20
    assert buttons[0]["value"] == f"cite:{example(run)}"
    fields = {part["name"]: part["value"] for part in form.select("input")}
    sent = site.post(form["action"], data={**fields, "what": buttons[0]["value"]})
    assert (sent.status_code, sent.headers["Location"]) == (303, f"{PAGE}?head=L0H1#cited")
    assert evidence(site) == [("example", f"L0F3:{example(run)}")]
    page = soup(site)
    assert page.select_one("#cited").text == "Your record of L0H1 cites 1 of its examples."
    cited = page.select_one("ol.examples button.cite-example")
    assert (cited.text, cited["value"]) == ("1", f"drop:{example(run)}")
    assert "take it out" in cited["aria-label"]
    # The same row opened to its whole text, alone as htmx asks for it, knows it too.
    row = site.get(page.select_one("a.whole-link")["href"], headers={"HX-Request": "true"}).text
    assert f'value="drop:{example(run)}"' in row
    site.post(form["action"], data={**fields, "what": cited["value"]})
    assert evidence(site) == []


def test_scripts_get_what_is_cited_now_and_how_to_undo_it(site, run):
    place = example(run, 1)
    first = post(site, "cite:", **JSON).json()
    assert first == {
        "message": "Cited F3 as evidence 1 of your record of L0H1.",
        "cited": {"": 1},
        "undo": "drop:",
    }
    second = post(site, f"cite:{place}", **JSON).json()
    assert second["cited"] == {"": 1, place: 2}
    assert second["undo"] == "undo:2"
    assert post(site, f"cite:{place}", **JSON).json()["cited"] == second["cited"]
    assert site.get(f"{HEAD}/annotation.json").json()["record"]["version"] == 2
    undone = post(site, second["undo"], **JSON).json()
    assert (undone["cited"], undone["undo"]) == ({"": 1}, None)
    assert evidence(site) == [("feature", "L0F3")]
    assert post(site, second["undo"], **JSON).json() == undone  # sent again, it is the same change
    newer = post(site, f"cite:{place}", **JSON).json()
    post(site, f"cite:{example(run, 2)}", **JSON)
    late = post(site, newer["undo"], **JSON)
    assert (late.status_code, late.json()["message"][:9]) == (409, "Not saved")
    assert len(evidence(site)) == 3


def test_a_citation_leaves_the_rest_of_the_record_as_it_is(site, run):
    content = {
        "base_version": "0",
        "action": "submit",
        "notes": "read",
        "confidence": "4",
        "roles": "induction",
    }
    site.post(f"{HEAD}/annotation", data=content)
    post(site, f"cite:{example(run)}")
    record = site.get(f"{HEAD}/annotation.json").json()["record"]
    assert (record["status"], record["version"]) == ("submitted", 2)
    assert (record["content"]["notes"], record["content"]["confidence"]) == ("read", 4)


@pytest.mark.parametrize(
    ("what", "head", "status"),
    [
        ("cite:1:0", "L0H1", 404),
        ("cite:1", "L0H1", 422),
        ("cite:1:2:3", "L0H1", 422),
        ("cite:-1:2", "L0H1", 422),
        ("cite:٣:٣", "L0H1", 422),
        ("undo:", "L0H1", 422),
        ("burn:", "L0H1", 422),
        ("cite:", "L2H1", 404),
        ("cite:", "L0H9", 404),
        ("cite:", "all", 404),
    ],
)
def test_what_is_not_there_is_not_cited(site, what, head, status):
    for headers in ({}, JSON):
        answer = post(site, what, head, **headers)
        assert answer.status_code == status
        assert "٣" not in answer.text
    assert evidence(site) == []


def test_all_heads_have_no_record_to_cite_in(site):
    page = soup(site, f"{PAGE}?head=all")
    assert not page.select("form#cite, button.cite-example")
    assert page.select_one("#cited").text.startswith("To cite an example choose one head")


def test_readers_and_frames_have_nothing_to_press(store, run):
    app = team_of(store)
    with logged_in(app, "vera") as client:
        assert not soup(client).select("#cite, .cite-example, #cited")
        assert post(client, f"cite:{example(run)}").status_code == 403
    with logged_in(app, "ben") as client:
        assert len(soup(client).select("#cite")) == 1
        assert not soup(client, f"/embed{PAGE}?head=L0H1").select("#cite, .cite-example, #cited")
