"""F7, F8: backups while people save: each is sound, holds every save acknowledged before it, and can be written."""

import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from app.services.annotations.saving import Save, save
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.store import annotations
from app.store.annotators import ensure_annotator
from app.store.atlas.reads import get_live_run
from app.store.checks import check_store
from app.store.database.engine import Engine, backup, open_store, read_session, write_session
from tests.support.annotated_atlas import NOW
from tests.support.run_data import make_run, publish

HEADS = [HeadRef(0, i) for i in range(4)]


class Saver(threading.Thread):
    """Saves one head over and over, and counts the versions that were stored."""

    def __init__(self, engine: Engine, head: HeadRef, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.engine, self.head, self.stopped, self.version = engine, head, stop, 0
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
                self._save()
        except Exception as error:  # told by the test, which would else wait for nothing
            self.failure = error

    def _save(self) -> None:
        with write_session(self.engine) as session:
            viewer = Viewer.of(ensure_annotator(session, "ada", NOW, "annotator"))
            context = AtlasContext(session, get_live_run(session, "tiny"), viewer)
            content = HeadAnnotation(notes=f"{self.head} {self.version + 1} " * 40)
            save(context, Save(self.head, content, self.version, str(uuid.uuid4())), NOW)
        self.version += 1


def versions(engine: Engine) -> dict[HeadRef, int]:
    with read_session(engine) as session:
        records = annotations.current_records(session, annotations.get_atlas_id(session, "tiny"))
        return {record.subject.ref: record.version for record in records if record.subject.ref in HEADS}


@pytest.mark.parametrize("n", [4, pytest.param(50, marks=pytest.mark.sweep)])
def test_f07_f08_backups_while_people_save_miss_nothing_that_was_acknowledged(
    make_sqlite_store, tmp_path: Path, n: int, record_property: Callable[[str, object], None]
) -> None:
    engine = open_store(make_sqlite_store())
    publish(engine, make_run())
    stop = threading.Event()
    savers = [Saver(engine, head, stop) for head in HEADS]
    for saver in savers:
        saver.start()
    for number in range(n):
        acknowledged = {saver.head: saver.version for saver in savers}
        copy = tmp_path / f"{number}.sqlite"
        backup(engine, copy)
        restored = open_store(copy)
        check_store(restored)
        stored = versions(restored)
        assert all(stored.get(head, 0) >= version for head, version in acknowledged.items())
        with write_session(restored) as session:  # and it goes on as a store of its own
            ensure_annotator(session, "ben", NOW, "annotator")
        restored.dispose()
        copy.unlink()
    record_property("backups", n)
    stop.set()
    for saver in savers:
        saver.join(30)
    assert [saver.failure for saver in savers] == [None] * len(savers)
    assert versions(engine) == {saver.head: saver.version for saver in savers}
    assert min(saver.version for saver in savers) > 0
    engine.dispose()
