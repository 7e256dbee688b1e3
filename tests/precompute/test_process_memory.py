"""Memory of a job's process: what is free goes back to the system."""

import ctypes
import subprocess
import sys

import pytest

from app.precompute import process_memory

# Arrays too small to be mapped on their own, with a small one behind each that stays and keeps the heap from shrinking.
FRAGMENTED = """
import gc, sys
from app.precompute.process_memory import give_back_free_memory

def resident_mib():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024

large, small = [], []
for _ in range(5000):
    large.append(bytearray(60_000))
    small.append(bytearray(600))
full = resident_mib()
large.clear()
gc.collect()
freed = resident_mib()
give_back_free_memory()
print(full, freed, resident_mib())
"""


def test_what_is_free_between_what_is_used_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", FRAGMENTED], capture_output=True, text=True, check=True)
    full, freed, given_back = map(int, done.stdout.split())
    if hasattr(ctypes.CDLL(None), "malloc_trim"):
        assert full - freed < 100  # of 286 MiB: without the call most of it stays
        assert full - given_back > 200
    assert given_back <= full


def test_without_such_a_call_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    process_memory.give_back_free_memory()
