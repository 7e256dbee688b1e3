"""Files while people save, and for clients that go away: one moment of the store, and a server that lives on."""

import csv
import io
import itertools
import socket
import threading
import time
import uuid

import pytest
import uvicorn

from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from app.services.annotations.saving import Save, save
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.store.annotators import ensure_annotator
from app.store.atlas.reads import get_live_run
from app.store.database.engine import open_store, write_session
from tests.support.annotated_atlas import NOW
from tests.support.serving import served

HEADS = [HeadRef(0, i) for i in range(4)]


def write_round(engine, number):
    """One transaction that writes the same note to every head."""
    with write_session(engine) as session:
        run = get_live_run(session, "tiny")
        viewer = Viewer.of(ensure_annotator(session, "ada", NOW, "annotator"))
        for head in HEADS:
            content = HeadAnnotation(notes=f"round {number}")
            request = Save(head, content, number, str(uuid.uuid4()), "submitted")
            save(AtlasContext(session, run, viewer), request, NOW)


def test_g13_a_file_is_of_one_moment_while_others_save(client, store):
    engine = open_store(store)
    write_round(engine, 0)
    stop, rounds = threading.Event(), itertools.count(1)

    def keep_saving():
        while not stop.is_set():
            write_round(engine, next(rounds))

    thread = threading.Thread(target=keep_saving)
    seen = set()
    from starlette.testclient import TestClient

    with TestClient(served(store)) as reader:
        thread.start()
        try:
            for _ in range(30):
                data = reader.get("/tiny/annotations.csv").content.decode("utf-8-sig")
                notes = [row["notes"] for row in csv.DictReader(io.StringIO(data, newline=""))]
                assert len(notes) == len(HEADS)
                assert len(set(notes)) == 1, notes
                seen |= set(notes)
        finally:
            stop.set()
            thread.join(20)
    engine.dispose()
    assert len(seen) > 1  # the store did change meanwhile


@pytest.fixture
def address(store):
    """A real server on a free port."""
    server = uvicorn.Server(
        uvicorn.Config(served(store), host="127.0.0.1", port=0, http="h11", log_config=None)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield server.servers[0].sockets[0].getsockname()
    server.should_exit = True
    thread.join(10)


def ask(address, path, n_bytes):
    """The first bytes of an answer; then the client is gone."""
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        received = b""
        while len(received) < n_bytes and (part := connection.recv(4096)):
            received += part
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        return received


def test_g14_clients_that_go_away_cost_nothing(address, store, caplog):
    engine = open_store(store)
    with write_session(engine) as session:
        run = get_live_run(session, "tiny")
        viewer = Viewer.of(ensure_annotator(session, "ada", NOW, "annotator"))
        for layer, head in itertools.product(range(3), range(4)):
            content = HeadAnnotation(notes="x" * 60_000)
            save(
                AtlasContext(session, run, viewer),
                Save(HeadRef(layer, head), content, 0, str(uuid.uuid4())),
                NOW,
            )
    engine.dispose()
    n_threads = threading.active_count()
    for file_format in ("csv", "json", "xlsx", "parquet") * 5:
        assert ask(address, f"/tiny/annotations.{file_format}", 100).startswith(b"HTTP/1.1 200 OK")
    answer = ask(address, "/tiny/annotations.csv", 700_000)
    assert len(answer) > 12 * 60_000 * 0.9
    assert threading.active_count() <= n_threads + 45  # the pool that answers, and no more
    assert "Traceback" not in caplog.text
