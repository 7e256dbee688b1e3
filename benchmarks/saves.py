"""How many saves per second one server stores on SQLite, for 16 people who save at once.

    python benchmarks/saves.py [--clients 16] [--seconds 10] [--note TEXT]

Serves a made-up atlas of 144 heads. Each client saves notes to a head of its own without a pause, over a connection
that is kept open; each save is on the disk before it is acknowledged. Afterwards the stored saves are counted: all that
were acknowledged must be there. Adds a JSON line to benchmarks/results.jsonl.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
import urllib.parse
from pathlib import Path

from results import keep
from serving import SERVE, Connection, free_port, server
from sqlalchemy import text

from app.store.database.engine import open_store, read_session
from app.store.migrate import upgrade
from tests.support.run_data import RunShape, make_run, publish

SHAPE = RunShape(n_layers=12, n_heads=12, sae_layers=(0, 1), features_per_layer=12)
NOTE = "Fires on names that stand earlier in the text; the source is the end of the first mention. "


async def save_without_pause(port: int, head: str, until: float) -> list[float]:
    """The seconds that each save of a head took. Raises SystemExit where one is refused."""
    connection, taken = Connection(port), list[float]()
    await connection.open()
    while not taken or time.monotonic() < until:
        form = {"action": "save", "base_version": len(taken), "notes": f"{NOTE}{len(taken)}"}
        body, began = urllib.parse.urlencode(form).encode(), time.monotonic()
        status, _ = await connection.request(
            f"/tiny/heads/{head}/annotation", "Accept: application/json", body=body
        )
        taken.append(time.monotonic() - began)
        if status != 200:
            raise SystemExit(f"a save of {head} was answered with {status}")
    await connection.close()
    return taken


async def saves(port: int, n_clients: int, seconds: float) -> list[float]:
    """What all clients measured, after one save that loads what saves need."""
    await save_without_pause(port, "L1H11", time.monotonic())
    heads, until = [f"L{n // 12}H{n % 12}" for n in range(n_clients)], time.monotonic() + seconds
    of_clients = await asyncio.gather(*(save_without_pause(port, head, until) for head in heads))
    return [taken for of_client in of_clients for taken in of_client]


def main() -> None:
    """Measure, check, print, keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--note", default="")
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="head-atlas-benchmark-") as folder:
        store = Path(folder) / "store.sqlite"
        engine = open_store(store)
        upgrade(engine)
        publish(engine, make_run(shape=SHAPE))
        port = free_port()
        with server(SERVE, "serve", "--store", str(store), "--no-prompts", "--port", str(port), port=port):
            taken = asyncio.run(saves(port, asked.clients, asked.seconds))
        with read_session(engine) as session:
            stored = session.scalar(text("SELECT count(*) FROM annotation_revisions"))
        engine.dispose()
    if stored != len(taken) + 1:
        raise SystemExit(f"{len(taken) + 1} saves were acknowledged, and {stored} are stored")
    figures = {
        "clients": asked.clients,
        "seconds": asked.seconds,
        "saves_per_second": round(len(taken) / asked.seconds, 1),
        "mean_ms": round(1000 * statistics.fmean(taken), 1),
        "p99_ms": round(1000 * statistics.quantiles(taken, n=100)[98], 1),
    }
    print(json.dumps(keep("saves", figures, asked.note, load), indent=1))


if __name__ == "__main__":
    main()
