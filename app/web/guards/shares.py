"""How many requests of one account are worked on at a time; its others wait, and take none of the server's threads."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

# What a browser sends at once; the server has forty threads and eight connections to the store.
OF_ONE_ACCOUNT = 6


class AccountShares:
    """A share of the server for each account, so that one that asks much at once leaves others theirs."""

    def __init__(self, of_one_account: int = OF_ONE_ACCOUNT) -> None:
        self._of_one_account = of_one_account
        self._free: dict[int, asyncio.Semaphore] = {}
        self._inside = Counter[int]()  # by account, those that wait among them

    @asynccontextmanager
    async def share(self, account: int) -> AsyncGenerator[None]:
        """Wait until fewer requests of the account are under way than may be, and be one of them for the block."""
        free = self._free.setdefault(account, asyncio.Semaphore(self._of_one_account))
        self._inside[account] += 1
        try:
            async with free:
                yield
        finally:
            self._inside[account] -= 1
            if not self._inside[account]:
                del self._inside[account], self._free[account]
