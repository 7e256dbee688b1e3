"""Pages that are looked at together after a save: always the page that would be built, for this reader, of this run."""

from dataclasses import replace

import pytest

from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from app.web.page_cache import PageCache
from tests.support.logins import logged_in, visitor
from tests.support.queries import counted
from tests.support.run_data import make_run, publish
from tests.support.writers import Writer, drawn

PAGE = "/tiny/heads/L0H1"
OTHER = "/tiny/heads/L0H0"


@pytest.fixture
def store(store_of_each_engine):
    return store_of_each_engine


def test_after_a_save_elsewhere_all_pages_asked_for_lately_are_looked_at_together(team, store_engine):
    ada, ben = logged_in(team, "ada"), logged_in(team, "ben")
    heads = [f"/tiny/heads/{HeadRef(layer, head)}" for layer in range(3) for head in range(4)]
    paths = [*heads, "/tiny/features/L0F3", "/tiny/features/L0F10"]
    before = {path: ada.get(path) for path in paths}
    others = [ben.get(path).text for path in paths]
    Writer(store_engine, "root").save(HeadRef(2, 1), HeadAnnotation(notes="by root"))
    shown = "/tiny/heads/L2H1"
    ada.get(paths[0])
    unchanged = [path for path in paths if path != shown]
    with counted(team.state.app_context.engine) as statements, drawn(team) as templates:
        for path in unchanged:
            after = ada.get(path)
            assert (after.text, after.headers["ETag"]) == (before[path].text, before[path].headers["ETag"])
        assert not statements
        assert "by root" in ada.get(shown).text
    assert templates == ["pages/head.html"]
    assert "by root" not in before[shown].text
    assert [ben.get(path).text for path in paths] == others  # of root's record ben sees nothing yet


def test_pages_of_another_run_are_not_taken_for_what_is_shown_now(team, store_engine):
    """Of a run that differs in nothing that the annotation panel of these heads shows."""
    ada, paths = logged_in(team, "ada"), ("/tiny/heads/L0H2", "/tiny/heads/L0H3")
    before, run = [ada.get(path).text for path in paths], make_run()
    heads = [replace(head, scores=dict.fromkeys(head.scores, 0.125)) for head in run.heads]
    publish(store_engine, replace(run, heads=heads, record=replace(run.record, fingerprint="other" * 12)))
    after = [ada.get(path).text for path in paths]
    team.state.app_context.pages = PageCache()
    assert after == [ada.get(path).text for path in paths]
    assert all(text != other for text, other in zip(before, after, strict=True))


def test_the_first_save_of_somebody_leaves_their_other_pages_in_memory(local):
    paths = ["/tiny/heads/L0H1", "/tiny/heads/L1H1", "/tiny/features/L0F3"]
    before = [local.get(path).text for path in paths]
    saved = {"action": "save", "base_version": 0, "notes": "first"}
    assert local.post("/tiny/heads/L2H3/annotation", data=saved).status_code < 400
    local.get(paths[0])
    with counted(local.app.state.app_context.engine) as statements:
        assert [local.get(path).text for path in paths] == before
    assert not statements


def test_a_copy_of_a_cookie_opens_nothing_that_another_session_had_looked_at(team):
    first, second = logged_in(team, "ada"), logged_in(team, "ada")
    for client in (first, second):
        assert [client.get(path).status_code for path in (PAGE, OTHER)] == [200, 200]
    cookie = {"Cookie": f"head_atlas_session={first.cookies['head_atlas_session']}"}
    assert visitor(team).get(PAGE, headers=cookie).status_code == 200
    assert first.post("/logout").status_code == 303
    assert [second.get(path).status_code for path in (PAGE, OTHER)] == [200, 200]
    assert visitor(team).get(PAGE, headers=cookie).status_code == 303


def test_who_may_only_read_from_now_on_has_no_form_on_any_page(team, store_engine):
    ada, field = logged_in(team, "ada"), 'name="base_version"'
    assert [field in ada.get(path).text for path in (PAGE, OTHER)] == [True, True]
    Writer(store_engine, "ada").change(role="viewer")
    assert [field in ada.get(path).text for path in (PAGE, OTHER)] == [False, False]


def test_two_orders_of_work_in_one_place_are_told_apart_when_only_one_of_them_changes(team, store_engine):
    by_layer, by_others = logged_in(team, "ada"), logged_in(team, "ada")
    by_others.cookies.set("order_of_work", "disagreement")
    page = "/tiny/heads/L0H3"
    before = {client: client.get(page).text for client in (by_layer, by_others)}
    assert before[by_layer] == before[by_others]
    Writer(store_engine, "root").save(HeadRef(2, 0), HeadAnnotation())
    assert by_layer.get(page).text == before[by_layer]
    assert by_others.get("/tiny/layers").status_code == 200  # their session is known to be a valid one still
    assert by_others.get(page).text != before[by_others]
