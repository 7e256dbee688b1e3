"""Records of several people for every head of an atlas, as a team has them after some months."""

import random
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.domain.annotations.records import FeatureLabel, FeatureNote, Group, HeadAnnotation
from app.domain.refs import FeatureRef, HeadRef
from app.services.annotations.saving import Save, save
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.settings import Settings
from app.store.annotators import Annotator, ensure_annotator
from app.store.atlas.reads import get_heads, get_live_run, get_ranking
from app.store.database.engine import Session, open_store, write_session

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = (
    *("induction", "copying", "names", "dates", "commas", "verbs"),
    *("local context", "code", "quotes", "numbers", "previous token", "bigram"),
)
K = 10
NOTES_ONE_IN = 3


def annotate_all(store: Path, model: str, n_annotators: int) -> None:
    """Add submitted records of so many people: of each head a type, ten labels in up to three groups, and notes.

    The first is the annotator of a server in local mode, who has not seen the last head yet.
    """
    engine, rng = open_store(store), random.Random(0)
    names = [Settings().local_annotator, *(f"annotator {n}" for n in range(2, n_annotators + 1))]
    for name in names[:n_annotators]:
        with write_session(engine) as session:
            annotator = ensure_annotator(session, name, BEGAN, "admin")
            heads = [head.ref for head in get_heads(session, get_live_run(session, model))]
            for at, head in enumerate(heads[:-1] if name == names[0] else heads):
                _annotate(session, model, annotator, head, at, rng)
    engine.dispose()


def _annotate(
    session: Session, model: str, annotator: Annotator, head: HeadRef, at: int, rng: random.Random
) -> None:
    run = get_live_run(session, model)
    context = AtlasContext(session, run, Viewer.of(annotator))
    features = [ranked.ref for ranked in get_ranking(session, run, head, "decoder_weight", K).features]
    named = rng.sample(NAMES, 3)
    labels = tuple(FeatureLabel(feature, rng.choice(named)) for feature in features)
    groups = tuple(Group(name) for name in named if any(label.group == name for label in labels))
    content = HeadAnnotation(
        groups=groups, labels=labels, roles=("induction",), notes=f"looked at as number {at}"
    )
    contents: list[tuple[HeadRef | FeatureRef, HeadAnnotation | FeatureNote]] = [(head, content)]
    if at % NOTES_ONE_IN == 0 and features:
        contents.append((features[0], FeatureNote(rng.choice(NAMES), "the last word of a name")))
    for ref, said in contents:
        save(context, Save(ref, said, 0, str(uuid.uuid4()), "submitted"), BEGAN + timedelta(minutes=at))
