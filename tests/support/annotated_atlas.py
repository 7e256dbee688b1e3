"""An atlas with annotators, and saves on it, for the tests of annotation."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from app.domain.annotations.records import Against, FeatureLabel, Group, HeadAnnotation, Subject
from app.domain.refs import FeatureRef, HeadRef
from app.store import annotations
from app.store.annotations import Draft
from app.store.annotators import add_annotator
from app.store.database.engine import write_session
from tests.support.run_data import make_run, publish

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AGAINST = Against("f" * 64, "a" * 64, "0.1.0")
HEAD = Subject(HeadRef(0, 1))
FEATURE = Subject(FeatureRef(0, 1), "a" * 64)


def later(minutes):
    return NOW + timedelta(minutes=minutes)


def make_atlas(engine, *names):
    """A published run; the atlas's id, and the annotators of these names."""
    run = publish(engine, make_run())
    with write_session(engine) as session:
        people = [add_annotator(session, name, NOW) for name in names]
        return annotations.get_atlas_id(session, run.slug), people


def draft(annotator, content=None, base=0, subject=HEAD, **fields):
    made = Draft(
        subject=subject,
        annotator_id=annotator.id,
        author_id=annotator.id,
        base_version=base,
        idempotency_key=str(uuid.uuid4()),
        content=content if content is not None else HeadAnnotation(),
        against=AGAINST,
    )
    return replace(made, **fields)


def save(engine, atlas_id, made, now=NOW):
    with write_session(engine) as session:
        return annotations.save(session, atlas_id, made, now)


def labelled(layer, *names, **fields):
    """labelled(0, "a", "a", "?", None): one label per feature of the stored runs, whose indices are 3, 10, 17 ..."""
    labels = [
        FeatureLabel(FeatureRef(layer, 7 * i + 3), None if name in (None, "?") else name, name == "?")
        for i, name in enumerate(names)
    ]
    groups = tuple(Group(name, "IN") for name in dict.fromkeys(names) if name not in (None, "?"))
    return HeadAnnotation(groups=groups, labels=tuple(labels), **fields)
