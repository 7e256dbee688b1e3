"""The queue of prompts: one at a time, bounded, and alive after whatever happens to a process."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from app.domain.prompts import PromptAnswer, PromptOpening, PromptQuestion
from app.services.prompts.process import ProcessLost, PromptFailed
from app.services.prompts.queue import PromptJob, PromptLimits, PromptQueue, QueueFull, Waiting

ANSWER = PromptAnswer([0, 1], 0, 1, [[1.0], [1.0, 0.0]], (), None)


@dataclass
class Fake:
    """A process that answers when it is let, and keeps count."""

    act: Callable[[PromptQuestion], PromptAnswer]
    log: list[str] = field(default_factory=list)

    def open(self, opening: PromptOpening) -> None:
        self.log.append(f"open {opening.cache_dir}")

    def ask(self, question: PromptQuestion, seconds: float) -> PromptAnswer:
        self.log.append(f"ask {question.text}")
        return self.act(question)

    def kill(self) -> None:
        self.log.append("kill")

    def close(self) -> None:
        self.log.append("close")


def job(text: str, run: str = "r") -> PromptJob:
    return PromptJob(run, PromptQuestion(text, 0), PromptOpening({}, None, run))


def queue_of(fake: Fake, **limits: float) -> PromptQueue:
    return PromptQueue(PromptLimits(**limits), lambda: fake)  # type: ignore[arg-type]


def test_answers_are_kept_and_equal_jobs_are_one() -> None:
    fake = Fake(lambda _: ANSWER)
    queue = queue_of(fake)
    assert [queue.ask(job("a"), 10) for _ in range(3)] == [ANSWER] * 3
    assert queue.ask(job("b"), 10) == ANSWER
    queue.close()
    assert fake.log == ["open r", "ask a", "ask b", "kill", "close"]


def test_one_is_under_way_and_a_bounded_number_waits() -> None:
    go, running = threading.Semaphore(0), []

    def act(question: PromptQuestion) -> PromptAnswer:
        running.append(question.text)
        assert go.acquire(timeout=20)
        running.remove(question.text)
        return ANSWER

    queue = queue_of(Fake(act), n_waiting=2)
    # Whether the process is still loading by now is for the scheduler to say.
    places = [queue.ask(job(name), 0) for name in "abc"]
    assert [place.ahead for place in places if isinstance(place, Waiting)] == [0, 1, 2]
    with pytest.raises(QueueFull, match="2 texts wait"):
        queue.ask(job("d"), 0)
    assert queue.ask(job("b"), 0.2) == Waiting(1, False)  # asking again takes no second place
    assert running == ["a"]
    go.release(3)
    assert queue.ask(job("c"), 10) == ANSWER
    assert queue.ask(job("d"), 0.01) in (Waiting(0, False), ANSWER)
    go.release()
    queue.close()


def test_a_failure_is_told_once_and_the_next_job_gets_a_new_process() -> None:
    failures = iter([PromptFailed("refused"), ProcessLost("gone"), RuntimeError("odd")])

    def act(question: PromptQuestion) -> PromptAnswer:
        if question.text == "bad":
            raise next(failures)
        return ANSWER

    fake = Fake(act)
    queue = queue_of(fake)
    outcomes = [queue.ask(job(text), 10) for text in ("bad", "good 1", "bad", "good 2", "bad", "good 3")]
    queue.close()
    assert [str(each) for each in outcomes[::2]] == [
        "refused",
        "gone",
        "the model's process failed: RuntimeError",
    ]
    assert outcomes[1::2] == [ANSWER] * 3
    assert fake.log == [
        "open r", "ask bad", "ask good 1", "ask bad", "open r", "ask good 2", "ask bad", "close", "open r",
        "ask good 3", "kill", "close",
    ]  # fmt: skip


def test_another_run_gets_a_process_of_its_own_and_idle_ones_end() -> None:
    fake = Fake(lambda _: ANSWER)
    queue = queue_of(fake, idle_s=0.3)
    assert queue.ask(job("a"), 10) == ANSWER
    assert queue.ask(job("a", "other"), 10) == ANSWER
    deadline = time.monotonic() + 20
    while fake.log.count("close") < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert queue.ask(job("b", "other"), 10) == ANSWER
    queue.close()
    assert fake.log == [
        "open r", "ask a", "close", "open other", "ask a", "close", "open other", "ask b", "kill", "close"
    ]  # fmt: skip


def test_closing_ends_a_job_that_hangs() -> None:
    killed = threading.Event()

    def act(_: PromptQuestion) -> PromptAnswer:
        assert killed.wait(20)
        raise ProcessLost("killed")

    fake = Fake(act)
    fake.kill = killed.set  # type: ignore[method-assign]
    queue = queue_of(fake)
    assert queue.ask(job("a"), 0.2) == Waiting(0, False)
    began = time.monotonic()
    queue.close()
    assert time.monotonic() - began < 10
    assert isinstance(queue.ask(job("b"), 0), Waiting)  # nothing is started any more
