"""Who may import what."""

import subprocess
import sys
from fnmatch import fnmatch

import pytest

from tests.support.repository import ROOT, imported_packages, python_files, relative

# The only doors to libraries that should be easy to replace, or that some part must do without.
DOORS = {
    "transformer_lens": ["app/adapters/transformer_lens_model.py"],
    "sae_lens": ["app/adapters/sae_formats.py", "app/training/*"],
    "ray": ["app/precompute/ray_executor.py"],
    "sqlalchemy": ["app/store/*"],
    "alembic": ["app/store/*"],
    "fastapi": ["app/web/*"],
    "starlette": ["app/web/*"],
    "jinja2": ["app/web/*"],
    "uvicorn": ["app/web/*"],
    "typer": ["app/cli.py", "app/commands/*"],
    "pydantic_settings": ["app/settings.py"],
    "psycopg": ["app/store/*"],
    "pysqlite3": ["app/store/database/sqlite.py"],
    "sqlite3": ["app/store/database/sqlite.py"],
}

LINT = "raise SystemExit(lint_imports(no_cache=True))"


def test_the_import_contracts_hold():
    contracts = subprocess.run(
        [sys.executable, "-c", f"from importlinter.cli import lint_imports\n{LINT}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert contracts.returncode == 0, contracts.stdout + contracts.stderr
    assert " 0 broken" in contracts.stdout


@pytest.mark.parametrize("package", DOORS)
def test_a_library_is_imported_only_through_its_door(package):
    importers = {
        relative(path) for path in python_files() if package in imported_packages(path.read_text("utf-8"))
    }
    assert not {name for name in importers if not any(fnmatch(name, door) for door in DOORS[package])}


def test_imports_inside_functions_count():
    source = "def f():\n    import torch.nn\n    from sae_lens.saes import sae\nfrom . import torchvision\n"
    assert imported_packages(source) == {"torch", "sae_lens"}


def test_a_server_starts_without_what_only_some_requests_need(sqlite_template):
    unneeded = ("alembic", "openpyxl", "xlsxwriter", "pyarrow", "scipy", "sqlalchemy.dialects.postgresql")
    script = (
        "import sys\n"
        f"for name in {unneeded}:\n"
        "    sys.modules[name] = None\n"
        "import app.cli, app.log, app.web.server\n"
        "from app.settings import Settings\n"
        "from app.web.factory import create_app\n"
        "create_app(Settings(store=sys.argv[1]))\n"
    )
    command = [sys.executable, "-W", "error", "-c", script, str(sqlite_template)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr


def test_an_upgrade_of_a_current_store_needs_no_alembic(sqlite_template):
    script = "import sys\nsys.modules['alembic'] = None\nfrom app.cli import main\nmain()\n"
    command = [sys.executable, "-W", "error", "-c", script, "db", "upgrade", "--store", str(sqlite_template)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout) == (0, "the store is up to date\n"), run.stderr


def test_commands_that_need_no_model_import_no_model_library():
    script = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'transformer_lens', 'sae_lens', 'datasets', 'ray'):\n"
        "    sys.modules[name] = None\n"
        "import app.cli, app.demo, app.doctor, app.web.server, app.store.migrate\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
