"""How many searches are under way at a time."""

from app.errors import AppError
from app.web.guards.turns import TurnLimits, Turns

# A person types ahead of a few; a search takes a fraction of a second.
LIMITS = TurnLimits(at_once=4, of_one_account=8, altogether=24, wait_s=10.0)


class TooManySearches(AppError):
    """Searches enough are under way, or this one waited long enough for its turn."""

    status_code = 429


class Searches(Turns):
    """Turns for searches."""

    def __init__(self, limits: TurnLimits = LIMITS) -> None:
        super().__init__(limits, TooManySearches, "searches")
