"""The process that runs a run's model on texts for a server that cannot: JSON lines on its standard streams.

Started as `python -m app.precompute.prompt_worker`. The first line opens a run, each further one asks about a
text, and each is answered by one line with the same id. It ends when its input does.
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
    """Answer until the requests end. An AppError is an answer; anything else ends the process."""
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
    """Loads everything, so that questions cost no more than a forward pass."""
    plan = RunPlan.from_json(opening.plan)
    run = reopen(plan, opening.sources, Path(opening.cache_dir))
    for sae in plan.saes:
        run.model(sae.processing)
    return run


def main() -> None:
    """Only answers may reach the pipe: what libraries print goes to standard error."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
