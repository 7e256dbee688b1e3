"""`python -m tests.figures`: run the tests that show the reliability figures, and print the table of goals.

--full runs the long ones too and writes docs/figures.md, --slow all but sweeps. --from FILE... runs nothing: it reads
what tests recorded that ran with HEAD_ATLAS_FIGURES=FILE in their environment, and with --write it writes the page.
Exit status 1 where a test failed.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.figures.goals import GOALS, REFERENCES
from tests.figures.recorder import ONLY_GOALS, VARIABLE
from tests.figures.results import Result, read_results
from tests.figures.table import drawn
from tests.support.repository import ROOT

PAGE = ROOT / "docs" / "figures.md"
START = "<!-- figures -->"
# By whether everything, or everything but sweeps, is asked for.
MARKS = {
    (False, False): "not slow and not sweep",
    (False, True): "not sweep",
    (True, False): "",
    (True, True): "",
}
PACKAGES = ("torch", "transformers", "transformer-lens", "sae-lens", "numpy", "fastapi", "sqlalchemy")


def main() -> int:
    """Run, print, and write where asked to."""
    options = argparse.ArgumentParser(prog="tests.figures", description=__doc__)
    options.add_argument(
        "--full", action="store_true", help="run the long tests too, and write docs/figures.md"
    )
    options.add_argument("--slow", action="store_true", help="the same without sweeps")
    options.add_argument("--workers", default="2")
    options.add_argument(
        "--from", dest="sources", type=Path, nargs="+", metavar="FILE", help="print what is recorded here"
    )
    options.add_argument("--write", action="store_true", help="write docs/figures.md as well")
    chosen = options.parse_args()
    marks = MARKS[chosen.full, chosen.slow]
    results = read_results(*chosen.sources) if chosen.sources else _run(chosen.workers, marks)
    table = drawn(GOALS, results)
    sys.stdout.write(f"{table}\n")
    if chosen.full or chosen.slow or chosen.write:
        head = PAGE.read_text("utf-8").partition(START)[0]
        PAGE.write_text(f"{head}{START}\n{_machine(results)}\n\n{table}\n", "utf-8")
    return int(not all(result.passed for result in results))


def _run(workers: str, marks: str) -> list[Result]:
    paths = sorted({reference.partition("::")[0] for reference in REFERENCES})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figures.jsonl"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            workers,
            "--dist",
            "loadfile",
            "-m",
            marks,
            *paths,
        ]
        environment = {VARIABLE: str(path), ONLY_GOALS: "1"}
        subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=False)
        return read_results(path)


def _machine(results: list[Result]) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    machine = f"{os.cpu_count()} cores ({platform.machine()}, {platform.system()}), Python {platform.python_version()}"
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC: {len(results)} tests on {machine}, {versions}."


if __name__ == "__main__":
    sys.exit(main())
