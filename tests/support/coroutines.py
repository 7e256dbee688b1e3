"""Running a coroutine in a test."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def result_of(coroutine: Coroutine[object, object, T]) -> T:
    """The coroutine's result, from a loop in a thread of its own: Playwright keeps one running in that of the tests."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
