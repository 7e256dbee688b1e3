"""Page dataclasses of the login page and the account page."""

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True)
class LoginPage:
    next: Annotated[str, "The page to go to after the login"]
    name: Annotated[str, "The name as it was typed"]
    message: Annotated[str, "What was wrong with the last attempt; empty before one"]


@dataclass(frozen=True)
class AccountPage:
    name: Annotated[str, "Who is logged in"]
    role: Annotated[str, "viewer, annotator or admin"]
    blind: Annotated[bool, "Whether others' records are hidden until one's own is submitted"]
    message: Annotated[str, "What was wrong with the last attempt to change the password; empty before one"]
