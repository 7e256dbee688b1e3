"""The read context of a page, and lookups every page needs."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.domain.records import HeadRecord, SaeRecord
from app.domain.refs import HeadRef
from app.domain.tokens import Vocabulary
from app.errors import NotFound
from app.services.reading.cache import RunCache
from app.store.atlas.reads import LiveRun


@dataclass(frozen=True)
class Reading:
    """What every page reads from: one session, one live run, and what is kept of the run."""

    session: Session
    run: LiveRun
    cache: RunCache

    @property
    def vocabulary(self) -> Vocabulary:
        return self.cache.vocabulary(self.session, self.run)

    @property
    def heads(self) -> tuple[HeadRecord, ...]:
        return self.cache.heads(self.session, self.run)


def sae_of(run: LiveRun, layer: int) -> SaeRecord | None:
    return next((sae for sae in run.record.saes if sae.layer == layer), None)


def check_head(run: LiveRun, head: HeadRef) -> None:
    """Raises NotFound for a head that the model does not have."""
    model = run.record.model
    if head.layer >= model.n_layers or head.head >= model.n_heads:
        raise NotFound(f"{head} is not one of the model's {model.n_layers} x {model.n_heads} heads")
