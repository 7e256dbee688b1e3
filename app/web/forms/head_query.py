"""How a head's page is shown: read from its address, and written to every address that leads back to it."""

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, Query

from app.domain.records import Ranking
from app.domain.refs import HeadRef
from app.services.examples.models import Align
from app.services.heads.page import HeadQuestion
from app.web.dependencies import parse_feature
from app.web.urls import head_url

MAX_FEATURES = 50

RankQuery = Annotated[Ranking, Query(description="What to rank the head's features by")]
CountQuery = Annotated[int, Query(ge=1, le=MAX_FEATURES, description="How many features")]
AlignQuery = Annotated[
    Align,
    Query(description="What stands at the hinge: the end of the matched prefix, or the tokens themselves"),
]


@dataclass(frozen=True)
class HeadQuery:
    """Ranking, number of features, alignment, and which row is open."""

    rank: RankQuery = "decoder_weight"
    k: CountQuery = 10
    align: AlignQuery = "prefix"
    open_feature: Annotated[str | None, Query(alias="open", max_length=30)] = None
    group: Annotated[int, Query(ge=0, le=20)] = 0

    def question(self, head: HeadRef) -> HeadQuestion:
        """Raises PageNotFound where the open row names no feature of the head's layer."""
        feature = None if self.open_feature is None else parse_feature(self.open_feature, head.layer)
        return HeadQuestion(head, self.rank, self.k, feature, self.group, align=self.align)

    def address(self, model: str, head: HeadRef) -> str:
        return head_url(
            model,
            head,
            rank=self.rank,
            k=self.k,
            align=self.align,
            open=self.open_feature,
            group=self.group or None,
        )

    def without_row(self) -> "HeadQuery":
        """The same for another head, whose features are others."""
        return replace(self, open_feature=None, group=0)


HeadViewDependency = Annotated[HeadQuery, Depends()]
