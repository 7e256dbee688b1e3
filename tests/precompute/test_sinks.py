"""A model whose heads are known: one rests on a word wherever it stands, one on BOS, one reads the token before."""

import numpy as np
import pytest
import torch

from app.accumulators.attention_statistics import AttentionStatistics
from app.accumulators.batches import ShardTokens
from app.accumulators.shard_text import ShardText
from app.adapters.corpora import Corpus
from app.domain.attention import HeadAttention
from app.precompute.attention_records import head_attention
from app.precompute.distinct_examples import DistinctExamples
from app.statistics.alike_texts import text_keys
from app.statistics.attention_partial import AttentionPartial, AttentionShape
from app.statistics.leaves import Shards
from tests.support.hand_built_model import (
    BOS,
    IDLE,
    N_HEADS,
    PREVIOUS,
    SHARP,
    HandBuiltModel,
    hand_built_model,
    repeating_text,
)

WORD, PLACE = 7, 4
LENGTH, N_SEQUENCES = 40, 24


def model_resting_on(word: int | None) -> HandBuiltModel:
    """IDLE looks at BOS, or at this word alone; where neither is there, at everything alike."""
    model = hand_built_model()
    if word is not None:
        model.layers[0].qk[IDLE.head, : len(model.tokenizer.words), word] = 3 * SHARP
        model.layers[0].bos_score[IDLE.head] = 0
    return model


def text() -> np.ndarray:
    tokens = repeating_text(hand_built_model(), N_SEQUENCES, LENGTH)
    tokens[tokens == WORD] = WORD + 1
    tokens[:, PLACE] = WORD
    return tokens


def records(model: HandBuiltModel) -> list[HeadAttention]:
    tokens = text()
    pattern = model.patterns(torch.from_numpy(tokens))[0]
    shape = AttentionShape(N_HEADS, LENGTH)
    text_of_shard = ShardText.of(tokens, tokens != BOS)
    statistics = AttentionStatistics(
        AttentionPartial.empty("plan", shape, 0, Shards.of(0)),
        ShardTokens.of(0, text_keys(tokens).reshape(-1), 0),
        text_of_shard,
    )
    for start in range(0, N_SEQUENCES, 5):
        stop = min(start + 5, N_SEQUENCES)
        statistics.add(pattern[start:stop], text_of_shard.batch(start, stop, pattern.device))
    partial = statistics.partial()
    lengths = np.full(N_SEQUENCES, LENGTH, np.int32)
    corpus = Corpus(("text",), tokens.astype(np.int32), lengths, BOS, "")
    examples = DistinctExamples(corpus, model.tokenizer.vocabulary(len(model.tokenizer.words)), 20, 10)
    return head_attention(partial, 0, examples, corpus)


@pytest.mark.parametrize(("word", "token"), [(WORD, WORD), (None, BOS)])
def test_a_sink_is_found_whichever_token_it_is(word: int | None, token: int):
    kept = records(model_resting_on(word))[IDLE.head]
    assert kept.sinks.token_id.tolist() == [token]
    assert kept.sinks.n.tolist() == [N_SEQUENCES]
    assert kept.sink_share == pytest.approx(kept.sinks.share[0])
    assert kept.sink_share > 0.85
    assert kept.first_sink_share == pytest.approx(kept.sink_share if token == BOS else 0)
    assert token not in kept.read.token_id


def test_a_head_that_reads_the_token_before_has_no_sink_and_says_so_in_every_number():
    kept = records(model_resting_on(WORD))[PREVIOUS.head]
    assert len(kept.sinks.token_id) == 0
    assert kept.sink_share == 0
    assert kept.distance[1] > 0.95
    examples = kept.examples
    assert (examples.source[:, 0] == examples.position - 1).all()
    np.testing.assert_allclose(examples.weight[:, 0], 1, atol=1e-3)
    assert (kept.pictures[0][-1].argmax(), kept.pictures[0][-1].max()) == (LENGTH - 2, 255)
