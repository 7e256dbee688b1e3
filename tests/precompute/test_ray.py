"""A1, A24: jobs on real Ray clusters here. Workers and jobs that are killed leave the same files and rows."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from app import cli, extras
from app.adapters.sae_sources import LocalSae
from app.precompute import other_machines
from app.precompute.other_machines import MachineDiffers, check_machine, wait_until_seen, with_absolute_paths
from app.precompute.prepare import prepare
from tests.support.counts import count
from tests.support.server_processes import free_port
from tests.support.stopped_jobs import N_UNITS, WAIT_S, sealed_files, start, undisturbed_run, wait_for_units
from tests.support.time_limits import less_than
from tests.support.tiny_jobs import SLUG, Tiny, digest_of, make_tiny, run

ON_RAY = ("--executor", "ray", "--workers", "2")
LOOPBACK = {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("ray-jobs"), k=6)


@pytest.fixture(scope="module")
def whole(tiny: Tiny) -> tuple[str, dict[str, str]]:
    return undisturbed_run(tiny)


def processes_of(session: int) -> list[psutil.Process]:
    """The processes that were started in a session, orphans too; a zombie, which another has to wait for, is gone."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (OSError, psutil.Error):
            continue
    return found


def workers_of(session: int) -> list[psutil.Process]:
    """Those that hold a worker of the job: Ray gives a process the name of what it runs."""
    return [each for each in processes_of(session) if name_of(each).startswith("ray::Worker")]


def name_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def eventually(condition: Callable[[], Any]) -> Any:
    """What the condition returns once it is true, or at the end of a while."""
    deadline = time.monotonic() + WAIT_S
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return value


def end(session: int) -> None:
    """End what is left of a session, whatever became of the test."""
    left = processes_of(session)
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=30)


@pytest.mark.slow
def test_a24_a_ray_worker_that_is_killed_costs_its_unit_a_second_try_and_nothing_else(
    tiny: Tiny, whole: Any, tmp_path: Path
) -> None:
    job = start(tiny, tmp_path, *ON_RAY)
    try:
        wait_for_units(job, tmp_path, 5)
        at_work = eventually(lambda: [each for each in workers_of(job.pid) if "compute" in name_of(each)])
        at_work[0].suspend()  # so that the job cannot end before the next line has looked at its processes
        addresses = {address.ip for each in processes_of(job.pid) for address in listening(each)}
        at_work[0].kill()
        assert addresses
        assert addresses <= LOOPBACK
        said, errors = job.communicate(timeout=WAIT_S)
        assert job.returncode == 0, errors
        assert eventually(lambda: not processes_of(job.pid)), [
            name_of(each) for each in processes_of(job.pid)
        ]
    finally:
        end(job.pid)
    assert (digest_of(tmp_path / "store.sqlite"), sealed_files(tmp_path / "work")) == whole
    assert first_line(errors) == (
        "computing on cpu, float32, 1 thread, in 2 workers of a Ray cluster of its own on this machine"
    )
    assert "was killed; Ray has started another" in errors
    assert ", ray x 2, " in said.splitlines()[1]
    assert "raylet" not in said + errors


