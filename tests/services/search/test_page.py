"""Search against slow loops over the stored records, and what it answers when nothing is found."""

import re

import pytest
from sqlalchemy import Engine, event, text

from app.domain.records import FeatureRecord, TokenLogits
from app.domain.refs import FeatureRef, HeadRef
from app.services.reading.context import AtlasContext
from app.services.search import page as search_pages
from app.services.search.models import FeatureHit
from app.services.search.page import bare_reference, search_page
from app.store import search_index
from app.store.atlas.reads import get_live_run
from app.store.database.engine import read_session, write_session
from app.store.search_index import words_of
from tests.support.run_data import StoredRun, make_run, publish


@pytest.fixture
def context(context: AtlasContext, monkeypatch: pytest.MonkeyPatch) -> AtlasContext:
    monkeypatch.setattr(search_pages, "N_HITS", 100)
    return context


def token_text(run: StoredRun, token: int) -> str:
    return run.vocabulary.token_bytes(token).decode(errors="replace")


def moved(run: StoredRun, logits: TokenLogits, wanted: set[int]) -> float | None:
    """The size of the largest logit among the first ten that are wanted."""
    pairs = zip(logits.token_id[:10], logits.logit[:10], strict=True)
    return max((abs(float(logit)) for token, logit in pairs if int(token) in wanted), default=None)


def window_words(run: StoredRun, feature: FeatureRecord) -> list[str]:
    """Every word near the ten strongest examples, most frequent first."""
    counts: dict[str, int] = {}
    if feature.examples is None:
        return []
    for i in range(10):
        at = feature.examples.position[i]
        tokens = run.sequences[feature.examples.sequence[i]][max(0, at - 7) : at + 5]
        shown = b"".join(run.vocabulary.token_bytes(token) for token in tokens if token != 0)
        for word in set(words_of(shown.decode(errors="replace"))):
            counts[word] = counts.get(word, 0) + 1
    return sorted(counts, key=lambda word: -counts[word])


def found(context: AtlasContext, query: str) -> list[FeatureRef]:
    page = search_page(context, query)
    assert page.features or page.problem
    return [hit.feature for hit in page.features]


@pytest.mark.parametrize("side", ["promotes", "suppresses"])
def test_features_by_token(context: AtlasContext, run: StoredRun, side: str) -> None:
    for query, wanted in (
        (f'{side}:" of"', {i for i in range(len(run.vocabulary)) if token_text(run, i) == " of"}),
        (f"{side}:OF", {i for i in range(len(run.vocabulary)) if token_text(run, i).strip().lower() == "of"}),
    ):
        page = search_page(context, query)
        logits = {
            ref: value
            for ref, record in run.features.items()
            if (value := moved(run, record.promoted if side == "promotes" else record.suppressed, wanted))
        }
        assert logits
        assert [hit.feature for hit in page.features] == sorted(logits, key=lambda ref: (-logits[ref], ref))
        assert [hit.found_by for hit in page.features] == pytest.approx(sorted(logits.values(), reverse=True))
        assert page.found_by == "logit"


def test_features_by_word_and_by_words(context: AtlasContext, run: StoredRun) -> None:
    words = {ref: window_words(run, feature) for ref, feature in run.features.items()}
    # Only the most frequent words of a feature are kept; these are surely among them.
    sure = {ref: listed[:10] for ref, listed in words.items()}
    ref = next(ref for ref, listed in sure.items() if listed)
    first, second = sure[ref][:2]
    hits = found(context, first)
    assert ref in hits
    assert all(first in words[hit] for hit in hits)
    both = found(context, f"{first} text:{second.upper()}")
    assert ref in both
    assert set(both) <= set(hits)
    assert all(second in words[hit] for hit in both)


def test_features_by_evidence(context: AtlasContext, run: StoredRun) -> None:
    page = search_page(context, "evidence:induction>=0.8")
    shares: dict[FeatureRef, float] = {}
    for ref, record in run.features.items():
        for head in range(4):
            share = record.evidence.counts["induction"][head] / max(1, record.evidence.n_examples)
            if share >= 0.8 and record.decoder_weight_share[head] >= 0.25:
                shares[ref] = max(share, shares.get(ref, 0))
    assert shares
    assert {hit.feature: hit.found_by for hit in page.features} == pytest.approx(shares)
    for hit in page.features:
        assert hit.decoder_weight_share >= 0.25
    above = search_page(context, "evidence:induction>0.8").features
    assert {hit.feature for hit in above} == {ref for ref, share in shares.items() if share > 0.8}


