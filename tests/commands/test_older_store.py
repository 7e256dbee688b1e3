"""A store of an older version: what will be done to it is said before a job loads anything."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

import app.store.database.engine
from app.store.database.engine import open_store
from app.store.database.schema_versions import known_revisions, revision_of_store
from app.store.opening import upgrade_notice
from tests.support.command_line import Command
from tests.support.migrations import downgrade

OLD, NEW = known_revisions()[-2:]


@pytest.fixture
def older(make_store: Callable[..., str]) -> str:
    store = make_store()
    engine = open_store(store)
    downgrade(engine, OLD)
    engine.dispose()
    return store


def _revision(store: str) -> str | None:
    engine = open_store(store)
    try:
        return revision_of_store(engine)
    finally:
        engine.dispose()


def test_what_is_done_to_an_older_store_is_said_and_the_copy_that_would_be_right(older: str) -> None:
    notice = upgrade_notice(older)
    assert notice is not None
    assert f"brought from revision {OLD} to {NEW}" in notice
    assert "no copy is made" in notice
    assert ("pg_dump" if "://" in older else f"head-atlas db backup before.sqlite --store {older}") in notice
    assert _revision(older) == OLD


def test_a_store_of_this_version_and_one_that_is_not_there_yet_need_no_notice(
    make_store: Callable[..., str], tmp_path: Path
) -> None:
    assert upgrade_notice(make_store()) is None
    assert upgrade_notice(make_store(tables=False)) is None
    assert upgrade_notice(str(tmp_path / "new.sqlite")) is None
    assert not (tmp_path / "new.sqlite").exists()


@pytest.mark.parametrize(
    "words", [["precompute", "--dataset", "none.txt", "--model", "none", "--sae-path", "none"]]
)
def test_a_job_says_it_before_the_model_is_loaded_and_what_is_refused_leaves_the_store(
    command: Command, make_sqlite_store: Callable[..., str], words: list[str], tmp_path: Path
) -> None:
    store = make_sqlite_store()
    engine = open_store(store)
    downgrade(engine, OLD)
    engine.dispose()
    ended = command(*words, "--store", store, "--work-dir", str(tmp_path / "work"))
    assert ended.code == 2
    first, *_, last = ended.err.splitlines()
    assert f"brought from revision {OLD} to {NEW}" in first
    assert last.startswith("error: ")
    assert _revision(store) == OLD


def test_the_command_that_the_notice_names_makes_the_copy(
    command: Command, make_sqlite_store: Callable[..., str], tmp_path: Path
) -> None:
    store, copy = make_sqlite_store(), tmp_path / "before.sqlite"
    engine = open_store(store)
    downgrade(engine, OLD)
    engine.dispose()
    assert command("db", "backup", str(copy), "--store", store).code == 0
    assert _revision(str(copy)) == OLD
    listed = command("db", "runs", "--remove", "none", "--apply", "--store", store)
    assert f"brought from revision {OLD} to {NEW}" in listed.err
    assert _revision(store) == NEW


@pytest.mark.parametrize("words", [["db", "runs"], ["annotators", "list"], ["db", "check"]])
def test_a_command_opens_the_store_once(
    command: Command, make_sqlite_store: Callable[..., str], monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    store, opened = make_sqlite_store(), list[Path]()
    whole = app.store.database.engine.check_content

    def counted(engine: Engine, path: Path, **options: int | None) -> None:
        opened.append(path)
        whole(engine, path, **options)

    monkeypatch.setattr(app.store.database.engine, "check_content", counted)
    command(*words, "--store", store)
    assert len(opened) == 1
