"""Where a Ray cluster is, and whether anything answers there. Imports no Ray, which takes its time."""

import re
import socket

from app.errors import AppError
from app.settings import Settings

AUTO_ADDRESS = "auto"  # the cluster that this machine is part of
_ANSWERS_WITHIN_S = 5.0
_HOST_AND_PORT = re.compile(r"(?P<host>[\w.-]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")


class NoCluster(AppError):
    """There is no Ray cluster that this process can join, or none with room for a worker."""


def cluster_address(requested: str | None) -> str | None:
    """The address of the cluster to join: the one asked for, else RAY_ADDRESS; None for a cluster of the job's own.

    Raises NoCluster where it is no address, or nothing answers there.
    """
    address = requested or Settings().ray_address or None
    if address in (None, AUTO_ADDRESS):
        return address
    parts = _HOST_AND_PORT.fullmatch(address)
    if parts is None or int(parts["port"]) > 65535:
        raise NoCluster(f"the address of a Ray cluster is HOST:PORT or auto, not {address!r}")
    try:
        with socket.create_connection((parts["host"].strip("[]"), int(parts["port"])), _ANSWERS_WITHIN_S):
            return address
    except OSError as error:
        cause = error.strerror or str(error)
        raise NoCluster(f"no Ray cluster answers at {address}: {cause}") from error
