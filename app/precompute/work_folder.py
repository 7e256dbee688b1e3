"""A run's folder on disk: its plan, tokenised corpus and sealed partials, and the lock that guards it."""

import fcntl
import json
import os
import shutil
import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.errors import AppError, StoreBusy
from app.precompute.partial_files import CorruptPartial, open_sealed, sweep_temporary
from app.precompute.plan import RunPlan, Unit

CALIBRATION = "calibration.seal"


@dataclass(frozen=True)
class WorkFolder:
    """The paths in one atlas's work folder."""

    root: Path

    @property
    def corpus(self) -> Path:
        """The folder of tokenised corpora, one folder per tokenisation."""
        return self.root / "corpus"

    @property
    def sealed(self) -> Path:
        """The folder of sealed partials."""
        return self.root / "sealed"

    @property
    def activations(self) -> Path:
        """The folder of activations, which is removed when the run is published."""
        return self.root / "activations"

    @property
    def plan_file(self) -> Path:
        """The plan that the sealed partials belong to."""
        return self.root / "plan.json"

    def sealed_path(self, unit: Unit) -> Path:
        """The sealed file of one unit."""
        return self.sealed / unit.file_name

    def check_plan(self, plan: RunPlan, new_run: bool) -> None:
        """Check that the folder holds this run or none.

        Raises RunPlanChanged for another, unless `new_run`.
        """
        if self.plan_file.exists() and not new_run:
            plan.require_same(self.plan_file)

    def start(self, plan: RunPlan, new_run: bool) -> None:
        """Begin the run or resume it.

        With `new_run` another run's files are dropped, else they raise RunPlanChanged.
        """
        self.check_plan(plan, new_run)
        if new_run:
            self.clear()
        self.sealed.mkdir(parents=True, exist_ok=True)
        self.activations.mkdir(exist_ok=True)
        for folder in (self.sealed, self.activations):
            sweep_temporary(folder)
        plan.save(self.plan_file)

    def clear(self) -> None:
        """Drop a run's plan and partials; the tokenised corpora stay."""
        self.plan_file.unlink(missing_ok=True)
        for folder in (self.sealed, self.activations):
            shutil.rmtree(folder, ignore_errors=True)

    def drop_activations(self) -> None:
        """Remove the activations, which are not needed once the run is live."""
        shutil.rmtree(self.activations, ignore_errors=True)

    def finished(self, plan: RunPlan, units: list[Unit]) -> tuple[list[Unit], list[str]]:
        """Units whose sealed file is complete and of this plan, and the names of other files, now removed."""
        done: list[Unit] = []
        damaged: list[str] = []
        for unit in units:
            path = self.sealed_path(unit)
            if not path.exists():
                continue
            try:
                whole = open_sealed(path).header.plan == plan.fingerprint
            except CorruptPartial:
                whole = False
            if whole:
                done.append(unit)
            else:
                path.unlink()
                damaged.append(path.name)
        return done, damaged

    @contextmanager
    def locked(self) -> Generator[None]:
        """Lock the folder.

        Raises StoreBusy naming the holder; the lock of a dead process is released at once.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            file = (self.root / "lock").open("a+")
        except OSError as error:
            raise AppError(f"the work folder {self.root} cannot be written: {error.strerror}") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                raise StoreBusy(f"{self.root} is in use by {file.read().strip() or 'another job'}") from error
            file.seek(0)
            file.truncate()
            since = datetime.now(UTC).isoformat(timespec="seconds")
            file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}))
            file.flush()
            yield
