"""Which device a job computes on, that it says so, and that it goes on in smaller batches where memory runs out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import app.precompute.shard
from app.adapters.devices import choose_device, describe_device
from app.adapters.transformer_lens_model import TransformerLensModel
from app.demo import DemoFolders, demo_plan, is_of
from app.errors import AppError
from app.precompute.partial_files import open_sealed
from app.precompute.prepare import prepare
from app.precompute.publish import Publisher
from tests.support.tiny_jobs import SLUG, PublishedAtlas, Tiny, make_tiny, run

Limit = Callable[[int], None]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("devices"), k=6)


@pytest.fixture(scope="module")
def whole(tiny: Tiny) -> PublishedAtlas:
    """A run in whole batches."""
    run(tiny, str(tiny.root / "whole.sqlite"), work_dir=tiny.root / "whole")
    return PublishedAtlas.open(str(tiny.root / "whole.sqlite"))


@pytest.fixture
def memory_for(monkeypatch: pytest.MonkeyPatch) -> Limit:
    """Lets forward passes of more than n sequences run out of memory."""

    def limit(n: int) -> None:
        real = TransformerLensModel._run

        def limited(self: Any, tokens: torch.Tensor, *rest: Any, **options: Any) -> Any:
            if len(tokens) > n:
                raise torch.OutOfMemoryError("CUDA out of memory (injected)")
            return real(self, tokens, *rest, **options)

        monkeypatch.setattr(TransformerLensModel, "_run", limited)

    return limit


def test_auto_is_the_cpu_where_there_is_no_device(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    store = str(tmp_path / "store.sqlite")
    report = run(tiny, store, work_dir=tmp_path / "work", n_prompts=4)
    assert tiny.request().device == "auto"
    assert PublishedAtlas.open(store).run.record.plan["device"] == "cpu"
    said = [line for line in capsys.readouterr().err.splitlines() if line and "Loading weights" not in line]
    assert said[0] == "computing on cpu, float32, 1 thread"
    assert "on cpu, float32, 1 thread" in report
    assert "memory ran out" not in report


def test_auto_is_cuda_where_torch_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "H100")
    assert choose_device("auto") == "cuda"
    assert describe_device("cuda") == "cuda (H100)"


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "", "mps:7"])
def test_a_device_that_is_not_there_is_refused_in_one_sentence(device: str) -> None:
    with pytest.raises(AppError, match=f"^--device {device} cannot be used on this machine: ") as caught:
        choose_device(device)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_demo_of_any_device_is_up_to_date(tmp_path: Path, device: str) -> None:
    plan = demo_plan(DemoFolders(tmp_path, tmp_path), threads=1)
    assert plan.device == "auto"
    assert is_of(replace(plan, device=device).as_json(), plan)
    assert not is_of(replace(plan, device=device, k=7).as_json(), plan)


@pytest.mark.parametrize("features", ["top", "all"])
def test_a16_out_of_memory_halves_the_batch_and_says_so(
    tiny: Tiny, whole: PublishedAtlas, tmp_path: Path, memory_for: Limit, features: str
) -> None:
    memory_for(1)
    store = str(tmp_path / "store.sqlite")
    report = run(tiny, store, work_dir=tmp_path, features=features)
    assert "the batch of 3 sequences was cut to 1; last bits may differ" in report
    assert " 0 examples run again" in report
    for path in (tmp_path / SLUG / "sealed").glob("features-*.seal"):
        assert open_sealed(path).header.facts == {"batch_size": 1}
    cut = PublishedAtlas.open(store)
    for layer in whole.layers:
        counts = {each.ref: (each.n_active, each.density) for each in cut.features(layer)}
        assert all(counts[each.ref] == (each.n_active, each.density) for each in whole.features(layer))


def test_a16_memory_that_runs_out_while_payloads_are_made_loses_none(
    tiny: Tiny, whole: PublishedAtlas, tmp_path: Path, memory_for: Limit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.precompute.shard, "n_kept", lambda _: 0)
    real = Publisher.write

    def in_less_memory(self: Publisher, *rest: Any) -> Any:
        memory_for(2)
        return real(self, *rest)

    monkeypatch.setattr(Publisher, "write", in_less_memory)
    report = run(tiny, str(tmp_path / "store.sqlite"), work_dir=tmp_path)
    assert "the batch of 3 sequences was cut to 1" in report
    cut = PublishedAtlas.open(str(tmp_path / "store.sqlite"))
    for layer in whole.layers:
        before, after = whole.features(layer), cut.features(layer)
        assert [each.ref for each in before] == [each.ref for each in after]
        for one, other in zip(before, after, strict=True):
            assert one.examples is not None
            assert other.examples is not None
            assert one.examples.position.tolist() == other.examples.position.tolist()


def test_a16_one_sequence_that_is_too_much_ends_the_job_in_one_sentence(
    tiny: Tiny, tmp_path: Path, memory_for: Limit
) -> None:
    memory_for(0)
    with pytest.raises(AppError, match="out of memory on cpu with one sequence of 24 tokens; give a smaller"):
        run(tiny, str(tmp_path / "store.sqlite"), work_dir=tmp_path, processing="raw")


@pytest.mark.parametrize("n", [1, 0])
def test_a16_memory_that_runs_out_while_processings_are_tried_is_met_in_the_same_way(
    tiny: Tiny, memory_for: Limit, n: int
) -> None:
    request = tiny.request(processing=None)
    chosen = prepare(request)[0].plan.saes
    memory_for(n)
    if n:
        assert [sae.processing for sae in prepare(request)[0].plan.saes] == [sae.processing for sae in chosen]
    else:
        with pytest.raises(
            AppError, match="out of memory on cpu with one sequence of 24 tokens; give a smaller"
        ):
            prepare(request)
