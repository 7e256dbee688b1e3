"""Search for heads by the tokens that they attend to or from, against a loop over the stored heads."""

import pytest

from app.domain.refs import HeadRef
from app.services.search.page import search_page
from app.services.search.suggestions import quoted_if_needed
from tests.support.annotating import Team
from tests.support.run_data import make_run

RUN = make_run()


@pytest.fixture
def team(engine):
    return Team(engine, RUN, ada={})


def text_of(token_id):
    return RUN.vocabulary.token_bytes(token_id).decode("utf-8", "replace")


def by_hand(text, side):
    """(head, share) of all heads that list a token of exactly that text, largest share first."""
    found = {}
    for head, kept in RUN.attention.items():
        listed = getattr(kept, side)
        shares = [
            share
            for token_id, share in zip(listed.token_id.tolist(), listed.share.tolist(), strict=True)
            if text_of(token_id) == text
        ]
        if shares:
            found[head] = sum(shares)
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def readable(side):
    kept = RUN.attention[HeadRef(1, 1)]
    texts = (text_of(token_id) for token_id in getattr(kept, side).token_id.tolist())
    return [text for text in texts if text.isprintable() and "\ufffd" not in text][:4]


@pytest.mark.parametrize(("field", "side"), [("attends", "read"), ("attends_from", "read_from")])
def test_heads_are_found_by_share(team, field, side):
    assert readable(side)
    for text in readable(side):
        quoted = quoted_if_needed(text) if quoted_if_needed(text).startswith('"') else f'"{text}"'
        page = team.view(search_page, team["ada"], f"{field}:{quoted}")
        assert [(hit.head, pytest.approx(hit.attended)) for hit in page.heads] == by_hand(text, side)
        assert page.problem is None


def test_all_terms_hold_at_once(team):
    text = readable("read")[0]
    heads = [head for head, _ in by_hand(text, "read")]
    page = team.view(search_page, team["ada"], f'attends:"{text}" layer:1')
    assert [hit.head for hit in page.heads] == [head for head in heads if head.layer == 1]
    page = team.view(search_page, team["ada"], f'attends:"{text}" status:open')
    assert [hit.head for hit in page.heads] == heads


def test_what_finds_nothing_says_so(team):
    for query in ("attends:no-such-token", "attends_from:no-such-token"):
        assert team.view(search_page, team["ada"], query).problem == "No head fulfils this."
    assert "needs a token" in team.view(search_page, team["ada"], 'attends:""').problem
    assert "needs something after the colon" in team.view(search_page, team["ada"], "attends:").problem
