"""One run, however it is cut up: executors, shares, kills and resumes all leave the same files and rows."""

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import app.precompute.executors
from app.errors import AppError, StoreBusy
from app.precompute.plan import RunPlanChanged, Unit
from app.precompute.prepare import prepare
from app.precompute.request import RunOptions
from app.precompute.work_folder import WorkFolder
from app.store.atlas.progress import list_progress
from app.store.database.engine import read_session
from app.store.opening import migrated_store, open_migrated
from tests.support.stopped_jobs import (
    N_UNITS,
    finish,
    kill,
    sealed_files,
    start,
    undisturbed_run,
    wait_for_units,
)
from tests.support.tiny_jobs import SLUG, Tiny, digest_of, make_tiny, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("resume"), k=6)


@pytest.fixture(scope="module")
def whole(tiny: Tiny) -> tuple[str, dict[str, str]]:
    return undisturbed_run(tiny)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Unit]:
    """The units that this process computes."""
    units: list[Unit] = []
    real = app.precompute.executors.run_unit

    def counting(loaded_run: Any, unit: Unit) -> Path:
        units.append(unit)
        return real(loaded_run, unit)

    monkeypatch.setattr(app.precompute.executors, "run_unit", counting)
    return units


def test_the_serial_run_has_every_unit(whole: Any) -> None:
    assert len(whole[1]) == N_UNITS + 1
    assert "calibration.seal" in whole[1]


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_leave_the_same_files_and_rows(
    tiny: Tiny, whole: Any, tmp_path: Path, workers: int
) -> None:
    how = RunOptions(executor="processes", workers=workers)
    run(tiny, str(tmp_path / "store.sqlite"), how, work_dir=tmp_path / "work")
    assert (digest_of(tmp_path / "store.sqlite"), sealed_files(tmp_path / "work")) == whole


@pytest.mark.parametrize("order", [(1, 0), (2, 0, 1)], ids=str)
def test_a14_shares_in_another_order_leave_the_same_files_and_rows(
    tiny: Tiny, whole: Any, tmp_path: Path, order: tuple[int, ...]
) -> None:
    store, options = str(tmp_path / "store.sqlite"), {"work_dir": tmp_path / "work"}
    for share in order:
        how = RunOptions(shard=(share, len(order)))
        assert f"share {share} of {len(order)} is done" in run(tiny, store, how, **options)
    run(tiny, store, **options)
    assert (digest_of(tmp_path / "store.sqlite"), sealed_files(tmp_path / "work")) == whole


def test_a_resume_computes_only_what_is_missing_or_damaged(
    tiny: Tiny, whole: Any, tmp_path: Path, counted: list[Unit], capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"work_dir": tmp_path / "work"}
    run(tiny, str(tmp_path / "first.sqlite"), **options)
    assert len(counted) == N_UNITS
    counted.clear()
    sealed = tmp_path / "work" / SLUG / "sealed"
    (sealed / "features-00001.seal").unlink()
    damage(sealed / "scores-00000.seal")
    damage(sealed / "calibration.seal")
    (sealed / "features-00002.seal.tmp999999999").write_bytes(b"left by a killed job")
    run(tiny, str(tmp_path / "second.sqlite"), **options)
    assert counted == [Unit("features", 1), Unit("scores", 0)]
    assert (
        "scores-00000.seal is damaged, or of another run or version, and is computed again"
        in capsys.readouterr().err
    )
    assert (digest_of(tmp_path / "second.sqlite"), sealed_files(tmp_path / "work")) == whole


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_run_that_is_live_is_not_done_again(tiny: Tiny, tmp_path: Path, counted: list[Unit]) -> None:
    options = {"work_dir": tmp_path / "work"}
    run(tiny, str(tmp_path / "store.sqlite"), **options)
    before = digest_of(tmp_path / "store.sqlite")
    counted.clear()
    assert run(tiny, str(tmp_path / "store.sqlite"), **options).startswith("up to date: atlas tiny shows run")
    assert counted == []
    assert digest_of(tmp_path / "store.sqlite") == before


