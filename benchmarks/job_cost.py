"""What one job costs after loading, beside the least that it must do on the same machine.

    python benchmarks/job_cost.py FOLDER --layers 17 [--sequences 64] [--features all] [--sae random|shipped]

The limit is one forward pass to the deepest layer with an SAE, one encode of all features, and one product of the
published features with W_O and W_U, in the job's batches, with products as torch has them made by itself; and once more
with those of the job (`app.attribution.products`). Prints one line of JSON; times are seconds. `bench.py` and `peer.py`
run this in a process of its own, so that peak memory is the job's.
"""

import argparse
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import torch
from job_inputs import make_inputs
from least_work import LeastWork, measure_least_work, timed, token_batches

import app.precompute.calibration
from app.adapters.sae_sources import LocalSae
from app.adapters.transformer_lens_model import TransformerLensModel
from app.attribution import products
from app.demo import demo_sae_folders
from app.domain.records import RunReport
from app.precompute.calibration import calibrate, seal_calibration
from app.precompute.executors import SerialExecutor
from app.precompute.job import peak_memory_bytes
from app.precompute.loaded_run import LoadedRun
from app.precompute.plan import FeatureChoice
from app.precompute.prepare import prepare
from app.precompute.progress import JobMonitor, rows_into
from app.precompute.publish import Publisher
from app.precompute.request import JobRequest
from app.precompute.run_checks import check_run
from app.store.atlas import writes
from app.store.database.engine import write_session
from app.store.opening import migrated_store


@dataclass(frozen=True)
class Limit:
    """Seconds of what a job cannot do without. The forward pass through all layers is given for comparison."""

    forward_s: float
    encode_s: float
    logits_s: float
    forward_of_all_layers_s: float

    @property
    def seconds(self) -> float:
        """Forward pass to the deepest layer with an SAE, encode and product."""
        return self.forward_s + self.encode_s + self.logits_s


@dataclass(frozen=True)
class JobCost:
    """One job's seconds by part. cpu_s: processor time of the job without loading and head scores."""

    layers: tuple[int, ...]
    features: str
    n_sequences: int
    n_features: int
    load_s: float
    statistics_s: float
    publish_s: float
    head_scores_s: float
    cpu_s: float
    peak_memory_mib: int
    store_mib: float
    limit: Limit | None  # products as torch has them made
    quick_limit: Limit | None  # products as the job makes them
    least: LeastWork | None

    @property
    def seconds(self) -> float:
        """The job's, after loading, publishing included, head scores apart."""
        return self.statistics_s + self.publish_s


def least_seconds(limit: Limit, least: LeastWork) -> float:
    """Of a job that did nothing but the least, as `JobCost.seconds` counts them."""
    return least.seconds + limit.encode_s + limit.logits_s


