"""Pages as the services make them: against the stored records, by slow loops, and by identities that hold."""

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from app.domain.refs import FeatureRef, HeadRef
from app.domain.tokens import Vocabulary
from app.errors import NotFound
from app.services.atlas.page import atlas_page, index_page
from app.services.examples import texts as snippets
from app.services.examples.from_records import TOLERANCES
from app.services.examples.models import Cell
from app.services.features.page import feature_page, layer_page
from app.services.heads.page import HeadQuestion, feature_row, head_page
from app.services.reading.cache import RunCache
from app.services.reading.context import AtlasContext
from app.store.atlas.reads import get_live_run
from app.store.database.engine import read_session
from tests.support.run_data import RunShape, StoredRun, make_run, publish


def test_what_a_row_says_is_what_was_stored(context: AtlasContext, run: StoredRun) -> None:
    for head in (HeadRef(0, 0), HeadRef(2, 3)):
        page = head_page(context, HeadQuestion(head, "fve", 5))
        assert len(page.features) == 5
        for row in page.features:
            record = run.features[row.feature]
            stored = record.examples
            assert stored is not None
            assert sum(row.shares_by_head) == pytest.approx(1)
            assert row.shares_by_head[head.head] == row.decoder_weight_share
            assert row.dfa_maximum == pytest.approx(np.abs(stored.dfa[:, head.head]).max())
            for i, example in enumerate(row.examples):
                assert example.head_share == pytest.approx(
                    stored.head_contribution[i, head.head] / stored.pre_activation[i]
                )


def test_contributions_and_bias_add_up_over_the_pages_of_all_heads(
    context: AtlasContext, run: StoredRun
) -> None:
    ref = FeatureRef(0, 3)
    pages = [feature_page(context, ref, HeadRef(0, head)) for head in range(4)]
    bias = run.features[ref].examples
    assert bias is not None
    for group in range(6):
        for i, pair in enumerate(pages[0].groups[group].pairs):
            total = sum(page.groups[group].pairs[i].example.head_contribution for page in pages)
            start = run.features[ref].groups[group].start
            assert total + bias.bias[start + i] == pytest.approx(pair.example.pre_activation, rel=1e-4)
    assert sum(part.decoder_weight_share for part in pages[0].heads) == pytest.approx(1)


def test_places_are_by_slow_count(context: AtlasContext, run: StoredRun) -> None:
    page = head_page(context, HeadQuestion(HeadRef(1, 2)))
    assert [standing.name for standing in page.standings][:2] == ["induction", "previous_token"]
    for standing in page.standings:
        larger = [head for head in run.heads if head.scores[standing.name] > standing.value]
        assert standing.place == len(larger) + 1
        assert len(standing.values) == 12


def test_the_walk_over_heads_meets_each_once(context: AtlasContext) -> None:
    met: list[HeadRef] = []
    at: HeadRef | None = HeadRef(0, 0)
    while at is not None:
        page = head_page(context, HeadQuestion(at, k=1))
        assert page.previous == (met[-1] if met else None)
        met.append(at)
        at = page.next
    assert met == [HeadRef(layer, head) for layer in range(3) for head in range(4)]


def test_the_walk_over_features_meets_each_once(context: AtlasContext, run: StoredRun) -> None:
    met: list[FeatureRef] = []
    at: FeatureRef | None = FeatureRef(2, 3)
    while at is not None:
        page = feature_page(context, at, None)
        met.append(at)
        at = page.next
    assert met == sorted(ref for ref in run.features if ref.layer == 2)


