"""What a run stores of each head's attention, against a slow loop over the model's own patterns."""

from collections import defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from app.domain.attention import SINK_ATTENTION, HeadAttention, fewest_destinations
from app.domain.refs import HeadRef
from app.store.atlas.attention import get_attention
from app.store.atlas.reads import get_sequences
from app.store.database.engine import read_session
from tests.support.slow_distinct import SlowCorpus
from tests.support.tiny_jobs import CONTEXT, N_HEADS, PublishedAtlas, Tiny, make_tiny, run, tiny_model

FEWEST = fewest_destinations(CONTEXT)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("attention"))


@pytest.fixture(scope="module")
def published(tiny: Tiny) -> PublishedAtlas:
    run(tiny, str(tiny.root / "store.sqlite"))
    return PublishedAtlas.open(str(tiny.root / "store.sqlite"))


@pytest.fixture(scope="module")
def text(published: PublishedAtlas) -> np.ndarray:
    with read_session(published.engine) as session:
        sequences = get_sequences(session, published.run, set(range(10)))
    return np.stack([sequences[i] for i in range(10)]).astype(np.int64)


def stored(published: PublishedAtlas, head: HeadRef) -> HeadAttention:
    with read_session(published.engine) as session:
        attention = get_attention(session, published.run, head)
    assert attention is not None
    return attention


class SlowHead:
    """Everything of one head from loops over its patterns."""

    def __init__(self, pattern: np.ndarray, text: np.ndarray, bos: int) -> None:
        self.largest: dict[tuple[int, int], float] = {}
        self.distance = np.zeros(CONTEXT)
        self.on_sinks = self.on_first = 0.0
        self.sink_tokens: dict[int, int] = defaultdict(int)
        self.sent: dict[int, float] = defaultdict(float)
        self.received: dict[int, float] = defaultdict(float)
        for s, tokens in enumerate(text):
            counted = [d for d in range(1, CONTEXT) if tokens[d] != bos]
            sinks = {t for t in range(CONTEXT) if self._is_sink(pattern[s], t, counted)}
            for t in sinks:
                self.sink_tokens[int(tokens[t])] += 1
            for d in counted:
                self._count(pattern[s, d], s, d, sinks, tokens)

    @staticmethod
    def _is_sink(pattern: np.ndarray, source: int, counted: list[int]) -> bool:
        later = [float(pattern[d, source]) for d in counted if d > source]
        return len(later) >= FEWEST and sum(later) / len(later) > SINK_ATTENTION

    def _count(self, row: np.ndarray, s: int, d: int, sinks: set[int], tokens: np.ndarray) -> None:
        for source in range(d + 1):
            weight = float(row[source])
            if source in sinks:
                self.on_sinks += weight
                self.on_first += weight * (source == 0)
                continue
            self.distance[d - source] += weight
            self.sent[int(tokens[d])] += weight
            self.received[int(tokens[source])] += weight
            if d >= FEWEST:
                self.largest[s, d] = max(self.largest.get((s, d), 0.0), weight)


@pytest.mark.parametrize("layer", [0, 1])
def test_every_head_equals_a_slow_loop(published: PublishedAtlas, tiny: Tiny, text: np.ndarray, layer: int):
    model = tiny_model(tiny.model)
    patterns = model.patterns(torch.from_numpy(text))[layer].numpy()
    for head in range(N_HEADS):
        slow = SlowHead(patterns[:, head], text, model.record.bos_token_id)
        kept = stored(published, HeadRef(layer, head))
        whole = slow.on_sinks + slow.distance.sum()
        assert kept.sink_share == pytest.approx(slow.on_sinks / whole, rel=1e-5)
        assert kept.first_sink_share == pytest.approx(slow.on_first / whole, rel=1e-5, abs=1e-9)
        assert dict(zip(kept.sinks.token_id.tolist(), kept.sinks.n.tolist(), strict=True)) == slow.sink_tokens
        np.testing.assert_allclose(kept.distance, slow.distance / slow.distance.sum(), rtol=1e-4, atol=1e-9)
        check_tokens(kept.read.token_id, kept.read.share, slow.received)
        check_tokens(kept.read_from.token_id, kept.read_from.share, slow.sent)
        check_examples(kept, patterns[:, head], slow, published.slow_corpus())


