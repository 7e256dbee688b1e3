"""A store put back from its backup, as docs/operating.md says, and a transaction that ends before its file is sent."""

import shutil
from pathlib import Path

from sqlalchemy import func, select
from starlette.testclient import TestClient

from app.domain.annotations.records import HeadAnnotation
from app.store.checks import check_store
from app.store.database.engine import backup, open_store, read_session
from app.store.tables.annotations import RevisionRow
from tests.support.annotated_atlas import draft, later, make_atlas, save
from tests.support.run_data import make_run, publish
from tests.support.serving import served

FILES = (
    "/tiny/annotations.csv",
    "/tiny/annotations.xlsx",
    "/tiny/annotations.json",
    "/tiny",
    "/tiny/heads/L0H0",
)


def n_revisions(path):
    """Of a store that is sound."""
    engine = open_store(path)
    with read_session(engine) as session:
        found = session.scalar(select(func.count()).select_from(RevisionRow))
    check_store(engine)
    engine.dispose()
    return found


def test_f08_a_backup_put_in_the_place_of_a_store_with_unfinished_files_beside_it(
    make_sqlite_store, tmp_path
):
    path = Path(make_sqlite_store())
    engine = open_store(path)
    atlas_id, (ada,) = make_atlas(engine, "ada")
    save(engine, atlas_id, draft(ada, HeadAnnotation(notes="one")))
    backup(engine, tmp_path / "copy.sqlite")
    save(engine, atlas_id, draft(ada, HeadAnnotation(notes="two"), base=1), later(3))
    wal = path.with_name(f"{path.name}-wal")
    shutil.copyfile(wal, tmp_path / "wal")
    engine.dispose()
    shutil.copyfile(tmp_path / "wal", wal)  # as a server that was killed leaves it
    for left in (path, wal, path.with_name(f"{path.name}-shm")):
        left.unlink(missing_ok=True)
    (tmp_path / "copy.sqlite").rename(path)
    assert n_revisions(path) == 1


def test_f09_no_transaction_is_open_while_a_file_is_sent(make_sqlite_store):
    store = make_sqlite_store()
    engine = open_store(store)
    publish(engine, make_run())
    engine.dispose()
    app = served(store)
    pool = app.state.app_context.engine.pool
    open_while_sent = []

    async def watched(scope, receive, send):
        async def sending(message):
            if message["type"] == "http.response.start":
                open_while_sent.append(pool.checkedout())
            await send(message)

        await app(scope, receive, sending)

    client = TestClient(watched)
    assert [client.get(path).status_code for path in FILES] == [200] * len(FILES)
    assert open_while_sent == [0] * len(FILES)
