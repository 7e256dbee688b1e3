"""Two annotators label every head of an atlas by keyboard; what is counted is what one counts by hand."""

from collections import Counter

import pytest
from playwright.sync_api import expect

from app.domain.annotations.head_types import HEAD_TYPES
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.services.rollups.rollup import agree
from app.store.annotators import get_annotator
from app.store.atlas.reads import get_live_run
from app.store.database.engine import open_store, read_session
from tests.support.annotated_atlas import NOW
from tests.support.browsing import open_tab, serving
from tests.support.logins import PASSWORD, add_people
from tests.support.rollups import roll_up

pytestmark = [pytest.mark.browser, pytest.mark.slow]
# What is pressed for the ten features of each head: 0-9 groups in their order, x unclear.
PLANS = {
    "L0H0": "1111111111",
    "L0H1": "1111111122",
    "L0H2": "1111122222",
    "L1H0": "1122334455",
    "L1H1": "1111111112",
    "L1H2": "1231231231",
}


def annotate_all(tab, plans):
    tab.go("/tiny/next")
    seen = []
    for _ in plans:
        head = tab.page.locator("h1").inner_text()
        seen.append(head)
        tab.page.wait_for_load_state()
        # The keys of this head's own list of groups, whatever it offers first.
        for key in plans[head]:
            tab.page.keyboard.press(key)
        tab.page.keyboard.press("Control+Enter")
        if len(seen) < len(plans):
            expect(tab.page.locator("h1")).not_to_have_text(head)
        else:
            tab.page.wait_for_url("**/tiny")
    assert seen == list(plans)


def type_by_hand(plan):
    """The rule of the guide, for plans without unclear features."""
    sizes = sorted(Counter(plan).values(), reverse=True)
    if sizes[0] == 10:
        return "monosemantic"
    if sizes[0] >= 8:
        return "minor_exceptions"
    return "bisemantic" if len(sizes) == 2 else "polysemantic"


def test_two_annotators_do_all_heads_by_keyboard_and_the_tallies_are_those_counted_by_hand(chromium, store):
    add_people(store, NOW, ada={}, ben={"blind": True})
    heads = list(PLANS)
    turned = dict(zip(heads, [*list(PLANS.values())[1:], PLANS["L0H0"]], strict=True))
    with serving(store, team=True) as address:
        for name, plans in (("ada", PLANS), ("ben", turned)):
            tab = open_tab(chromium, address, viewport={"width": 1440, "height": 1000})
            tab.go("/tiny/next")
            tab.page.keyboard.press("Tab")
            tab.page.locator("[name=name]").focus()
            tab.page.keyboard.type(name)
            tab.page.keyboard.press("Tab")
            tab.page.keyboard.type(PASSWORD)
            tab.page.keyboard.press("Enter")
            expect(tab.page.locator("h1")).to_have_text("L0H0")
            if name == "ben":
                assert "ada" not in tab.page.content()
                assert not tab.page.locator(".suggestion").count()
            annotate_all(tab, plans)
            assert tab.errors == []
            tab.page.context.close()
    engine = open_store(store)
    with read_session(engine) as session:
        run = get_live_run(session, "tiny")
        for name, plans in (("ada", PLANS), ("ben", turned)):
            viewer = Viewer.of(get_annotator(session, name))
            found = roll_up(AtlasContext(session, run, viewer), name)
            by_hand = Counter(map(type_by_hand, plans.values()))
            assert found.n_submitted == len(PLANS)
            counted = {row.head_type: row.count for row in found.tally.rows}
            assert counted == {kind: by_hand[kind] for kind in HEAD_TYPES}
            assert all(row.fraction == row.count / len(PLANS) for row in found.tally.rows)
        agreement = agree(AtlasContext(session, run, Viewer.of(get_annotator(session, "ben"))))
        assert agreement.annotators == ("ada", "ben")
    engine.dispose()
