"""Errors that a person can act on: one sentence, a process exit code and an HTTP status."""

import re

# What our messages begin with. Any other first word may be a name or a path.
_OPENING_WORD = re.compile(
    "(?:an?|another|column|experiment|layer|no|nobody|nothing|one|only|others?|row|sheets|text|the|there|this|too) "
)


class AppError(Exception):
    """Wrong data from outside. The message is one clear sentence that names the offending value."""

    status_code = 400
    exit_code = 2
    # The file or database it is about, where the message does not say so: for commands, not for pages.
    where = ""

    @property
    def sentence(self) -> str:
        """The message with a capital and a full stop. A name or path at its beginning keeps its case."""
        message = str(self)
        opening = message[:1].upper() if _OPENING_WORD.match(message) else message[:1]
        return f"{opening}{message[1:]}{'' if message.endswith('.') else '.'}"


class NotFound(AppError):
    """The thing that was asked for does not exist."""

    status_code = 404


class StoreBusy(AppError):
    """Another process holds the store or the work directory."""

    status_code = 503
    exit_code = 3


class OutOfSpace(AppError):
    """The disk is full; what was half written has been removed."""

    status_code = 503
    exit_code = 4


class InvalidSae(AppError):
    """The SAE cannot be used: wrong kind, wrong shape, corrupt, or not made for this model."""


class InvalidModel(AppError):
    """The language model cannot be loaded or lacks what the job needs."""


class InvalidCorpus(AppError):
    """The corpus is missing, unreadable or has no usable tokens."""


class InvalidStore(AppError):
    """The store cannot be opened, is corrupt, or was made by another version."""


class FaultyDisk(InvalidStore):
    """The disk that holds the store cannot be read or written; what was stored before is kept."""

    exit_code = 4
