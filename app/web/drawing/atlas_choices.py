"""Queries of the atlas page's links, each of which changes one choice and keeps the others; options of its filters."""

from dataclasses import dataclass
from functools import cached_property

from app.domain.annotations.head_types import HEAD_TYPES
from app.services.atlas.annotation_models import Colouring, Order
from app.services.atlas.filters import NO_TYPE
from app.services.atlas.models import AtlasFilter
from app.web.drawing.display_names import type_name

TYPE_OPTIONS = (
    *((head_type, head_type.replace("_", " ")) for head_type in HEAD_TYPES),
    (NO_TYPE, type_name(None)),
)
STATUS_OPTIONS = (
    ("anyone", "annotated by anyone"),
    ("you", "by you alone"),
    ("others", "by others alone"),
    ("both", "by you and others"),
    ("nobody", "by nobody"),
)
# Shown as pictures of the whole grid; the other scores are words.
MAIN_SCORES = ("induction", "previous_token", "concentration")
Query = dict[str, object]


@dataclass(frozen=True)
class FilterChip:
    """A filter that is set, and the query of the page without it."""

    words: str
    query: Query


@dataclass(frozen=True)
class AtlasChoices:
    """Queries of the atlas page's links."""

    score: str
    colour: Colouring
    order: Order
    annotator: str
    filter: AtlasFilter

    @cached_property
    def colouring(self) -> Query:
        """What the cells are coloured by, and nothing else."""
        return {"score": self.score} if self.colour == "score" else {"colour": self.colour}

    @cached_property
    def _selection(self) -> Query:
        """The filters without the limits of the score, and the order."""
        chosen = {
            "layers": self.filter.layers,
            "role": self.filter.role,
            "type": self.filter.type,
            "status": self.filter.status,
            "annotator": self.annotator,
            "order": "value" if self.order == "value" else "",
        }
        return {name: value or None for name, value in chosen.items()}

    @cached_property
    def _limits(self) -> Query:
        return {"low": self.filter.low, "high": self.filter.high} if self.colour == "score" else {}

    def by_score(self, name: str) -> Query:
        return {"score": name, **self._selection}

    def by_colour(self, name: Colouring) -> Query:
        return {"colour": name, **self._selection}

    def in_order(self, order: Order) -> Query:
        return (
            self.colouring | self._selection | {"order": "value" if order == "value" else None} | self._limits
        )

    def without_limits(self) -> Query:
        return self.colouring | self._selection

    @property
    def has_limits(self) -> bool:
        return self.filter.low is not None or self.filter.high is not None

    @cached_property
    def chips(self) -> tuple[FilterChip, ...]:
        """The filters that are set, without limits of the score."""
        words = {
            "layers": f"layers {self.filter.layers}",
            "role": self.filter.role,
            "type": self.filter.type.replace("_", " "),
            "status": self.filter.status,
            "annotator": f"labels of {self.annotator}",
        }
        whole = self.colouring | self._selection | self._limits
        return tuple(
            FilterChip(text, whole | {name: None}) for name, text in words.items() if self._selection[name]
        )


GLOBALS = {
    "atlas_choices": AtlasChoices,
    "type_options": TYPE_OPTIONS,
    "status_options": STATUS_OPTIONS,
    "main_scores": MAIN_SCORES,
}
