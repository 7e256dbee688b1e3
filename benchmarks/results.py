"""Where benchmarks keep their figures: a JSON line per measurement, and the sections of RESULTS.md that they renew."""

import json
import os
import platform
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

LINES = Path(__file__).parent / "results.jsonl"
REPORT = Path(__file__).parent / "RESULTS.md"
LIBRARIES = ("torch", "transformers", "transformer-lens", "sae-lens", "numpy")


def keep(benchmark: str, figures: Mapping[str, Any], note: str, load_before: float) -> dict[str, Any]:
    """Add a line of figures with the time, the machine and the versions, and return it."""
    line = {
        "benchmark": benchmark,
        "note": note,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in LIBRARIES},
        "load_before": round(load_before, 2),
        **figures,
    }
    with LINES.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    return line


def kept(benchmark: str) -> Iterator[dict[str, Any]]:
    """The lines of a benchmark, oldest first."""
    for text in LINES.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if line.get("benchmark") == benchmark:
            yield line


def renew_section(name: str, text: str) -> None:
    """Put the text between the marks of a section of RESULTS.md; all else there is written by hand."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    report = REPORT.read_text(encoding="utf-8")
    if begin not in report:
        report += f"\n{begin}\n{end}\n"
    section = f"{begin}\n{text}\n{end}"
    REPORT.write_text(
        re.sub(f"{begin}.*?{end}", lambda _: section, report, flags=re.DOTALL), encoding="utf-8"
    )


def where_and_when(line: Mapping[str, Any]) -> str:
    """The day, the machine and its load, as a table names them."""
    return f"{line['at'][:10]}, {line['cpus']} x {line['machine']}, load {line['load_before']}"
