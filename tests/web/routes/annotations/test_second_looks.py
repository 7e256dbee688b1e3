"""The page of a second look: nothing of the first is on it, in its JSON, its rows or its history."""

import pytest

from tests.support.annotated_atlas import NOW
from tests.support.html_forms import HEAD, fields_of, first_label, record
from tests.support.logins import add_people, logged_in, team_app
from tests.support.queries import count_queries
from tests.support.soups import soup

LOOK = f"{HEAD}?look=L0H1"
OF_ALL_HEADS = (
    "/tiny",
    "/tiny.json",
    "/tiny/annotations",
    "/tiny/annotations.csv",
    "/tiny/annotations.json",
    "/tiny/annotations/publish",
    "/tiny/annotations/publish.json",
    "/tiny/agreement.json",
    "/tiny/layers",
    "/tiny/layers.json",
    "/tiny/published",
    "/tiny/experiments",
    "/tiny/compare?heads=L0H1,L0H2",
    "/tiny/compare.json?heads=L0H1",
    "/tiny/search?q=status:submitted",
    "/tiny/search.json?q=status:submitted",
    "/tiny/features/L0F3?head=L0H1",
    "/tiny/features/L0F3/notes.json",
    "/embed/tiny/heads/L0H1",
)
GROUP, NOTE, CLAIM = "zebra crossings", "a first note, qqx", "claimed qqy"


def send(client, address, action, changes):
    page = client.get(address).text
    return client.post(
        soup(page).select_one("#annotation")["action"], data={**fields_of(page), **changes, "action": action}
    )


@pytest.fixture
def labelled_once(local):
    send(local, HEAD, "add_group", {"new_group": GROUP})
    labels = {name: "1" for name in fields_of(local.get(HEAD).text) if name.startswith("label:")}
    send(local, HEAD, "cite:score:induction", {})
    first = {**labels, "notes": NOTE, "evidence_note": CLAIM, "roles": ["copying"], "confidence": "4"}
    send(local, HEAD, "submit", first)
    return local


def addresses(client):
    feature = first_label(client).removeprefix("label:")
    return (
        LOOK,
        f"{LOOK}&open={feature}",
        f"{LOOK}&k=20&rank=fve",
        f"{HEAD}/annotation.json?look=L0H1",
        f"{HEAD}/history?look=L0H1",
        f"{HEAD}/history.json?look=L0H1",
        f"{HEAD}.json",
        *(f"{address}{'&' if '?' in address else '?'}look=L0H1" for address in OF_ALL_HEADS),
    )


def test_nothing_of_the_first_look_is_on_the_page_of_the_second(labelled_once):
    assert_nothing_of_first(labelled_once, addresses(labelled_once))
    form = soup(labelled_once.get(LOOK).text)
    assert form.select_one("#ann-title").text == "Second look"
    assert not form.select("[name=roles][checked], [name=confidence][checked], .others-record details")
    assert form.select_one("[name=base_version]")["value"] == "0"


def test_links_of_the_page_lead_to_the_same_look(labelled_once):
    page = soup(labelled_once.get(f"{LOOK}&open={first_label(labelled_once).removeprefix('label:')}").text)
    own = [a["href"] for a in page.select(f'main a[href^="{HEAD}"]')]
    own = [href for href in own if not href.endswith(("/ablation", "/attention"))]  # without records
    assert len(own) > 10
    assert all("look=L0H1" in href for href in own)
    # The next head to annotate leads away from the look; other heads are offered the names of all groups in use.
    links = {a["href"].partition("#")[0] for a in page.select('main a[href^="/tiny/"]:not([data-key="n"])')}
    links |= {tag["hx-get"] for tag in page.select("[hx-get]")}
    search = page.select_one("form.search")
    hidden = "".join(f"&{tag['name']}={tag['value']}" for tag in search.select("[type=hidden]"))
    links.add(f"{search['action']}?q=status:submitted{hidden}")
    assert len(links) > 30
    assert_nothing_of_first(labelled_once, links)


def assert_nothing_of_first(client, addresses):
    for address in addresses:
        for headers in ({}, {"HX-Request": "true"}):
            answer = client.get(address, headers=headers, follow_redirects=True)
            assert answer.status_code == 200, address
            for text in (GROUP, NOTE, CLAIM):
                assert text not in answer.text, (address, text)


