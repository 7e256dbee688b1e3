"""A served team on a store with annotations: ada and ben annotate (ben in blind mode), vera reads, root is an admin."""

import uuid

from app.domain.annotations.records import FeatureNote, HeadAnnotation
from app.domain.refs import FeatureRef, HeadRef
from app.services.annotations.saving import Save, save
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.store.annotators import get_annotator
from app.store.atlas.reads import get_live_run
from app.store.database.engine import open_store, write_session
from tests.support.annotated_atlas import NOW, labelled
from tests.support.logins import add_people, team_app

SECRET = "hidden-until-submitted"


def annotate(store, name, content, ref, status="submitted", base=0, **fields):
    """Saves as the form does."""
    engine = open_store(store)
    with write_session(engine) as session:
        viewer = Viewer.of(get_annotator(session, name))
        request = Save(ref, content, base, str(uuid.uuid4()), status, **fields)
        save(AtlasContext(session, get_live_run(session, "tiny"), viewer), request, NOW)
    engine.dispose()


def team_of(store):
    """The application, with what ada, ben and root have said."""
    add_people(
        store,
        NOW,
        ada={},
        ben={"blind": True},
        vera={"role": "viewer"},
        root={"role": "admin"},
    )
    secret = labelled(
        0, *["a"] * 8, SECRET, "?", roles=("induction", "copy suppression"), notes=f"=note {SECRET}"
    )
    annotate(store, "ada", secret, HeadRef(0, 0))
    annotate(store, "ada", labelled(0, *"a" * 10, surprising=True), HeadRef(0, 1))
    annotate(store, "ada", labelled(2, *"b" * 5, *"c" * 5, notes=SECRET), HeadRef(2, 3))
    annotate(store, "ada", FeatureNote(SECRET, SECRET), FeatureRef(0, 3))
    annotate(store, "root", labelled(2, *"b" * 10, roles=("copying",)), HeadRef(2, 3))
    annotate(store, "ben", labelled(0, *"abcde" * 2), HeadRef(0, 1))
    annotate(store, "ben", HeadAnnotation(notes="draft of ben"), HeadRef(1, 0), status="draft")
    return team_app(store)
