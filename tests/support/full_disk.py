"""`python -m tests.support.full_disk STORE`: saves on a server until its disk is full, and what was there afterwards.

Prints JSON: the notes that were acknowledged, those that are stored, the statuses of reads on the full disk, and
whether the store is sound.
"""

import json
import sys

from app.errors import AppError
from app.store.checks import check_store
from app.store.database.engine import open_store
from tests.support.server_processes import history, running, save, status_of

HEADS = ("L0H0", "L0H1", "L2H3")
PAGES = ("/tiny", "/tiny/heads/L0H0", "/tiny/annotations.csv", "/healthz")
REFUSALS = 5  # in a row: then the disk is full
LONG = "x" * 20_000


def fill(port: int) -> list[str]:
    """Save one head after the other; the notes of the saves that were acknowledged, without their length."""
    acknowledged: list[str] = []
    versions = dict.fromkeys(HEADS, 0)
    refused = number = 0
    while refused < REFUSALS:
        head = HEADS[number % len(HEADS)]
        number += 1
        stored = save(port, head, versions[head], f"{head} {number} {LONG}", timeout=30)  # 200, 409 or 503
        refused = refused + 1 if stored is None else 0
        if stored is not None:
            versions[head] = stored
            acknowledged.append(f"{head} {number}")
    return acknowledged


def main() -> None:
    """Fill the disk, read, and look at what is there after the server was killed."""
    store = sys.argv[1]
    with running(store) as (_, port):
        acknowledged = fill(port)
        statuses = [status_of(port, page) for page in PAGES]
    with running(store) as (_, port):
        stored = [note.removesuffix(f" {LONG}") for head in HEADS for note in history(port, head)]
    engine = open_store(store)
    try:
        check_store(engine)
        damage = ""
    except AppError as error:
        damage = str(error)
    engine.dispose()
    json.dump(
        {"acknowledged": acknowledged, "stored": stored, "reads": statuses, "damage": damage}, sys.stdout
    )


if __name__ == "__main__":
    main()
