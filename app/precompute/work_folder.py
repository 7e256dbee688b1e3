"""A run's folder on disk: its plan, tokenised corpus and sealed partials, and the lock that guards it."""

import errno
import fcntl
import json
import logging
import os
import shutil
import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.errors import AppError, StoreBusy
from app.paths import naming, remove
from app.precompute.partial_files import CorruptPartial, open_sealed, sweep_temporary
from app.precompute.plan import DamagedPlan, RunPlan, Unit

CALIBRATION = "calibration.seal"
_LOCK_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_log = logging.getLogger(__name__)


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
        """Check that the folder holds this run or none. Raises RunPlanChanged for another, unless `new_run`.

        Where the plan's file is damaged, a sealed file tells whose run it is: each names its plan.
        """
        if not self.plan_file.exists() or new_run:
            return
        try:
            plan.require_same(self.plan_file)
        except DamagedPlan:
            if not self._holds_files_of(plan):
                raise
            _log.warning("%s is damaged, and is written again", self.plan_file)
            remove(self.plan_file)

    def _holds_files_of(self, plan: RunPlan) -> bool:
        for path in sorted(self.sealed.glob("*.seal")):
            try:
                return open_sealed(path).header.plan == plan.fingerprint
            except (CorruptPartial, FileNotFoundError):
                continue
        return False

    def start(self, plan: RunPlan, new_run: bool) -> None:
        """Begin the run or resume it.

        With `new_run` another run's files are dropped, else they raise RunPlanChanged.
        """
        self.check_plan(plan, new_run)
        if new_run:
            self.clear()
        self.sealed.mkdir(parents=True, exist_ok=True)
        self.activations.mkdir(exist_ok=True)
        self.sweep()
        plan.save(self.plan_file)

    def sweep(self) -> None:
        """Remove what killed processes had begun to write. Call it only while nobody writes to the folder."""
        for folder in (self.root, self.sealed, self.activations):
            sweep_temporary(folder)

    def clear(self) -> None:
        """Drop a run's plan and partials; the tokenised corpora stay."""
        remove(self.plan_file)
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
            try:
                whole = open_sealed(path).header.plan == plan.fingerprint
            except FileNotFoundError:
                continue
            except CorruptPartial:
                whole = False
            if whole:
                done.append(unit)
            else:
                remove(path)
                damaged.append(path.name)
        return done, damaged

    def check_free(self) -> None:
        """Raise StoreBusy if another job works in the folder, so that this one is refused before it loads anything."""
        if self.root.is_dir():
            with self.locked():
                pass

    @contextmanager
    def locked(self) -> Generator[None]:
        """Lock the folder.

        Raises StoreBusy naming the holder; the lock of a dead process is released at once.
        """
        path = self.root / "lock"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            file = os.fdopen(os.open(path, _LOCK_FLAGS, 0o666), "a+", errors="replace")
        except OSError as error:
            place = error.filename or path
            if error.errno == errno.ELOOP and path.is_symlink():
                raise AppError(
                    f"{path} is a link, and a job writes to no file through one; remove it"
                ) from error
            raise AppError(
                f"the work folder {self.root} cannot be written: {place}: {error.strerror}"
            ) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                raise StoreBusy(f"{self.root} is in use by {file.read().strip() or 'another job'}") from error
            since = datetime.now(UTC).isoformat(timespec="seconds")
            with naming(path):
                file.seek(0)
                file.truncate()
                file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}))
                file.flush()
            self._clear_the_way()
            yield

    def _clear_the_way(self) -> None:
        """Remove files that stand where folders belong, which would stop the job."""
        for folder in (self.corpus, self.sealed, self.activations):
            if os.path.lexists(folder) and not folder.is_dir():
                _log.warning("%s is no folder, and is removed", folder)
                folder.unlink()
