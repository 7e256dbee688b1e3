"""How many pages per second one server gives, beside a bare FastAPI route on the same machine and server settings.

    python benchmarks/serving.py head-atlas.sqlite smollm2-135m [--annotators 5] [--postgres] [--seconds 10]

Serves a copy of the store. Once the server is up for two seconds each page is asked for once (cold: it has to be
built), then pages are asked for over several connections that are kept open, compressed, while one annotation per
second is saved. With --annotators so many people have labelled every head of the copy before; with --postgres the copy
is in a Postgres of its own on this machine. Prints requests per second, their ratio to the bare route and milliseconds
(mean, 99th percentile), and adds a JSON line to benchmarks/results.jsonl.
"""

import argparse
import asyncio
import itertools
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from annotated_store import annotate_all
from on_postgres import on_postgres
from results import keep, renew_section, where_and_when

from app.store.atlas.reads import get_heads, get_live_run, get_ranking
from app.store.database.engine import backup, open_store, read_session

SERVE = "from app.cli import main; main()"
BARE = """
import sys
from fastapi import FastAPI
from app.settings import Settings
from app.web.server import serve
app = FastAPI()
@app.get("/")
def answer() -> dict[str, bool]:
    return {"ok": True}
serve(app, Settings(port=int(sys.argv[1])))
"""
UP_S = 2.0
# Requests per second as a share of the bare route's that a page is meant to have at least.
TARGETS = {"atlas": 0.15, "head": 0.09, "unchanged head": 0.5}


@dataclass(frozen=True)
class PageLoad:
    """One kind of request under load."""

    name: str
    per_second: float
    ratio: float
    mean_ms: float
    p99_ms: float
    target: float | None


@dataclass(frozen=True)
class Result:
    """Requests per second of the bare route, before and after; cold pages; pages under load."""

    bare_per_second: tuple[float, float]
    cold_ms: dict[str, dict[str, float]]
    rows: list[PageLoad]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def server(*command: str, port: int) -> Iterator[int]:
    """A server's process, until it listens and until the block ends."""
    silent = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, "-c", *command], stdout=silent, stderr=silent)
    try:
        for _ in range(600):
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


