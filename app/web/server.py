"""Running the web application."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from app.errors import AppError
from app.settings import Settings, is_loopback
from app.web.connections import MAX_CONNECTIONS, EvictingProtocol
from app.web.factory import create_app
from app.web.warming import warm_soon

# What is under way when the server is told to stop has so long to end.
GRACE_S = 10
# How long a thread that computes keeps Python's lock while others wait. An answer of a millisecond waits for it a few
# times: with Python's 5 ms it would take twenty while a page is built or an annotation saved.
SWITCH_S = 0.0005


class ExposedServerError(AppError):
    """Other machines could reach the server without a login, and --open-to-network was not given."""


def make_application(settings: Settings, open_to_network: bool = False) -> FastAPI:
    """The web application for these settings.

    open_to_network: without team mode, everyone who reaches the server can read the whole store, and no one
    can annotate. Raises ExposedServerError for a host that other machines reach, unless one of the two is
    set.
    """
    exposed = not is_loopback(settings.host)
    if exposed and not settings.team and not open_to_network:
        raise ExposedServerError(
            f"{settings.host} can be reached from other machines and the server has no login; "
            "use 127.0.0.1, --team for logins, or --open-to-network to let everyone read the atlas"
        )
    return create_app(settings, allow_anonymous=exposed)


def serve(application: FastAPI, settings: Settings) -> None:
    """Serve the application until it is interrupted."""
    if hasattr(application.state, "app_context"):
        warm_soon(application)
    with _short_switches():
        uvicorn.run(
            application,
            host=settings.host.strip("[]"),
            port=settings.port,
            # On h11: httptools takes headers of any size, h11 stops at 64 KiB.
            http=EvictingProtocol,
            limit_concurrency=MAX_CONNECTIONS,
            proxy_headers=False,
            server_header=False,
            log_config=None,
            access_log=False,  # RequestLog tells the same without the query, which may be a visitor's text
            timeout_graceful_shutdown=GRACE_S,
        )


@contextmanager
def _short_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
