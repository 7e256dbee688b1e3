"""Migrations: the same tables as the code's, safe against kills, rivals, newer stores and lost rows."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import insert, inspect, select, text
from sqlalchemy.exc import IntegrityError

from app.domain.annotations.records import FeatureNote, HeadAnnotation
from app.errors import InvalidStore
from app.paths import migrations_dir
from app.store import migrate
from app.store.database import schema_versions as revisions
from app.store.database.engine import open_store, read_session, write_session
from app.store.tables.annotations import RevisionRow
from app.store.tables.atlas import Base
from tests.support import stored_runs
from tests.support.annotated_atlas import FEATURE, draft, make_atlas, save
from tests.support.migrations import UPGRADE_KILLED_AT, downgrade, schema_differences
from tests.support.store_digest import table_digest

pytestmark = pytest.mark.slow

ROOT = Path(migrate.__file__).parents[2]


def test_f01_the_migrations_make_the_tables_of_the_code(engine):
    assert schema_differences(engine) == []
    assert set(inspect(engine).get_table_names()) == {*Base.metadata.tables, "alembic_version"}
    assert revisions.revision_of_store(engine) == revisions.revision_of_code()


def test_migrations_are_known_by_the_names_of_their_files():
    scripts = ScriptDirectory.from_config(migrate.alembic_config())
    assert revisions.known_revisions() == [script.revision for script in scripts.walk_revisions()][::-1]


def test_a_missing_column_would_be_noticed(engine):
    with write_session(engine) as session:
        session.execute(text("ALTER TABLE run_reports DROP COLUMN workers"))
    assert "workers" in str(schema_differences(engine))


def test_f01_down_and_up_again(make_store):
    engine = open_store(make_store())
    downgrade(engine, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    assert revisions.revision_of_store(engine) is None
    engine.dispose()
    engine = open_store(engine.url.render_as_string(hide_password=False))  # emptied, not foreign
    migrate.upgrade(engine)
    assert schema_differences(engine) == []
    engine.dispose()


def test_the_orders_that_no_list_has_lose_their_indexes_and_rows_stay(engine):
    stored_runs.publish(engine)
    downgrade(engine, "0006")  # so that what a later schema added is gone from both sides
    before = table_digest(engine)
    dropped = {f"ix_features_run_id_layer_{order}_feature_index" for order in ("density", "max_activation")}
    assert not dropped & indexes_of_features(engine)
    downgrade(engine, "0005")
    assert dropped <= indexes_of_features(engine)
    assert table_digest(engine) == before
    migrate.upgrade(engine)
    assert not dropped & indexes_of_features(engine)
    assert table_digest(engine) == before
    assert schema_differences(engine) == []


def test_rows_of_search_are_kept_in_the_order_of_its_results_and_none_is_lost(engine):
    stored_runs.publish(engine)
    before = table_digest(engine)
    downgrade(engine, "0011")
    logits: dict[tuple[int, ...], list[float]] = {}
    with read_session(engine) as session:
        ranked = session.execute(text("SELECT * FROM feature_tokens ORDER BY rank")).mappings().all()
    for row in ranked:
        of_feature = logits.setdefault((row["layer"], row["feature_index"], row["sign"]), [])
        of_feature.append(row["sign"] * row["logit"])
        assert row["rank"] == len(of_feature)  # the earlier version's ranks: from 1, the largest first
    assert len(logits) > 2
    assert all(values == sorted(values, reverse=True) for values in logits.values())
    migrate.upgrade(engine)
    assert table_digest(engine) == before
    assert schema_differences(engine) == []
    for table, key in (
        ("feature_tokens", ["run_id", "token_id", "sign", "logit", "layer", "feature_index"]),
        ("feature_words", ["run_id", "word", "count", "layer", "feature_index"]),
    ):
        assert inspect(engine).get_pk_constraint(table)["constrained_columns"] == key
        assert inspect(engine).get_indexes(table) == []


def indexes_of_features(engine) -> set[str]:
    return {index["name"] for index in inspect(engine).get_indexes("features")}


def all_revisions(engine):
    with read_session(engine) as session:
        return session.execute(select(RevisionRow.__table__).order_by(RevisionRow.id)).all()


def test_keys_of_revisions_move_to_their_records_and_every_revision_is_carried_over(engine):
    atlas_id, (ada, ben) = make_atlas(engine, "ada", "ben")
    key = {"idempotency_key": "skip L0H0"}
    save(engine, atlas_id, draft(ada, HeadAnnotation(notes="one"), **key))
    save(engine, atlas_id, draft(ada, HeadAnnotation(notes="two"), 1))
    save(engine, atlas_id, draft(ben, FeatureNote("\u00e9"), subject=FEATURE, status="submitted"))
    before = all_revisions(engine)
    downgrade(engine, "0006")
    assert all_revisions(engine) == before
    with pytest.raises(IntegrityError), write_session(engine) as session:
        session.execute(insert(RevisionRow), {**before[1]._mapping, "id": 9, "version": 9, **key})
    migrate.upgrade(engine)
    assert all_revisions(engine) == before
    assert schema_differences(engine) == []
    for wrong in ({"kind": "layer"}, {"status": "deleted"}, key):  # and the table checks as it did
        with pytest.raises(IntegrityError), write_session(engine) as session:
            session.execute(insert(RevisionRow), {**before[1]._mapping, "id": 9, "version": 9, **wrong})
    save(engine, atlas_id, draft(ben, HeadAnnotation(), **key))
    downgrade(engine, "0006")  # where the key is one text in two records, the older one keeps it
    assert [row.idempotency_key for row in all_revisions(engine)][-1] == "revision 4"
    assert all_revisions(engine)[:3] == before


def test_an_upgrade_of_a_current_store_changes_nothing(engine):
    stored_runs.publish(engine)
    before = table_digest(engine)
    migrate.upgrade(engine)
    assert table_digest(engine) == before


def test_f03_a_store_of_a_newer_version_is_refused_and_both_revisions_named(make_store):
    url = make_store()
    engine = open_store(url)
    with write_session(engine) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9876'"))
    engine.dispose()
    with pytest.raises(InvalidStore) as caught:
        open_store(url)
    assert "9876" in str(caught.value)
    assert revisions.revision_of_code() in str(caught.value)


NEXT = '''
"""A later migration that rebuilds the table at the root of all others."""
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "9999", "{before}", None, None
def upgrade():
    with op.batch_alter_table("runs", recreate="always") as batch:
        batch.add_column(sa.Column("later", sa.Integer(), nullable=True))
def downgrade():
    with op.batch_alter_table("runs", recreate="always") as batch:
        batch.drop_column("later")
'''


def test_rebuilding_a_table_keeps_the_rows_that_refer_to_it(make_sqlite_store, tmp_path, monkeypatch):
    engine = open_store(make_sqlite_store())
    stored_runs.publish(engine)
    before = table_digest(engine)
    shutil.copytree(migrations_dir(), tmp_path / "migrations")
    later = tmp_path / "migrations" / "versions" / "9999_later.py"
    later.write_text(NEXT.format(before=revisions.revision_of_code()))
    monkeypatch.setattr(migrate, "migrations_dir", lambda: tmp_path / "migrations")
    migrate.upgrade(engine)
    assert table_digest(engine) == before
    downgrade(engine, "-1")
    assert table_digest(engine) == before
    with engine.connect() as connection:  # and the connection enforces references again
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5000
    engine.dispose()


# In a process of its own, without threads: forks one child a kill point, until a child gets through.
KILLER = (
    UPGRADE_KILLED_AT
    + """
