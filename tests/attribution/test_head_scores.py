"""Head scores against slow loops, and on heads built to do one thing only."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from app.attribution import head_scores
from app.attribution.head_scores import (
    SequenceScores,
    copying_score,
    corpus_scores,
    random_repeated_tokens,
    repeated_sequence_scores,
    vocabulary_map,
)

LENGTH = 6
N_POS = 1 + 2 * LENGTH


def random_pattern(n_sequences: int = 2, n_heads: int = 3, n_pos: int = N_POS) -> Tensor:
    scores = 2 * torch.randn(n_sequences, n_heads, n_pos, n_pos, generator=torch.Generator().manual_seed(0))
    future = torch.ones(n_pos, n_pos, dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -torch.inf).softmax(-1)


def looking_at(source: dict[int, int]) -> Tensor:
    """One head that attends wholly to source[dest], and to BOS where dest is not named."""
    pattern = torch.zeros(1, 1, N_POS, N_POS)
    for dest in range(N_POS):
        pattern[0, 0, dest, source.get(dest, 0)] = 1.0
    return pattern


def scores(sums: dict[str, SequenceScores]) -> dict[str, float]:
    return {name: (s.total.sum() / s.n.sum()).item() for name, s in sums.items()}


def test_repeated_scores_are_the_slow_loop() -> None:
    pattern = random_pattern()
    sums = repeated_sequence_scores(pattern, LENGTH)
    second = range(LENGTH + 1, N_POS)
    wanted = {
        "previous_token": [(dest, dest - 1) for dest in range(2, N_POS)],
        "duplicate_token": [(dest, dest - LENGTH) for dest in second],
        "induction": [(dest, dest - LENGTH + 1) for dest in second],
    }
    assert sums.keys() == wanted.keys()
    for name, pairs in wanted.items():
        assert sums[name].n.tolist() == [len(pairs)] * 2
        for sequence in range(2):
            for head in range(3):
                slow = sum(float(pattern[sequence, head, dest, src]) for dest, src in pairs)
                assert sums[name].total[sequence, head].item() == pytest.approx(slow, rel=1e-6)


@pytest.mark.parametrize("name", ["previous_token", "duplicate_token", "induction"])
def test_a_head_that_does_one_thing_scores_one_there_and_zero_elsewhere(name: str) -> None:
    tokens = random_repeated_tokens(1, LENGTH, 50, {0, 49}, 0, 1)[0].tolist()
    source: dict[int, int] = {}
    for dest in range(2, N_POS):
        earlier = [s for s in range(1, dest) if tokens[s] == tokens[dest]]
        if name == "previous_token":
            source[dest] = dest - 1
        elif earlier:
            source[dest] = earlier[0] + (name == "induction")
    found = scores(repeated_sequence_scores(looking_at(source), LENGTH))
    assert found == {other: float(other == name) for other in found}


def test_repeated_scores_refuse_another_length() -> None:
    with pytest.raises(ValueError, match="13 positions"):
        repeated_sequence_scores(random_pattern(), LENGTH - 1)


def test_corpus_scores_are_the_slow_loop() -> None:
    pattern = random_pattern()
    counted = torch.ones(2, N_POS, dtype=torch.bool)
    counted[:, 0] = False
    counted[1, 8:] = False
    sums = corpus_scores(pattern, counted)
    for sequence in range(2):
        dests = [dest for dest in range(N_POS) if counted[sequence, dest]]
        for head in range(3):
            rows = [pattern[sequence, head, dest].double().tolist() for dest in dests]
            slow = {
                "bos_attention": sum(row[0] for row in rows),
                "entropy": sum(-a * math.log(a) for row in rows for a in row if a > 0),
                "query_key_distance": sum(
                    a * (dest - src)
                    for dest, row in zip(dests, rows, strict=True)
                    for src, a in enumerate(row)
                ),
            }
            assert sums.keys() == slow.keys()
            for name, value in slow.items():
                assert sums[name].total[sequence, head].item() == pytest.approx(value, rel=1e-12)
                assert sums[name].n[sequence].item() == len(dests)


@pytest.mark.parametrize("n_at_once", [1, 2, 5])
def test_corpus_scores_are_the_same_bits_however_many_sequences_are_read_at_once(
    monkeypatch: pytest.MonkeyPatch, n_at_once: int
) -> None:
    pattern = torch.cat([random_pattern(), random_pattern().flip(0), random_pattern()[:1]])
    counted = torch.arange(N_POS) > torch.arange(5)[:, None]
    together = corpus_scores(pattern, counted)
    monkeypatch.setattr(head_scores, "_WIDENED_AT_ONCE", n_at_once * pattern[0].numel())
    for name, score in corpus_scores(pattern, counted).items():
        assert torch.equal(score.total, together[name].total)
        assert torch.equal(score.n, together[name].n)


def test_corpus_scores_of_a_head_on_bos_and_of_a_uniform_head() -> None:
    counted = torch.ones(1, N_POS, dtype=torch.bool)
    counted[:, 0] = False
    on_bos = scores(corpus_scores(looking_at({}), counted))
    assert on_bos == {
        "bos_attention": 1.0,
        "entropy": 0.0,
        "query_key_distance": (N_POS - 1) * N_POS / 2 / (N_POS - 1),
    }
    uniform = (torch.ones(N_POS, N_POS).tril() / torch.arange(1, N_POS + 1)[:, None])[None, None]
    entropy = scores(corpus_scores(uniform, counted))["entropy"]
    assert entropy == pytest.approx(sum(math.log(d + 1) for d in range(1, N_POS)) / (N_POS - 1), rel=1e-6)


def test_repeated_tokens_are_distinct_ordinary_and_repeated() -> None:
    special = {3, 7, 40}
    tokens = random_repeated_tokens(30, 20, 41, special, 5, 0)
    assert tokens.shape == (30, 41)
    assert tokens.dtype == torch.int64
    for row in tokens.tolist():
        assert row[0] == 5
        assert row[1:21] == row[21:]
        assert len(set(row[1:21])) == 20
        assert not set(row[1:]) & (special | {5})
    assert torch.equal(tokens, random_repeated_tokens(30, 20, 41, special, 5, 0))
    assert not torch.equal(tokens, random_repeated_tokens(30, 20, 41, special, 5, 1))
    assert set(tokens.flatten().tolist()) == set(range(41)) - special


def test_repeated_tokens_need_enough_words() -> None:
    with pytest.raises(ValueError, match="no 5 distinct tokens to repeat among 4"):
        random_repeated_tokens(1, 5, 6, {1}, 0, 0)
    with pytest.raises(ValueError, match="no 1 distinct"):
        random_repeated_tokens(1, 1, 6, {1}, 0, 0)


class Ov:
    """A random model's OV side, as trained, and the same with its layer norms folded in."""

    d_model, d_head, d_vocab, n_heads = 8, 3, 20, 2

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        self.w_e = normal(self.d_vocab, self.d_model) + 0.4
        self.w_u = normal(self.d_model, self.d_vocab) + 0.2
        self.norm_weight = normal(self.d_model) + 1.0
        self.w_v = normal(self.n_heads, self.d_model, self.d_head)
        self.w_o = normal(self.n_heads, self.d_head, self.d_model) + 0.3


