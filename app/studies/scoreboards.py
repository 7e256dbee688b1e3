"""Reference lists of an atlas's heads, published or annotated, to score detectors against."""

from collections.abc import Mapping, Set

from app.domain.experiments.known_heads import Scoreboard, scoreboard
from app.domain.refs import HeadRef
from app.experiments.published import KNOWN_HEADS_GPT2_SMALL
from app.services.rollups.published import published_for
from app.services.rollups.rollup import submitted_heads
from app.store.annotations import current_records
from app.store.database.engine import read_session
from app.studies.atlas import OpenAtlas

# Roles as annotators name them, to the detector that finds them.
DETECTORS = {
    "previous token": "previous_token",
    "duplicate token": "duplicate_token",
    "induction": "induction",
    "long-prefix induction": "induction",
    "copy suppression": "copy_suppression",
    "successor": "successor",
}


def annotated_roles(atlas: OpenAtlas) -> dict[HeadRef, frozenset[str]]:
    """The roles of every head with a submitted record, taken together over annotators."""
    with read_session(atlas.engine) as session:
        records = current_records(session, atlas.run.atlas_id)
    roles: dict[HeadRef, frozenset[str]] = {}
    for heads in submitted_heads(records).values():
        for head, annotation in heads.items():
            roles[head] = roles.get(head, frozenset()) | frozenset(annotation.roles)
    return roles


def scoreboards(atlas: OpenAtlas, detected: Mapping[str, Set[HeadRef]]) -> tuple[Scoreboard, ...]:
    """Scores of the detectors against the published list and against annotations, as far as there are any.

    Only annotated heads count against annotations, since heads without a record may have any role.
    """
    boards: list[Scoreboard] = []
    n_heads = atlas.model.n_layers * atlas.model.n_heads
    if published_for(atlas.model) is not None:
        rows = scoreboard(detected, KNOWN_HEADS_GPT2_SMALL)
        boards.append(Scoreboard("published list", n_heads, rows))
    annotated = annotated_roles(atlas)
    if annotated:
        heads_by_role = {
            role: frozenset(head for head, names in annotated.items() if role in map(DETECTORS.get, names))
            for role in dict.fromkeys(DETECTORS.values())
        }
        ours = {role: heads & annotated.keys() for role, heads in detected.items()}
        boards.append(Scoreboard("annotations", len(annotated), scoreboard(ours, heads_by_role)))
    return tuple(boards)
