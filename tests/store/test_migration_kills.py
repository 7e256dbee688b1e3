"""F1, F2: upgrades from every earlier revision, with rows in the store, killed at each statement: on both databases."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from app.paths import migrations_dir
from app.store import migrate
from app.store.database import schema_versions as revisions
from app.store.database.engine import open_store
from tests.support import stored_runs
from tests.support.migrations import UPGRADE_KILLED_AT, downgrade, schema_differences
from tests.support.store_digest import table_digest

ROOT = migrations_dir().parent
EARLIER = revisions.known_revisions()[:-1]
# One fork a kill point, on one store: a kill rolls back, so the next one finds it as it was.
KILLER = (
    UPGRADE_KILLED_AT
    + """
from app.store.database.schema_versions import revision_of_store

url, stride, before = sys.argv[1], int(sys.argv[2]), sys.argv[3]
kill_at = kills = 0
while True:
    kill_at += stride
    child = os.fork()
    if child == 0:
        run(url, kill_at)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status == 0:
        break
    assert os.WTERMSIG(status) == signal.SIGKILL, status
    kills += 1
    child = os.fork()
    if child == 0:
        engine = open_store(url)
        os._exit(0 if revision_of_store(engine) == before else 1)
    assert os.waitpid(child, 0)[1] == 0, f"killed at statement {kill_at}"
print(kills)
"""
)


@pytest.mark.parametrize(
    ("before", "stride"),
    [pytest.param(EARLIER[0], 8, marks=pytest.mark.slow)]
    + [pytest.param(revision, 1, marks=pytest.mark.sweep) for revision in EARLIER],
)
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_f01_f02_killed_at_any_statement_an_upgrade_is_not_done_or_done_again(
    request: pytest.FixtureRequest,
    database: str,
    before: str,
    stride: int,
    record_property: Callable[[str, object], None],
) -> None:
    url = request.getfixturevalue(f"make_{database}_store")()
    engine = open_store(url)
    stored_runs.publish(engine)
    downgrade(engine, before)
    engine.dispose()
    command = [sys.executable, "-c", KILLER, url, str(stride), before]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) >= 1
    record_property("kills", int(done.stdout))
    engine = open_store(url)
    assert revisions.revision_of_store(engine) == revisions.revision_of_code()
    assert schema_differences(engine) == []
    again = open_store(request.getfixturevalue(f"make_{database}_store")())
    stored_runs.publish(again)
    downgrade(again, before)
    migrate.upgrade(again)
    assert table_digest(engine) == table_digest(again)
    for each in (engine, again):
        each.dispose()
