"""Work on layers beside the forward pass: its order, its bound, its errors, and how threads are shared out."""

import threading
import time
from collections import defaultdict
from pathlib import Path

import pytest
import torch

import app.precompute.shard
from app.precompute.layer_workers import LayerWorkers, Threads
from tests.support.tiny_jobs import Tiny, digest_of, make_tiny, run


@pytest.mark.parametrize(
    ("threads", "n_saes", "n_layers", "n_workers"),
    [
        (1, 30, 30, 0),
        (2, 30, 30, 1),
        (2, 15, 30, 1),
        (2, 5, 30, 0),
        (2, 0, 30, 0),
        (8, 12, 12, 4),
        (8, 1, 30, 0),
        (16, 5, 30, 2),
        (64, 30, 30, 4),
    ],
)
def test_threads_are_shared_out_by_the_layers_with_an_sae(
    threads: int, n_saes: int, n_layers: int, n_workers: int
) -> None:
    shared = Threads.of(threads, "cpu", n_saes, n_layers, 1)
    assert shared.n_workers == n_workers
    assert shared.forward + shared.n_workers == threads
    assert shared.layer == (1 if n_workers else threads)
    assert shared.layers_at_once == min(threads, 4)


@pytest.mark.parametrize(
    ("dense_bytes", "at_once"), [(0, 4), (2**28, 4), (2**28 + 1, 3), (2**29, 2), (2**30, 1), (2**33, 1)]
)
def test_no_more_layers_are_worked_on_than_fit_in_memory(dense_bytes: int, at_once: int) -> None:
    shared = Threads.of(16, "cpu", 12, 12, dense_bytes)
    assert shared.layers_at_once == at_once
    assert shared.n_workers == at_once


def test_all_threads_are_the_forward_passes_beside_an_accelerator() -> None:
    shared = Threads.of(8, "cuda:1", 12, 12, 1)
    assert (shared.n_workers, shared.forward, shared.layer, shared.layers_at_once) == (0, 8, 8, 1)


@pytest.mark.parametrize("n_workers", [0, 1, 2, 3])
def test_the_work_of_each_layer_is_done_in_its_order(n_workers: int) -> None:
    done: dict[int, list[int]] = defaultdict(list)
    with LayerWorkers(Threads(4, n_workers, 1)) as workers:
        for batch in range(20):
            for layer in range(5):
                workers.add(layer, lambda layer=layer, batch=batch: done[layer].append(batch))
    assert done == {layer: list(range(20)) for layer in range(5)}


@pytest.mark.parametrize("n_workers", [1, 2])
def test_torch_computes_with_the_threads_of_the_plan(n_workers: int) -> None:
    seen: list[int] = []
    before = torch.get_num_threads()
    for threads in (Threads(4, n_workers, 1), Threads(3, 0, 1)):
        with LayerWorkers(threads) as workers:
            workers.add(0, lambda: seen.append(torch.get_num_threads()))
    assert seen == [1, 3]
    assert torch.get_num_threads() == before


def test_no_more_layers_wait_than_memory_is_counted_for() -> None:
    go, begun = threading.Event(), threading.Event()
    n_added = 0

    def wait() -> None:
        begun.set()
        assert go.wait(10)

    def add_all(workers: LayerWorkers) -> None:
        nonlocal n_added
        for layer in range(10):
            workers.add(layer, wait)
            n_added += 1

    threads = Threads(2, 1, 1)
    with LayerWorkers(threads) as workers:
        adding = threading.Thread(target=add_all, args=[workers])
        adding.start()
        assert begun.wait(10)
        adding.join(0.2)
        # One more is in the hands of who adds.
        assert n_added + 1 == threads.layers_in_memory
        go.set()
        adding.join(10)
    assert n_added == 10


@pytest.mark.parametrize("layers", [[0], [0, 1]])
def test_no_more_batches_of_few_layers_wait_than_memory_is_counted_for(layers: list[int]) -> None:
    """Two pieces of work, on the pattern and the activations, of each layer of a batch."""
    go, n_added = threading.Event(), 0

    def add_all(workers: LayerWorkers) -> None:
        nonlocal n_added
        for _ in range(6):
            for layer in layers:
                for _ in range(2):
                    workers.add(layer, lambda: go.wait(10))
                    n_added += 1

    with LayerWorkers(Threads(2, 1, 1)) as workers:
        adding = threading.Thread(target=add_all, args=[workers])
        adding.start()
        adding.join(0.3)
        assert n_added == 4
        go.set()
        adding.join(10)
    assert n_added == 12 * len(layers)


def test_who_adds_does_the_work_where_enough_other_layers_wait() -> None:
    go, by = threading.Event(), {}

    def work(layer: int) -> None:
        if layer < 2:
            assert go.wait(10)
        by[layer] = (threading.get_ident(), torch.get_num_threads(), torch.is_inference_mode_enabled())

    with torch.inference_mode(), LayerWorkers(Threads(4, 1, 2)) as workers:
        for layer in range(4):  # the worker has layers 0 and 1
            workers.add(layer, lambda layer=layer: work(layer))
        assert by == dict.fromkeys((2, 3), (threading.get_ident(), 1, False))
        go.set()
    assert by[0] == by[1]
    assert by[0][0] != threading.get_ident()


@pytest.mark.parametrize("n_workers", [1, 2])
def test_who_adds_waits_where_one_more_layer_does_not_fit_in_memory(n_workers: int) -> None:
    by: set[int] = set()

    def work() -> None:
        time.sleep(0.02)
        by.add(threading.get_ident())

    with LayerWorkers(Threads(4, n_workers, n_workers)) as workers:
        for layer in range(12):
            workers.add(layer, work)
    assert len(by) == n_workers
    assert threading.get_ident() not in by


def fail() -> None:
    raise ValueError("layer 3 is wrong")


@pytest.mark.parametrize("n_workers", [0, 1, 2])
def test_an_error_of_the_work_is_raised_and_what_waits_is_not_done(n_workers: int) -> None:
    done: list[int] = []

    def add_all() -> None:
        with LayerWorkers(Threads(4, n_workers, 1)) as workers:
            workers.add(0, fail)
            for layer in range(1, 10):
                workers.add(2 * layer, lambda layer=layer: done.append(layer))

    with pytest.raises(ValueError, match="layer 3 is wrong"):
        add_all()
    assert len(done) < 9


def test_an_error_of_the_last_work_is_raised_on_leaving() -> None:
    def add() -> None:
        with LayerWorkers(Threads(2, 1, 1)) as workers:
            workers.add(0, fail)

    with pytest.raises(ValueError, match="layer 3 is wrong"):
        add()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("workers"), k=6)


def test_rows_are_the_same_from_kept_activations_and_from_a_second_pass(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, again = (str(tmp_path / f"{name}.sqlite") for name in ("kept", "again"))
    assert " 0 examples run again" in run(tiny, kept, work_dir=tmp_path / "kept", threads=2)
    monkeypatch.setattr(app.precompute.shard, "n_kept", lambda _: 0)
    assert " 0 examples run again" not in run(tiny, again, work_dir=tmp_path / "again", threads=2)
    assert digest_of(Path(kept)) == digest_of(Path(again))