def listening(process: psutil.Process) -> list[Any]:
    try:
        return [each.laddr for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    except psutil.Error:
        return []


def first_line(errors: str) -> str:
    return next(line for line in errors.splitlines() if line.startswith("computing"))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """The address of a cluster with room for two workers, and its session."""
    port = free_port()
    words = ["start", "--head", "--block", f"--port={port}", "--num-cpus=2", "--num-gpus=0"]
    words += ["--include-dashboard=false", "--object-store-memory=80000000"]
    # Paths of sockets are short; and without the last, Ray listens to the network whatever address it is told.
    quiet = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        log = tmp_path / "cluster.log"
        with log.open("w") as file:
            head = subprocess.Popen(
                [sys.executable, "-c", "from ray.scripts.scripts import main; main()", *words, f"--temp-dir={folder}"],
                env=os.environ | quiet, stdout=file, stderr=file, cwd="/", start_new_session=True,
            )  # fmt: skip
        try:
            assert eventually(lambda: "Ray runtime started" in log.read_text() or head.poll() is not None)
            yield f"127.0.0.1:{port}", head.pid
        finally:
            end(head.pid)
            head.wait(30)


@pytest.mark.slow
def test_a01_a_job_that_is_killed_on_a_cluster_that_lives_on_is_finished_by_another(
    tiny: Tiny, whole: Any, tmp_path: Path, cluster: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, session = cluster
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    job = start(tiny, tmp_path, *ON_RAY, "--address", address)
    wait_for_units(job, tmp_path, 8)
    workers = workers_of(session)
    errors = kill(job)
    assert workers, errors
    assert first_line(errors).endswith(f", in 2 workers of the Ray cluster at {address}")
    assert eventually(lambda: not workers_of(session))  # no word to them was needed
    assert processes_of(session)
    assert len(sealed_files(tmp_path / "work")) < N_UNITS
    run(tiny, str(tmp_path / "store.sqlite"), work_dir=tmp_path / "work")
    assert (digest_of(tmp_path / "store.sqlite"), sealed_files(tmp_path / "work")) == whole


def kill(job: subprocess.Popen[str]) -> str:
    """Kill a job, and return what it has said."""
    job.kill()
    _, errors = job.communicate(timeout=30)
    count("job kills", job.returncode == -signal.SIGKILL)
    return errors


def test_what_cannot_be_a_cluster_is_a_sentence_before_anything_is_loaded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    refused = {
        f"127.0.0.1:{port}": f"no Ray cluster answers at 127.0.0.1:{port}: Connection refused",
        "ray://127.0.0.1:10001": "the address of a Ray cluster is HOST:PORT or auto, not 'ray://127.0.0.1:10001'",
        "127.0.0.1:66000": "the address of a Ray cluster is HOST:PORT or auto, not '127.0.0.1:66000'",
    }
    for address, sentence in refused.items():
        assert said_of("--executor", "ray", "--address", address, capsys=capsys) == f"error: {sentence}\n"
        monkeypatch.setenv("RAY_ADDRESS", address)
        assert said_of("--executor", "ray", capsys=capsys) == f"error: {sentence}\n"
    no_ray = said_of("--address", "auto", capsys=capsys)
    assert no_ray == "error: --address is that of a Ray cluster, and needs --executor ray\n"


def test_without_ray_the_extra_is_named_before_anything_is_loaded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "ray" else name)
    with less_than(1):
        said = said_of("--executor", "ray", capsys=capsys)
    assert said == (
        "error: --executor ray needs a package that is not installed (ray): pip install 'head-atlas[ray]'\n"
    )


def said_of(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a precompute command that is refused writes."""
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(
            sys, "argv", ["head-atlas", "precompute", "--model", "none", "--dataset", "none", *words]
        )
        with pytest.raises(SystemExit, match="2"):
            cli.main()
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_a_worker_on_a_machine_without_the_work_folder_or_with_other_libraries_is_told(
    tiny: Tiny, tmp_path: Path
) -> None:
    spec, _ = prepare(tiny.request(work_dir=tmp_path / "work"))
    with pytest.raises(
        MachineDiffers, match="must reach the work folder, the model and the SAEs by the same paths"
    ):
        check_machine(spec)
    spec.folder.start(spec.plan, new_run=False)
    check_machine(spec)
    older = replace(spec.plan, libraries=(("torch", "0.1"), *spec.plan.libraries[1:]))
    spec.folder.start(older, new_run=True)
    with pytest.raises(MachineDiffers, match=r"and the run was planned with 0\.1: their numbers may differ"):
        check_machine(replace(spec, plan=older))


def test_a_file_that_a_machine_wrote_elsewhere_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_machines, "_SEEN_WITHIN_S", 0.0)
    with pytest.raises(
        MachineDiffers, match=r"node-7 has written .*features-00000\.seal, which is not to be seen"
    ):
        wait_until_seen(tmp_path / "features-00000.seal", "node-7")
    (tmp_path / "features-00000.seal").touch()
    wait_until_seen(tmp_path / "features-00000.seal", "node-7")


def test_another_machine_gets_whole_paths(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny.root)
    words: dict[str, Any] = {
        "model": tiny.model.name,
        "saes": tuple(LocalSae(Path(path.name)) for path in tiny.saes),
    }
    near, _ = prepare(tiny.request(work_dir=Path("near"), **words))
    far = with_absolute_paths(near)
    assert far.folder.root == tiny.root / "near" / SLUG
    assert (Path(far.model.location).is_absolute(), far.corpus_folder.is_absolute()) == (True, True)
    assert all(isinstance(sae, LocalSae) and sae.path.is_absolute() for sae in far.saes)
    assert far.plan == near.plan
