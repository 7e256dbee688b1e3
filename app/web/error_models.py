"""The page dataclass of the error page."""

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True)
class ErrorPage:
    status: Annotated[int, "HTTP status code"]
    title: Annotated[str, "Its name"]
    message: Annotated[str, "What went wrong, in one sentence"]
