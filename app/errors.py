"""Errors that a person can act on: one sentence, a process exit code and an HTTP status."""


class AppError(Exception):
    """Wrong data from outside. The message is one clear sentence that names the offending value."""

    status_code = 400
    exit_code = 2
    # The file or database it is about, where the message does not say so: for commands, not for pages.
    where = ""

    @property
    def sentence(self) -> str:
        """The message with a capital and a full stop. Names and paths keep their case, also at the beginning."""
        message = str(self)
        first = message.partition(" ")[0]
        return (
            f"{first.capitalize() if first.isalpha() and first.islower() else first}{message[len(first) :]}."
        )


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
