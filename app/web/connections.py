"""Time limits for idle and slow connections, which are closed sooner if others need their place."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

# Connections that may wait, and connections or requests at a time: more of those would only queue at the store.
MAX_WAITING, MAX_CONNECTIONS = 200, 400
# How long a whole head of a request may take, the next part of its body, and the next part of an answer to be read.
HEAD_S, BODY_S, ANSWER_S = 15.0, 15.0, 60.0
_LOOK_S = 5.0


class EvictingProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with limits on how long a connection may keep its place without a request.

    uvicorn alone would answer 503 to everyone while so many connections are open, be they idle or slow.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:  # Any: whatever uvicorn gives its protocols
        super().__init__(*arguments, **named)
        self.waiting_since = self.moved_at = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as uvicorn's
        """Take the connection, in the place of the one that has waited longest where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MAX_WAITING:
            self._evict_one()
        self.loop.call_later(_LOOK_S, self._look)

    def data_received(self, data: bytes) -> None:
        self.moved_at = self.loop.time()
        super().data_received(data)

    def on_response_complete(self) -> None:
        self.waiting_since = self.moved_at = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        self.moved_at = self.loop.time()
        super().pause_writing()

    def waits(self) -> bool:
        """Whether the connection waits for its client: for a request, the rest of one, or to take the answer."""
        return self._between_requests() or self.cycle.more_body or self.flow.write_paused

    def give_up(self) -> None:
        """Close the connection at once; its place is free."""
        self.connections.discard(self)
        self.transport.abort()

    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison]

    def _evict_one(self) -> None:
        others = (
            each for each in self.connections if isinstance(each, EvictingProtocol) and each is not self
        )
        waiting = [each for each in others if each.waits()]
        if waiting:
            min(waiting, key=lambda each: each.waiting_since).give_up()

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        now = self.loop.time()
        if self._between_requests():
            late = now - self.waiting_since > HEAD_S
        else:
            allowed = BODY_S if self.cycle.more_body else ANSWER_S
            late = self.waits() and now - self.moved_at > allowed
        if late:
            self.give_up()
        else:
            self.loop.call_later(_LOOK_S, self._look)
