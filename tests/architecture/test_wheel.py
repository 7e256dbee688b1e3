"""The wheel holds all that it needs: it migrates and serves from another folder, without the checkout."""

import os
import site
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import pytest

from app.adapters.demo_texts import DemoTexts
from tests.support.repository import APP, ROOT

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("HEAD_ATLAS", "PYTHON"))
    }
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-index"]
    run(*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT, cwd=folder)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with the wheel, and this environment's packages but not its checkout."""
    folder = tmp_path_factory.mktemp("installed") / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    scheme = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    # Folders named in a .pth file are searched, but their own .pth files (an editable install's) are not read.
    Path(scheme, "dependencies.pth").write_text("\n".join(site.getsitepackages()), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", folder / "bin" / "python"]
    run(*pip, "install", "--no-index", "--no-deps", "--ignore-installed", wheel, cwd=folder.parent)
    return folder / "bin"


def test_everything_that_ships_is_in_the_wheel(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    expected = {f"app/{path.relative_to(APP).as_posix()}" for path in APP.rglob("*") if path.is_file()}
    for folder in ("frontend", "migrations"):
        expected |= {
            f"app/_{folder}/{path.relative_to(ROOT / folder).as_posix()}"
            for path in (ROOT / folder).rglob("*")
            if path.is_file()
        }
    expected = {name for name in expected if "__pycache__" not in name}
    shipped = {name for name in names if ".dist-info/" not in name}
    assert shipped == expected
    assert "app/_migrations/env.py" in shipped
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_installed_package_is_not_the_checkout(installed: Path, tmp_path: Path):
    place = run(installed / "python", "-c", "import app; print(app.__file__)", cwd=tmp_path)
    assert Path(place.strip()).is_relative_to(installed.parent)


@pytest.fixture
def served(installed: Path, tmp_path: Path) -> Iterator[str]:
    """The address of the installed server, over a store that the installed command made."""
    run(installed / "head-atlas", "db", "upgrade", "--store", "atlas.sqlite", cwd=tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [installed / "head-atlas", "serve", "--store", "atlas.sqlite", "--port", port]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log) as server,
    ):
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=30)


def fetch(address: str, deadline_s: float = 30) -> bytes:
    until = time.monotonic() + deadline_s
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as response:  # noqa: S310 (this machine)
                return response.read()
        except URLError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def test_it_serves_health_pages_and_static_files(served: str):
    assert fetch(f"{served}/healthz") == b"ok\n"
    assert b"<html" in fetch(f"{served}/")
    assert fetch(f"{served}/static/css/theme.css") == (ROOT / "frontend/static/css/theme.css").read_bytes()


def test_the_shipped_saes_are_found(installed: Path, tmp_path: Path):
    found = run(
        installed / "python",
        "-c",
        "from app.demo import sae_folders; print(len(sae_folders()))",
        cwd=tmp_path,
    )
    shipped = [path for path in (APP / "embedded").glob("*/layer_*") if path.is_dir()]
    assert int(found) == len(shipped) >= 5


def test_the_shipped_texts_are_found(installed: Path, tmp_path: Path):
    names = "from app.adapters.demo_texts import DemoTexts; print(*DemoTexts().document_names(), sep=chr(10))"
    found = run(installed / "python", "-c", names, cwd=tmp_path)
    assert found.splitlines() == list(DemoTexts().document_names())