def test_copying_is_that_of_the_whole_vocabulary_circuit() -> None:
    ov = Ov()
    ones = torch.ones(ov.d_model, dtype=torch.float64)
    score = copying_score(ov.w_v, ov.w_o, vocabulary_map(ov.w_e, ov.w_u, ones, False))
    centred = ov.w_u - ov.w_u.mean(1, keepdim=True)
    for head in range(ov.n_heads):
        eigenvalues = torch.linalg.eigvals(ov.w_e @ ov.w_v[head] @ ov.w_o[head] @ centred)
        assert score[head].item() == pytest.approx((eigenvalues.sum().real / eigenvalues.abs().sum()).item())


def test_a_head_that_copies_scores_one_and_one_that_suppresses_minus_one() -> None:
    w_e = torch.linalg.qr(
        torch.randn(20, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ).Q
    w_e = w_e - w_e.mean(0, keepdim=True)
    basis = torch.eye(8, dtype=torch.float64)[None, :, :3]
    vocabulary = vocabulary_map(w_e, w_e.T.contiguous(), torch.ones(8, dtype=torch.float64), False)
    heads = copying_score(
        basis.expand(3, -1, -1), basis.mT * torch.tensor([1.0, -1.0, 0.0])[:, None, None], vocabulary
    )
    assert_close(heads.tolist(), [1.0, -1.0, 0.0])


def test_copying_is_the_same_raw_and_processed() -> None:
    ov = Ov()
    raw = copying_score(ov.w_v, ov.w_o, vocabulary_map(ov.w_e, ov.w_u, ov.norm_weight, True))
    folded = ov.norm_weight[:, None] * ov.w_u
    folded = folded - folded.mean(0, keepdim=True)
    folded = folded - folded.mean(1, keepdim=True)
    centred_e = ov.w_e - ov.w_e.mean(-1, keepdim=True)
    centred_o = ov.w_o - ov.w_o.mean(-1, keepdim=True)
    ones = torch.ones(ov.d_model, dtype=torch.float64)
    assert_close(copying_score(ov.w_v, centred_o, vocabulary_map(centred_e, folded, ones, True)), raw)
    uncentred = copying_score(ov.w_v, ov.w_o, vocabulary_map(ov.w_e, ov.w_u, ov.norm_weight, False))
    assert (uncentred - raw).abs().max() > 1e-2


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_the_vocabulary_map_is_the_product_in_any_chunk(chunk: int) -> None:
    ov = Ov()
    ones = torch.ones(ov.d_model, dtype=torch.float64)
    product = (ov.w_u - ov.w_u.mean(1, keepdim=True)) @ ov.w_e
    assert_close(vocabulary_map(ov.w_e, ov.w_u, ones, False, chunk), product)
