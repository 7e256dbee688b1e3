"""Annotators and their logins. Nothing here commits; the session's owner does."""

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, cast, get_args

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from app.domain.annotations.note_text import check_name
from app.errors import AppError, NotFound
from app.store.database.column_types import UnstorableText
from app.store.tables.annotations import AnnotatorRow, SessionRow

AnnotatorRole = Literal["viewer", "annotator", "admin", "system"]
ANNOTATOR_ROLES: tuple[AnnotatorRole, ...] = get_args(AnnotatorRole)
# The consensus is a record like any other, saved by an admin; `published` are facts that ship with the package.
CONSENSUS = "consensus"
PUBLISHED = "published"
_TOKEN_BYTES = 32


class InvalidAnnotator(AppError):
    """A name that is taken or reserved, or a role that does not exist."""

    status_code = 422


@dataclass(frozen=True)
class Annotator:
    """Someone who annotates or reads. password_hash is None for those who cannot log in."""

    id: int
    name: str
    role: AnnotatorRole
    blind: bool
    created_at: datetime
    removed_at: datetime | None
    password_hash: str | None


@dataclass(frozen=True)
class Login:
    """Someone who is logged in, and until when."""

    annotator: Annotator
    expires_at: datetime


def add_annotator(
    session: Session,
    name: str,
    now: datetime,
    role: AnnotatorRole = "annotator",
    blind: bool = False,
    password_hash: str | None = None,
) -> Annotator:
    """Add an annotator and return them. Raises InvalidAnnotator, InvalidText or TextTooLong."""
    _check_name(session, name, role)
    row = {
        "name": name,
        "role": role,
        "blind": blind,
        "password_hash": password_hash,
        "created_at": now,
        "removed_at": None,
    }
    added = session.scalars(insert(AnnotatorRow).values(row).returning(AnnotatorRow)).one()
    return _annotator(added)


def _check_name(session: Session, name: str, role: str) -> None:
    if role not in ANNOTATOR_ROLES:
        raise InvalidAnnotator(f"{role[:60]!r} is not a role; roles are viewer, annotator and admin")
    if check_name(name, "the name") != name.strip():
        raise InvalidAnnotator(f"the name {name[:60]!r} begins or ends with a space")
    if (name.casefold() in (CONSENSUS, PUBLISHED)) != (role == "system"):
        raise InvalidAnnotator(f"the name {name[:60]!r} is reserved")
    names = session.scalars(select(AnnotatorRow.name))
    if any(taken.casefold() == name.casefold() for taken in names):
        raise InvalidAnnotator(f"there is an annotator {name[:60]!r} already")


def list_annotators(session: Session) -> list[Annotator]:
    """All annotators by name, those removed included."""
    return [_annotator(row) for row in session.scalars(select(AnnotatorRow).order_by(AnnotatorRow.name))]


_OF_NAME = select(AnnotatorRow).where(AnnotatorRow.name == bindparam("name"))


def find_annotator(session: Session, name: str) -> Annotator | None:
    """The annotator of this name; None where there is none, as for a name that cannot be stored."""
    try:
        row = session.scalar(_OF_NAME, {"name": name})
    except UnstorableText:
        return None
    return None if row is None else _annotator(row)


_OF_TOKEN = (
    select(AnnotatorRow, SessionRow.expires_at)
    .join(SessionRow, SessionRow.annotator_id == AnnotatorRow.id)
    .where(
        SessionRow.token_hash == bindparam("token_hash"),
        SessionRow.expires_at > bindparam("now"),
        AnnotatorRow.removed_at.is_(None),
    )
)


def get_annotator(session: Session, name: str) -> Annotator:
    """The annotator of this name. Raises NotFound."""
    annotator = find_annotator(session, name)
    if annotator is None:
        raise NotFound(f"no annotator {name[:60]!r} in this store")
    return annotator


def ensure_annotator(session: Session, name: str, now: datetime, role: AnnotatorRole) -> Annotator:
    """The annotator of this name, added where there is none: the local user, and the consensus."""
    return find_annotator(session, name) or add_annotator(session, name, now, role)


def change_annotator(session: Session, changed: Annotator) -> Annotator:
    """Store another name, role, blindness or password. Names on records follow. Raises InvalidAnnotator."""
    before = _by_id(session, changed.id)
    if before.role == "system" or changed.role == "system":
        raise InvalidAnnotator(f"{before.name!r} is not a person and cannot be changed")
    if before.name.casefold() != changed.name.casefold():
        _check_name(session, changed.name, changed.role)
    values = {name: getattr(changed, name) for name in ("name", "role", "blind", "password_hash")}
    session.execute(update(AnnotatorRow).where(AnnotatorRow.id == changed.id).values(values))
    if before.password_hash != changed.password_hash:
        close_all_sessions(session, changed.id)
    return _by_id(session, changed.id)


def remove_annotator(session: Session, annotator: Annotator, now: datetime) -> Annotator:
    """Bar the annotator from logging in; what they wrote stays under their name."""
    changed = change_annotator(session, replace(annotator, password_hash=None))
    close_all_sessions(session, changed.id)
    session.execute(update(AnnotatorRow).where(AnnotatorRow.id == changed.id).values(removed_at=now))
    return _by_id(session, changed.id)


def start_login(session: Session, annotator: Annotator, now: datetime, lifetime: timedelta) -> str:
    """A new token of 256 bits for the cookie; the store keeps its hash. Removes expired sessions."""
    session.execute(delete(SessionRow).where(SessionRow.expires_at <= now))
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    row = {
        "token_hash": _hash(token),
        "annotator_id": annotator.id,
        "created_at": now,
        "expires_at": now + lifetime,
    }
    session.execute(insert(SessionRow).values(row))
    return token


def find_login(session: Session, token: str, now: datetime) -> Login | None:
    """The login of the token; None where it is unknown, expired, closed, or its holder was removed."""
    row = session.execute(_OF_TOKEN, {"token_hash": _hash(token), "now": now}).one_or_none()
    return None if row is None else Login(_annotator(row[0]), row[1])


def end_login(session: Session, token: str) -> None:
    """Remove the session, so that its token opens nothing any more."""
    session.execute(delete(SessionRow).where(SessionRow.token_hash == _hash(token)))


def close_all_sessions(session: Session, annotator_id: int) -> None:
    session.execute(delete(SessionRow).where(SessionRow.annotator_id == annotator_id))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _by_id(session: Session, annotator_id: int) -> Annotator:
    query = select(AnnotatorRow).where(AnnotatorRow.id == annotator_id)
    row = session.scalar(query.execution_options(populate_existing=True))
    if row is None:
        raise NotFound(f"no annotator {annotator_id} in this store")
    return _annotator(row)


def _annotator(row: AnnotatorRow) -> Annotator:
    role = cast(AnnotatorRole, row.role)
    return Annotator(row.id, row.name, role, row.blind, row.created_at, row.removed_at, row.password_hash)
