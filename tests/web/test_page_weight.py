"""What atlas and head pages weigh as they are sent, compressed, whatever is annotated and shown."""

import re
import shutil

import pytest

from app.domain.annotations.records import FeatureLabel, Group, HeadAnnotation
from app.domain.refs import HeadRef
from app.services.examples.models import FeatureThroughHead
from app.services.heads.page import HeadQuestion, head_page
from app.services.reading.context import AtlasContext
from app.store.atlas.reads import get_live_run
from app.store.database.engine import open_store, read_session
from tests.support.annotated_atlas import NOW
from tests.support.annotated_site import annotate
from tests.support.logins import add_people, logged_in, team_app
from tests.support.response_sizes import MAX_HTML, MAX_SCRIPTS, MAX_STYLES, sent_bytes
from tests.support.run_data import RunShape, make_run, publish
from tests.support.soups import soup as parsed

FAMILIES = ("IN", "MT", "LX", "CX", "GR", "CO", "unclear", "IN", "LX")
VIEWS = ("", "?k=20", "?k=20&rank=fve&align=token")


def labelled_by_turns(features: tuple[FeatureThroughHead, ...]) -> HeadAnnotation:
    """Nine groups with long names, all features in one of them."""
    groups = tuple(Group(f"group {i} of a name as long as names are", f) for i, f in enumerate(FAMILIES))
    labels = tuple(FeatureLabel(row.feature, groups[i % 9].name) for i, row in enumerate(features))
    return HeadAnnotation(groups=groups, labels=labels, roles=("induction", "copying"), notes="why " * 50)


@pytest.fixture(scope="module")
def store(published, tmp_path_factory):
    """A store of this module's own: no test changes what another looks at."""
    return str(shutil.copyfile(published, tmp_path_factory.mktemp("weight") / "store.sqlite"))


@pytest.fixture(scope="module")
def annotated(store):
    """A browser of ada's on an atlas of twenty features per head, all annotated by her and by ben."""
    add_people(store, NOW, ada={}, ben={})
    engine = open_store(store)
    publish(engine, make_run(seed=3, shape=RunShape(features_per_layer=24)))
    with read_session(engine) as session:
        run = get_live_run(session, "tiny")
        context = AtlasContext(session, run)
        heads = [HeadRef(layer, head) for layer in (0, 2) for head in range(run.record.model.n_heads)]
        said = {ref: labelled_by_turns(head_page(context, HeadQuestion(ref, k=20)).features) for ref in heads}
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
            assert len(sent_bytes(client, f"/tiny/heads/{ref}{view}")) <= MAX_HTML, (ref, view)


def test_atlas_pages_stay_light(annotated, store):
    client, _ = annotated
    engine = open_store(store)
    publish(
        engine, make_run("wide", 4, RunShape(n_layers=30, n_heads=12, sae_layers=(1,), features_per_layer=24))
    )
    engine.dispose()
    for page in ("/tiny", "/tiny?colour=groups", "/wide", "/wide?colour=type&order=value"):
        assert len(sent_bytes(client, page)) <= MAX_HTML, page


@pytest.mark.parametrize("page", ["/tiny", "/tiny/heads/L0H1", "/tiny/features/L0F1", "/tiny/annotations"])
def test_styles_and_scripts_of_a_page_stay_light(annotated, page):
    client, _ = annotated
    soup = parsed(client.get(page).text)
    styles = [link["href"] for link in soup.select("link[rel=stylesheet]")]
    scripts = [script["src"] for script in soup.select("script[src]")]
    assert len(styles) >= 2
    assert len(scripts) >= 3
    assert sum(len(sent_bytes(client, address)) for address in styles) <= MAX_STYLES
    assert sum(len(sent_bytes(client, address)) for address in scripts) <= MAX_SCRIPTS


def test_a_row_costs_the_same_whatever_groups_there_are(annotated):
    client, _ = annotated
    page = parsed(client.get("/tiny/heads/L0H1?k=20").text)
    rows = page.select("article.feature-entry")
    assert len(rows) == 20
    assert not page.select("article select, article option")
    assert len(page.select("#slots option")) == 10
    for row in rows:
        [field] = row.select("input")
        assert (field["list"], field["form"]) == ("slots", "annotation")
        assert field["aria-label"] == f"Group of {row.select_one('.feature-id').text}"
        name = row.select_one(".group-field > span").text
        assert name == f"group {int(field['value']) - 1} of a name as long as names are"
    # What a chip or a mark says is told once, beside the rows.
    assert not page.select(".feature-entry .evidence-chip[title]")
    told = {item.text for item in page.select(".rail dt")}
    assert {re.sub(r" \d+/\d+$", "", chip.text) for chip in page.select(".feature-entry .evidence-chip")} - {
        "BOS"
    } <= told | {"DFA"}


def test_rows_below_the_tenth_have_shorter_strips(annotated):
    client, _ = annotated
    rows = parsed(client.get("/tiny/heads/L0H1?k=20").text).select("article.feature-entry .preview")
    lengths = [max(len(half.text) for half in row.select(".strip > b")) for row in rows]
    assert max(lengths[9:]) <= 30 + 20 < 44 + 20
    assert all(row.select(".destination-strip > b > .peak") for row in rows)
