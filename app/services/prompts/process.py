"""A client of the model's process: starts it on demand, asks by JSON lines, kills it on a timeout."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from app.domain.prompts import (
    MAX_LINE_BYTES,
    PromptAnswer,
    PromptOpening,
    PromptQuestion,
    question_json,
    to_line,
)
from app.errors import AppError

WORKER = (sys.executable, "-m", "app.precompute.prompt_worker")
LOAD_S = 300.0  # the first time, the embedded model is unpacked as well
_CHUNK = 1 << 16


class PromptFailed(AppError):
    """The text could not be answered; the message says why."""

    status_code = 422


class ProcessLost(PromptFailed):
    """The process ended or took too long, and is not running any more."""

    status_code = 503


class PromptProcess:
    """One child process, which answers for one run after `open`.

    Raises PromptFailed for a question that the process refuses, ProcessLost if the process is gone.
    """

    def __init__(self, command: Sequence[str] = WORKER, load_s: float = LOAD_S) -> None:
        try:
            # The command is this interpreter and a module of ours: nothing that anyone typed is in it.
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)  # noqa: S603
        except OSError as error:
            raise ProcessLost(f"the model's process could not be started: {error.strerror}") from error
        self._load_s = load_s
        self._rest = b""
        self._last_id = -1

    def open(self, opening: PromptOpening) -> None:
        """Load a run. Raises ProcessLost if that fails, since a process without a run is of no use."""
        try:
            self._exchange("open", question_json(opening), self._load_s)
        except PromptFailed as error:
            self.close()
            raise ProcessLost(str(error)) from error

    def ask(self, question: PromptQuestion, seconds: float) -> PromptAnswer:
        content = self._exchange("ask", question_json(question), seconds)
        try:
            return PromptAnswer.from_json(content)
        except (KeyError, TypeError) as error:
            self.close()
            raise ProcessLost("the model's process sent an invalid answer") from error

    def kill(self) -> None:
        """End the process at once, from any thread. It holds nothing that would have to be saved."""
        self._child.kill()

    def close(self) -> None:
        """End the process, wait for it and close its pipes."""
        self.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()

    def _exchange(self, kind: str, content: dict[str, Any], seconds: float) -> dict[str, Any]:
        self._last_id += 1
        try:
            self._send(to_line({"id": self._last_id, kind: content}))
            reply = self._receive(seconds)
        except BaseException:
            self.close()
            raise
        if "error" in reply:
            raise PromptFailed(str(reply["error"]))
        return reply["ok"]

    def _send(self, line: bytes) -> None:
        stdin = self._child.stdin
        try:
            while stdin is not None and line:
                line = line[stdin.write(line) or 0 :]
        except OSError as error:
            raise ProcessLost("the model's process ended unexpectedly; the server's log says why") from error

    def _receive(self, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while b"\n" not in self._rest:
            self._rest += self._read(deadline, seconds)
            if len(self._rest) > MAX_LINE_BYTES:
                raise ProcessLost("the model's process sent an answer that is too long")
        line, _, self._rest = self._rest.partition(b"\n")
        try:
            reply: dict[str, Any] = json.loads(line)
            matches = reply["id"] == self._last_id
        except (ValueError, KeyError, TypeError) as error:
            raise ProcessLost("the model's process sent an invalid answer") from error
        if not matches:
            raise ProcessLost("the model's process sent the answer to another question")
        return reply

    def _read(self, deadline: float, seconds: float) -> bytes:
        stdout = self._child.stdout
        if stdout is None or not select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise ProcessLost(f"the model did not answer within {seconds:g} seconds, and was stopped")
        chunk = os.read(stdout.fileno(), _CHUNK)
        if not chunk:
            raise ProcessLost("the model's process ended unexpectedly; the server's log says why")
        return chunk
