"""How fast precompute is, and what it costs beside a bare forward pass and encode of the same tokens.

    python benchmarks/precompute.py [n_sequences] [--sae-path FOLDER ...] [--profile FILE]

Runs the embedded default (or the SAEs given) in a temporary folder, prints the figures, and adds a JSON line to
benchmarks/results.jsonl.
"""

import argparse
import cProfile
import json
import os
import platform
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from app.adapters.sae_sources import LocalSae
from app.demo import DemoFolders, demo_request
from app.precompute.job import run_job
from app.precompute.loaded_run import LoadedRun
from app.precompute.peak_memory import peak_memory_bytes
from app.precompute.prepare import prepare
from app.precompute.request import JobRequest, RunOptions
from app.precompute.shard import corpus_batches
from app.settings import Settings

RESULTS = Path(__file__).parent / "results.jsonl"
LIBRARIES = ("torch", "transformers", "transformer-lens", "sae-lens", "numpy")


def main() -> None:
    """Measure, print, and append to the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("n_sequences", nargs="?", type=int, default=64)
    parser.add_argument("--sae-path", action="append", type=Path, default=[])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--profile", type=Path, help="write a cProfile of the job here; figures are then too slow"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="head-atlas-benchmark-") as folder:
        figures = measure(make_request(options, Path(folder)), Path(folder), options.profile)
    print(json.dumps(figures, indent=1))
    if options.profile is None:
        with RESULTS.open("a") as file:
            file.write(json.dumps(figures) + "\n")


def make_request(options: argparse.Namespace, folder: Path) -> JobRequest:
    """The demo's request, on fewer sequences."""
    folders = DemoFolders(folder / "work", Settings().cache_dir)
    if options.sae_path:
        saes = tuple(LocalSae(path) for path in options.sae_path)
        request = JobRequest(
            model="smollm2-135m",
            saes=saes,
            dataset="python-docs",
            work_dir=folders.work_dir,
            cache_dir=folders.cache_dir,
        )
    else:
        request = demo_request(folders)
    return replace(request, n_prompts=options.n_sequences, threads=options.threads)


def measure(request: JobRequest, folder: Path, profile: Path | None) -> dict[str, Any]:
    """The job as a user runs it, after a bare pass with everything loaded and warm."""
    spec, parts = prepare(request)
    loaded_run = LoadedRun(spec, parts)
    bare_seconds, bare_cpu_seconds = bare_pass(loaded_run)
    n_positions = loaded_run.corpus.n_sequences * loaded_run.corpus.context_size
    del loaded_run, parts
    profiler = cProfile.Profile()
    began, cpu_began = time.monotonic(), time.process_time()
    if profile is not None:
        profiler.enable()
    report = run_job(request, str(folder / "store.sqlite"), RunOptions())
    if profile is not None:
        profiler.disable()
        profiler.dump_stats(profile)
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu_began
    print(report)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in LIBRARIES},
        "model": spec.plan.model,
        "layers": [sae.layer for sae in spec.plan.saes],
        "threads": spec.plan.threads,
        "n_positions": n_positions,
        "job_seconds": round(seconds, 2),
        "bare_seconds": round(bare_seconds, 2),
        "ratio": round(seconds / bare_seconds, 3),
        "cpu_ratio": round(
            cpu_seconds / bare_cpu_seconds, 3
        ),  # the one to trust on a machine with other work
        "positions_per_second": round(n_positions / seconds, 1),
        "peak_memory_mib": round(peak_memory_bytes() / 2**20),
    }


def bare_pass(loaded_run: LoadedRun) -> tuple[float, float]:
    """Wall and processor seconds of a forward pass to the same depth and an encode, in the job's batches."""
    model, layers = loaded_run.any_model, sorted(loaded_run.saes)
    corpus_plan = list(corpus_batches(loaded_run.plan, loaded_run.corpus.n_sequences))
    began = cpu_began = 0.0
    for i, (start, stop) in enumerate([corpus_plan[0], *corpus_plan]):
        if i == 1:  # the first batch warms up
            began, cpu_began = time.monotonic(), time.process_time()
        tokens = torch.from_numpy(loaded_run.corpus.tokens[start:stop].astype("int64"))
        z = model.hook_z(tokens, layers)  # pyright: ignore[reportAttributeAccessIssue]
        for layer in layers:
            loaded_run.saes[layer].coder.encode(z[layer].flatten(0, 1).flatten(1))
    return time.monotonic() - began, time.process_time() - cpu_began


if __name__ == "__main__":
    main()
