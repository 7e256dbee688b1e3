"""Which branches of the engine, the store, exports and logins the quick tests take.

    python benchmarks/branches.py [--note TEXT]

Runs the quick tests of these parts with Coverage.py, in one process. Prints each part's share of branches that were
taken, and the lines where one was not; adds a JSON line to benchmarks/results.jsonl.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from results import keep

ROOT = Path(__file__).parents[1]
PARTS = {
    "engine": ("app/precompute/", "app/statistics/"),
    "store": ("app/store/",),
    "exports": ("app/services/sheet/",),
    "logins": ("app/services/accounts/", "app/web/routes/login.py", "app/web/sessions.py"),
}
TESTS = (
    "tests/statistics",
    "tests/precompute",
    "tests/store",
    "tests/services/sheet",
    "tests/services/annotations",
    "tests/commands/test_annotations.py",
    "tests/web/guards",
    "tests/web/routes/sheet",
    "tests/web/routes/test_imports.py",
    "tests/web/routes/test_login.py",
)
# Child processes measure themselves too. Waiting for SQLAlchemy's greenlets instead of threads would never end.
SETTINGS = """[run]
branch = true
source = app
parallel = true
patch = subprocess
concurrency = thread, multiprocessing
data_file = {folder}/data
"""


def measured(folder: Path) -> dict[str, dict[str, Any]]:
    """What Coverage.py found of each file. Raises SystemExit where a test fails."""
    settings = folder / "settings"
    settings.write_text(SETTINGS.format(folder=folder), encoding="utf-8")
    coverage = [sys.executable, "-m", "coverage"]
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow and not sweep", *TESTS]
    report = folder / "report.json"
    for words in (["run", *tests], ["combine", "--quiet"], ["json", "--quiet", "-o", str(report)]):
        done = subprocess.run(
            [*coverage, words[0], f"--rcfile={settings}", *words[1:]], cwd=ROOT, check=False
        )
        if done.returncode:
            raise SystemExit(f"coverage {words[0]} ended with {done.returncode}")
    return json.loads(report.read_text(encoding="utf-8"))["files"]


def main() -> None:
    """Run, print, keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--note", default="")
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="head-atlas-coverage-") as folder:
        files = measured(Path(folder))
    shares: dict[str, float] = {}
    n_taken = n_branches = 0
    for part, places in PARTS.items():
        summaries = {path: found for path, found in files.items() if path.startswith(places)}
        taken = sum(found["summary"]["covered_branches"] for found in summaries.values())
        n = sum(found["summary"]["num_branches"] for found in summaries.values())
        shares[part] = round(100 * taken / n, 1)
        n_taken, n_branches = n_taken + taken, n_branches + n
        for path, found in summaries.items():
            if missed := sorted({start for start, _ in found["missing_branches"]}):
                print(f"{path}: {', '.join(map(str, missed))}")
    figures = {"percent": round(100 * n_taken / n_branches, 1), "branches": n_branches, "parts": shares}
    print(json.dumps(keep("branches", figures, asked.note, load), indent=1))


if __name__ == "__main__":
    main()
