"""Jobs with `--device mps`, on a stand-in that fails as MPS does: all that is float64 is computed on the host."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import app.attribution.float64
import app.precompute.layer_batch
from app.adapters.devices import choose_device, describe_device
from app.adapters.model_sources import find_model
from app.adapters.norm_probe import describe_norm
from app.adapters.self_check import relative_difference
from app.adapters.transformer_lens_model import load_model
from app.attribution.attention import open_attention, strongest_sources
from app.attribution.decoder_weights import decoder_weight_norm, decoder_weight_share, most_similar, unit_rows
from app.attribution.dfa import dfa_by_source, keep_sources, residual
from app.attribution.head_scores import (
    copying_score,
    corpus_scores,
    repeated_sequence_scores,
    vocabulary_map,
)
from app.attribution.logits import logit_histogram, summarise_logits, token_logit_by_head
from app.attribution.sae import sparse_product
from app.domain.prompts import PromptQuestion
from app.precompute.plan import RunPlan
from app.precompute.prompt_numbers import answer
from app.precompute.smaller_batches import BatchSize, with_smaller_batches
from app.precompute.sources import reopen
from app.store.atlas.reads import get_report
from app.store.database.engine import read_session
from tests.support.narrow_device import NarrowDevice, NarrowTensor, has_kernel
from tests.support.tiny_jobs import PublishedAtlas, Tiny, make_tiny, run

MPS = "mps"
Draw = Callable[..., torch.Tensor]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("mps"), "gpt2", k=6)


@pytest.fixture(scope="module")
def on_cpu(tiny: Tiny) -> PublishedAtlas:
    store = str(tiny.root / "cpu.sqlite")
    run(tiny, store, work_dir=tiny.root / "cpu", device="cpu", processing=None)
    return PublishedAtlas.open(store)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.double(),
        lambda x: x.sum(dim=0, dtype=torch.float64),
        lambda x: x.cpu().double().to(MPS),
        lambda x: torch.zeros(3, dtype=torch.float64, device=MPS),
        lambda x: torch.tensor(np.ones(2), device=MPS),
        lambda x: torch.linspace(0, 1, 3, dtype=torch.float64, device=x.device),
        lambda x: x * torch.ones((), dtype=torch.float64).to(MPS),
        lambda x: x.to(torch.float64),
    ],
)
def test_the_stand_in_has_no_float64(make: Callable[[torch.Tensor], Any]) -> None:
    with NarrowDevice():
        x = torch.ones(3, 4, device=MPS)
        assert x.device == torch.device("mps:0")
        with pytest.raises(TypeError, match="Cannot convert a MPS Tensor to float64"):
            make(x)
        assert x.cpu().double().sum() == 12


def test_the_stand_in_fails_where_devices_meet_and_kernels_are_missing() -> None:
    with NarrowDevice():
        x = torch.ones(2, 2, device=MPS)
        with pytest.raises(RuntimeError, match="same device"):
            x + torch.ones(2, 2)
        with pytest.raises(TypeError, match="to numpy"):
            x.numpy()
        with pytest.raises(NotImplementedError, match="not currently implemented for the MPS device"):
            torch.linalg.eigvals(x)
        assert (x @ x + 1).tolist() == [[3, 3], [3, 3]]
    assert not has_kernel("aten::segment_reduce")
    assert has_kernel("aten::searchsorted.Tensor")


def drawn(device: str) -> Draw:
    """Makes random tensors of given shapes on a device, the same at each time."""
    generator = torch.Generator().manual_seed(7)
    return lambda *shape: torch.randn(*shape, generator=generator).to(device)


def pattern(draw: Draw) -> torch.Tensor:
    return draw(2, 3, 9, 9).tril().softmax(dim=-1)


def places(draw: Draw, *values: int) -> torch.Tensor:
    return torch.tensor(values).to(draw(1).device)


FLOAT64_PARTS: dict[str, Callable[[Draw], Any]] = {
    "open_attention": lambda d: vars(open_attention(pattern(d), d(2, 9) > -9, 2)),
    "strongest_sources": lambda d: vars(strongest_sources(d(4, 12), d(4, 12) > 1)),
    "corpus_scores": lambda d: vars(corpus_scores(pattern(d), d(2, 9) > -9)["entropy"]),
    "repeated_sequence_scores": lambda d: vars(repeated_sequence_scores(pattern(d), 4)["induction"]),
    "copying_score": lambda d: copying_score(
        d(3, 8, 4), d(3, 4, 8), vocabulary_map(d(20, 8), d(8, 20), d(8), True)
    ),
    "decoder_weight_share": lambda d: decoder_weight_share(decoder_weight_norm(d(6, 3, 4))),
    "most_similar": lambda d: most_similar(unit_rows(d(6, 8)), 2),
    "keep_sources": lambda d: vars(keep_sources(d(2, 3, 9), places(d, 4, 8))),
    "summed_sources": lambda d: vars(keep_sources(dfa_by_source(d(2, 3, 9))[:, None], places(d, 4, 8))),
    "residual": lambda d: residual(d(2, 3, 9), d(2), d(2)),
    "token_logit_by_head": lambda d: token_logit_by_head(
        d(2, 3, 8), places(d, 4, 8), d(8, 20), d(8), centre_residual=True
    ),
    "logit_histogram": lambda d: logit_histogram(d(3, 50)),
    "summarise_logits": lambda d: vars(summarise_logits(d(3, 8), d(8, 50), d(8), False, 4))["counts"],
    "relative_difference": lambda d: torch.tensor(relative_difference(d(3, 4), d(3, 4))),
    "describe_norm": lambda d: vars(
        describe_norm(torch.nn.LayerNorm(8).to(d(1).device), 8, torch.float32, d(1).device)
    )["eps"],
}


@pytest.mark.parametrize("name", FLOAT64_PARTS)
def test_each_part_that_needs_float64_has_it_on_the_host(name: str) -> None:
    with torch.inference_mode():
        expected = FLOAT64_PARTS[name](drawn("cpu"))
    with NarrowDevice(), torch.inference_mode():
        found = FLOAT64_PARTS[name](drawn(MPS))
        torch.testing.assert_close(on_host(found), expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", FLOAT64_PARTS)
def test_a_part_that_took_float64_on_the_device_would_fail(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.attribution.float64, "float64_device", torch.device)
    with NarrowDevice(), torch.inference_mode(), pytest.raises(TypeError, match="float64"):
        FLOAT64_PARTS[name](drawn(MPS))


def on_host(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: on_host(part) for name, part in found.items()}
    if isinstance(found, tuple):
        return tuple(map(on_host, found))
    return found.held if isinstance(found, NarrowTensor) else found


def test_a_sparse_product_needs_no_operator_that_older_versions_lack() -> None:
    acts, w_dec = torch.zeros(4, 100), drawn("cpu")(100, 8)
    acts[:, 3] = 2
    with NarrowDevice() as device, torch.inference_mode():
        product = sparse_product(acts.to(MPS), w_dec.to(MPS)).cpu()
    torch.testing.assert_close(product, sparse_product(acts, w_dec))
    assert not [name for name in device.met if "embedding_bag" in name]


@pytest.mark.slow
def test_a_job_on_it_publishes_what_one_on_the_cpu_does(
    tiny: Tiny, on_cpu: PublishedAtlas, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tiny.root / "mps.sqlite")
    with NarrowDevice() as device:
        report = run(tiny, store, work_dir=tiny.root / "mps", device=MPS, processing=None)
    assert "computing on mps (float64 sums on the CPU), float32, 1 thread" in capsys.readouterr().err
    assert "on mps (float64 sums on the CPU), float32, 1 thread" in report
    assert {"aten::bmm", "aten::addmm", "aten::_softmax"} <= device.met
    found = PublishedAtlas.open(store)
    assert found.layers == on_cpu.layers
    for layer in found.layers:
        here, there = found.features(layer), on_cpu.features(layer)
        assert [each.ref for each in here] == [each.ref for each in there]
        for one, other in zip(here, there, strict=True):
            assert one.n_active == other.n_active
            assert one.fve_active is not None
            assert other.fve_active is not None
            # What a head adds is summed in another order there, in float32; 16 significant bits are stored.
            np.testing.assert_allclose(
                one.fve_active.r_squared, other.fve_active.r_squared, rtol=2**-15, atol=1e-6
            )
            assert one.examples is not None
            assert other.examples is not None
            np.testing.assert_array_equal(one.examples.position, other.examples.position)
            np.testing.assert_allclose(one.examples.dfa, other.examples.dfa, rtol=1e-5, atol=1e-6)


def test_a_job_that_took_float64_on_it_would_fail(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.precompute.layer_batch, "widened", torch.Tensor.double)
    with NarrowDevice(), pytest.raises(TypeError, match="Cannot convert a MPS Tensor to float64"):
        run(tiny, str(tmp_path / "s.sqlite"), work_dir=tmp_path, device=MPS, processing="raw")


def test_a_prompt_is_answered_on_it(tiny: Tiny, on_cpu: PublishedAtlas) -> None:
    with read_session(on_cpu.engine) as session:
        sources = get_report(session, on_cpu.run).details["sources"]
    assert isinstance(sources, dict)
    plan = RunPlan.from_json(on_cpu.run.record.plan)
    question = PromptQuestion(text="The quick brown fox jumps", layer=1)
    expected = answer(reopen(plan, sources, tiny.root), question)
    with NarrowDevice():
        found = answer(reopen(dataclasses.replace(plan, device=MPS), sources, tiny.root), question)
    assert expected.feature is not None
    assert found.feature is not None
    assert found.feature.index == expected.feature.index
    assert found.feature.residual < 1e-5
    np.testing.assert_allclose(found.feature.dfa, expected.feature.dfa, rtol=1e-5, atol=1e-6)


def test_the_path_to_logits_is_traced_on_it(tmp_path: Path) -> None:
    """Of a model with modules that read no residual stream, such as the gate of Llama's MLP."""
    folder = make_tiny(tmp_path, "llama").model
    with NarrowDevice():
        model = load_model(find_model(str(folder), tmp_path), "raw", MPS)
        assert [model.logits_withheld(layer) for layer in (0, 1)] == [None, None]
        assert model.head_weights(0).w_write.device == torch.device("mps:0")


def test_its_memory_that_runs_out_halves_the_batch() -> None:
    """torch has no class for this error."""
    size = BatchSize(4, 24, MPS)

    def compute() -> int:
        if size.sequences > 1:
            raise RuntimeError(
                "MPS backend out of memory (MPS allocated: 9.06 GB, other allocations: 0.1 GB)"
            )
        return size.sequences

    assert with_smaller_batches(size, compute) == 1

    def wrong() -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        with_smaller_batches(size, wrong)


def test_it_is_taken_on_request_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with NarrowDevice():
        assert choose_device("auto") == "cpu"
        assert choose_device(MPS) == MPS
    assert describe_device(MPS) == "mps (float64 sums on the CPU)"
    assert describe_device("cpu") == "cpu"
