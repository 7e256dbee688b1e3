"""Applications for tests: as in production, but answering to the test client's host name."""

from fastapi import FastAPI

from app.settings import Settings
from app.web.factory import create_app

HOSTS = ("testserver", "localhost", "127.0.0.1", "[::1]")


def served(store: str) -> FastAPI:
    return create_app(Settings(store=store, allowed_hosts=HOSTS))
