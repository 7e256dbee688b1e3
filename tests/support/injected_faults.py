"""Fails a small job at the N-th call of a kind, for every N, by strace; then resumes it and compares what it leaves.

    python -m tests.support.injected_faults FOLDER CALL FAULT STRIDE

A process of its own, without torch and threads: one fork a fault. Prints a JSON line of what it counted. FAULT is
KILL, ENOSPC or EIO; CALL is a call of the system, or several with commas between.
"""

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import app.cli
from tests.support.repository import ROOT
from tests.support.small_job import check_nothing_is_half_there, outcome, run_small_job

WAIT_S = 30.0
SENTENCE, EXIT_CODES = "error: ", (2, 3, 4)


def fork_job(folder: Path, *strace: str) -> tuple[int, str]:
    """Run the job as a command in a fork, under strace if options are given: its exit status and what it said."""
    folder.mkdir(exist_ok=True)
    ready, go = os.pipe()
    child = os.fork()
    if child == 0:
        with (folder / "stderr").open("wb") as said:
            os.dup2(said.fileno(), 2)
        os.read(ready, 1)
        _as_command(lambda: run_small_job(folder))
    tracer = _attached(child, folder, strace) if strace else None
    os.write(go, b"x")
    _, status = os.waitpid(child, 0)
    if tracer is not None:
        tracer.wait(WAIT_S)
    os.close(ready)
    os.close(go)
    return os.waitstatus_to_exitcode(status), (folder / "stderr").read_text()


def _as_command(job: Callable[[], None]) -> None:
    """End as `head-atlas precompute` would."""
    gc.freeze()
    sys.argv = ["head-atlas", "precompute"]
    app.cli.app = lambda *_arguments, **_named: job()  # type: ignore[assignment]
    code = 1
    try:
        app.cli.main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _attached(child: int, folder: Path, options: tuple[str, ...]) -> "subprocess.Popen[bytes]":
    log = folder.with_suffix(".strace")
    tracer = subprocess.Popen(["strace", "-qq", "-o", str(log), *options, "-p", str(child)])
    deadline = time.monotonic() + WAIT_S
    while f"TracerPid:\t{tracer.pid}\n" not in Path(f"/proc/{child}/status").read_text():
        assert tracer.poll() is None, "strace could not attach"
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return tracer


def sweep(folder: Path, call: str, fault: str, stride: int) -> dict[str, object]:
    """Fail the job at every `stride`-th call. Raises AssertionError with the place."""
    assert fork_job(folder / "whole") == (0, "")
    expected = outcome(folder / "whole")
    counts = {"killed": 0, "refused": 0, "went on": 0}
    how = "signal=KILL" if fault == "KILL" else f"error={fault}"
    number = 0
    while True:
        number += stride
        place, where = folder / f"{number:05}", f"{fault} at {call} {number}"
        code, said = fork_job(place, "-e", f"trace={call}", "-e", f"inject={call}:{how}:when={number}")
        injected = "INJECTED" in place.with_suffix(".strace").read_text() or code == -signal.SIGKILL
        if not injected:
            assert code == 0, (where, said)
            break
        check_nothing_is_half_there(place)
        if code == -signal.SIGKILL:
            counts["killed"] += 1
        elif code == 0:
            counts["went on"] += 1
        else:
            counts["refused"] += 1
            told = [line for line in said.splitlines() if line.startswith(SENTENCE)]
            assert code in EXIT_CODES, (where, code, said)
            assert len(told) == 1, (where, said)
            # Opened are also the program's own files, which a faulty disk may hold as well.
            own = call == "openat" and any(
                root in told[0] for root in (str(ROOT), sys.prefix, sys.base_prefix)
            )
            assert str(place) in told[0] or own, (where, said)
            assert "Traceback" not in said, (where, said)
        assert fork_job(place)[0] == 0, where
        assert outcome(place) == expected, where
        assert not list((place / "work").rglob("*.tmp*")), where
        shutil.rmtree(place)
    return {"call": call, "fault": fault, "calls": number - stride, **counts}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(sweep(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))))
