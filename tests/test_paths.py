"""Shipped folders are found in a checkout and in an installed package."""

import pytest

from app import paths


def test_a_checkout_has_them_beside_the_package():
    assert (paths.migrations_dir() / "env.py").is_file()
    assert (paths.frontend_dir() / "templates").is_dir()


def test_an_installed_package_has_its_own_copies_and_prefers_them(tmp_path, monkeypatch):
    package = tmp_path / "app"
    monkeypatch.setattr(paths, "_PACKAGE", package)
    (tmp_path / "migrations").mkdir()
    assert paths.migrations_dir() == tmp_path / "migrations"
    (package / "_migrations").mkdir(parents=True)
    assert paths.migrations_dir() == package / "_migrations"


def test_a_broken_installation_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "_PACKAGE", tmp_path / "app")
    with pytest.raises(FileNotFoundError, match="install head-atlas again"):
        paths.frontend_dir()
