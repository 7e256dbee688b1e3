"""Jobs in processes of their own that are stopped and started again, beside one that nothing disturbed."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.support.counts import count
from tests.support.tiny_jobs import SLUG, Tiny, digest_of, run

N_UNITS = 3 + 22  # shards of the corpus, batches of the 64 score sequences
WAIT_S = 240  # a cluster of Ray takes a minute to start its workers where others use the processors too
_JOB = "import sys; from app.cli import main; sys.argv[0] = 'head-atlas'; main()"


def undisturbed_run(tiny: Tiny) -> tuple[str, dict[str, str]]:
    """Digests of the tables and sealed files of one serial run, made in the folder of the inputs."""
    work = tiny.root / "whole"
    run(tiny, str(tiny.root / "whole.sqlite"), work_dir=work)
    return digest_of(tiny.root / "whole.sqlite"), sealed_files(work)


def sealed_files(work: Path) -> dict[str, str]:
    files = sorted((work / SLUG / "sealed").iterdir())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def start(tiny: Tiny, folder: Path, *more: str) -> subprocess.Popen[str]:
    words = tiny.arguments(str(folder / "store.sqlite"), "--work-dir", str(folder / "work"), *more)
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", _JOB, *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True,
        preexec_fn=_heed_interrupts,
    )  # fmt: skip


def _heed_interrupts() -> None:
    """A shell starts what it puts in the background with interrupts ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for_units(process: subprocess.Popen[str], folder: Path, n: int) -> None:
    """Wait until so many units are sealed, or the job has ended. Raises AssertionError where that takes too long."""
    sealed = folder / "work" / SLUG / "sealed"
    deadline = time.monotonic() + WAIT_S
    while process.poll() is None and not (sealed.is_dir() and len(list(sealed.glob("*.seal"))) >= n):
        assert time.monotonic() < deadline, f"the job had not sealed {n} units after {WAIT_S} s"
        time.sleep(0.002)


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=30)
    count("job kills", process.returncode == -signal.SIGKILL)


def finish(tiny: Tiny, folder: Path, *more: str) -> None:
    process = start(tiny, folder, *more)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