def test_the_list_of_a_layer_is_paged(
    context: AtlasContext, run: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.features.page.N_LISTED", 5)
    listed: list[FeatureRef] = []
    after = None
    for _ in range(3):
        page = layer_page(context, 0, after)
        listed += [item.feature for item in page.features]
        after = page.following
    assert after is None
    assert listed == sorted(ref for ref in run.features if ref.layer == 0)


def test_what_is_not_there_is_not_found(context: AtlasContext) -> None:
    with pytest.raises(NotFound, match="L3H0"):
        head_page(context, HeadQuestion(HeadRef(3, 0)))
    with pytest.raises(NotFound, match="L0H4"):
        head_page(context, HeadQuestion(HeadRef(0, 4)))
    with pytest.raises(NotFound, match="no SAE for layer 1"):
        feature_page(context, FeatureRef(1, 3), None)
    with pytest.raises(NotFound, match="2304 features"):
        feature_page(context, FeatureRef(0, 2304), None)
    with pytest.raises(NotFound, match="no dashboard"):
        feature_page(context, FeatureRef(0, 4), None)
    with pytest.raises(NotFound, match="different layers"):
        feature_page(context, FeatureRef(0, 3), HeadRef(2, 0))
    with pytest.raises(NotFound, match="not among"):
        feature_row(context, HeadQuestion(HeadRef(0, 1), open_feature=FeatureRef(0, 4)))
    with pytest.raises(NotFound, match="no such score"):
        atlas_page(context, "nope")


def test_only_one_row_is_open(context: AtlasContext, run: StoredRun) -> None:
    places = run.rankings[HeadRef(0, 1), "decoder_weight"].features
    for asked, opened in ((None, places[0].ref), (places[3].ref, places[3].ref), (FeatureRef(0, 4), None)):
        page = head_page(context, HeadQuestion(HeadRef(0, 1), open_feature=asked))
        assert [row.feature for row in page.features if row.opened] == ([opened] if opened else [])


def test_a_row_alone_is_the_row_of_the_page(context: AtlasContext, run: StoredRun) -> None:
    ref = run.rankings[HeadRef(0, 1), "fve"].features[6].ref
    question = HeadQuestion(HeadRef(0, 1), "fve", open_feature=ref, open_group=2)
    assert feature_row(context, question).row == head_page(context, question).features[6]


def test_the_atlas_holds_every_head_once(context: AtlasContext, run: StoredRun) -> None:
    page = atlas_page(context, None)
    assert page.score == "induction"
    assert [cell.head for layer in page.layers for cell in layer.heads] == [head.ref for head in run.heads]
    assert [layer.layer for layer in page.layers if layer.sae] == [0, 2]
    values = sorted((head.scores["induction"] for head in run.heads), reverse=True)
    assert [cell.scores["induction"] for cell in page.strongest] == values[:8]
    assert "concentration" in page.score_names


def test_tolerance_follows_the_number_format(engine: Engine) -> None:
    made = make_run()
    for dtype, expected in (*TOLERANCES.items(), ("torch.bfloat16", 5e-2), ("unknown", 1e-4)):
        made.record.plan["dtype"] = dtype
        publish(engine, made)
        with read_session(engine) as session:
            assert index_page(session).atlases[0].run is not None
            assert index_page(session).atlases[0].run.tolerance == expected  # type: ignore[union-attr]


def test_strips_are_the_text_around_the_hinge() -> None:
    vocabulary = Vocabulary.from_tokens([b"<s>", *(bytes([97 + i]) * (i + 1) for i in range(20))], [0])
    tokens = np.random.default_rng(0).integers(0, 21, 300)
    views = vocabulary.sequence_views(tokens)

    def width(cell: Cell) -> int:
        return sum(len(part.text) for part in cell.view.parts)

    for hinge in (0, 1, 7, 150, 299, 300):
        strip = snippets.make_window(views, hinge, {hinge: 2.0}, 3)
        before = [cell.token_id for cell in strip.before]
        after = [cell.token_id for cell in strip.after]
        assert before == tokens[hinge - len(before) : hinge].tolist()
        assert after == tokens[hinge : hinge + len(after)].tolist()
        assert [cell.matched for cell in strip.before][-3:] == [True] * min(3, hinge)
        assert not any(cell.matched for cell in (*strip.before[:-3], *strip.after))
        assert [cell.value for cell in strip.after][:1] == ([2.0] if hinge < 300 else [])
        if len(before) < hinge:
            assert sum(map(width, strip.before)) >= snippets.CHARACTERS_BEFORE
            assert sum(map(width, strip.before[1:])) < snippets.CHARACTERS_BEFORE


def holds_numpy(value: Any) -> bool:
    if is_dataclass(value):
        return any(holds_numpy(getattr(value, part.name)) for part in fields(value))
    if isinstance(value, dict):
        return any(map(holds_numpy, value.values()))
    if isinstance(value, tuple | list):
        return any(map(holds_numpy, value))
    return isinstance(value, np.ndarray | np.generic)


def test_pages_hold_plain_numbers(context: AtlasContext) -> None:
    for page in (
        head_page(context, HeadQuestion(HeadRef(0, 1))),
        feature_page(context, FeatureRef(0, 3), None),
        feature_page(context, FeatureRef(2, 80), None),
        layer_page(context, 2, None),
        atlas_page(context, None),
    ):
        assert not holds_numpy(page)


def test_the_cache_follows_the_run(engine: Engine) -> None:
    cache = RunCache(size=2)
    for seed in (1, 2, 3):
        made = publish(engine, make_run(seed=seed, shape=RunShape(features_per_layer=2)))
        with read_session(engine) as session:
            live = get_live_run(session, "tiny")
            assert list(cache.heads(session, live)) == made.heads
            assert cache.heads(session, live) is cache.heads(session, live)
            assert cache.vocabulary(session, live).checksum == made.vocabulary.checksum