def check_tokens(token_id: np.ndarray, share: np.ndarray, slow: dict[int, float]) -> None:
    whole = sum(slow.values())
    for token, value in zip(token_id.tolist(), share.tolist(), strict=True):
        assert value == pytest.approx(slow[token] / whole, rel=1e-4)


def check_examples(kept: HeadAttention, pattern: np.ndarray, slow: SlowHead, corpus: SlowCorpus) -> None:
    examples = kept.examples
    where = list(zip(examples.sequence.tolist(), examples.position.tolist(), strict=True))
    stored = [s * CONTEXT + d for s, d in where]
    top = stored[kept.groups[0].start : kept.groups[0].stop]
    weights = [slow.largest[divmod(token, CONTEXT)] for token in top]
    assert weights == pytest.approx(sorted(weights, reverse=True), rel=1e-5)
    for group in kept.groups:
        shown = stored[group.start : group.stop]
        assert all(corpus.n_different(a, b) >= 3 for a, b in combinations(shown, 2))
        assert len(shown) <= group.n_pool <= (40 if group.name == "top" else 15)
    # What is stronger than the weakest that is shown has the text of one that is alike to one that is.
    stronger = [
        s * CONTEXT + d for (s, d), weight in slow.largest.items() if weight > weights[-1] * (1 + 1e-5)
    ]
    alike = {corpus.text(a) for a in stronger if any(corpus.n_different(a, b) < 3 for b in top)}
    assert {corpus.text(token) for token in stronger} <= alike
    assert kept.examples.n_alike is not None
    assert (kept.examples.n_alike >= [corpus.n_alike([token]) for token in stored]).all()
    assert sum(group.n_tokens for group in kept.groups[1:]) == len(slow.largest)
    for i, (s, d) in enumerate(where):
        assert examples.weight[i, 0] == pytest.approx(slow.largest[s, d], rel=1e-5)
        for source, weight in zip(examples.source[i].tolist(), examples.weight[i].tolist(), strict=True):
            assert source >= 0 or weight == 0
            assert source < 0 or weight == pytest.approx(float(pattern[s, d, source]), abs=1e-6)
        all_of_it = examples.weight[i].sum() + examples.rest[i] + examples.sink[i]
        assert float(all_of_it) == pytest.approx(1, abs=1e-5)
    for i, picture in enumerate(kept.pictures):
        s, d = where[i]
        expected = np.round(255 * pattern[s, d, : d + 1])
        assert np.abs(picture[-1, CONTEXT - d - 1 :] - expected).max() <= 1


def test_base_rates_are_shares_of_the_text(published: PublishedAtlas, text: np.ndarray):
    kept = stored(published, HeadRef(0, 1))
    counted = text[:, 1:].ravel()
    for token, base in zip(kept.read_from.token_id.tolist(), kept.read_from.base_rate.tolist(), strict=True):
        assert base == pytest.approx((counted == token).mean())
    for token, base in zip(kept.read.token_id.tolist(), kept.read.base_rate.tolist(), strict=True):
        assert base == pytest.approx((text == token).mean())
    assert (kept.read.share > kept.read.base_rate).all()


def test_a_run_in_bfloat16_has_attention_too(tiny: Tiny, tmp_path: Path):
    run(tiny, str(tmp_path / "half.sqlite"), work_dir=tmp_path / "work", dtype="bfloat16", n_prompts=4)
    kept = stored(PublishedAtlas.open(str(tmp_path / "half.sqlite")), HeadRef(1, 0))
    assert kept.distance.sum() == pytest.approx(1)
