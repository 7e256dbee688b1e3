"""Every file that a job reads again: damaged, cut, empty, missing or a folder in its place, the rows stay the same.

The job says in one line what it makes again.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.errors import AppError, InvalidCorpus
from app.precompute.loaded_run import LoadedRun
from app.precompute.plan import RunPlanChanged
from app.precompute.prepare import prepare
from app.precompute.publish import Publisher
from app.precompute.work_folder import WorkFolder
from tests.support.tiny_jobs import SLUG, Tiny, digest_of, make_tiny, run

pytestmark = pytest.mark.slow

# Kinds of files below the work folder of an atlas; of one kind, the one in the middle is spoilt.
KINDS = (
    "plan.json",
    "corpus/*/corpus.json",
    "corpus/*/tokens.npy",
    "corpus/*/lengths.npy",
    "corpus/*/documents.jsonl",
    "sealed/calibration.seal",
    "sealed/features-*.seal",
    "sealed/scores-*.seal",
)
ACTIVATIONS = "activations/L*.npz"
NEVER_READ = "lock"  # but to name who holds it


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def junk(path: Path) -> None:
    path.write_bytes(b"\x00\xff junk \xfe" * 40)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").write_bytes(b"else")


def missing(path: Path) -> None:
    path.unlink()


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


Spoil = Callable[[Path], None]
SPOILS: tuple[Spoil, ...] = (flip, cut, empty, junk, folder, missing, dangling)
# Two kinds of damage to each kind of file, each kind of damage twice or more; `make sweep` runs every pair.
PAIRS = [
    (kind, spoil)
    if (n_spoil - 2 * n_kind) % len(SPOILS) < 2
    else pytest.param(kind, spoil, marks=pytest.mark.sweep)
    for n_kind, kind in enumerate(KINDS)
    for n_spoil, spoil in enumerate(SPOILS)
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("damaged"), k=6)


@pytest.fixture(scope="module")
def whole(tiny: Tiny) -> str:
    """The digest of an undisturbed run, whose work folder is copied for each test."""
    run(tiny, str(tiny.root / "whole.sqlite"), work_dir=tiny.root / "work")
    return digest_of(tiny.root / "whole.sqlite")


@pytest.fixture
def work(tiny: Tiny, whole: str, tmp_path: Path) -> Path:
    shutil.copytree(tiny.root / "work", tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The lines of the log, and those that the job wrote, each without bars."""

    def lines() -> list[str]:
        return [*caplog.messages, *capsys.readouterr().err.splitlines()]

    return lines


def files_of(work: Path) -> list[Path]:
    return [path for path in (work / SLUG).rglob("*") if path.is_file()]


def test_no_file_of_a_work_folder_is_left_out(tiny: Tiny, work: Path) -> None:
    known = {path for kind in (*KINDS, NEVER_READ) for path in (work / SLUG).glob(kind)}
    assert set(files_of(work)) == known


def test_a_folder_in_place_of_the_lock_is_named(tmp_path: Path) -> None:
    (tmp_path / "work" / "lock").mkdir(parents=True)
    with (
        pytest.raises(AppError, match=r"cannot be written: .*/work/lock: Is a directory$"),
        WorkFolder(tmp_path / "work").locked(),
    ):
        pass


