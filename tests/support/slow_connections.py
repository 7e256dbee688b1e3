"""An application behind a connection that is slow, loses requests and answers, and delivers some of them late."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.settings import Settings
from app.web.factory import create_app
from tests.support.browsing import listening


class SlowConnection:
    """Delays every request by half of `delay_s`, and its answer by the other half.

    choose: where it is set, some saves are lost on the way there, some answers on the way back (both look like a
    server that fails), and some of the lost saves arrive after all, behind later ones.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.delay_s = 0.0
        self.choose: random.Random | None = None
        self.late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        delay = self.delay_s * (self.choose.uniform(0.2, 1.8) if self.choose else 1)
        await asyncio.sleep(delay / 2)
        body = await _body(receive)
        fate = self.choose.random() if self.choose and scope["method"] == "POST" else 1.0
        if fate < 0.2:
            if fate < 0.1:
                self._deliver_late(scope, body)
        else:
            answer: list[Message] = []
            await self.app(scope, _once(body), _into(answer))
            await asyncio.sleep(delay / 2)
            if fate >= 0.4:
                for message in answer:
                    await send(message)
                return
        await PlainTextResponse("lost", 503)(scope, _once(b""), send)

    def _deliver_late(self, scope: Scope, body: bytes) -> None:
        async def deliver() -> None:
            await asyncio.sleep(self.delay_s * 3)
            await self.app(scope, _once(body), _into([]))

        task = asyncio.create_task(deliver())
        self.late.add(task)
        task.add_done_callback(self.late.discard)


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def _once(body: bytes) -> Receive:
    parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if not parts:
            await asyncio.Event().wait()  # it never hangs up
        return parts.pop()

    return receive


def _into(messages: list[Message]) -> Send:
    async def send(message: Message) -> None:
        messages.append(message)

    return send


@contextmanager
def serving_slowly(store: str, **settings: object) -> Iterator[tuple[str, SlowConnection]]:
    """The address of a server of the store on a free port, and the connection to it."""
    connection = SlowConnection(create_app(Settings(store=store, **settings)))  # type: ignore[arg-type]
    with listening(connection) as address:
        yield address, connection
