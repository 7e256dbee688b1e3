"""What precompute costs beside its limit: one table of name, measured, target and whether it is met.

    python benchmarks/bench.py [--only NAME ...] [--note TEXT]

Each row is a job in a process of its own (`job_cost.py`), on an otherwise idle machine. Each adds a JSON line to
`benchmarks/results.jsonl`, and the table of `benchmarks/RESULTS.md` is made of the newest line of each. What a server
gives is measured by `serving.py`, and the peer by `peer.py`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from job_cost import JobCost, Limit, least_seconds
from job_inputs import FIVE_LAYERS
from least_work import LeastWork
from results import keep, kept, renew_section, where_and_when
from script_output import json_of

BENCHMARK = "precompute"
ALL_LAYERS = tuple(range(30))
SCORE_TOKENS = 64 * 129  # of the random sequences that head scores are measured on
CONTEXT = 128


@dataclass(frozen=True)
class Row:
    """One line of the table.

    parts: where the time goes, or what else was measured; least: from `least_work.py`; quick: beside a limit whose
    products are made as the job makes them.
    """

    name: str
    measured: float
    target: float
    parts: str
    least: float | None = None
    quick: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the target is met."""
        return self.measured <= self.target


@dataclass(frozen=True)
class Case:
    """A job to measure, and the ratio that its row shows."""

    name: str
    layers: tuple[int, ...]
    sequences: int
    target: float
    features: str = "all"
    sae: str = "random"
    ratio: Callable[[JobCost, Limit], float] = lambda cost, limit: cost.seconds / limit.seconds


def demo_ratio(cost: JobCost, limit: Limit) -> float:
    """Head scores included, beside all forward passes (theirs, too) and one encode."""
    forward = limit.forward_of_all_layers_s * (1 + SCORE_TOKENS / (cost.n_sequences * CONTEXT))
    return (cost.seconds + cost.head_scores_s) / (forward + limit.encode_s)


def least_cost(cost: JobCost, quick: Limit, least: LeastWork) -> JobCost:
    """A job that did nothing but the least, with the job's products."""
    scores_s = least.forward_s * SCORE_TOKENS / (cost.n_sequences * CONTEXT)
    return replace(cost, statistics_s=least_seconds(quick, least), publish_s=0.0, head_scores_s=scores_s)


CASES = (
    Case("whole dictionary, one layer, 8,192 tokens", (17,), 64, 2.0),
    Case("whole dictionary, five layers, 8,192 tokens", FIVE_LAYERS, 64, 2.0),
    Case("whole dictionary, one layer, 65,536 tokens", (17,), 512, 1.5),
    Case("whole dictionary, five layers, 65,536 tokens", FIVE_LAYERS, 512, 1.5),
    Case("features of lists, thirty layers, 8,192 tokens", ALL_LAYERS, 64, 1.5, "top", "shipped"),
    Case("demo after installation, thirty layers", ALL_LAYERS, 256, 1.6, "top", "shipped", demo_ratio),
)
MEMORY = "peak memory, from 100,096 to 1,000,064 tokens"


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    measures = {case.name: lambda case=case: measured_row(case) for case in CASES} | {MEMORY: memory_row}
    parser.add_argument("--only", action="append", choices=list(measures))
    parser.add_argument("--note", default="")
    options = parser.parse_args()
    for name in options.only or measures:
        load = os.getloadavg()[0]
        try:
            row = measures[name]()
        except subprocess.CalledProcessError as error:
            print(f"{name}: not measured, {error}", file=sys.stderr, flush=True)
            continue
        line = keep(BENCHMARK, asdict(row), options.note, load)
        print(line_of(row, where_and_when(line)), flush=True)
    renew_section(BENCHMARK, table(list(measures)))


def measured_row(case: Case) -> Row:
    """Run a case's job in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="head-atlas-bench-") as folder:
        layers = ",".join(map(str, case.layers))
        command = ["job_cost.py", folder, "--layers", layers, "--sequences", case.sequences]
        stored = json_of(sys.executable, *command, "--features", case.features, "--sae", case.sae)
    limit, least = Limit(**stored.pop("limit")), LeastWork(**stored.pop("least"))
    quick = Limit(**stored.pop("quick_limit"))
    cost = JobCost(**stored, limit=limit, quick_limit=quick, least=least)
    parts = (
        f"{cost.n_features:,} features; statistics {cost.statistics_s:.1f} s, publishing {cost.publish_s:.1f}; limit: "
        f"forward {limit.forward_s:.1f}, encode {limit.encode_s:.1f}, logits {limit.logits_s:.1f} "
        f"(with the job's products {quick.forward_s:.1f}, {quick.encode_s:.1f}, {quick.logits_s:.1f}); forward through "
        f"all layers {limit.forward_of_all_layers_s:.1f}; head scores {cost.head_scores_s:.1f}; "
        f"{cost.peak_memory_mib:,} MiB; least: forward with patterns {least.forward_s:.1f}, "
        f"sorts {least.sort_s:.1f}, packing {least.pack_s:.1f}, rows {least.rows_s:.1f}"
    )
    least_ratio = case.ratio(least_cost(cost, quick, least), limit)
    return Row(case.name, case.ratio(cost, limit), case.target, parts, least_ratio, case.ratio(cost, quick))


def memory_row() -> Row:
    """How peak memory grows with ten times the tokens, on a random model of two layers."""
    few, many = (
        json_of(sys.executable, "accelerator.py", "--small", "--tokens", n)["peak_memory_mib"]
        for n in (100_096, 1_000_064)
    )
    return Row(MEMORY, many / few, 1.1, f"{few:,} and {many:,} MiB, a random model of two layers")


def table(names: list[str]) -> str:
    """The newest row of each name, in Markdown."""
    newest = {line["name"]: line for line in kept(BENCHMARK)}
    lines = [
        "| what | measured | target | pass | least | beside its own products | parts | when |",
        "|---" * 8 + "|",
    ]
    for name in names:
        if line := newest.get(name):
            given = (line["measured"], line["target"], line["parts"], line.get("least"), line.get("quick"))
            row = Row(name, *given)
            lines.append(line_of(row, where_and_when(line)))
    return "\n".join(lines)


def line_of(row: Row, when: str) -> str:
    """One row in Markdown."""
    passed = "yes" if row.passed else "no"
    least, quick = ("" if ratio is None else f"{ratio:.2f} ×" for ratio in (row.least, row.quick))
    ratios = f"{row.measured:.2f} × | ≤ {row.target} × | {passed} | {least} | {quick}"
    return f"| {row.name} | {ratios} | {row.parts} | {when} |"


if __name__ == "__main__":
    main()