kill_at, stride = 0, int(sys.argv[2])
while True:
    kill_at += stride
    child = os.fork()
    if child == 0:
        run(f"{sys.argv[1]}/{kill_at:03}.sqlite", kill_at)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status == 0:
        break
    assert os.WTERMSIG(status) == signal.SIGKILL
print(kill_at)
"""
)


@pytest.mark.parametrize("stride", [4, pytest.param(1, marks=pytest.mark.sweep)])
def test_f02_a_kill_before_any_statement_leaves_a_store_that_upgrades(tmp_path, stride):
    command = [sys.executable, "-c", KILLER, str(tmp_path), str(stride)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    paths = sorted(tmp_path.glob("*.sqlite"))
    assert len(paths) * stride == int(done.stdout) > len(Base.metadata.tables)
    for path in paths[:-1]:
        engine = open_store(path)
        assert inspect(engine).get_table_names() in ([], ["alembic_version"])
        migrate.upgrade(engine)
        assert schema_differences(engine) == []
        engine.dispose()


RIVAL = """
import sys, time
from sqlalchemy import event
from app.store.database.engine import open_store
from app.store.migrate import upgrade
engine = open_store(sys.argv[1])
def slow(_c, _cursor, statement, *_):
    if "CREATE TABLE runs" in statement:
        print("inside", flush=True)
        time.sleep(float(sys.argv[2]))
event.listen(engine, "before_cursor_execute", slow)
print("open", flush=True)
upgrade(engine)
print("done", time.time(), flush=True)
"""


def test_f04_of_two_upgrades_at_once_one_waits(make_store):
    url = make_store(tables=False)
    command = [sys.executable, "-c", RIVAL, url]
    first = subprocess.Popen([*command, "1.5"], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert [first.stdout.readline(), first.stdout.readline()] == ["open\n", "inside\n"]
    start = time.time()
    second = subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    lines = [process.communicate(timeout=60)[0].splitlines() for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0]
    assert lines[1][0] == "open"
    assert "inside" not in lines[1]  # it found the tables made
    ends = [float(of[-1].split()[1]) for of in lines]
    assert start < ends[0] <= ends[1]
    engine = open_store(url)
    assert schema_differences(engine) == []
    engine.dispose()


@pytest.mark.parametrize("n", [3, 8])
def test_f04_several_processes_may_make_one_new_store_together(tmp_path, n):
    command = [sys.executable, "-c", RIVAL, str(tmp_path / "new.sqlite"), "0"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(n)]
    outs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * n
    assert sum("inside" in out for out in outs) == 1


def test_second_looks_get_a_kind_and_every_revision_is_carried_over(engine):
    atlas_id, (ada,) = make_atlas(engine, "ada")
    save(engine, atlas_id, draft(ada, HeadAnnotation(notes="first")))
    save(engine, atlas_id, draft(ada, FeatureNote("é"), subject=FEATURE, status="submitted"))
    before = all_revisions(engine)
    downgrade(engine, "0008")
    assert all_revisions(engine) == before
    second = {**before[0]._mapping, "id": 9, "kind": "second"}
    with pytest.raises(IntegrityError), write_session(engine) as session:
        session.execute(insert(RevisionRow), second)
    migrate.upgrade(engine)
    assert all_revisions(engine) == before
    assert schema_differences(engine) == []
    with write_session(engine) as session:  # the same head, annotator, version and key as the first look
        session.execute(insert(RevisionRow), second)
    for wrong in ({"kind": "layer"}, {"status": "deleted"}, {"version": 1}):
        with pytest.raises(IntegrityError), write_session(engine) as session:
            session.execute(insert(RevisionRow), {**second, "id": 10, "idempotency_key": "other", **wrong})
    downgrade(engine, "0008")
    assert all_revisions(engine) == before
