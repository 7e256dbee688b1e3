"""A disk that fails at any call: one sentence with the path, an exit code, and the job goes on from there."""

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import app.cli
from app.store.database.engine import open_store
from tests.support.counts import count
from tests.support.run_data import make_run, store_with
from tests.support.store_digest import table_digest
from tests.support.tiny_jobs import Tiny, make_tiny

pytestmark = pytest.mark.slow

CALLS = ("replace", "fsync", "rename", "open", "mkdir", "unlink", "scandir")


class Faults:
    """Counts the calls of the system for files below a folder, and fails the one of the given number."""

    def __init__(self, patch: pytest.MonkeyPatch, below: Path, fault: str = "EIO") -> None:
        self.below, self.count, self.fail_at, self.names = str(below), 0, 0, list[str]()
        self.fault = getattr(errno, fault)
        for name in CALLS:
            patch.setattr(os, name, self._failing(name, getattr(os, name)))

    def _failing(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(first: Any, *arguments: Any, **named: Any) -> Any:
            path = Path(f"/proc/self/fd/{first}").readlink() if isinstance(first, int) else os.fspath(first)
            if str(path).startswith(self.below):
                self.count += 1
                self.names.append(f"{name} {path}")
                if self.count == self.fail_at:
                    # Of an open file the system tells no path.
                    told = () if isinstance(first, int) else (str(path),)
                    raise OSError(self.fault, os.strerror(self.fault), *told)
            return call(first, *arguments, **named)

        return wrapped


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("faults"))


@pytest.fixture
def ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Any]]:
    handler = signal.getsignal(signal.SIGTERM)

    def call(words: list[str]) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["head-atlas", *words])
        with pytest.raises(SystemExit) as stopped:
            app.cli.main()
        return int(stopped.value.code or 0), capsys.readouterr().err

    yield call
    signal.signal(signal.SIGTERM, handler)


def job(tiny: Tiny, folder: Path) -> list[str]:
    words = tiny.arguments(str(folder / "store.sqlite"))
    words[words.index("--work-dir") + 1] = str(folder / "work")
    return words


def digest(folder: Path) -> str:
    engine = open_store(folder / "store.sqlite")
    try:
        return table_digest(engine)
    finally:
        engine.dispose()


@pytest.mark.parametrize(
    ("fault", "stride"),
    [
        ("EIO", 4),
        ("ENOSPC", 7),
        pytest.param("EIO", 1, marks=pytest.mark.sweep),
        pytest.param("ENOSPC", 1, marks=pytest.mark.sweep),
    ],
)
def test_a06_a08_an_error_of_the_disk_is_a_sentence_and_the_job_goes_on(
    tiny: Tiny, tmp_path: Path, ended: Callable[..., Any], fault: str, stride: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        faults = Faults(patch, tmp_path / "whole" / "work")
        (tmp_path / "whole").mkdir()
        assert ended(job(tiny, tmp_path / "whole"))[0] == 0
    expected, n_calls = digest(tmp_path / "whole"), faults.count
    assert n_calls > 30
    for number in range(stride, n_calls + 1, stride):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(patch, folder / "work", fault)
            faults.fail_at = number
            code, err = ended(job(tiny, folder))
        told = [line for line in err.splitlines() if line.startswith("error: ")]
        where = faults.names[number - 1] if len(faults.names) >= number else "no such call"
        assert "Traceback" not in err, where
        if code:
            assert code in (2, 4), (where, err)
            assert len(told) == 1, (where, err)
            assert str(folder / "work") in told[0], (where, err)
            assert ended(job(tiny, folder))[0] == 0, where
        assert digest(folder) == expected, where
        count("disk errors")


@pytest.mark.parametrize(
    "words",
    [
        ["export", "annotations", "--model", "tiny", "--out", "{folder}/a.csv"],
        ["export", "annotations", "--model", "tiny", "--out", "{file}/a.csv"],
        ["export", "site", "--model", "tiny", "--out", "{file}", "--without-annotations"],
        ["export", "site", "--model", "tiny", "--out", "{file}/site", "--without-annotations"],
        ["import", "annotations", "{folder}/a.csv", "--model", "tiny"],
        ["db", "backup", "{folder}/a.csv"],
        ["db", "backup", "{file}/copy.sqlite"],
    ],
)
def test_a_folder_in_place_of_a_file_and_a_file_in_place_of_a_folder_are_a_sentence(
    published_store: str, tmp_path: Path, ended: Callable[..., Any], words: list[str]
) -> None:
    (tmp_path / "folder" / "a.csv").mkdir(parents=True)
    (tmp_path / "file").write_text("x")
    places = {"folder": tmp_path / "folder", "file": tmp_path / "file"}
    code, err = ended([*(word.format(**places) for word in words), "--store", published_store])
    assert code in (2, 4)
    assert [line.partition(":")[0] for line in err.splitlines()] == ["error"]
    assert str(tmp_path) in err


@pytest.fixture
def published_store(sqlite_template: Path, tmp_path: Path) -> str:
    return store_with(sqlite_template, tmp_path, make_run())