def test_terms_add_up(context: AtlasContext) -> None:
    token, evidence = found(context, "promotes:of"), found(context, "evidence:copying>0.3")
    assert set(found(context, "promotes:of evidence:copying>0.3")) == set(token) & set(evidence)
    assert set(found(context, "evidence:copying>0.3 evidence:bos>0.3")) == set(evidence) & set(
        found(context, "evidence:bos>0.3")
    )
    assert {ref.layer for ref in found(context, "evidence:copying>0.1 layer:2")} == {2}


def test_features_of_heads_by_score(context: AtlasContext, run: StoredRun) -> None:
    good = {head.ref for head in run.heads if head.scores["induction"] > 0.1}
    page = search_page(context, "score:induction>0.1 evidence:copying>0.1")
    assert page.features
    assert {hit.head for hit in page.features} <= good
    named = search_page(context, "L0H1 evidence:copying>0.1")
    assert {hit.head for hit in named.features} == {HeadRef(0, 1)}


def test_heads_by_score_and_layer(context: AtlasContext, run: StoredRun) -> None:
    page = search_page(context, "score:induction>0.05 layer:0-1")
    scores = {
        head.ref: head.scores["induction"]
        for head in run.heads
        if head.scores["induction"] > 0.05 and head.ref.layer < 2
    }
    assert [head.head for head in page.heads] == sorted(scores, key=lambda ref: (-scores[ref], ref))
    low = search_page(context, "score:induction<0.05").heads
    assert [head.scores["induction"] for head in low] == sorted(head.scores["induction"] for head in low)
    assert [head.head for head in search_page(context, "layer:1").heads] == [HeadRef(1, i) for i in range(4)]


def test_references_lead_to_their_pages(context: AtlasContext) -> None:
    assert bare_reference(context, " 0.1 ") == HeadRef(0, 1)
    assert bare_reference(context, "L0F3") == FeatureRef(0, 3)
    for query in ("", "L9H9", "L0F4", "L0H1 L0H2", "L0H1 word", "layer:1 L0H1", 'promotes:"'):
        assert bare_reference(context, query) is None
    assert search_page(context, "L0F4").problem == "L0F4 is not among the stored features of this atlas."
    assert "L9H9 is not one of the model's 3 x 4 heads" in str(search_page(context, "L9H9").problem)


def test_nothing_found_says_so_and_what_to_try(context: AtlasContext, run: StoredRun) -> None:
    word = next(
        word for feature in run.features.values() for word in window_words(run, feature) if len(word) > 4
    )
    page = search_page(context, f"{word[:4]}qqq")
    assert page.problem == "No feature fulfils this."
    tried = [suggestion.query for suggestion in page.suggestions]
    assert tried
    assert all(query.startswith(word[:4]) and found(context, query) for query in tried)
    assert search_page(context, "inducti").suggestions[0].query == "evidence:induction"
    token = search_page(context, 'promotes:"Of"')
    assert token.problem == "“Of” is not one token of the model."
    assert token.suggestions[0].query == "promotes:Of"
    assert found(context, "promotes:Of")
    assert [s.query for s in search_page(context, "promotes:th").suggestions][:2] == [
        "promotes:than",
        "promotes:that",
    ]
    assert search_page(context, "layer:77").problem == "The model has layers 0 to 2."


