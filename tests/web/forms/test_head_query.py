"""How a head's page is shown stays, whatever is done in its panel: ranking, number, alignment and the open row."""

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.html_forms import HEAD, fields_of, page_of, press, record
from tests.support.soups import soup


def shown_as(address):
    """How an address shows a head's page, by ranking, number and alignment."""
    query = parse_qs(urlsplit(address).query)
    return {name: query[name] for name in ("rank", "k", "align") if name in query}


VIEW = {"rank": ["fve"], "k": ["12"], "align": ["token"]}


@pytest.fixture
def viewed(local):
    """An address of the head's page where nothing is as by default: the last row is open at its second group."""
    shown = local.get(f"{HEAD}.json?rank=fve&k=12").json()["features"]
    return f"{HEAD}?rank=fve&k=12&align=token&open={shown[-1]['feature']}&group=1"


def act(client, viewed, action, **changes):
    page = client.get(viewed).text
    address = soup(page).select_one("#annotation")["action"]
    return client.post(address, data={**fields_of(page), **changes, "action": action})


@pytest.mark.parametrize(
    "action",
    ["save", "undo", "redo", "reveal", "accept", "add_group", "drop_group:1", "cite:score:induction"],
)
def test_every_action_leads_back_to_the_page_as_it_was_shown(local, viewed, action):
    press(local, "add_group", {"new_group": "a"})
    press(local, "save", {"notes": "b"})
    if action == "redo":
        press(local, "undo", {})
    answer = act(local, viewed, action, new_group="years")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{viewed}#annotation")
    rows = page_of(local, viewed).select("article.feature-entry")
    assert [row for row in rows if "open" in row["class"]] == rows[-1:]


def test_every_link_and_form_of_the_page_keeps_how_it_is_shown(local, viewed):
    press(local, "cite:score:induction", {})
    press(local, page_of(local).select_one(".cite-example")["value"], {})
    page = page_of(local, viewed)
    assert page.select_one("#annotation")["action"] == viewed.replace("?", "/annotation?")
    changes = {"Rank by": "rank", "How many": "k", "Align": "align"}
    links = page.select('main a[href*="/heads/"]:not([href$="/ablation"], [href$="/attention"])')
    assert len(links) > 20
    for link in links:
        group = link.parent.get("aria-label")
        kept = {name: value for name, value in VIEW.items() if name != changes.get(group)}
        assert shown_as(link["href"]).items() >= kept.items(), link
    for link in page.select("article.feature-entry a.feature-id"):
        assert "align=token" in link["href"]


@pytest.mark.parametrize("action", ["submit", "unsure", "skip"])
def test_the_next_head_is_shown_as_this_one_was(local, viewed, action):
    answer = act(local, viewed, action)
    assert answer.headers["Location"] == "/tiny/heads/L0H2?rank=fve&k=12&align=token"
    page = local.get(viewed).text
    address = soup(page).select_one("#annotation")["action"]
    fields = {**fields_of(page), "action": action}
    state = local.post(address, data=fields, headers={"Accept": "application/json"}).json()
    assert shown_as(state["next"]) == VIEW


def test_a_form_that_is_not_saved_stays_on_the_page_as_it_was_shown(local, viewed):
    answer = act(local, viewed, "save", override="bisemantic")
    assert answer.status_code == 422
    page = soup(answer.text)
    assert page.select_one("#annotation")["action"] == viewed.replace("?", "/annotation?")
    assert page.select('[aria-label="Align"] [aria-current]')[0].text == "token"
    assert [row["id"] for row in page.select("article.feature-entry.open")] == [parse_qs(viewed)["open"][0]]
    broken = local.post(f"{HEAD}/annotation?rank=beauty", data={"action": "save"})
    assert broken.status_code == 422


def test_the_history_leads_back_to_the_page_as_it_was_shown(local, viewed):
    press(local, "save", {"notes": "one"})
    press(local, "save", {"notes": "two"})
    link = page_of(local, viewed).select_one("#annotation a[href*=history]")["href"]
    history = page_of(local, link)
    assert shown_as(history.select("nav a")[1]["href"]) == VIEW
    form = history.select_one("article form")
    data = {tag["name"]: tag["value"] for tag in form.select("input")}
    assert shown_as(local.post(form["action"], data=data).headers["Location"]) == VIEW
    assert record(local)["content"]["notes"] == "one"


def bar_of(page):
    return [(part["class"][0], part["class"][1]) for part in page.select(".page-top #bar > *")]


def test_the_header_has_the_bar_of_the_groups_or_says_how_to_begin(local):
    page = page_of(local)
    assert bar_of(page) == []
    assert "press 1–9" in page.select_one(".hbar").text
    names = [name for name in fields_of(local.get(HEAD).text) if name.startswith("label:")]
    labels = dict(zip(names, ["2", *"1111", "5", "unclear", "", "2", "1"], strict=True))
    press(local, "save", labels)
    page = page_of(local)
    # Largest group first, each as long as its share; what is unclear or open is hollow, one by one.
    assert bar_of(page) == [
        ("family-IN", "share-10"),
        ("family-MT", "share-4"),
        ("family-CX", "share-2"),
        ("family-open", "share-2"),
        ("family-open", "share-2"),
    ]
    assert page.select_one("#bar")["role"] == "img"
    assert page.select_one("#bar")["aria-labelledby"] == "bar counts"
    assert "5 in “induction”" in page.select_one("#counts").text


def test_a_group_is_given_by_number_or_by_name_and_a_new_name_is_a_new_group(local):
    names = [name for name in fields_of(local.get(HEAD).text) if name.startswith("label:")]
    press(
        local, "save", dict(zip(names, ["1", " Induction ", "dates", "Dates", "Unclear", "99"], strict=False))
    )
    content = local.get(f"{HEAD}/annotation.json").json()["record"]["content"]
    assert [group["name"] for group in content["groups"]] == ["induction", "dates"]
    assert [label["group"] for label in content["labels"][:6]] == ["induction"] * 2 + ["dates"] * 2 + [
        None
    ] * 2
    assert [label["unclear"] for label in content["labels"][:6]] == [False] * 4 + [True, False]
    shown = [field["value"] for field in page_of(local).select('[name^="label:"]')]
    assert shown[:6] == ["1", "1", "2", "2", "unclear", ""]
