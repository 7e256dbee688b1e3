"""What experiments found of one head."""

from sqlalchemy.orm import Session

from app.domain.refs import HeadRef
from app.services.examples.models import HeadFinding
from app.services.reading.visibility import Viewer, sees_experiment
from app.store.atlas.reads import LiveRun
from app.store.experiments import findings_of


def experiments_of(
    session: Session, run: LiveRun, head: HeadRef, viewer: Viewer | None = None
) -> tuple[HeadFinding, ...]:
    """What finished experiments found of a head, newest first; without a viewer only what everyone may see."""
    found = (
        HeadFinding(one.experiment.id, one.experiment.request.name, one.finding)
        for one in findings_of(session, run.slug, head)
    )
    return tuple(finding for finding in found if sees_experiment(viewer, finding.name))
