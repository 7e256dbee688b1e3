"""Findings of experiments about one head."""

from app.domain.refs import HeadRef
from app.services.examples.models import HeadFinding
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import sees_experiment
from app.store.experiments import findings_of


def experiments_of(context: AtlasContext, head: HeadRef) -> tuple[HeadFinding, ...]:
    """Findings of finished experiments about the head, newest first, as far as the viewer may see them."""
    findings = (
        HeadFinding(stored.experiment.id, stored.experiment.request.name, stored.finding)
        for stored in findings_of(context.session, context.run.slug, head)
    )
    return tuple(finding for finding in findings if sees_experiment(context.viewer, finding.name))
