"""A bounded queue of prompts for the model's process: one job at a time, with a cache of recent answers."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from app.domain.prompts import PromptAnswer, PromptOpening, PromptQuestion
from app.errors import AppError
from app.services.prompts.process import ProcessLost, PromptFailed, PromptProcess

N_KEPT = 64  # answers
_log = logging.getLogger(__name__)


class QueueFull(AppError):
    """The queue of waiting prompts is full."""

    status_code = 503


class TooManyOfOne(QueueFull):
    """This account or address has too many prompts in the queue."""

    status_code = 429


class Answerer(Protocol):
    """A process that answers questions about the run that it has opened."""

    def open(self, opening: PromptOpening) -> None: ...

    def ask(self, question: PromptQuestion, seconds: float) -> PromptAnswer: ...

    def kill(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class PromptLimits:
    job_s: float = 60.0
    n_waiting: int = 8
    n_of_one: int = 4  # that one account or address has in the queue
    n_watching: int = (
        8  # requests that wait for an answer, each in one of the server's threads; others ask again
    )
    idle_s: float = 600.0  # then the process ends, and with it the memory it takes


@dataclass(frozen=True)
class PromptJob:
    """A question about one run. Equal questions share one job."""

    run: str  # fingerprint
    question: PromptQuestion
    opening: PromptOpening = field(compare=False)
    asker: str = field(default="", compare=False)  # an account or an address; an empty one is not counted


@dataclass(frozen=True)
class Waiting:
    """The state of a job that is not answered yet.

    ahead: number of jobs before it. loading: whether the model has to be loaded first.
    """

    ahead: int
    loading: bool


Outcome = PromptAnswer | PromptFailed | Waiting


class PromptQueue:
    """A queue that any thread may ask; a thread of its own answers, and it alone uses the process."""

    def __init__(
        self,
        limits: PromptLimits | None = None,
        start: Callable[[], Answerer] = PromptProcess,
    ) -> None:
        self.limits = limits or PromptLimits()
        self._start = start
        self._changed = threading.Condition()
        self._jobs: OrderedDict[PromptJob, None] = OrderedDict()  # the first one is under way
        self._done: OrderedDict[PromptJob, PromptAnswer | PromptFailed] = OrderedDict()
        self._thread: threading.Thread | None = None
        self._process: Answerer | None = None
        self._loaded: str | None = None  # the run that the process has opened
        self._closed = False
        self._n_watching = 0

    def ask(self, job: PromptJob, wait_s: float) -> Outcome:
        """The answer, the failure, or Waiting if there is neither within wait_s. Raises QueueFull.

        A failure is returned once: asking again tries again.
        """
        with self._changed:
            self._enqueue(job)
            if self._n_watching < self.limits.n_watching:
                self._watch(job, time.monotonic() + wait_s)
            outcome = self._done.get(job)
            if isinstance(outcome, PromptFailed):
                del self._done[job]
            if outcome is not None:
                return outcome
            ahead = list(self._jobs).index(job) if job in self._jobs else 0
            return Waiting(ahead, self._loaded != job.run)

    def _watch(self, job: PromptJob, deadline: float) -> None:
        self._n_watching += 1
        try:
            while job not in self._done and (left := deadline - time.monotonic()) > 0 and not self._closed:
                self._changed.wait(left)
        finally:
            self._n_watching -= 1

    def close(self) -> None:
        """End the process at once; waiting jobs stay unanswered."""
        with self._changed:
            self._closed = True
            if self._process is not None:
                self._process.kill()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _enqueue(self, job: PromptJob) -> None:
        if job in self._done:
            self._done.move_to_end(job)
            return
        if job in self._jobs or self._closed:
            return
        if len(self._jobs) > self.limits.n_waiting:
            raise QueueFull(
                f"{self.limits.n_waiting} texts wait for the model already; try again in a moment"
            )
        if job.asker and sum(each.asker == job.asker for each in self._jobs) >= self.limits.n_of_one:
            raise TooManyOfOne(
                f"{self.limits.n_of_one} of your texts wait for the model already; try again in a moment"
            )
        self._jobs[job] = None
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="prompts", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _work(self) -> None:
        while not self._closed:
            job = self._next()
            if job is None or job.run != self._loaded:
                self._let_go()
            if job is None:
                continue
            outcome = self._outcome(job)
            with self._changed:
                self._jobs.pop(job)
                self._done[job] = outcome
                while len(self._done) > N_KEPT:
                    self._done.popitem(last=False)
                self._changed.notify_all()
        self._let_go()

    def _next(self) -> PromptJob | None:
        """The next job; None after idle_s without any, and while closing."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._jobs, self.limits.idle_s)
            return None if self._closed else next(iter(self._jobs), None)

    def _outcome(self, job: PromptJob) -> PromptAnswer | PromptFailed:
        try:
            if self._process is None:
                self._open(job)
            if self._process is None:
                return ProcessLost("the server is stopping")
            return self._process.ask(job.question, self.limits.job_s)
        except ProcessLost as error:
            self._forget()
            return error
        except PromptFailed as error:
            return error
        except Exception as error:
            # A thread that ends would leave every text waiting for good.
            _log.exception("a prompt failed")
            self._let_go()
            return ProcessLost(f"the model's process failed: {type(error).__name__}")

    def _open(self, job: PromptJob) -> None:
        process = self._start()
        with self._changed:
            if self._closed:
                process.close()
                return
            self._process = process
        process.open(job.opening)
        self._loaded = job.run

    def _let_go(self) -> None:
        if self._process is not None:
            self._process.close()
        self._forget()

    def _forget(self) -> None:
        with self._changed:
            self._process, self._loaded = None, None
