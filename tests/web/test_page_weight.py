"""What a head's page weighs: under 100,000 bytes, and under 25,000 compressed, whatever is annotated and shown."""

import gzip
import re

import pytest
from bs4 import BeautifulSoup

from app.domain.annotations.records import FeatureLabel, Group, HeadAnnotation
from app.domain.refs import HeadRef
from app.services.examples.models import FeatureThroughHead
from app.services.heads.page import HeadQuestion, head_page
from app.services.reading.cache import RunCache
from app.services.reading.reading import Reading
from app.store.atlas.reads import get_live_run
from app.store.database.engine import open_store, read_session
from tests.support.annotated_atlas import NOW
from tests.support.annotated_site import annotate
from tests.support.logins import add_people, logged_in, team_app
from tests.support.run_data import Shape, make_run, publish

MAX_HTML, MAX_COMPRESSED = 100_000, 25_000
FAMILIES = ("IN", "MT", "LX", "CX", "GR", "CO", "unclear", "IN", "LX")
VIEWS = ("", "?k=20", "?k=20&rank=fve&align=token")


def labelled_by_turns(features: tuple[FeatureThroughHead, ...]) -> HeadAnnotation:
    """Nine groups with long names, all features in one of them."""
    groups = tuple(Group(f"group {i} of a name as long as names are", f) for i, f in enumerate(FAMILIES))
    labels = tuple(FeatureLabel(row.feature, groups[i % 9].name) for i, row in enumerate(features))
    return HeadAnnotation(groups=groups, labels=labels, roles=("induction", "copying"), notes="why " * 50)


@pytest.fixture
def annotated(store):
    """A browser of ada's on an atlas of twenty features a head, all annotated by her and by ben."""
    add_people(store, NOW, ada={}, ben={})
    engine = open_store(store)
    publish(engine, make_run(seed=3, shape=Shape(features_per_layer=24)))
    with read_session(engine) as session:
        run = get_live_run(session, "tiny")
        reading = Reading(session, run, RunCache())
        heads = [HeadRef(layer, head) for layer in (0, 2) for head in range(run.record.model.n_heads)]
        said = {ref: labelled_by_turns(head_page(reading, HeadQuestion(ref, k=20)).features) for ref in heads}
    engine.dispose()
    for ref, content in said.items():
        for name in ("ada", "ben"):
            annotate(store, name, content, ref)
    with logged_in(team_app(store), "ada") as client:
        yield client, heads


def test_annotated_head_pages_stay_light(annotated):
    client, heads = annotated
    for ref in heads:
        for view in VIEWS:
            page = client.get(f"/tiny/heads/{ref}{view}")
            assert page.status_code == 200
            assert len(page.content) < MAX_HTML, (ref, view)
            assert len(gzip.compress(page.content, 6)) < MAX_COMPRESSED, (ref, view)


def test_a_row_costs_the_same_whatever_groups_there_are(annotated):
    client, _ = annotated
    page = BeautifulSoup(client.get("/tiny/heads/L0H1?k=20").text, "html.parser")
    rows = page.select("article.ft")
    assert len(rows) == 20
    assert not page.select("article select, article option")
    assert len(page.select("#slots option")) == 10
    for row in rows:
        [field] = row.select("input")
        assert (field["list"], field["form"]) == ("slots", "annotation")
        assert field["aria-label"] == f"Group of {row.select_one('.fid').text}"
        name = row.select_one(".gp > span").text
        assert name == f"group {int(field['value']) - 1} of a name as long as names are"
    # What a chip or a mark says is told once, beside the rows.
    assert not page.select(".ft .ev[title]")
    told = {item.text for item in page.select(".rail dt")}
    assert {re.sub(r" \d+/\d+$", "", chip.text) for chip in page.select(".ft .ev")} - {"BOS"} <= told | {
        "DFA"
    }


def test_rows_below_the_tenth_have_shorter_strips(annotated):
    client, _ = annotated
    rows = BeautifulSoup(client.get("/tiny/heads/L0H1?k=20").text, "html.parser").select("article.ft .pv")
    lengths = [max(len(half.text) for half in row.select(".k > b")) for row in rows]
    assert max(lengths[9:]) <= 30 + 20 < 44 + 20
    assert all(row.select(".kR > b > .pk") for row in rows)