class Connection:
    """One connection that is kept open, on which one request follows the other."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def request(self, path: str, *headers: str, body: bytes = b"") -> tuple[int, dict[str, str]]:
        """The status and the headers of the answer, whose body is read and dropped."""
        method = "POST" if body else "GET"
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: 127.0.0.1:{self._port}",
            "Accept-Encoding: gzip",
            *headers,
        ]
        if body:
            lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        found = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        await self._reader.readexactly(int(found.get("content-length", 0)))
        return int(head[0].split()[1]), found


async def under_load(port: int, n: int, seconds: float, requests: Iterable[tuple[str, ...]]) -> list[float]:
    """The seconds that each request took, n at a time. Raises SystemExit for an error of the server."""
    turns, taken, end = itertools.cycle(list(requests)), list[float](), time.monotonic() + seconds

    async def ask(connection: Connection) -> None:
        await connection.open()
        while time.monotonic() < end:
            request, began = next(turns), time.monotonic()
            status, _ = await connection.request(*request)
            taken.append(time.monotonic() - began)
            if status >= 400:
                raise SystemExit(f"{request[0]} was answered with {status}")
        await connection.close()

    await asyncio.gather(*(ask(Connection(port)) for _ in range(n)))
    return taken


async def cold(port: int, paths: Iterable[str]) -> list[float]:
    """The seconds that each page takes when it is asked for the first time, one at a time."""
    connection, taken = Connection(port), list[float]()
    await connection.open()
    for path in paths:
        began = time.monotonic()
        await connection.request(path)
        taken.append(time.monotonic() - began)
    await connection.close()
    return taken


async def save_every_second(port: int, address: str) -> None:
    """Save to the head of the address, once a second, until it is cancelled."""
    connection = Connection(port)
    await connection.open()
    for version in itertools.count():
        body = urllib.parse.urlencode({"action": "save", "base_version": version, "notes": f"n{version}"})
        await connection.request(f"{address}/annotation", "Accept: application/json", body=body.encode())
        await asyncio.sleep(1)


def addresses(store: Path | str, model: str) -> dict[str, list[str]]:
    """The addresses of each kind of page."""
    engine = open_store(store)
    with read_session(engine) as session:
        run = get_live_run(session, model)
        heads = [record.ref for record in get_heads(session, run)]
        ranked = [
            feature
            for head in heads[::9]
            for feature in get_ranking(session, run, head, "decoder_weight", 3).features
        ]
    engine.dispose()
    return {
        "atlas": [f"/{model}"],
        "head": [f"/{model}/heads/{head}" for head in heads[:-1]],
        "feature": [f"/{model}/features/{ranked.ref}" for ranked in ranked],
        "search": [f"/{model}/search?q={word}" for word in ("the", "name", "copying", "x")],
        "saved": [f"/{model}/heads/{heads[-1]}"],
    }


async def measure(port: int, bare: int, pages: dict[str, list[str]], n: int, seconds: float) -> Result:
    """Every kind of page on the server at `port`: cold, then n at a time for so many seconds."""
    first = {name: await cold(port, pages[name]) for name in ("atlas", "head", "feature", "search")}
    connection = Connection(port)
    await connection.open()
    _, headers = await connection.request(pages["head"][0])
    await connection.close()
    kinds: dict[str, list[tuple[str, ...]]] = {name: [(path,) for path in pages[name]] for name in first}
    kinds |= {
        "healthz": [("/healthz",)],
        "unchanged head": [(pages["head"][0], f"If-None-Match: {headers['etag']}")],
    }
    reference = len(await under_load(bare, n, seconds, [("/",)])) / seconds
    saving = asyncio.create_task(save_every_second(port, pages["saved"][0]))
    rows = [
        page_load(name, await under_load(port, n, seconds, asked), seconds, reference)
        for name, asked in kinds.items()
    ]
    saving.cancel()
    reference_after = len(await under_load(bare, n, seconds, [("/",)])) / seconds
    milliseconds = {
        name: {"median": round(1000 * statistics.median(taken), 1), "max": round(1000 * max(taken), 1)}
        for name, taken in first.items()
    }
    return Result((reference, reference_after), milliseconds, rows)


def page_load(name: str, taken: list[float], seconds: float, reference: float) -> PageLoad:
    """What one kind of request took, from the seconds that each took."""
    p99 = statistics.quantiles(taken, n=100)[98]
    per_second = len(taken) / seconds
    mean = statistics.fmean(taken)
    return PageLoad(name, per_second, per_second / reference, 1000 * mean, 1000 * p99, TARGETS.get(name))


def table(result: Result) -> str:
    """The figures in Markdown."""
    before, after = result.bare_per_second
    lines = [f"A bare route: {before:.0f} per second before, {after:.0f} after.", ""]
    lines += ["| page | cold, median ms | cold, longest ms |", "|---|---|---|"]
    lines += [f"| {name} | {taken['median']} | {taken['max']} |" for name, taken in result.cold_ms.items()]
    lines += [
        "",
        "| under load | per second | of bare | target | mean ms | p99 ms |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.name} | {r.per_second:.1f} | {r.ratio:.3f} | {r.target or ''} | {r.mean_ms:.2f} | {r.p99_ms:.2f} |"
        for r in result.rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("model")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--annotators", type=int, default=0)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--note", default="")
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "store.sqlite"
        engine = open_store(asked.store)
        backup(engine, copy)
        engine.dispose()
        annotate_all(copy, asked.model, asked.annotators)
        ports = free_port(), free_port()
        with on_postgres(copy) if asked.postgres else nullcontext(str(copy)) as place:
            arguments = (SERVE, "serve", "--store", place, "--no-prompts", "--port", str(ports[0]))
            pages = addresses(place, asked.model)
            with (
                server(*arguments, port=ports[0]) as port,
                server(BARE, str(ports[1]), port=ports[1]) as bare,
            ):
                time.sleep(UP_S)
                result = asyncio.run(measure(port, bare, pages, asked.connections, asked.seconds))
    print(text := table(result))
    figures = {name: getattr(asked, name) for name in ("connections", "seconds", "annotators", "postgres")}
    line = keep("serving", {**figures, **asdict(result)}, asked.note, load)
    conditions = (
        f"{where_and_when(line)}, {asked.connections} connections, {asked.annotators} people's records"
    )
    section = "serving" + " an annotated atlas" * bool(asked.annotators) + " from Postgres" * asked.postgres
    renew_section(section, f"{conditions}:\n\n{text}")


if __name__ == "__main__":
    main()