def test_a12_other_options_in_a_work_folder_are_refused_with_their_names(
    tiny: Tiny, tmp_path: Path, counted: list[Unit]
) -> None:
    options = {"work_dir": tmp_path / "work"}
    run(tiny, str(tmp_path / "store.sqlite"), **options)
    counted.clear()
    with pytest.raises(RunPlanChanged, match=r"--k: 3 -> 4; --seed: 0 -> 1\); add --new-run"):
        run(tiny, str(tmp_path / "store.sqlite"), k=4, seed=1, **options)
    assert counted == []
    run(tiny, str(tmp_path / "store.sqlite"), RunOptions(new_run=True), k=4, seed=1, **options)
    assert len(counted) == N_UNITS
    plan = json.loads((tmp_path / "work" / SLUG / "plan.json").read_text())
    assert (plan["k"], plan["seed"]) == (4, 1)


def test_a_damaged_plan_file_is_told_of(tiny: Tiny, tmp_path: Path) -> None:
    folder = tmp_path / "work" / SLUG
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text("{")
    with pytest.raises(RunPlanChanged, match="is damaged; add --new-run"):
        run(tiny, str(tmp_path / "store.sqlite"), work_dir=tmp_path / "work")


def test_a09_a_second_job_on_the_folder_is_turned_away_at_once(tiny: Tiny, tmp_path: Path) -> None:
    busy = pytest.raises(StoreBusy, match=f'"pid": {os.getpid()}')
    with WorkFolder(tmp_path / "work" / SLUG).locked(), busy:
        run(tiny, str(tmp_path / "store.sqlite"), work_dir=tmp_path / "work")
    assert not (tmp_path / "store.sqlite").exists()


# Whole jobs in processes of their own, to be killed.


def test_a_job_killed_between_units_goes_on_to_the_same_files_and_rows(
    tiny: Tiny, whole: Any, tmp_path: Path
) -> None:
    for n in (3, 20):
        process = start(tiny, tmp_path)
        wait_for_units(process, tmp_path, n)
        kill(process)
    with WorkFolder(tmp_path / "work" / SLUG).locked():
        pass  # a dead holder's lock is free
    run(tiny, str(tmp_path / "store.sqlite"), work_dir=tmp_path / "work")
    assert (digest_of(tmp_path / "store.sqlite"), sealed_files(tmp_path / "work")) == whole


@pytest.mark.parametrize(
    "seed",
    [7, *(pytest.param(s, marks=pytest.mark.sweep) for s in range(6))],
)
def test_a01_a11_jobs_killed_at_random_moments_go_on_to_the_same_files_and_rows(
    tiny: Tiny, whole: Any, tmp_path: Path, seed: int
) -> None:
    moments = random.Random(seed)
    for n in (1, 8, 16, N_UNITS + 1):
        process = start(tiny, tmp_path)
        wait_for_units(process, tmp_path, n)
        time.sleep(moments.uniform(0, 0.4))
        kill(process)
    finish(tiny, tmp_path)
    assert (digest_of(tmp_path / "store.sqlite"), sealed_files(tmp_path / "work")) == whole


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a05_a_stopped_job_says_how_to_go_on(tiny: Tiny, tmp_path: Path, number: int, code: int) -> None:
    process = start(tiny, tmp_path)
    wait_for_units(process, tmp_path, 4)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert "go on with: head-atlas precompute --model" in errors
    if (tmp_path / "store.sqlite").exists():
        digest_of(tmp_path / "store.sqlite")
    assert not list((tmp_path / "work" / SLUG / "sealed").glob("*.tmp*"))


def test_a_plan_is_made_of_files_and_options_alone(tiny: Tiny, tmp_path: Path) -> None:
    first, _ = prepare(tiny.request(work_dir=tmp_path / "a"))
    second, _ = prepare(tiny.request(work_dir=tmp_path / "b"))
    assert first.plan == second.plan
    assert first.plan.fingerprint == second.plan.fingerprint


def test_a_job_says_that_it_is_being_prepared_until_it_is(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = str(tmp_path / "store.sqlite")
    seen: list[tuple[str, str]] = []

    def refuse(_request: Any) -> Any:
        if Path(store).exists():
            with migrated_store(store) as engine, read_session(engine) as session:
                seen.extend((row.stage, row.state) for row in list_progress(session))
        raise AppError("no")

    monkeypatch.setattr("app.precompute.job.prepare", refuse)
    with pytest.raises(AppError, match="^no$"):
        run(tiny, store, work_dir=tmp_path / "work")
    assert (seen, Path(store).exists()) == ([], False)  # a refused job makes no store
    open_migrated(store).dispose()
    with pytest.raises(AppError, match="^no$"):
        run(tiny, store, work_dir=tmp_path / "work")
    assert seen == [("prepare", "running")]
    with migrated_store(store) as engine, read_session(engine) as session:
        assert list_progress(session) == []
