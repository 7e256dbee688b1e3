"""What the page of a head's attention says, against what was stored."""

import numpy as np
import pytest

from app.domain.attention import N_SHOWN_EXAMPLES
from app.domain.refs import HeadRef
from app.errors import NotFound
from app.services.heads.attention import AttentionQuestion, attention_page, distance_shares
from app.services.heads.attention_models import AttentionEvidence
from app.services.heads.page import HeadQuestion, head_page
from app.services.reading.context import AtlasContext
from tests.support.run_data import StoredRun

HEAD = HeadRef(1, 2)


def evidence(context: AtlasContext, **question: int) -> AttentionEvidence:
    page = attention_page(context, AttentionQuestion(HEAD, **question))
    assert page.evidence is not None
    return page.evidence


def test_examples_are_those_stored_with_their_text(context: AtlasContext, run: StoredRun):
    kept, shown = run.attention[HEAD], evidence(context, group=2)
    assert len(shown.examples) == len(kept.examples)
    for i, pair in enumerate(shown.pairs):
        index = kept.groups[2].start + i
        tokens = run.sequences[kept.examples.sequence[index]].tolist()
        source, dest = int(kept.examples.source[index, 0]), int(kept.examples.position[index])
        assert pair.reads.after[0].token_id == tokens[source]
        assert pair.attends.before[-1].token_id == tokens[dest]
        assert pair.example.sources[0].weight == pytest.approx(float(kept.examples.weight[index, 0]))
        whole = sum(each.weight for each in pair.example.sources) + pair.example.rest + pair.example.sink
        assert whole == pytest.approx(1, abs=1e-5)
        n = 0
        while n < min(source, dest - source + 1) and tokens[source - 1 - n] == tokens[dest - n] != 0:
            n += 1
        assert pair.prefix_length == n
        assert not pair.has_picture
    assert len(shown.pairs) == N_SHOWN_EXAMPLES


def test_the_chosen_pattern_is_drawn_with_its_tokens(context: AtlasContext, run: StoredRun):
    kept, picture = run.attention[HEAD], evidence(context, example=3).picture
    assert picture is not None
    position = int(kept.examples.position[3])
    tokens = run.sequences[kept.examples.sequence[3]].tolist()
    assert [token.token_id for token in picture.sources] == tokens[
        position + 1 - len(picture.sources) : position + 1
    ]
    assert len(picture.levels) == len(picture.destinations)
    assert {len(row) for row in picture.levels} == {len(picture.sources)}
    assert sum(map(sum, picture.levels)) == int(kept.pictures[3].sum())


def test_distances_are_octaves_and_lose_nothing():
    distance = np.random.default_rng(1).dirichlet(np.ones(24))
    shares = distance_shares(distance)
    assert [(part.lower, part.upper) for part in shares] == [
        (0, 0),
        (1, 1),
        (2, 2),
        (3, 4),
        (5, 8),
        (9, 16),
        (17, 23),
    ]
    assert sum(part.share for part in shares) == pytest.approx(1)
    assert shares[3].share == pytest.approx(distance[3] + distance[4])


@pytest.mark.parametrize("question", [{"group": 9}, {"example": 40}])
def test_what_is_not_there_is_said(context: AtlasContext, question: dict[str, int]):
    with pytest.raises(NotFound):
        evidence(context, **question)


def test_a_head_on_sinks_alone_has_no_examples(context: AtlasContext):
    page = attention_page(context, AttentionQuestion(HeadRef(1, 0)))
    assert page.evidence is not None
    assert (page.evidence.pairs, page.evidence.picture) == ((), None)
    assert page.evidence.sinks


def test_only_heads_without_features_have_it_in_their_page(context: AtlasContext, run: StoredRun):
    layers = {sae.layer for sae in run.record.saes}
    for head in (HEAD, HeadRef(0, 1), HeadRef(2, 1)):
        page = head_page(context, HeadQuestion(head))
        assert page.has_attention
        assert (page.attention is None) == (head.layer in layers)
