"""A2, A6 to A8: killed, or failed by the disk at any call of the system, a job goes on to the same bytes."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.paths import migrations_dir

ROOT = migrations_dir().parent
# A sample of each in every run; each number of a call on nights.
SAMPLE = [
    ("pwrite64", "KILL", 60),
    ("fsync", "KILL", 7),
    ("fsync", "EIO", 7),
    ("pwrite64", "ENOSPC", 60),
]
EVERY = [
    (call, fault, 1)
    for call in ("write", "pwrite64", "fsync", "rename")
    for fault in ("KILL", "ENOSPC", "EIO")
] + [("openat", "EIO", 1), ("unlink", "KILL", 1), ("ftruncate", "EIO", 1)]


@pytest.mark.parametrize(
    ("call", "fault", "stride"),
    [pytest.param(*each, marks=pytest.mark.slow) for each in SAMPLE]
    + [pytest.param(*each, marks=pytest.mark.sweep) for each in EVERY],
)
def test_a02_a06_a08_a_fault_at_any_call_leaves_a_job_that_goes_on(
    tmp_path: Path, call: str, fault: str, stride: int, record_property: Callable[[str, object], None]
) -> None:
    command = [
        sys.executable, "-m", "tests.support.injected_faults", str(tmp_path), call, fault, str(stride),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    counted = json.loads(done.stdout)
    n_faults = sum(counted[how] for how in ("killed", "refused", "went on"))
    record_property("kills" if fault == "KILL" else "disk_errors", n_faults)
    assert counted["calls"] >= 3
    assert counted["killed" if fault == "KILL" else "refused"] > 0
