"""Texts of one account in the queue, and requests that wait for an answer: both bounded, so that others get theirs."""

import threading
import time

import pytest

from app.domain.prompts import PromptAnswer, PromptOpening, PromptQuestion
from app.services.prompts.queue import PromptJob, PromptLimits, PromptQueue, TooManyOfOne, Waiting

ANSWER = PromptAnswer([0, 1], 0, 1, [[1.0], [1.0, 0.0]], (), None)


class Slow:
    """A process that answers once it may."""

    def __init__(self) -> None:
        self.may = threading.Event()

    def open(self, opening: PromptOpening) -> None:
        """Take any run."""

    def ask(self, question: PromptQuestion, seconds: float) -> PromptAnswer:
        self.may.wait(seconds)
        return ANSWER

    def kill(self) -> None:
        self.may.set()

    def close(self) -> None:
        self.may.set()


def job(text: str, asker: str) -> PromptJob:
    return PromptJob("r", PromptQuestion(text, 0), PromptOpening({}, None, "r"), asker)


def test_one_account_cannot_fill_the_queue() -> None:
    process = Slow()
    queue = PromptQueue(PromptLimits(n_of_one=2), lambda: process)
    for text in "ab":
        assert isinstance(queue.ask(job(text, "ada"), 0), Waiting)
    with pytest.raises(TooManyOfOne, match="2 of your texts wait") as refused:
        queue.ask(job("c", "ada"), 0)
    assert refused.value.status_code == 429
    assert isinstance(queue.ask(job("a", "ada"), 0), Waiting)  # to ask again is no new text
    assert isinstance(queue.ask(job("c", "ben"), 0), Waiting)
    process.may.set()
    assert queue.ask(job("c", "ben"), 20) == ANSWER
    assert queue.ask(job("d", "ada"), 20) == ANSWER
    queue.close()


def test_requests_beyond_those_that_may_wait_are_told_to_ask_again_at_once() -> None:
    process = Slow()
    queue = PromptQueue(PromptLimits(n_watching=2), lambda: process)
    outcomes: list[object] = []
    watching = [
        threading.Thread(target=lambda: outcomes.append(queue.ask(job("a", "ada"), 20))) for _ in range(2)
    ]
    for thread in watching:
        thread.start()
    deadline = time.monotonic() + 10
    while queue._n_watching < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    began = time.monotonic()
    assert isinstance(queue.ask(job("a", "ben"), 20), Waiting)
    assert time.monotonic() - began < 5
    process.may.set()
    for thread in watching:
        thread.join(20)
    assert outcomes == [ANSWER, ANSWER]
    queue.close()
