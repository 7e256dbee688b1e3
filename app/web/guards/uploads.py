"""Uploaded sheets between preview and import: in memory, one for each annotator, with an expiry."""

import secrets
import threading
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass

from app.errors import AppError
from app.services.sheet.import_page import Upload
from app.web.guards.turns import TurnLimits, Turns

MAX_AGE_S = 30 * 60.0
MAX_BYTES = 100 * 2**20
AT_ONCE, TURN_WAIT_S = 2, 10.0
# Sheets that are read or wait for it.
OF_ONE_ACCOUNT, ALTOGETHER = 8, 16


class UploadGone(AppError):
    """The uploaded sheet is gone: it expired, was evicted, or the server was restarted."""

    status_code = 410


class TooManyUploads(AppError):
    """Too many sheets are waiting to be read, or this one waited too long for its turn."""

    status_code = 429


@dataclass(frozen=True)
class _StoredUpload:
    token: str
    upload: Upload
    since: float


class Uploads:
    """Uploaded sheets in memory; above a size limit the oldest are evicted first."""

    def __init__(self, max_bytes: int = MAX_BYTES, max_age_s: float = MAX_AGE_S) -> None:
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._uploads: dict[tuple[str, int], _StoredUpload] = {}
        self._lock = threading.Lock()
        limits = TurnLimits(AT_ONCE, OF_ONE_ACCOUNT, ALTOGETHER, TURN_WAIT_S)
        self._turns = Turns(limits, TooManyUploads, "sheets")

    def turn(self, annotator_id: int) -> AbstractContextManager[None]:
        """Let two uploads at a time be read, and few wait: many at once leave the server answering.

        Raises TooManyUploads.
        """
        return self._turns.turn(annotator_id)

    def keep(self, atlas: str, annotator_id: int, upload: Upload) -> str:
        """Store the sheet in place of the annotator's earlier one, and return a token for it."""
        token = secrets.token_urlsafe(16)
        with self._lock:
            self._uploads.pop((atlas, annotator_id), None)
            self._uploads[atlas, annotator_id] = _StoredUpload(token, upload, time.monotonic())
            self._forget()
        return token

    def get(self, atlas: str, annotator_id: int, token: str) -> Upload:
        """The uploaded sheet of this token. Raises UploadGone."""
        with self._lock:
            self._forget()
            entry = self._uploads.get((atlas, annotator_id))
        if entry is None or not secrets.compare_digest(
            entry.token.encode(), token.encode("utf-8", "replace")
        ):
            raise UploadGone("the uploaded sheet is no longer here; choose the file again")
        return entry.upload

    def drop(self, atlas: str, annotator_id: int) -> None:
        with self._lock:
            self._uploads.pop((atlas, annotator_id), None)

    def _forget(self) -> None:
        oldest_allowed = time.monotonic() - self._max_age_s
        total = 0
        for key, entry in reversed(list(self._uploads.items())):
            total += len(entry.upload.data)
            if entry.since < oldest_allowed or total > self._max_bytes:
                del self._uploads[key]
