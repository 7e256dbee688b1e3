"""Query parameters of a head's page, read from its URL and written to every URL that leads back to it."""

import inspect
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import Depends, Query

from app.domain.records import Ranking
from app.domain.refs import HeadRef
from app.services.examples.models import Align
from app.services.heads.page import HeadQuestion
from app.web.dependencies import parse_feature
from app.web.sessions import LookQuery
from app.web.urls import head_url

MAX_FEATURES = 50

RankQuery = Annotated[Ranking, Query(description="What to rank the head's features by")]
CountQuery = Annotated[int, Query(ge=1, le=MAX_FEATURES, description="How many features")]
AlignQuery = Annotated[
    Align,
    Query(description="What stands at the anchor: the end of the matched prefix, or the tokens themselves"),
]


@dataclass(frozen=True)
class HeadQuery:
    """Query parameters of a head's page: ranking, number of features, alignment, opened row."""

    rank: RankQuery = "decoder_weight"
    k: CountQuery = 10
    align: AlignQuery = "prefix"
    open_feature: Annotated[str | None, Query(alias="open", max_length=30)] = None
    group: Annotated[int, Query(ge=0, le=20)] = 0
    example: Annotated[int, Query(ge=0, le=50)] = 0
    look: LookQuery = None

    def question(self, head: HeadRef) -> HeadQuestion:
        """The parameters of the service call.

        Raises PageNotFound if the opened row is not a feature of the layer.
        """
        feature = None if self.open_feature is None else parse_feature(self.open_feature, head.layer)
        return HeadQuestion(
            head, self.rank, self.k, feature, self.group, align=self.align, example=self.example
        )

    def address(self, model: str, head: HeadRef) -> str:
        return head_url(
            model,
            head,
            look=self.look,
            rank=self.rank,
            k=self.k,
            align=self.align,
            open=self.open_feature,
            group=self.group or None,
            example=self.example or None,
        )

    def without_row(self) -> "HeadQuery":
        """The query for another head, without the opened row."""
        return replace(self, open_feature=None, group=0, example=0, look=None)


async def _head_query(**parameters: Any) -> HeadQuery:  # Any: each parameter has its own type, checked before
    """The dependency of that name; async, because what waits for nothing needs no thread."""
    return HeadQuery(**parameters)


_head_query.__signature__ = inspect.signature(HeadQuery)  # pyright: ignore[reportFunctionMemberAccess]
HeadQueryDependency = Annotated[HeadQuery, Depends(_head_query)]
