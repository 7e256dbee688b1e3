"""The form beside a head: what each of its buttons does, with scripts and without."""

import re

from tests.support.html_forms import HEAD, button, fields_of, first_label, page_of, press, record
from tests.support.soups import soup


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


def test_a_group_without_a_feature_is_stored_only_while_groups_are_added_and_removed(local):
    for name in ("towns", "dates", "months"):
        press(local, "add_group", {"new_group": name})
    press(local, "drop_group:2", {})
    assert [group["name"] for group in record(local)["content"]["groups"]] == ["towns", "months"]
    press(local, "save", {first_label(local): "2"})
    assert [group["name"] for group in record(local)["content"]["groups"]] == ["months"]
    press(local, "submit", {first_label(local): ""})
    assert record(local)["content"]["groups"] == []


def test_groups_of_the_last_head_are_offered_first_in_their_order(local):
    for name in ("towns", "dates"):
        press(local, "add_group", {"new_group": name}, "/tiny/heads/L0H3")
    press(local, "add_group", {"new_group": "dates"}, "/tiny/heads/L0H2")
    press(local, "add_group", {"new_group": "months"}, "/tiny/heads/L0H3")
    offered = [item["value"] for item in page_of(local).select('[name="group_name"]')]
    assert offered[:4] == ["towns", "dates", "months", "induction"]
    assert len(offered) == 9


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
    cite = page_of(local).select_one(".example-row .cite-example")["value"]
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
    assert "Ranks are those by FVE" in page_of(local).select_one("#type").text
    assert "Places are those" not in page_of(local, f"{HEAD}?rank=fve").select_one("#type").text


def test_labels_of_features_that_are_not_shown_stay(local):
    path = f"{HEAD}?k=20"
    fields = fields_of(local.get(path).text)
    last = [name for name in fields if name.startswith("label:")][-1]
    local.post(f"{HEAD}/annotation", data={**fields, last: "1", "action": "save"})
    press(local, "save", {"notes": "seen from ten rows"})
    labels = {label["feature"]: label["group"] for label in record(local)["content"]["labels"]}
    assert labels[last.removeprefix("label:")] == "induction"
