"""The read context of a request: one live run as one viewer may see it, with look-ups that every page needs."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.domain.annotations.records import Revision, Subject
from app.domain.records import HeadRecord, SaeRecord
from app.domain.refs import HeadRef
from app.domain.tokens import Vocabulary
from app.errors import NotFound
from app.services.reading.cache import RunCache
from app.services.reading.token_index import TokenIndex
from app.services.reading.visibility import NO_VIEWER, Viewer, opened_subjects, visible_of
from app.store.annotation_state import AnnotationState, annotation_state
from app.store.atlas.reads import LiveRun
from app.store.database.engine import Session, only_reads

T = TypeVar("T")


@dataclass(frozen=True)
class AtlasContext:
    """The read context of a request: session, live run, viewer and cache.

    viewer: NO_VIEWER for pages that are the same for everyone.
    """

    session: Session
    run: LiveRun
    viewer: Viewer = NO_VIEWER
    cache: RunCache = field(default_factory=RunCache)

    @property
    def vocabulary(self) -> Vocabulary:
        return self.cache.vocabulary(self.session, self.run)

    @property
    def token_index(self) -> TokenIndex:
        return self.cache.token_index(self.session, self.run)

    @property
    def normalised_ids(self) -> NDArray[np.int64]:
        return self.cache.normalised_ids(self.session, self.run)

    @property
    def heads(self) -> tuple[HeadRecord, ...]:
        return self.cache.heads(self.session, self.run)

    @property
    def has_attention(self) -> bool:
        """Whether the run keeps what its heads attend to."""
        return self.cache.has_attention(self.session, self.run)

    @property
    def atlas_id(self) -> int:
        """The key of the atlas in the store."""
        return self.run.atlas_id

    @cached_property
    def annotation_state(self) -> AnnotationState:
        """What changes with anything that the viewer may see of the atlas's annotations, as it was read first."""
        return annotation_state(self.session, self.run.slug, self.viewer.annotator_id)

    @cached_property
    def records(self) -> tuple[Revision, ...]:
        """Every current annotation that the viewer may see, read once: later saves are not included."""
        look = self.viewer.second_look
        return tuple(r for r in self._visible if not r.subject.second or r.subject.ref == look)

    @cached_property
    def second_looks(self) -> tuple[Revision, ...]:
        """Every second look that the viewer may see but the one that is open, which is among the records."""
        look = self.viewer.second_look
        return tuple(r for r in self._visible if r.subject.second and r.subject.ref != look)

    @cached_property
    def outside_of_second_look(self) -> "AtlasContext":
        """The context of the same viewer where no second look is open; what was read of the store is shared."""
        if self.viewer.second_look is None:
            return self
        other = replace(self, viewer=replace(self.viewer, second_look=None))
        vars(other).update(_stored=self._stored, _opened=self._opened)
        return other

    def once(self, name: str, load: Callable[[], T]) -> T:
        """What follows from the run and the records that the viewer may see, under its reader's name for it.

        It is worked out once for each state of the annotations; nobody may change it.
        """
        if name not in self._derived:
            self._derived[name] = load()
        return self._derived[name]

    @cached_property
    def _derived(self) -> dict[str, Any]:
        # What a transaction has written itself may never be committed.
        if not only_reads(self.session):
            return {}
        return self.cache.of_state(self.run, self.annotation_state, self.viewer)

    @cached_property
    def _visible(self) -> list[Revision]:
        return visible_of(self._stored, self.viewer, self._opened)

    @cached_property
    def _stored(self) -> list[Revision]:
        return self.cache.records(self.session, self.atlas_id, self.annotation_state)

    @cached_property
    def _opened(self) -> set[Subject] | None:
        return opened_subjects(self.session, self.atlas_id, self.viewer)


def sae_of(run: LiveRun, layer: int) -> SaeRecord | None:
    return next((sae for sae in run.record.saes if sae.layer == layer), None)


def layers_to_annotate(context: AtlasContext) -> tuple[int, ...]:
    """The layers with an SAE; in an atlas without any, all that have heads."""
    saes = context.run.record.saes
    return tuple(sorted({sae.layer for sae in saes} or {head.ref.layer for head in context.heads}))


def check_head(run: LiveRun, head: HeadRef) -> None:
    """Raise NotFound for a head that the model does not have."""
    model = run.record.model
    if not model.has_head(head):
        raise NotFound(f"{head} is not one of the model's {model.n_layers} x {model.n_heads} heads")
