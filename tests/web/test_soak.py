"""F9, F17: mixed load on a real server: file descriptors and memory stay flat, and the log beside the store small.

The whole run takes 24 minutes (make sweep); the sample shows that the load works. SOAK_OUT names a file for figures.
"""

import itertools
import json
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.server_processes import running, save, status_of

PAGES = (
    "/",
    "/about",
    "/tiny",
    "/tiny?colour=groups&order=value",
    "/tiny.json",
    "/tiny/heads/L0H1",
    "/tiny/heads/L2H3?rank=fve&k=50",
    "/tiny/heads/L0H3/history",
    "/tiny/features/L0F3",
    "/tiny/layers/2",
    "/tiny/compare?heads=L0H1,L0H3,L1H0,L2H0",
    "/tiny/search?q=the",
    "/tiny/search.json?q=score:induction%3E0.01",
    "/tiny/annotations",
    "/tiny/annotations.csv",
    "/tiny/annotations.xlsx",
    "/tiny/annotations.json",
    "/tiny/layers",
    "/tiny/published",
    "/tiny/experiments",
    "/nothing",
    "/static/css/atlas.css",
    "/healthz",
)
MIB = 2**20


@pytest.fixture
def served(store: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with running(store) as server:
        yield server


def sample(pid: int, store: Path) -> dict[str, float]:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    log = store.with_name(f"{store.name}-wal")
    return {
        "fds": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "rss": pages * os.sysconf("SC_PAGE_SIZE") / MIB,
        "wal": log.stat().st_size / MIB if log.exists() else 0.0,
    }


def load(port: int, number: int, done: threading.Event, answers: list[int], pause_s: float) -> None:
    chosen = random.Random(number)
    version = 0
    for n in itertools.count():
        if done.is_set():
            return
        if n % 5 == 4:
            stored = save(port, f"L{number}H1", version, f"note {n} " * 20, timeout=30)
            answers.append(200 if stored is not None else 409)
            version = version if stored is None else stored
        else:
            answers.append(status_of(port, chosen.choice(PAGES)))
        time.sleep(pause_s)


@pytest.mark.parametrize(
    "seconds",
    [pytest.param(6, marks=pytest.mark.slow), pytest.param(1440, marks=pytest.mark.sweep)],
)
def test_f09_f17_descriptors_and_memory_stay_flat(
    served: tuple[subprocess.Popen[bytes], int],
    store: str,
    seconds: int,
    record_property: Callable[[str, object], None],
) -> None:
    process, port = served
    done, answers = threading.Event(), list[int]()
    clients = [threading.Thread(target=load, args=(port, i, done, answers, 0.15)) for i in range(3)]
    for client in clients:
        client.start()
    samples: list[dict[str, float]] = []
    for _ in range(24):
        time.sleep(seconds / 24)
        samples.append(sample(process.pid, Path(store)))
    done.set()
    for client in clients:
        client.join(60)
    Path(os.environ.get("SOAK_OUT", os.devnull)).write_text(
        json.dumps({"seconds": seconds, "answers": len(answers), "samples": samples})
    )
    assert {0, 500, 503} & set(answers) == set()
    assert len(answers) > seconds
    # The first half warms up: caches of runs and templates, threads of the pool.
    late = samples[12:]
    assert max(each["fds"] for each in late) - min(each["fds"] for each in late) <= 12
    assert max(each["wal"] for each in samples) < 64
    # Its own history of saves would be a page that grows: nobody asks for that of the saved heads.
    if seconds >= 600:
        per_ten_minutes = (late[-1]["rss"] - late[0]["rss"]) * 600 / (seconds * 11 / 24)
        assert per_ten_minutes < 10
    record_property("seconds", seconds)
