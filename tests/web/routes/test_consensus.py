"""Settling a head: an admin's record beside the others, and nothing lost when two settle at once."""

from contextlib import ExitStack

import pytest

from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from tests.support.annotated_site import SECRET, annotate, team_of
from tests.support.logins import logged_in
from tests.support.soups import soup as parsed

PATH = "/tiny/annotations/settle/L2H3"


@pytest.fixture
def own(store):
    team = team_of(store)
    with ExitStack() as opened:
        yield store, lambda name: opened.enter_context(logged_in(team, name))


def form(client, path=PATH):
    """The fields as a browser would send them unchanged, and the page."""
    response = client.get(path)
    assert response.status_code == 200
    return fields(response.text)


def fields(text):
    soup = parsed(text)
    sent = {tag["name"]: tag.get("value", "") for tag in soup.select("main input:not([type=radio])")}
    sent["base"] = soup.select_one("input[type=radio][checked]")["value"]
    chosen = soup.select_one("select[name=head_type] [selected]")
    sent["head_type"] = chosen["value"] if chosen else ""
    sent["notes"] = soup.select_one("textarea").text.lstrip("\n")
    return sent, soup


def consensus(client):
    heads = client.get("/tiny/annotations.json").json()["heads"]
    return {row["head"]: row for row in heads if row["annotator"] == "consensus"}


def test_the_list_of_heads_to_settle_leads_to_the_form_and_back(own):
    root = own[1]("root")
    soup = parsed(root.get("/tiny/annotations").text)
    links = [link["href"] for link in soup.select("#settle a.link")]
    assert links == ["/tiny/annotations/settle/L0H1", PATH]
    sent, soup = form(root)
    assert (sent["base"], sent["roles"], sent["base_version"]) == ("ada", "copying", "0")
    assert [label.b.text for label in soup.select(".sources label")] == ["ada", "root", "none of them"]
    assert SECRET in soup.select_one(".sources").text
    sent |= {"base": "root", "roles": "induction; CP, induction", "notes": "as agreed"}
    saved = root.post(PATH, data=sent)
    assert (saved.status_code, saved.headers["Location"]) == (303, "/tiny/annotations#settle")
    row = consensus(root)["L2H3"]
    assert (row["head_type"], row["roles"], row["notes"]) == (
        "monosemantic",
        "induction; copying",
        "as agreed",
    )
    assert (row["author"], row["status"], row["confidence"]) == ("root", "submitted", "")
    page = parsed(root.get("/tiny/annotations").text)
    assert "settled change" in page.select("#settle tr")[1].get_text(" ", strip=True)
    # The consensus is no annotator: what they disagree about is still told.
    assert len(page.select("#settle tr")) == 2


def test_another_type_needs_a_reason(own):
    root = own[1]("root")
    sent, _ = form(root)
    sent |= {"head_type": "polysemantic", "notes": "kept\nacross"}
    refused = root.post(PATH, data=sent)
    assert refused.status_code == 422
    again, soup = fields(refused.text)
    assert "needs a reason" in soup.select_one("[role=alert]").text
    assert (again["head_type"], again["notes"]) == ("polysemantic", "kept\nacross")
    assert consensus(root) == {}
    assert root.post(PATH, data=again | {"reason": "unrelated contexts"}).status_code == 303
    row = consensus(root)["L2H3"]
    assert (row["override"], row["override_reason"]) == ("polysemantic", "unrelated contexts")


def test_two_who_settle_at_once_lose_nothing(own):
    root = own[1]("root")
    first, _ = form(root)
    second, _ = form(root)
    assert first["key"] != second["key"]
    assert root.post(PATH, data=first | {"notes": "mine"}).status_code == 303
    refused = root.post(PATH, data=second | {"notes": "theirs"})
    assert refused.status_code == 409
    again, soup = fields(refused.text)
    assert "settled this head" in soup.select_one("[role=alert]").text
    assert again["notes"] == "theirs"
    assert consensus(root)["L2H3"]["notes"] == "mine"
    assert root.post(PATH, data=again).status_code == 303
    assert consensus(root)["L2H3"]["notes"] == "theirs"
    assert consensus(root)["L2H3"]["version"] == "2"


def test_a_refused_form_stays_of_the_version_it_was_filled_from(own):
    root = own[1]("root")
    early, _ = form(root)
    assert root.post(PATH, data=form(root)[0] | {"notes": "settled meanwhile"}).status_code == 303
    wrong = root.post(PATH, data=early | {"roles": "flying"})
    assert wrong.status_code == 422
    corrected = fields(wrong.text)[0] | {"roles": ""}
    assert root.post(PATH, data=corrected).status_code == 409
    assert consensus(root)["L2H3"]["notes"] == "settled meanwhile"


def test_sending_a_form_twice_settles_once(own):
    root = own[1]("root")
    sent, _ = form(root)
    assert [root.post(PATH, data=sent).status_code for _ in range(3)] == [303] * 3
    assert consensus(root)["L2H3"]["version"] == "1"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"base": "nobody"}, 422),
        ({"roles": "flying"}, 422),
        ({"head_type": "x"}, 422),
        ({"notes": "a\x07"}, 422),
        ({"notes": "x" * 70_000}, 413),
        ({"base_version": "-1"}, 422),
        ({"key": ""}, 422),
    ],
)
def test_what_cannot_be_a_consensus(own, change, status):
    root = own[1]("root")
    sent, _ = form(root)
    assert root.post(PATH, data=sent | change).status_code == status
    assert consensus(root) == {}


def test_only_admins_settle(own):
    login = own[1]
    for name in ("ada", "ben", "vera"):
        client = login(name)
        assert client.get(PATH).status_code == 403
        assert client.post(PATH, data={"key": "k", "base": ""}).status_code == 403
        assert "/settle/" not in client.get("/tiny/annotations").text
    root = login("root")
    assert root.get("/tiny/annotations/settle/L9H9").status_code == 404
    assert root.get("/tiny/annotations/settle/x").status_code == 404
    assert consensus(root) == {}


def test_a_head_that_nobody_annotated_can_be_settled(own):
    store, login = own
    root = login("root")
    sent, _ = form(root, "/tiny/annotations/settle/L1H2")
    assert sent["base"] == ""
    assert root.post("/tiny/annotations/settle/L1H2", data=sent | {"notes": "n"}).status_code == 303
    assert consensus(root)["L1H2"]["notes"] == "n"
    annotate(store, "ada", HeadAnnotation(), HeadRef(1, 2))
    sent, _ = form(root, "/tiny/annotations/settle/L1H2")
    assert (sent["base"], sent["notes"], sent["base_version"]) == ("consensus", "n", "1")
