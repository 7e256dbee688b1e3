"""Activations kept from the pass spare a second forward, and decide nothing else."""

import errno
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import app.precompute.kept_activations
import app.precompute.shard
from app.precompute.kept_activations import keep, n_kept
from app.precompute.loaded_run import LoadedRun
from app.precompute.packed_batch import pack_batch
from app.precompute.prepare import prepare
from app.precompute.publish import Publisher
from app.precompute.shard import corpus_batches, layer_batches
from tests.support.tiny_jobs import SLUG, PublishedAtlas, Tiny, digest_of, make_tiny, run

Before = Callable[[Path], None]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("kept"), k=6)


@pytest.fixture(scope="module")
def digest(tiny: Tiny) -> str:
    """Of the rows of a run that keeps everything."""
    assert " 0 examples run again" in run(tiny, str(tiny.root / "kept.sqlite"), work_dir=tiny.root / "kept")
    return digest_of(tiny.root / "kept.sqlite")


@pytest.fixture
def before_publishing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Before], None]:
    """Calls a function with the folder of kept activations when the pass is over."""

    def install(look: Before) -> None:
        real = Publisher.write

        def looking(self: Publisher, *given: Any) -> Any:
            look(tmp_path / "work" / SLUG / "activations")
            return real(self, *given)

        monkeypatch.setattr(Publisher, "write", looking)

    return install


def run_again(tiny: Tiny, folder: Path) -> int:
    """A run in the folder, and how many examples it ran again."""
    report = run(tiny, str(folder / "store.sqlite"), work_dir=folder / "work")
    return int(report.split(" examples run again")[0].split()[-1])


def n_examples(store: Path) -> int:
    """Tokens shown, once for each feature."""
    shown = PublishedAtlas.open(str(store))
    return sum(
        len({*zip(each.examples.sequence.tolist(), each.examples.position.tolist(), strict=True)})
        for layer in shown.layers
        for each in shown.features(layer)
        if each.examples is not None
    )


def test_they_are_there_when_the_pass_is_over_and_go_when_the_run_is_live(
    tiny: Tiny, digest: str, tmp_path: Path, before_publishing: Any
) -> None:
    seen: list[str] = []
    before_publishing(lambda folder: seen.extend(path.name for path in folder.iterdir()))
    assert run_again(tiny, tmp_path) == 0
    starts = (0, 3, 4, 7, 8)  # shards of 4 in batches of 3
    assert sorted(seen) == [f"L{layer}-{start:09d}.npz" for layer in (0, 1) for start in starts]
    assert not (tmp_path / "work" / SLUG / "activations").exists()
    assert digest_of(tmp_path / "store.sqlite") == digest


def test_without_any_the_rows_are_the_same(
    tiny: Tiny, digest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With shards that no batch size divides, as here (4 and 3), a batch that spans two shards would show."""
    monkeypatch.setattr(app.precompute.shard, "n_kept", lambda _: 0)
    assert run_again(tiny, tmp_path) == n_examples(tmp_path / "store.sqlite") > 0
    assert digest_of(tmp_path / "store.sqlite") == digest


def test_with_some_the_rows_are_the_same(
    tiny: Tiny, digest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.precompute.shard, "n_kept", lambda _: 5)
    assert 0 < run_again(tiny, tmp_path) < n_examples(tmp_path / "store.sqlite")
    assert digest_of(tmp_path / "store.sqlite") == digest


def test_written_beside_the_computation_they_are_the_same(
    tiny: Tiny, digest: str, tmp_path: Path, before_publishing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a thread of their own, as with CUDA."""
    monkeypatch.setattr(app.precompute.kept_activations, "_copies_beside", lambda _: True)
    writers: set[str] = set()
    real = app.precompute.kept_activations.write_arrays

    def write(*given: Any) -> None:
        writers.add(threading.current_thread().name)
        real(*given)

    monkeypatch.setattr(app.precompute.kept_activations, "write_arrays", write)
    assert run_again(tiny, tmp_path) == 0
    assert len(writers) > 0
    assert all(name.startswith("write-behind") for name in writers)
    assert digest_of(tmp_path / "store.sqlite") == digest


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda _: b"",
    "altered": lambda data: data[:1000] + bytes(byte ^ 1 for byte in data[1000:1010]) + data[1010:],
    "another file": lambda _: b"not activations",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_ones_are_made_again(
    tiny: Tiny, digest: str, tmp_path: Path, before_publishing: Any, damage: Callable[[bytes], bytes]
) -> None:
    def spoil(folder: Path) -> None:
        for path in folder.glob("L1-*.npz"):
            path.write_bytes(damage(path.read_bytes()))

    before_publishing(spoil)
    assert 0 < run_again(tiny, tmp_path) < n_examples(tmp_path / "store.sqlite")
    assert digest_of(tmp_path / "store.sqlite") == digest


def test_a_full_disk_costs_a_second_forward_and_no_more(
    tiny: Tiny,
    digest: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(app.precompute.kept_activations.np, "savez", full)
    assert run_again(tiny, tmp_path) > 0
    assert "activations of layer 0 are not kept: No space left on device" in caplog.text
    assert digest_of(tmp_path / "store.sqlite") == digest


def test_the_kept_sequences_fit_in_what_is_given(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, parts = prepare(tiny.request())
    spec.folder.root.mkdir(parents=True, exist_ok=True)
    loaded_run = LoadedRun(spec, parts)
    start, stop = next(corpus_batches(loaded_run))
    n_bytes = 0
    for batch in layer_batches(loaded_run, start, stop):
        arrays = pack_batch(batch, loaded_run.record.n_key_value_heads)
        n_bytes += arrays["v"].nbytes + arrays["pattern"].nbytes
    per_sequence = n_bytes / (stop - start)
    monkeypatch.setattr(app.precompute.kept_activations, "KEPT_BYTES", int(per_sequence * 7.5))
    assert n_kept(loaded_run) == 7
    disk = type("Disk", (), {"free": int(per_sequence * 4 * 2.5)})
    monkeypatch.setattr(app.precompute.kept_activations.shutil, "disk_usage", lambda _: disk)
    assert n_kept(loaded_run) == 2


@pytest.mark.parametrize("n_fit", [0, 1, 4])
def test_a_batch_beyond_what_fits_is_not_written(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_fit: int
) -> None:
    """By the size that its file really has, pairs and all."""
    spec, parts = prepare(tiny.request(work_dir=tmp_path))
    spec.folder.root.mkdir(parents=True, exist_ok=True)
    loaded_run = LoadedRun(spec, parts)
    for start, stop in corpus_batches(loaded_run):
        for batch in layer_batches(loaded_run, start, stop):
            arrays = pack_batch(batch, loaded_run.record.n_key_value_heads)
            size = sum(array.nbytes for array in arrays.values()) / (stop - start)
            monkeypatch.setattr(
                app.precompute.kept_activations, "KEPT_BYTES", size * len(loaded_run.saes) * n_fit
            )
            keep(loaded_run, batch)
            path = spec.folder.activations / f"L{batch.sae.layer}-{start:09d}.npz"
            assert path.exists() == (start < n_fit)
