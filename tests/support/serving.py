"""Applications for tests: as in production, but answering to the test client's host name."""

from fastapi import FastAPI
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from app.settings import Settings
from app.web.factory import create_app

HOSTS = ("testserver", "localhost", "127.0.0.1", "[::1]")


class _CompiledOnce(BytecodeCache):
    """Templates that one application of a test compiled, for those of all other tests."""

    def __init__(self) -> None:
        self._compiled: dict[tuple[str, str], object] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._compiled.get((bucket.key, bucket.checksum))  # type: ignore[assignment]

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._compiled[bucket.key, bucket.checksum] = bucket.code


_COMPILED = _CompiledOnce()


def application(settings: Settings, **options: bool) -> FastAPI:
    """A new application. Compiling the templates again would take longer than most tests do otherwise."""
    app = create_app(settings, **options)
    app.state.app_context.renderer.environment.bytecode_cache = _COMPILED
    return app


def served(store: str) -> FastAPI:
    return application(Settings(store=store, allowed_hosts=HOSTS))
