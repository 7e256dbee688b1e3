"""The comparison with published labels."""

import re
from dataclasses import replace

import pytest

from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from app.store.database.engine import open_store
from tests.support.annotated_atlas import NOW
from tests.support.annotated_site import annotate
from tests.support.logins import add_people, logged_in, team_app
from tests.support.run_data import RunShape, make_run, publish
from tests.support.sheet_pages import soup_of


@pytest.fixture
def gpt2(make_sqlite_store):
    """An atlas of the model that the reference is about."""
    store = make_sqlite_store()
    run = make_run(shape=RunShape(12, 12, (0,), 4))
    engine = open_store(store)
    publish(engine, replace(run, record=replace(run.record, model=replace(run.record.model, name="gpt2"))))
    engine.dispose()
    add_people(store, NOW, ada={}, ben={"blind": True})
    return store


def test_the_comparison_with_the_published_reference(gpt2):
    said = HeadAnnotation(roles=("induction",), override="monosemantic", override_reason="x")
    annotate(gpt2, "ada", said, HeadRef(5, 1))
    with logged_in(team_app(gpt2), "ada") as ada:
        page = ada.get("/tiny/published.json").json()
        assert [row["head"] for row in page["comparison"]["heads"]] == ["L5H1"]
        assert (page["comparison"]["n_known_recovered"], page["n_hidden"]) == (1, 0)
        assert (page["totals"]["n_heads"], page["totals"]["by_type"]["monosemantic"]) == (144, 14)
        assert len(page["contradictions"]) == 7
        soup = soup_of(ada, "/tiny/published")
        assert "1/1 100%" in soup.select_one(".tall").get_text(" ", strip=True)
        assert "14/144 9.7%" in soup.get_text(" ", strip=True)
        assert "L6H9" in soup.select_one(".heads").text
        layers = soup_of(ada, "/tiny/layers?by=ada")
        assert [th.text for th in layers.select(".tall thead th")][3] == "published"
        assert "where the published count is 39 of 144" in layers.get_text(" ", strip=True)
        assert "L4H11" in layers.select(".layer-table tbody tr")[4].text


def test_d16_published_facts_are_hidden_from_a_blind_annotator(gpt2):
    with logged_in(team_app(gpt2), "ben") as ben:
        for path in ("/tiny/published", "/tiny/published.json", "/tiny/layers", "/tiny/layers.json"):
            text = ben.get(path).text
            assert "L6H9" not in re.sub(r"/heads/\w+", "", text)
            assert "copy suppression" not in text
            assert not re.search(r"\b39 of 144|14/144", text)
        annotate(gpt2, "ben", HeadAnnotation(roles=("induction",)), HeadRef(6, 9))
        page = ben.get("/tiny/published.json").json()
        assert [row["head"] for row in page["comparison"]["heads"]] == ["L6H9"]
        assert page["n_hidden"] > 40
        assert page["totals"] is None
        assert page["contradictions"] == []
