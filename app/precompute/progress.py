"""Progress of a job: a bar on a terminal, plain lines elsewhere, and rows in the store for the pages."""

import logging
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from app.domain.records import PREPARE, JobProgress
from app.errors import StoreBusy
from app.store.atlas.progress import clear_progress, report_progress
from app.store.database.engine import Engine, write_session
from app.store.opening import open_if_current

_LINE_EVERY_S = 10.0
_STORE_EVERY_S = 1.0

StoreRow = Callable[[JobProgress], None]
_log = logging.getLogger(__name__)


def rows_into(engine: Engine) -> StoreRow:
    """A function that writes progress rows to a store.

    If the store is busy, it skips the row with a warning.
    """

    def store_row(row: JobProgress) -> None:
        try:
            with write_session(engine) as session:
                report_progress(session, row)
        except StoreBusy as error:
            _log.warning("progress was not stored: %s", error)

    return store_row


@contextmanager
def preparation(store: str) -> Generator[None]:
    """Show in the store that a job is being prepared; until that is done its run has no fingerprint.

    Nothing is written to a store that does not exist yet or is of an older version: a job that is refused must leave it
    as it was.
    """
    engine = open_if_current(store)
    if engine is None:
        yield
        return
    row = JobProgress("", PREPARE, 0, None, "", None, datetime.now(UTC))
    try:
        rows_into(engine)(row)
        yield
    finally:
        with write_session(engine) as session:
            clear_progress(session, row.fingerprint)
        engine.dispose()


class JobMonitor:
    """Reports the stages of one job. `store_row` gets at most one row per second, and each stage's last."""

    def __init__(self, fingerprint: str, store_row: StoreRow) -> None:
        self._fingerprint, self._store_row = fingerprint, store_row
        self._console = Console(file=sys.stderr)
        self._bar = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self.seconds: dict[str, float] = {}

    def __enter__(self) -> "JobMonitor":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def stage(self, name: str, total: int, unit: str) -> "Stage":
        """Begin a stage of `total` units of work."""
        stage = Stage(self, name, total, unit)
        self.show(stage, final=False)
        return stage

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def add_task(self, name: str, total: int) -> TaskID:
        """Add a row to the bar."""
        return self._bar.add_task(name, total=total, speed="")

    def show(self, stage: "Stage", final: bool) -> None:
        """Update bar, lines and store from a stage."""
        rate = stage.rate
        speed = "" if rate is None else f"{rate:,.0f} {stage.unit}/s"
        self._bar.update(stage.task, completed=stage.done, speed=speed)
        now = time.monotonic()
        if final or now - stage.last_stored >= _STORE_EVERY_S:
            stage.last_stored = now
            self._store_row(
                JobProgress(
                    fingerprint=self._fingerprint,
                    stage=stage.name,
                    done=stage.done,
                    total=stage.total,
                    unit=stage.unit,
                    rate=rate,
                    updated_at=datetime.now(UTC),
                    state="done" if final else "running",
                )
            )
        if not self._console.is_terminal and (final or now - stage.last_line >= _LINE_EVERY_S):
            stage.last_line = now
            left = "" if rate is None or final else f", {(stage.total - stage.done) / rate:.0f} s left"
            self.say(f"{stage.name}: {stage.done:,} of {stage.total:,} {stage.unit} {speed}{left}".rstrip())


class Stage:
    """One stage of a job. Work done by an earlier attempt counts as done, but not towards the rate."""

    def __init__(self, monitor: JobMonitor, name: str, total: int, unit: str) -> None:
        self._monitor, self.name, self.total, self.unit = monitor, name, total, unit
        self.done = self._resumed = 0
        self.last_stored = self.last_line = -1e9
        self._began = time.monotonic()
        self.task = monitor.add_task(name, total)

    @property
    def rate(self) -> float | None:
        """Units per second since this attempt began; None before the first is done."""
        fresh, elapsed = self.done - self._resumed, time.monotonic() - self._began
        return fresh / elapsed if fresh and elapsed > 0 else None

    def resume(self, done: int) -> None:
        """Count the work that an earlier attempt did."""
        self.done = self._resumed = done
        self._monitor.show(self, final=False)

    def advance(self, by: int) -> None:
        """Count `by` more units of work."""
        self.done += by
        self._monitor.show(self, final=False)

    def finish(self) -> None:
        """End the stage."""
        self.done = self.total
        self._monitor.show(self, final=True)
        self._monitor.seconds[self.name] = time.monotonic() - self._began
