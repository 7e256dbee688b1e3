"""Disks of twelve sizes that fill while people save: what was acknowledged is there, and pages can be read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.counts import count
from tests.support.repository import ROOT

SPARE_KIB = range(64, 64 + 12 * 40, 40)  # SQLite needs 32 KiB beside a store to open it
# A file system in memory, of a namespace of this command's own: it goes with the command.
IN_A_DISK = """
mount -t tmpfs -o size="$1"k tmpfs "$2" && cp "$3" "$2/store.sqlite"
exec "$4" -m tests.support.full_disk "$2/store.sqlite"
"""


@pytest.mark.sweep
@pytest.mark.parametrize("spare", SPARE_KIB)
def test_a06_a07_a_disk_that_fills_up_loses_no_save_that_was_acknowledged(
    store: str, tmp_path: Path, spare: int
) -> None:
    size, disk = Path(store).stat().st_size // 1024 + spare, tmp_path / "disk"
    disk.mkdir()
    alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    words = [*alone, "sh", "-c", IN_A_DISK, "sh", str(size), str(disk), store, sys.executable]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["damage"] == ""
    assert told["reads"] == [200] * 4
    assert sorted(told["stored"]) == sorted(told["acknowledged"])
    count("sizes of a disk")
