"""The roles that an experiment tests for a head, from the command line or from submitted annotations."""

from app.domain.experiments.errors import InvalidExperiment
from app.domain.refs import HeadRef
from app.experiments.polysemanticity import ROLE_TASKS
from app.studies.atlas import OpenAtlas
from app.studies.scoreboards import annotated_roles


def roles_of(atlas: OpenAtlas, head: HeadRef, text: str | None) -> tuple[str, ...]:
    """The roles to test. Raises InvalidExperiment if there are none, or if none of them has a task."""
    if text is not None:
        roles = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    else:
        roles = tuple(sorted(annotated_roles(atlas).get(head, frozenset())))
        if not roles:
            raise InvalidExperiment(f"nobody has submitted roles for {head}; name some with --roles")
    if not any(role in ROLE_TASKS for role in roles):
        raise InvalidExperiment(
            f"no role of {head} has a task; those that have one are {', '.join(ROLE_TASKS)}"
        )
    return roles
