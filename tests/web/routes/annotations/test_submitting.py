"""Submitting and skipping: the type of a head, the tally, and which head is next."""

import pytest

from tests.support.html_forms import HEAD, fields_of, first_label, page_of, press, record
from tests.support.soups import soup


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
