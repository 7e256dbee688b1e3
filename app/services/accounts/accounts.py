"""Passwords: hashing with Argon2, and a login that takes as long for a name that does not exist."""

from dataclasses import replace
from functools import cache

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError

from app.errors import AppError
from app.store.annotators import Annotator, change_annotator, find_annotator
from app.store.database.engine import Session

MIN_PASSWORD, MAX_PASSWORD = 8, 1000


class WeakPassword(AppError):
    """The password is shorter or longer than allowed."""

    status_code = 422


class WrongLogin(AppError):
    """Name or password is wrong; the message does not say which."""

    status_code = 401


@cache
def _hasher() -> PasswordHash:
    return PasswordHash.recommended()


@cache
def _dummy_hash() -> str:
    return _hasher().hash("no password is this long phrase")


def hash_password(password: str) -> str:
    """The password's Argon2 hash. Raises WeakPassword for one that is too short or too long."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise WeakPassword(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    return _hasher().hash(password.encode("utf-8", "surrogatepass"))


def log_in(session: Session, name: str, password: str) -> Annotator:
    """The annotator with this name and password.

    Raises WrongLogin, whose message and response time are the same for every cause.
    """
    annotator = find_annotator(session, name) if name.isprintable() else None
    allowed = annotator is not None and annotator.removed_at is None and annotator.password_hash is not None
    stored = (
        annotator.password_hash
        if annotator is not None and allowed and annotator.password_hash
        else _dummy_hash()
    )
    try:
        right = _hasher().verify(password[:MAX_PASSWORD].encode("utf-8", "surrogatepass"), stored)
    except UnknownHashError:
        right = False
    if annotator is None or not allowed or not right:
        raise WrongLogin("the name or the password is wrong")
    return annotator


def set_password(session: Session, annotator: Annotator, hashed: str) -> Annotator:
    """Store a new password hash; this ends every login session of the account."""
    return change_annotator(session, replace(annotator, password_hash=hashed))
