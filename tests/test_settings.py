"""Settings: the environment, its limits, and no secrets in print."""

import ast
from pathlib import Path

import pytest
from pydantic import ValidationError

import app
from app.settings import Settings


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch):
    for name in ("STORE", "WORK_DIR", "HOST", "PORT", "ALLOWED_HOSTS", "LOG_LEVEL"):
        monkeypatch.delenv(f"HEAD_ATLAS_{name}", raising=False)
    monkeypatch.delenv("PORT", raising=False)


def test_the_defaults_serve_this_machine_only():
    settings = Settings()
    assert (settings.host, settings.port, settings.store) == ("127.0.0.1", 8000, "head-atlas.sqlite")
    assert "localhost" in settings.allowed_hosts


def test_the_environment_is_read_and_arguments_win(monkeypatch):
    monkeypatch.setenv("HEAD_ATLAS_STORE", "other.sqlite")
    monkeypatch.setenv("HEAD_ATLAS_ALLOWED_HOSTS", "atlas.example.org, localhost,")
    monkeypatch.setenv("HEAD_ATLAS_LOG_LEVEL", "debug")
    monkeypatch.setenv("PORT", "9001")
    settings = Settings()
    assert settings.store == "other.sqlite"
    assert settings.allowed_hosts == ("atlas.example.org", "localhost")
    assert (settings.log_level, settings.port) == ("DEBUG", 9001)
    assert Settings(store="mine.sqlite", port=9002).store == "mine.sqlite"
    assert Settings(port=9002).port == 9002
    monkeypatch.setenv("HEAD_ATLAS_PORT", "9003")
    assert Settings().port == 9003


@pytest.mark.parametrize("values", [{"port": 70000}, {"port": "x"}, {"log_level": "loud"}, {"store": ""}])
def test_impossible_values_are_refused(values):
    with pytest.raises(ValidationError):
        Settings(**values)


def test_a_password_in_the_store_is_not_printed():
    settings = Settings(store="postgresql://me:hidden@host/name")
    assert "hidden" not in repr(settings)
    assert "hidden" not in str(settings)


def test_nothing_else_reads_the_environment():
    readers = set()
    for path in Path(app.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"):
                readers.add(path.name)
    # Ray's processes take their settings from the environment that they are started in.
    assert readers <= {"settings.py", "ray_executor.py"}
