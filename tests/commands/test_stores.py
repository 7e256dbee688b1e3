"""Commands on a store as typed: db, serve and doctor, with and without one."""

import gc
from pathlib import Path

import pytest

from app.store.database.engine import open_store
from app.store.migrate import upgrade
from tests.support.command_line import Command


@pytest.mark.parametrize("words", [("db", "check"), ("db", "backup", "copy.sqlite")])
def test_commands_on_a_missing_store_make_none(
    command: Command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    ended = command(*words, "--store", str(tmp_path / "none.sqlite"))
    assert ended.code == 2
    assert "there is no store at" in ended.errors[0]
    assert list(tmp_path.iterdir()) == []


def test_upgrade_and_backup(command: Command, tmp_path: Path) -> None:
    store = str(tmp_path / "store.sqlite")
    assert command("db", "upgrade", "--store", store).out == "the store is up to date\n"
    assert command("db", "backup", str(tmp_path / "copy.sqlite"), "--store", store).code == 0
    assert command("db", "check", "--store", str(tmp_path / "copy.sqlite")).out == "the store is sound\n"
    upgrade(open_store(tmp_path / "copy.sqlite"))


def test_garbage_is_collected_again_once_a_server_has_started(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, seen = str(tmp_path / "store.sqlite"), []
    command("db", "upgrade", "--store", store)
    monkeypatch.setattr("app.log.configure_logging", lambda _level: None)
    frozen = gc.get_freeze_count()  # of this run of tests
    monkeypatch.setattr(
        "app.web.server.serve", lambda *_: seen.append((gc.isenabled(), gc.get_freeze_count() > frozen))
    )
    assert command("serve", "--store", store).code == 0
    assert seen == [(True, True)]
    assert command("serve", "--store", str(tmp_path / "none.sqlite")).errors
    assert gc.isenabled()  # after a start-up that failed, too


def test_the_doctor_says_what_is_installed_and_that_there_is_no_store(
    command: Command, tmp_path: Path
) -> None:
    ended = command("doctor", "--store", str(tmp_path / "none.sqlite"))
    assert ended.code == 2
    assert "head-atlas" in ended.out
    assert len(ended.errors) == 1
    assert "there is no store at" in ended.errors[0]
    assert not (tmp_path / "none.sqlite").exists()
