"""Keys that label the features of a head."""

import re

from playwright.sync_api import Page, expect

from tests.support.browsing import Visit
from tests.support.keys.registry import key, mono, press, rows


# Each check of a label has a head of its own.
def label(tab: Visit, page: Page, head: int) -> None:
    tab.go(f"/wide/heads/L1H{head}")
    expect(page.locator("#saved")).to_have_text("nothing saved yet")


def saved(page: Page) -> dict[str, object]:
    expect(page.locator("#saved")).to_have_text(re.compile(r"^(saved|undo|redo|accept)"))
    return content(page)


def content(page: Page) -> dict[str, object]:
    record = page.request.get(f"{page.url.split('?')[0]}/annotation.json").json()["record"]
    return record["content"]


def labels(page: Page) -> list[tuple[object, bool]]:
    found = saved(page)["labels"]
    assert isinstance(found, list)
    return [(each["group"], each["unclear"]) for each in found]


@key("labels", "1", "9")
def features_are_put_into_groups(tab: Visit, page: Page) -> None:
    label(tab, page, 10)
    assert page.locator("#groups li").count() == 7
    for name in ("dates", "names"):  # they get the numbers 1 and 2, and what was offered there 8 and 9
        press(page, "g")
        page.keyboard.type(name)
        press(page, "↵")
    press(page, "1", "9", "8")
    assert [group for group, _ in labels(page)][:6] == [
        "dates",
        "names",
        "dates",
        "previous token",
        "induction",
        None,
    ]


@key("labels", "0", "-")
def a_label_is_cleared_or_unclear(tab: Visit, page: Page) -> None:
    label(tab, page, 11)
    press(page, "1", "-")
    assert [unclear for _, unclear in labels(page)][:3] == [False, True, False]
    rows(page).first.focus()
    press(page, "0")
    expect(page.locator("#grouped")).to_have_text("1 of 10 grouped")
    expect(page.locator("#saved")).to_have_text(re.compile("^saved"))
    assert labels(page)[0] == (None, False)


@key("labels", "g")
def a_new_group(tab: Visit, page: Page) -> None:
    label(tab, page, 12)
    press(page, "g")
    page.keyboard.type("dates")
    press(page, "↵")
    assert labels(page)[0] == ("dates", False)


@key("labels", "y")
def a_suggestion_is_accepted(tab: Visit, page: Page) -> None:
    label(tab, page, 13)
    n = page.locator(".suggestion").count()
    page.locator("article.feature-entry:has(.suggestion)").first.focus()
    press(page, "y")
    expect(page.locator(".suggestion")).to_have_count(n - 1)
    saved(page)
    found = content(page)["labels"]
    assert isinstance(found, list)
    assert [each["suggested"] for each in found].count(True) == 1


@key("labels", "Y")
def all_suggestions_are_accepted(tab: Visit, page: Page) -> None:
    label(tab, page, 14)
    n = page.locator(".suggestion").count()
    assert n > 1
    press(page, "Y")
    expect(page.locator(".suggestion")).to_have_count(0)
    expect(page.locator("#saved")).to_have_text(re.compile("^saved"))
    found = content(page)["labels"]
    assert isinstance(found, list)
    assert [each["suggested"] for each in found].count(True) == n


@key("labels", "r")
def a_role_is_toggled(tab: Visit, page: Page) -> None:
    label(tab, page, 15)
    choice = page.locator("#roles label").nth(2)
    box = choice.locator("input")
    press(page, "r", choice.locator("kbd").inner_text())
    expect(box).to_be_checked()
    assert saved(page)["roles"] == [box.get_attribute("value")]


@key("labels", "t")
def a_type_is_chosen(tab: Visit, page: Page) -> None:
    label(tab, page, 20)
    press(page, "t", "p")
    reason = page.locator("[name=override_reason]")
    expect(reason).to_be_focused()
    page.keyboard.type("two of them are one")
    expect(page.locator("#type b")).to_have_text("polysemantic")
    expect(page.locator("#saved")).to_have_text(re.compile("^saved"))
    assert (content(page)["override"], content(page)["override_reason"]) == (
        "polysemantic",
        "two of them are one",
    )


@key("labels", "[", "]")
def confidence_goes_up_and_down(tab: Visit, page: Page) -> None:
    label(tab, page, 16)
    for each, level in (("]", "1"), ("]", "2"), ("]", "3"), ("[", "2")):
        press(page, each)
        expect(page.locator(f"[name=confidence][value='{level}']")).to_be_checked()


@key("labels", "c")
def the_strongest_example_is_cited(tab: Visit, page: Page) -> None:
    label(tab, page, 17)
    press(page, "j", "c")
    expect(page.locator("#evidence [name=evidence_note]")).to_be_focused()
    found = saved(page)["evidence"]
    assert isinstance(found, list)
    assert found[0]["target"].startswith(f"{rows(page).first.get_attribute('id')}:")


@key("labels", "m")
def notes_take_the_focus(tab: Visit, page: Page) -> None:
    label(tab, page, 18)
    press(page, "m")
    expect(page.locator("[name=notes]")).to_be_focused()


@key("labels", "u", "U")
def undo_and_redo(tab: Visit, page: Page) -> None:
    label(tab, page, 19)
    press(page, "]")
    saved(page)
    press(page, "]")
    expect(page.locator("[value=undo]")).to_be_enabled()
    for each, word, level in (("u", "undo", 1), ("U", "redo", 2)):
        press(page, each)
        expect(page.locator("#saved")).to_have_text(f"{word}: done")
        assert content(page)["confidence"] == level


def settled(tab: Visit, page: Page, head: int, name: str, status: str) -> None:
    label(tab, page, head)
    press(page, name)
    if status == "submitted":  # all features are open, so it asks once
        expect(page.locator("#asks")).to_contain_text("10 of 10 features are open")
        press(page, name)
    expect(mono(page)).to_have_text(f"L1H{head + 1}")
    found = page.request.get(f"{tab.base}/wide/heads/L1H{head}/annotation.json").json()
    assert found["record"]["status"] == status


@key("labels", "s")
def a_head_is_skipped(tab: Visit, page: Page) -> None:
    settled(tab, page, 30, "s", "skipped")


@key("labels", "Ctrl+↵")
def a_head_is_submitted(tab: Visit, page: Page) -> None:
    settled(tab, page, 40, "Ctrl+↵", "submitted")