@pytest.mark.parametrize("query", ["evidence:copying>0.1", "promotes:of", "the"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_of_a_long_list_join_to_the_whole(
    context: AtlasContext, monkeypatch: pytest.MonkeyPatch, query: str, size: int
) -> None:
    whole = search_page(context, query)
    assert not whole.more
    assert (whole.page, whole.first, whole.next_page) == (1, 1, None)
    monkeypatch.setattr(search_pages, "N_HITS", size)
    joined: list[FeatureHit] = []
    page = search_page(context, query)
    while True:
        assert page.first == len(joined) + 1
        assert len(page.features) == size or not page.more
        joined += page.features
        if page.next_page is None:
            break
        assert page.next_page == page.page + 1
        page = search_page(context, query, page=page.next_page)
    assert tuple(joined) == whole.features
    assert not page.more
    beyond = search_page(context, query, page=page.page + 1)
    assert beyond.features == ()
    assert (
        beyond.problem == f"These are {len(whole.features)} features; there is no part {beyond.page} of them."
    )


def test_the_last_page_that_can_be_asked_for_says_that_there_are_more(
    context: AtlasContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_pages, "N_HITS", 2)
    monkeypatch.setattr(search_pages, "MAX_PAGES", 2)
    assert search_page(context, "evidence:copying>0.1").next_page == 2
    last = search_page(context, "evidence:copying>0.1", page=2)
    assert last.more
    assert last.next_page is None


def test_a_dead_feature_is_found_by_its_weights(context: AtlasContext, run: StoredRun) -> None:
    dead = next(ref for ref, record in run.features.items() if record.examples is None)
    token = int(run.features[dead].promoted.token_id[0])
    shown = (
        token_text(run, token)
        .replace("\\", "\\\\")
        .replace('"', '\\"')
        .replace("\n", "\\n")
        .replace("\t", "\\t")
    )
    if "\ufffd" not in shown:
        assert dead in found(context, f'promotes:"{shown}"')


def test_search_looks_at_indexes_only(make_sqlite_store, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.store.database.engine import open_store

    engine = open_store(make_sqlite_store())
    publish(engine, make_run())
    seen: list[tuple[str, object]] = []
    event.listen(engine, "before_cursor_execute", lambda *call: seen.append((call[2], call[3])))
    with read_session(engine) as session:
        context = AtlasContext(session, get_live_run(session, "tiny"))
        search_page(context, "promotes:of the evidence:copying>0.1 evidence:bos layer:0 score:entropy>0")
        search_page(context, 'the promotes:" of"')
        search_page(context, "theqq")
    queries = [(sql, given) for sql, given in seen if re.search("feature_(tokens|words|evidence)", sql)]
    assert len(queries) >= 2
    with engine.connect() as connection:
        for sql, given in queries:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given)
            steps = [row[-1] for row in plan]
            assert not [step for step in steps if step.startswith("SCAN")], steps
    engine.dispose()


@pytest.mark.slow
def test_postgres_reads_the_indexes_in_their_order(make_postgres_store) -> None:
    """Tables this small it would rather scan, so that is switched off: what is left shows that the indexes fit."""
    from app.store.database.engine import open_store

    engine = open_store(make_postgres_store())
    publish(engine, make_run())
    seen: list[tuple[str, object]] = []
    event.listen(engine, "before_cursor_execute", lambda *call: seen.append((call[2], call[3])))
    with read_session(engine) as session:
        context = AtlasContext(session, get_live_run(session, "tiny"))
        for query in (
            'promotes:" of"',
            "the",
            "evidence:copying>0.1",
            "the evidence:bos layer:0",
            'the promotes:" of"',
        ):
            search_page(context, query)
    queries = [(sql, given) for sql, given in seen if re.search("FROM feature_(tokens|words|evidence)", sql)]
    assert len(queries) >= 4
    with engine.connect() as connection:
        connection.exec_driver_sql("SET enable_seqscan = off; SET enable_bitmapscan = off")
        for sql, given in queries:
            plan = [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {sql}", given)]
            assert not [step for step in plan if "Seq Scan on feature_" in step], plan
            assert [step for step in plan if "ix_feature_" in step or "pk_feature_" in step], plan
    engine.dispose()


def test_what_is_indexed_goes_with_its_run(engine: Engine) -> None:
    publish(engine, make_run())
    with write_session(engine) as session:
        before = [session.scalar(text(f"SELECT count(*) FROM {name}")) for name in TABLES]  # noqa: S608
    publish(engine, make_run())
    with write_session(engine) as session:
        assert [session.scalar(text(f"SELECT count(*) FROM {name}")) for name in TABLES] == before  # noqa: S608
    assert all(before)


TABLES = ("feature_tokens", "feature_words", "feature_evidence")


def test_e21_e22_words_are_plain_and_bounded() -> None:
    assert words_of("The Größe, of x_1 ‹E2› 中文 a\ufffdbc") == ["the", "größe", "of", "e2", "中文", "bc"]
    assert words_of("y" * 99) == ["y" * search_index.MAX_WORD]
