"""The process that runs a model on texts for the server, by JSON lines on its stdin and stdout.

It is started as `python -m app.precompute.prompt_worker`. The first line opens a run, each further line asks
about a text, and each is answered by one line with the same id. The process ends when its input ends.
"""

import json
import os
import sys
from pathlib import Path
from typing import IO, Any

from app.domain.prompts import PromptOpening, PromptQuestion, question_json, to_line
from app.errors import AppError
from app.precompute.loaded_run import LoadedRun
from app.precompute.plan import RunPlan
from app.precompute.prompt_numbers import answer
from app.precompute.sources import reopen


def serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    """Answer requests until they end.

    An AppError is sent as an answer; any other exception ends the process.
    """
    run: LoadedRun | None = None
    for line in requests:
        message: dict[str, Any] = json.loads(line)
        reply: dict[str, Any] = {"id": message["id"]}
        try:
            if "open" in message:
                run = open_run(PromptOpening(**message["open"]))
                reply["ok"] = {}
            elif run is None:
                raise ValueError("the first line must open a run")
            else:
                reply["ok"] = question_json(answer(run, PromptQuestion(**message["ask"])))
        except AppError as error:
            reply["error"] = str(error)
        replies.write(to_line(reply))
        replies.flush()


def open_run(opening: PromptOpening) -> LoadedRun:
    """Load the model, SAEs and plan in advance, so that a question costs no more than a forward pass."""
    plan = RunPlan.from_json(opening.plan)
    run = reopen(plan, opening.sources, Path(opening.cache_dir))
    for sae in plan.saes:
        run.model(sae.processing)
    return run


def main() -> None:
    """Serve on stdin and stdout.

    What libraries print is sent to stderr, so that only answers reach the pipe.
    """
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
