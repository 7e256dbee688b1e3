"""The model's process from outside, with a peer that misbehaves on demand: every way ends in a sentence."""

import os
import sys
from collections.abc import Iterator

import pytest

from app.domain.prompts import PromptOpening, PromptQuestion
from app.services.prompts.process import ProcessLost, PromptFailed, PromptProcess
from tests.support import fake_prompt_worker

FAKE = (sys.executable, fake_prompt_worker.__file__)
OPENING = PromptOpening({"model": "tiny"}, None, "cache")


@pytest.fixture
def process() -> Iterator[PromptProcess]:
    started = PromptProcess(FAKE)
    started.open(OPENING)
    yield started
    started.close()


def is_gone(process: PromptProcess) -> bool:
    """The child has ended and has been waited for."""
    try:
        os.kill(process._child.pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_questions_are_answered_in_turn(process: PromptProcess) -> None:
    for text in ("one two three", "four"):
        answer = process.ask(PromptQuestion(text, 0, head=2), 20)
        assert len(answer.tokens) == 1 + len(text.split())
        assert answer.feature is not None
        assert sum(map(sum, answer.feature.dfa)) + answer.feature.bias == pytest.approx(
            answer.feature.pre_activation[answer.dest]
        )


def test_a_refusal_leaves_the_process_at_work(process: PromptProcess) -> None:
    with pytest.raises(PromptFailed, match="not to be read") as refused:
        process.ask(PromptQuestion("refuse", 0), 20)
    assert not isinstance(refused.value, ProcessLost)
    assert process.ask(PromptQuestion("a b", 0), 20).dest == 2


@pytest.mark.parametrize(
    ("text", "seconds", "message"),
    [
        ("crash", 20, "ended unexpectedly"),
        ("hang", 0.3, "within 0.3 seconds"),
        ("junk", 20, "invalid answer"),
        ("other id", 20, "another question"),
        ("incomplete", 20, "invalid answer"),
    ],
)
def test_a_lost_process_is_ended(process: PromptProcess, text: str, seconds: float, message: str) -> None:
    with pytest.raises(ProcessLost, match=message):
        process.ask(PromptQuestion(text, 0), seconds)
    assert is_gone(process)


def test_a_process_that_cannot_open_its_run_is_ended() -> None:
    process = PromptProcess(FAKE)
    with pytest.raises(ProcessLost, match="the SAE is not there"):
        process.open(PromptOpening({}, None, "broken"))
    assert is_gone(process)


def test_a_process_that_does_not_start_is_said_so() -> None:
    with pytest.raises(ProcessLost, match="could not be started"):
        PromptProcess(("/nowhere/python",))


def test_an_answer_without_end_is_not_read(process: PromptProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.prompts.process.MAX_LINE_BYTES", 1000)
    with pytest.raises(ProcessLost, match="an answer that is too long"):
        process.ask(PromptQuestion("word " * 60, 0), 20)
    assert is_gone(process)
