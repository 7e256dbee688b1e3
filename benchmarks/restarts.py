"""How long a server that was killed under saves takes until it saves again.

    python benchmarks/restarts.py head-atlas.sqlite smollm2-135m [--kills 100] [--clients 4] [--note TEXT]

Serves a copy of the store, kills it (SIGKILL) while clients save without pause, starts it again at once and saves to
a head that nobody else writes to. Prints the seconds from the start of the process until it listens and until that
save is acknowledged, and the processor time of both, and adds a JSON line to benchmarks/results.jsonl. Linux only.
"""

import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from dataclasses import asdict, dataclass
from pathlib import Path

from results import keep

from app.store.database.engine import backup, open_store

HEADERS = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Restart:
    """Seconds since the process was started, and of processor time that it had used by then.

    delayed: seconds for which it was ready to run and others had the processors, next to none on an idle machine.
    """

    listening: float
    saved: float
    listening_cpu: float
    saved_cpu: float
    delayed: float


class Server:
    """A server's process, on a port of its own."""

    def __init__(self, store: Path, model: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        program = "from app.cli import main; main()"
        options = ["serve", "--store", str(store), "--port", str(self.port)]
        self._command = [sys.executable, "-c", program, *options]
        self._model = model
        self.start()

    def start(self) -> None:
        self.started = time.monotonic()
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def cpu(self) -> float:
        parts = Path(f"/proc/{self._process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / TICKS

    def delayed(self) -> float:
        """Of the main thread, the only one until it listens, and of the one thread beside it that waited longest."""
        waited = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")  # none where it is not counted
        delays = {path.parent.name: int(path.read_text("utf-8").split()[1]) / 1e9 for path in waited}
        return delays.pop(str(self._process.pid), 0) + max(delays.values(), default=0)

    def is_listening(self) -> bool:
        if self._process.poll() is not None:
            raise SystemExit("the server ended by itself; `head-atlas serve` with this store says why")
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def save(self, head: str, version: int, note: str) -> int | None:
        """The new version; None where the save was refused. Raises OSError and HTTPException."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            body = urllib.parse.urlencode({"action": "save", "base_version": version, "notes": note})
            connection.request("POST", f"/{self._model}/heads/{head}/annotation", body, HEADERS)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        return json.loads(text)["version"] if answer.status == 200 else None

    def measured(self, head: str, note: str) -> Restart:
        """From the start of the process to its first acknowledged save."""
        while not self.is_listening():
            time.sleep(0.005)
        listening, cpu = time.monotonic() - self.started, self.cpu()
        if self.save(head, 0, note) is None:
            raise SystemExit(f"the first save, to {head}, was refused")
        return Restart(listening, time.monotonic() - self.started, cpu, self.cpu(), self.delayed())


def save_without_pause(server: Server, head: str, done: threading.Event) -> None:
    version = n = 0
    while not done.is_set():
        try:
            saved = server.save(head, version, f"{head} {n}")
        except (OSError, http.client.HTTPException):
            saved = None
        if saved is None:
            time.sleep(0.02)
        else:
            version, n = saved, n + 1


def run(store: Path, model: str, kills: int, clients: int) -> list[Restart]:
    server, done = Server(store, model), threading.Event()
    # The same text each time: a save that is stored already is acknowledged again.
    first = f"L0H{clients}", "the same each time"
    server.measured(*first)
    writers = [
        threading.Thread(target=save_without_pause, args=(server, f"L0H{head}", done))
        for head in range(clients)
    ]
    for writer in writers:
        writer.start()
    restarts: list[Restart] = []
    try:
        for number in range(kills):
            time.sleep(0.15 + 0.05 * (number % 5))
            server.kill()
            server.start()
            restarts.append(server.measured(*first))
    finally:
        done.set()
        for writer in writers:
            writer.join()
        server.kill()
    return restarts


def main() -> None:
    """Measure, print, and append to the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("model", help="the atlas's name in URLs")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--note", default="", help="what the figures are of, kept beside them")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="head-atlas-benchmark-") as folder:
        copy = Path(folder) / "store.sqlite"
        backup(open_store(options.store, must_exist=True), copy)
        size = copy.stat().st_size
        restarts = run(copy, options.model, options.kills, options.clients)
    figures = {
        "compiled_before": not sys.dont_write_bytecode,
        "store_mib": round(size / 2**20, 1),
        "kills": options.kills,
        "clients": options.clients,
        "seconds": {name: spread([asdict(one)[name] for one in restarts]) for name in asdict(restarts[0])}
        | {"saved_less_delay": spread([one.saved - one.delayed for one in restarts])},
    }
    print(json.dumps(keep("restarts", figures, options.note, load), indent=1))


def spread(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 3), "max": round(max(values), 3)}


if __name__ == "__main__":
    main()
