"""What every executor says of units whose workers were killed."""

from collections.abc import Iterable

from app.errors import AppError
from app.precompute.plan import Unit

MAX_TRIES = 3


class WorkerDied(AppError):
    """The worker process was killed each time it tried a unit."""

    exit_code = 1


def units_given_up(units: Iterable[Unit]) -> WorkerDied:
    """The error of units that killed each worker that tried them."""
    names = ", ".join(sorted(unit.file_name for unit in units))
    return WorkerDied(
        f"the workers on {names} were killed {MAX_TRIES} times (out of memory?); "
        "all other parts are finished and kept, and the same command goes on from them"
    )
