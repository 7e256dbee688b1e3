"""The time that a search may take."""

from collections.abc import Callable
from typing import TypeVar

from app.errors import AppError
from app.services.reading.context import AtlasContext
from app.store.database.time_limits import OutOfTime, time_limit

SECONDS = 10.0
Page = TypeVar("Page")


class SearchTooLong(AppError):
    """The search was ended because it took too long."""

    status_code = 503


def within_time(context: AtlasContext, search: Callable[[], Page]) -> Page:
    """The page that the search returns. Raises SearchTooLong if it takes longer than SECONDS."""
    try:
        with time_limit(context.session, SECONDS):
            return search()
    except OutOfTime as error:
        raise SearchTooLong(
            f"The search took longer than {SECONDS:g} seconds and was ended. Fewer terms, or a range of layers such as "
            "layer:0-3, leave less to look through."
        ) from error
