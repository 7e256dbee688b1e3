"""The whole precompute job: prepare, calibrate, run the units, publish, report."""

import time
from contextlib import closing, suppress
from dataclasses import asdict
from datetime import UTC, datetime

from app.adapters.corpora import Corpus
from app.domain.records import COMPUTE, Json, RunReport
from app.errors import AppError
from app.precompute.calibration import calibrate, is_calibrated, seal_calibration
from app.precompute.executors import Executor, make_executor
from app.precompute.loaded_run import LoadedRun
from app.precompute.opening_lines import describe_devices, opening_lines
from app.precompute.plan import NO_SAE, RunPlan, Unit
from app.precompute.prepare import prepare
from app.precompute.process_memory import peak_memory_bytes
from app.precompute.progress import JobMonitor, preparation, rows_into
from app.precompute.publish import Outcome, Publisher
from app.precompute.request import JobRequest, RunOptions
from app.precompute.run_checks import check_run
from app.precompute.sources import sources_json
from app.precompute.work_folder import WorkFolder
from app.store.atlas import progress as stored_progress
from app.store.database.engine import Engine, check_place, write_session
from app.store.opening import live_fingerprint, migrated_store


def run_job(request: JobRequest, store: str, options: RunOptions) -> str:
    """Run a job to its end, from the start or from its sealed units, and return the final report as text.

    Raises AppError with one sentence for bad input.
    """
    exists = check_place(store)
    with WorkFolder(request.work_dir / request.slug).locked():
        # What is refused meanwhile leaves the store and the work folder as they were.
        with preparation(store):
            spec, parts = prepare(request)
            fingerprint = spec.plan.fingerprint
            if exists and not options.new_run and live_fingerprint(store, request.slug) == fingerprint:
                return f"up to date: atlas {request.slug} shows run {fingerprint}"
            spec.folder.check_plan(spec.plan, options.new_run)
            run = LoadedRun(spec, parts)
            run.checks = check_run(run)
            if not is_calibrated(spec.folder, fingerprint):
                calibrate(run)
        spec.folder.start(spec.plan, options.new_run)
        seal_calibration(run)
        with migrated_store(store) as engine:
            return _Job(request.slug, run, engine, options).run()


class _Job:
    def __init__(self, slug: str, run: LoadedRun, engine: Engine, options: RunOptions) -> None:
        self._slug, self._run, self._engine, self._options = slug, run, engine, options
        self._created, self._began = datetime.now(UTC), time.monotonic()

    def run(self) -> str:
        self._fail_running()
        try:
            with JobMonitor(self._run.plan.fingerprint, rows_into(self._engine)) as monitor:
                return self._stages(monitor)
        except BaseException:
            with suppress(AppError):  # the first error is the one to tell of
                self._fail_running()
            raise

    def _fail_running(self) -> None:
        with write_session(self._engine) as session:
            stored_progress.fail_running(session, self._run.plan.fingerprint)

    def _stages(self, monitor: JobMonitor) -> str:
        run = self._run
        units = run.plan.units(run.corpus.n_sequences)
        with closing(make_executor(run, self._options)) as executor:
            for line in opening_lines(run, self._slug, self._engine, executor.where):
                monitor.say(line)
            self._compute(run, executor, units, monitor)
        if self._options.shard is not None:
            return f"share {self._options.shard[0]} of {self._options.shard[1]} is done; run without --shard to publish"
        publisher = Publisher(run, self._slug, units)
        run_id, outcome = publisher.write(self._engine, monitor)
        report = self._report(executor, outcome, monitor)
        publisher.go_live(self._engine, run_id, report)  # the last thing that can fail
        run.folder.drop_activations()
        return report_text(self._slug, run.plan, report)

    def _compute(self, run: LoadedRun, executor: Executor, units: list[Unit], monitor: JobMonitor) -> None:
        mine = (
            units if self._options.shard is None else units[self._options.shard[0] :: self._options.shard[1]]
        )
        done, damaged = run.folder.finished(run.plan, mine)
        for name in damaged:
            monitor.say(f"{name} is damaged, or of another run or version, and is computed again")
        tokens = {unit: unit_tokens(run.corpus, run, unit) for unit in mine}
        stage = monitor.stage(COMPUTE, sum(tokens.values()), "tokens")
        stage.resume(sum(tokens[unit] for unit in done))
        for unit in executor.run([unit for unit in mine if unit not in set(done)]):
            stage.advance(tokens[unit])
        stage.finish()
        if mine == units:
            run.folder.sweep()  # of workers that were killed meanwhile

    def _report(self, executor: Executor, outcome: Outcome, monitor: JobMonitor) -> RunReport:
        details: dict[str, Json] = {
            "n_features": outcome.n_features,
            "n_run_again": outcome.n_run_again,
            "worst_residual": outcome.worst_residual,
            "device": describe_devices(self._run),
            "batch_size": outcome.batch_size,
            "checks": self._run.checks,
            "sources": sources_json(self._run.spec),
            "stage_seconds": {name: round(seconds, 2) for name, seconds in monitor.seconds.items()},
            "saes": [
                {name: value for name, value in asdict(sae).items() if name in _REPORTED}
                for sae in outcome.saes
            ],
        }
        return RunReport(
            created_at=self._created,
            finished_at=datetime.now(UTC),
            seconds=time.monotonic() - self._began,
            executor=executor.name,
            workers=executor.workers,
            peak_memory_bytes=max(peak_memory_bytes(), executor.peak_memory_bytes),
            details=details,
        )


_REPORTED = ("layer", "name", "d_sae", "processing", "l0", "fvu", "n_dead", "n_rare")


def unit_tokens(corpus: Corpus, run: LoadedRun, unit: Unit) -> int:
    """The number of positions that a unit sends through the model, which its run time is proportional to."""
    plan = run.plan
    if unit.kind == "features":
        first = unit.index * plan.shard_size
        return (min(first + plan.shard_size, corpus.n_sequences) - first) * corpus.context_size
    first = unit.index * plan.batch_size
    n = min(first + plan.batch_size, plan.n_score_sequences) - first
    return n * (1 + 2 * plan.score_length)


def report_text(slug: str, plan: RunPlan, report: RunReport) -> str:
    """The final report, one fact per line."""
    details = report.details
    halved = (
        f"memory ran out: the batch of {plan.batch_size} sequences was cut to {details['batch_size']}; "
        "last bits may differ from a run in whole batches"
    )
    lines = [
        f"atlas {slug}, run {plan.fingerprint}",
        f"{report.seconds:.1f} s, {report.executor} x {report.workers}, "
        f"peak memory {report.peak_memory_bytes / 2**20:,.0f} MiB, on {details['device']}",
        *([halved] if details["batch_size"] != plan.batch_size else []),
        f"{details['n_features']} features with examples, {details['n_run_again']} examples run again, "
        f"worst residual {details['worst_residual']:.1e}",
    ]
    saes = details["saes"]
    lines.append("layer  SAE                   d_sae   L0     FVU    dead  rare" if saes else NO_SAE)
    for sae in saes if isinstance(saes, list) else []:
        if isinstance(sae, dict):
            lines.append(
                "{layer:<6} {name:<20} {d_sae:>6} {l0:>6.1f} {fvu:>6.3f} {n_dead:>6} {n_rare:>5}".format(
                    **sae
                )
            )
    return "\n".join(lines)