def test_the_second_record_is_stored_beside_the_first_and_shown_as_agreement(labelled_once):
    first = record(labelled_once)
    labels = {name: "2" for name in fields_of(labelled_once.get(LOOK).text) if name.startswith("label:")}
    answer = send(labelled_once, LOOK, "submit", {**labels, "notes": "again"})
    assert answer.status_code == 303
    assert "look=L0H1" not in answer.headers["Location"]
    assert record(labelled_once) == first
    again = labelled_once.get(f"{HEAD}/annotation.json?look=L0H1").json()["record"]
    assert (again["status"], again["content"]["notes"], again["version"]) == ("submitted", "again", 1)
    rows = soup(labelled_once.get("/tiny/annotations").text).select(
        '[aria-label^="Self-consistency"] tbody tr'
    )
    cells = {row.th.contents[0]: [cell.text for cell in row.select("td")] for row in rows}
    assert cells["head type"][:2] == ["1", "100%"]
    assert cells["group of a feature"][:2] == ["10", "0%"]
    [found] = labelled_once.get("/tiny/agreement.json").json()["consistency"]
    assert found["n_heads"] == 1
    for address in ("/tiny/annotations.csv", "/tiny/annotations.json"):
        assert "again" in labelled_once.get(address).text


def test_without_a_submitted_record_there_is_nothing_to_look_at_again(local):
    assert local.get(LOOK).status_code == 404
    send(local, HEAD, "save", {"notes": "a draft"})
    assert local.get(LOOK).status_code == 404


def test_the_choice_is_remembered_for_this_atlas(labelled_once):
    answer = labelled_once.get("/tiny/next?again=yes")
    assert "second_looks=yes" in answer.headers["Set-Cookie"]
    assert "Path=/tiny" in answer.headers["Set-Cookie"]
    assert soup(labelled_once.get("/tiny").text).select('a[href="/tiny/next?again=no"]')
    labelled_once.get("/tiny/next?again=no")
    assert soup(labelled_once.get("/tiny").text).select('a[href="/tiny/next?again=yes"]')


def test_a_look_has_a_tag_of_its_own_which_changes_with_the_record(labelled_once):
    tags = {address: labelled_once.get(address).headers["ETag"] for address in (HEAD, LOOK)}
    assert len(set(tags.values())) == 2
    assert labelled_once.get(LOOK, headers={"If-None-Match": tags[HEAD]}).status_code == 200
    assert labelled_once.get(LOOK, headers={"If-None-Match": tags[LOOK]}).status_code == 304
    send(labelled_once, LOOK, "save", {"notes": "again"})
    assert "again" in labelled_once.get(LOOK, headers={"If-None-Match": tags[LOOK]}).text


def test_what_is_cited_on_the_page_of_a_feature_is_cited_in_the_look(labelled_once):
    first = record(labelled_once)
    feature = first_label(labelled_once).removeprefix("label:")
    link = soup(labelled_once.get(LOOK).text).select_one(f'a[href^="/tiny/features/{feature}?"]')["href"]
    form = soup(labelled_once.get(link).text).select_one("#cite")
    fields = {tag["name"]: tag["value"] for tag in form.select("input")}
    answer = labelled_once.post(form["action"], data={**fields, "what": "cite:"})
    assert "look=L0H1" in answer.headers["Location"]
    assert record(labelled_once) == first
    again = labelled_once.get(f"{HEAD}/annotation.json?look=L0H1").json()["record"]
    assert [link["target"] for link in again["content"]["evidence"]] == [feature]


def test_a_second_look_costs_no_query_of_who_has_not_chosen_it_and_few_of_who_has(labelled_once):
    engine = labelled_once.app.state.app_context.engine
    labelled_once.get(f"{HEAD}?k=12")  # from now on the records are in memory
    queries = {name: count_queries(engine, labelled_once, name) for name in (HEAD, LOOK)}
    labelled_once.get("/tiny/next?again=yes")
    assert count_queries(engine, labelled_once, f"{HEAD}?k=11") == queries[HEAD]
    assert queries[LOOK] <= queries[HEAD] + 1


def test_others_do_not_see_a_draft_of_a_look(store):
    add_people(store, NOW, ada={}, ben={})
    app = team_app(store)
    ada, ben = logged_in(app, "ada"), logged_in(app, "ben")
    send(ada, HEAD, "submit", {"notes": NOTE})
    send(ada, LOOK, "save", {"notes": GROUP})
    for address in (HEAD, f"{HEAD}/annotation.json", f"{HEAD}/history?annotator=ada", *OF_ALL_HEADS):
        assert GROUP not in ben.get(address).text, address
    assert ben.get(f"{HEAD}/history?annotator=ada&look=L0H1").status_code == 404
    assert GROUP in ada.get(f"{HEAD}/history?look=L0H1").text
