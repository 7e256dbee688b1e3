"""DFA against slow loops from the formula; sources sum to heads, heads to the pre-activation."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from app.attribution.dfa import (
    KeptSources,
    dfa_by_head_and_source,
    dfa_by_source,
    keep_sources,
    pair_contributions,
    products_of_gathered,
    residual,
    sequence_dfa,
)
from app.domain.records import N_SOURCES

N_TOKEN, N_HEADS, D_HEAD, D_SAE = 11, 3, 4, 13


class Sequence:
    """A random attention layer on one sequence, with a random dictionary."""

    def __init__(self, seed: int = 0, dtype: torch.dtype = torch.float64) -> None:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        scores = normal(N_HEADS, N_TOKEN, N_TOKEN)
        future = torch.ones(N_TOKEN, N_TOKEN, dtype=torch.bool).triu(1)
        self.v = normal(N_TOKEN, N_HEADS, D_HEAD).to(dtype)
        self.pattern = scores.masked_fill(future, -torch.inf).softmax(-1).to(dtype)
        self.z = torch.einsum("hds,shx->dhx", self.pattern, self.v)
        self.w_read = normal(N_HEADS, D_HEAD, D_SAE).to(dtype)
        self.bias = normal(D_SAE).to(dtype)
        self.scale = torch.rand(N_TOKEN, generator=generator, dtype=torch.float64).to(dtype) + 0.5
        self.token = torch.tensor([1, 1, 2, 5, 5, 5, 10])
        self.feature = torch.tensor([0, 7, 7, 2, 3, 12, 0])

    def pre_activation(self) -> Tensor:
        """From the concatenated z, as an SAE encodes it."""
        whole = self.z.flatten(1) @ self.w_read.flatten(0, 1) * self.scale[:, None] + self.bias
        return whole[self.token, self.feature]

    def dfa(self) -> Tensor:
        return sequence_dfa(
            self.v, self.pattern, self.w_read, self.token, self.feature, self.scale[self.token]
        )

    def contributions(self) -> Tensor:
        return pair_contributions(self.z, self.w_read, self.scale, self.token, self.feature)


def slow_dfa(s: Sequence, example: int, head: int, src: int) -> float:
    dest, feature = int(s.token[example]), int(s.feature[example])
    dot = sum(float(s.v[src, head, x]) * float(s.w_read[head, x, feature]) for x in range(D_HEAD))
    return float(s.pattern[head, dest, src]) * dot * float(s.scale[dest])


def test_dfa_is_the_slow_loop() -> None:
    s = Sequence()
    rows = s.w_read.permute(2, 0, 1)[s.feature]
    simple = dfa_by_head_and_source(s.v, s.pattern[:, s.token].transpose(0, 1), rows, s.scale[s.token])
    batched = s.dfa()
    for e in range(len(s.token)):
        for h in range(N_HEADS):
            slow = [slow_dfa(s, e, h, src) for src in range(N_TOKEN)]
            assert_close(simple[e, h].tolist(), slow)
            assert_close(batched[e, h].tolist(), slow)


def test_contributions_are_the_slow_loop() -> None:
    s = Sequence()
    contributions = s.contributions()
    for e, (token, feature) in enumerate(zip(s.token.tolist(), s.feature.tolist(), strict=True)):
        for h in range(N_HEADS):
            dot = sum(float(s.z[token, h, x]) * float(s.w_read[h, x, feature]) for x in range(D_HEAD))
            assert contributions[e, h].item() == pytest.approx(dot * float(s.scale[token]), rel=1e-12)


def test_sources_sum_to_heads_and_heads_to_the_pre_activation() -> None:
    s = Sequence()
    contributions = s.contributions()
    assert_close(s.dfa().sum(-1), contributions)
    assert_close(contributions.sum(-1) + s.bias[s.feature], s.pre_activation())
    assert_close(dfa_by_source(s.dfa()).sum(-1), contributions.sum(-1))
    assert residual(s.dfa(), s.bias[s.feature], s.pre_activation()).max() < 1e-14


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_is_widened(dtype: torch.dtype) -> None:
    s = Sequence(dtype=dtype)
    rows = s.w_read.permute(2, 0, 1)[s.feature]
    exact = (
        torch.einsum("ehx,ehx->eh", s.z[s.token].double(), rows.double()) * s.scale[s.token].double()[:, None]
    )
    assert_close(s.contributions().double(), exact, rtol=1e-5, atol=1e-6)
    assert s.contributions().dtype == torch.float32
    assert s.dfa().dtype == torch.float32


def test_bits_of_contributions_depend_on_no_other_pair_and_no_layout() -> None:
    s = Sequence(dtype=torch.float32)
    s.token, s.feature = (
        index.flatten() for index in torch.meshgrid(torch.arange(11), torch.arange(13), indexing="ij")
    )
    whole = s.contributions()
    s.w_read = s.w_read.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    assert torch.equal(s.contributions(), whole)
    pairs = list(zip(s.token.split(1), s.feature.split(1), whole, strict=True))
    for s.token, s.feature, expected in pairs:
        assert torch.equal(s.contributions()[0], expected)


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 100])
def testproducts_of_gathered_rows_are_those_at_places(at_once: int) -> None:
    s = Sequence()
    gathered = products_of_gathered(s.z, s.w_read, s.token, s.feature, at_once)
    assert_close(gathered * s.scale[s.token, None], s.contributions(), rtol=1e-14, atol=0)
    assert torch.equal(gathered, products_of_gathered(s.z, s.w_read, s.token, s.feature))


def test_no_pairs_and_no_examples() -> None:
    s = Sequence()
    s.token = s.feature = torch.zeros(0, dtype=torch.int64)
    assert s.contributions().shape == (0, N_HEADS)
    assert s.dfa().shape == (0, N_HEADS, N_TOKEN)
    assert keep_sources(s.dfa(), s.token).source.shape == (0, N_HEADS, N_SOURCES)


def slow_keep(row: list[float], dest: int) -> list[int]:
    """Sources of one example and head: the signed maximum, then by magnitude, ties to the earlier source."""
    candidates = list(range(dest + 1))
    first = max(candidates, key=lambda s: (row[s], -s))
    others = sorted((s for s in candidates if s != first), key=lambda s: (-abs(row[s]), s))
    return ([first, *others] + [-1] * N_SOURCES)[:N_SOURCES]


def assert_kept(kept: KeptSources, dfa: Tensor, dest: Tensor) -> None:
    for e in range(len(dest)):
        for h in range(dfa.shape[1]):
            row = dfa[e, h].tolist()
            sources = slow_keep(row, int(dest[e]))
            assert kept.source[e, h].tolist() == sources
            assert kept.dfa[e, h].tolist() == [row[s] if s >= 0 else 0.0 for s in sources]
            rest = sum(value for s, value in enumerate(row) if s not in sources)
            assert kept.rest[e, h].item() == pytest.approx(rest, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("n_src", [1, 5, N_SOURCES, 9, 40])
def test_kept_sources_are_the_slow_loop(n_src: int) -> None:
    generator = torch.Generator().manual_seed(n_src)
    # Whole numbers from a small range tie in value and in magnitude; zeros and negative zeros are among them.
    dfa = torch.randint(-3, 4, (60, 2, n_src), generator=generator).float()
    dfa[::2] = dfa[::2] * torch.rand(30, 2, n_src, generator=generator)
    dest = torch.randint(0, n_src, (60,), generator=generator)
    dfa.masked_fill_(torch.arange(n_src) > dest[:, None, None], 0.0)
    assert_kept(keep_sources(dfa, dest), dfa, dest)


def test_kept_sources_and_rest_sum_to_the_head() -> None:
    s = Sequence(dtype=torch.float32)
    kept = keep_sources(s.dfa(), s.token)
    assert_close(kept.dfa.sum(-1) + kept.rest, s.contributions(), rtol=1e-5, atol=1e-6)


def test_sources_kept_of_all_heads_are_the_slow_loop_and_sum_to_the_pre_activation() -> None:
    s = Sequence(dtype=torch.float32)
    summed = dfa_by_source(s.dfa())[:, None]
    kept = keep_sources(summed, s.token)
    assert_kept(kept, summed.float(), s.token)
    for e in range(len(s.token)):
        slow = [sum(slow_dfa(s, e, h, src) for h in range(N_HEADS)) for src in range(N_TOKEN)]
        assert_close(summed[e, 0].tolist(), slow, rtol=1e-5, atol=1e-6)
    total = kept.dfa.sum(-1) + kept.rest + s.bias[s.feature][:, None]
    assert_close(total[:, 0], s.pre_activation(), rtol=1e-5, atol=1e-5)


def test_a_future_source_is_never_kept_but_never_lost() -> None:
    dfa = torch.zeros(1, 1, 20)
    dfa[0, 0, 3], dfa[0, 0, 15] = -1.0, 100.0
    kept = keep_sources(dfa, torch.tensor([4]))
    assert kept.source[0, 0].tolist() == [0, 3, 1, 2, 4, -1, -1, -1]
    assert kept.rest.item() == 100.0


def test_all_sources_negative_keeps_the_least_negative_first() -> None:
    kept = keep_sources(torch.tensor([[[-3.0, -1.0, -2.0]]]), torch.tensor([2]))
    assert kept.source[0, 0, :3].tolist() == [1, 0, 2]


def test_sources_must_fit_in_16_bits() -> None:
    with pytest.raises(ValueError, match="32768"):
        keep_sources(torch.zeros(1, 1, 2**15), torch.tensor([0]))


def test_residual_is_its_formula() -> None:
    dfa = torch.tensor([[[1.0, -2.0], [0.5, 0.0]], [[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    bias, p = torch.tensor([0.25, 1.0, 1.0]), torch.tensor([0.1, 1.0, 2.0])
    assert residual(dfa, bias, p).tolist() == [pytest.approx(abs(-0.5 + 0.25 - 0.1) / 3.5), 0.0, torch.inf]


def test_a_wrong_model_shows_in_the_residual() -> None:
    """A constant shift of v, as an unprocessed model has it, is what the residual is there to catch."""
    s = Sequence()
    p = s.pre_activation()
    s.v = s.v + 0.1
    assert residual(s.dfa(), s.bias[s.feature], p).max() > 1e-2