@pytest.mark.parametrize(("kind", "spoil"), PAIRS)
def test_the_rows_are_the_same(
    tiny: Tiny, whole: str, work: Path, tmp_path: Path, said: Callable[[], list[str]], kind: str, spoil: Spoil
) -> None:
    every = sorted((work / SLUG).glob(kind))
    path = every[len(every) // 2]
    spoil(path)
    run(tiny, str(tmp_path / "store.sqlite"), work_dir=work)
    assert digest_of(tmp_path / "store.sqlite") == whole
    lines = [line for line in said() if path.name in line or str(path.parent) in line]
    silent = spoil in (missing, dangling) and kind not in ("corpus/*/tokens.npy", "corpus/*/lengths.npy")
    if not (silent or spoil in (missing, dangling)):
        assert len(lines) == 1, lines
        assert "again" in lines[0]
    again = [each for each in files_of(work) if each.name == path.name]
    assert len(again) == len(every) if kind.startswith("corpus") else again


@pytest.mark.parametrize(
    "spoil",
    [
        flip,
        folder,
        missing,
        *(pytest.param(each, marks=pytest.mark.sweep) for each in (cut, empty, junk, dangling)),
    ],
)
def test_activations_that_are_damaged_are_made_again(
    tiny: Tiny,
    whole: str,
    tmp_path: Path,
    said: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    spoil: Spoil,
) -> None:
    real, spoilt = Publisher.write, []

    def spoiling(self: Publisher, *given: Any) -> Any:
        for path in (tmp_path / "work" / SLUG).glob(ACTIVATIONS.replace("L*", "L1-*3")):
            spoil(path)
            spoilt.append(path)
        return real(self, *given)

    monkeypatch.setattr(Publisher, "write", spoiling)
    report = run(tiny, str(tmp_path / "store.sqlite"), work_dir=tmp_path / "work")
    assert spoilt
    assert " 0 examples run again" not in report
    assert digest_of(tmp_path / "store.sqlite") == whole
    if spoil not in (missing, dangling):
        [line] = [line for line in said() if spoilt[0].name in line]
        assert "is damaged, and its sequences are run again" in line


def test_activations_of_another_batch_are_not_taken(
    tiny: Tiny, whole: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Publisher.write

    def swapping(self: Publisher, *given: Any) -> Any:
        first, second, *_ = sorted((tmp_path / "work" / SLUG).glob(ACTIVATIONS))
        first.write_bytes(second.read_bytes())
        return real(self, *given)

    monkeypatch.setattr(Publisher, "write", swapping)
    run(tiny, str(tmp_path / "store.sqlite"), work_dir=tmp_path / "work")
    assert digest_of(tmp_path / "store.sqlite") == whole


@pytest.mark.parametrize("name", ["corpus", "sealed", "activations"])
def test_files_in_place_of_folders_are_cleared(
    tiny: Tiny, whole: str, work: Path, tmp_path: Path, said: Callable[[], list[str]], name: str
) -> None:
    shutil.rmtree(work / SLUG / name, ignore_errors=True)
    (work / SLUG / name).write_text("no folder")
    run(tiny, str(tmp_path / "store.sqlite"), work_dir=work)
    assert digest_of(tmp_path / "store.sqlite") == whole
    [line] = [line for line in said() if "is no folder, and is removed" in line]
    assert str(work / SLUG / name) in line


@pytest.mark.parametrize("spoil", [flip, cut, empty, junk, folder])
def test_a_damaged_plan_without_a_file_that_tells_whose_it_is_is_refused(
    tiny: Tiny, whole: str, work: Path, tmp_path: Path, spoil: Spoil
) -> None:
    shutil.rmtree(work / SLUG / "sealed")
    spoil(work / SLUG / "plan.json")
    with pytest.raises(RunPlanChanged, match=r"plan\.json is damaged; add --new-run to start afresh there"):
        run(tiny, str(tmp_path / "store.sqlite"), work_dir=work)


@pytest.mark.parametrize("spoil", [flip, folder])
def test_a_damaged_plan_of_another_run_is_refused(
    tiny: Tiny, whole: str, work: Path, tmp_path: Path, spoil: Spoil
) -> None:
    spoil(work / SLUG / "plan.json")
    with pytest.raises(RunPlanChanged, match=r"plan\.json is damaged"):
        run(tiny, str(tmp_path / "store.sqlite"), work_dir=work, seed=1)


def test_a_worker_never_reads_another_corpus_than_the_plans(tiny: Tiny, tmp_path: Path) -> None:
    spec, _ = prepare(tiny.request(work_dir=tmp_path))
    assert LoadedRun(spec).corpus.checksum == spec.plan.corpus_checksum
    flip(spec.corpus_folder / "tokens.npy")
    with pytest.raises(InvalidCorpus, match="is not, or no longer, the corpus of the run"):
        _ = LoadedRun(spec).corpus
