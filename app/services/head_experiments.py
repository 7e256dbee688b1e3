"""What experiments found of one head."""

from sqlalchemy.orm import Session

from app.domain.refs import HeadRef
from app.services.page_parts import HeadFinding
from app.store.dashboards import LiveRun
from app.store.experiments import findings_of


def experiments_of(session: Session, run: LiveRun, head: HeadRef) -> tuple[HeadFinding, ...]:
    """What finished experiments found of a head, newest first."""
    found = findings_of(session, run.slug, head)
    return tuple(HeadFinding(one.experiment.id, one.experiment.request.name, one.finding) for one in found)