def main() -> None:
    """Measure one job and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", default="17")
    parser.add_argument("--sequences", type=int, default=64)
    parser.add_argument("--features", choices=["all", "top"], default="all")
    parser.add_argument("--sae", choices=["random", "shipped"], default="random")
    parser.add_argument("--limit", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    app.precompute.calibration.MAX_FVU = float("inf")  # random SAEs explain nothing
    layers = tuple(int(layer) for layer in options.layers.split(","))
    request = make_request(options.folder, layers, options.sequences, options.sae, options.features)
    print(json.dumps(asdict(measure(request, options.folder, options.limit))))


def make_request(
    folder: Path, layers: tuple[int, ...], n: int, sae: str, features: FeatureChoice
) -> JobRequest:
    """A job on the inputs of the folder, which are made."""
    inputs = make_inputs(folder, layers if sae == "random" else (), n)
    return JobRequest(
        model="smollm2-135m",
        saes=tuple(LocalSae(path) for path in (inputs.saes or demo_sae_folders(layers))),
        dataset=(str(inputs.tokens),),
        work_dir=folder / "work",
        cache_dir=inputs.model.parent,
        name="benchmark",
        features=features,
        n_prompts=n,
        threads=os.cpu_count() or 1,
        pad_token=-1,
    )


def measure(request: JobRequest, folder: Path, with_limit: bool = True) -> JobCost:
    """The job in its parts, and then its limit."""
    began = time.perf_counter()
    spec, parts = prepare(request)
    run = LoadedRun(spec, parts)
    run.checks = check_run(run)
    spec.folder.start(spec.plan, new_run=True)
    calibrate(run)
    seal_calibration(run)
    load_s, cpu_began = time.perf_counter() - began, time.process_time()
    units, executor = run.plan.units(run.corpus.n_sequences), SerialExecutor(run)
    features, scores = ([unit for unit in units if unit.kind == kind] for kind in ("features", "scores"))
    statistics_s = timed(lambda: list(executor.run(features)))
    statistics_cpu_s = time.process_time() - cpu_began
    head_scores_s = timed(lambda: list(executor.run(scores)))
    store = folder / "store.sqlite"
    with migrated_store(str(store)) as engine:  # a job does so before it computes
        cpu_began, began = time.process_time(), time.perf_counter()
        publisher = Publisher(run, request.slug, units)
        with JobMonitor(run.plan.fingerprint, rows_into(engine)) as monitor:
            run_id, outcome = publisher.write(engine, monitor)
        with write_session(engine) as session:
            writes.go_live(session, run_id, no_report())
        publish_s, cpu_s = time.perf_counter() - began, statistics_cpu_s + time.process_time() - cpu_began
    peak = peak_memory_bytes()
    return JobCost(
        layers=tuple(sorted(run.saes)),
        features=run.plan.features,
        n_sequences=run.corpus.n_sequences,
        n_features=outcome.n_features,
        load_s=load_s,
        statistics_s=statistics_s,
        publish_s=publish_s,
        head_scores_s=head_scores_s,
        cpu_s=cpu_s,
        peak_memory_mib=round(peak / 2**20),
        store_mib=round(store.stat().st_size / 2**20, 1),
        limit=library_limit(run, outcome.n_features) if with_limit else None,
        quick_limit=measure_limit(run, outcome.n_features) if with_limit else None,
        least=measure_least_work(run, store, outcome.n_features) if with_limit else None,
    )


def library_limit(run: LoadedRun, n_features: int) -> Limit:
    """The limit with products as torch has them made by itself."""
    with patch.object(products, "has_wide_vectors", lambda: False):
        return measure_limit(run, n_features)


def measure_limit(run: LoadedRun, n_features: int) -> Limit:
    """The limit's parts, each warmed up by one batch. n_features: those published.

    Raises TypeError for a model that cannot stop at z.
    """
    model, layers = run.any_model, sorted(run.saes)
    if not isinstance(model, TransformerLensModel):
        raise TypeError(
            f"{type(model).__name__} gives no z without values and pattern, which the limit leaves out"
        )
    batches = token_batches(run)
    model.hook_z(batches[0], layers[:1])
    forward_s = timed_all(lambda: (model.hook_z(tokens, layers[-1:]) for tokens in batches))
    last = model.attention_layers[-1:]
    all_layers_s = timed_all(lambda: (model.hook_z(tokens, last) for tokens in batches))
    z = model.hook_z(batches[0], layers)
    flat = {layer: z[layer].flatten(0, 1).flatten(1) for layer in layers}
    encode_s = timed_all(
        lambda: (run.saes[layer].coder.encode(flat[layer]) for layer in layers for _ in batches)
    )
    return Limit(forward_s, encode_s, product_seconds(run, layers, n_features), all_layers_s)


def product_seconds(run: LoadedRun, layers: Sequence[int], n_features: int) -> float:
    """One product of as many decoder rows as are published with W_O and W_U, in parts of 256 rows."""
    model, n_left, seconds = run.any_model, n_features, 0.0
    w_u = model.unembed_weights().w_u
    for layer in layers:
        w_o = model.head_weights(layer).w_write.flatten(0, 1)
        rows = run.saes[layer].coder.w_dec.flatten(1)[:n_left]
        n_left -= len(rows)
        seconds += timed_all(
            lambda rows=rows, w_o=w_o: (two_products(part, w_o, w_u) for part in rows.split(256))
        )
    return seconds


def two_products(rows: torch.Tensor, w_o: torch.Tensor, w_u: torch.Tensor) -> torch.Tensor:
    """rows @ w_o @ w_u."""
    return products.product(products.product(rows, w_o), w_u)


def timed_all(results: Callable[[], Iterable[object]]) -> float:
    """Seconds that it takes to make all results, none of which is kept."""

    def make() -> None:
        with torch.inference_mode():
            deque(results(), maxlen=0)

    return timed(make)


def no_report() -> RunReport:
    """A report that says nothing."""
    now = datetime.now(UTC)
    return RunReport(now, now, 0.0, "serial", 1, 0)


if __name__ == "__main__":
    main()
