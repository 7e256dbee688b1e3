"""A published atlas with annotators, and the calls that a form makes on it."""

import uuid

from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from app.services.annotations import saving
from app.services.annotations.saving import Save
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.store.annotators import add_annotator
from app.store.atlas.reads import get_live_run
from app.store.database.engine import read_session, write_session
from tests.support.annotated_atlas import NOW
from tests.support.run_data import make_run, publish

HEAD = HeadRef(0, 1)


class Team:
    """Viewers by name on one atlas."""

    def __init__(self, engine, run=None, **people):
        self.engine = engine
        publish(engine, run or make_run())
        with write_session(engine) as session:
            self.viewers = {
                name: Viewer.of(add_annotator(session, name, NOW, **fields))
                for name, fields in people.items()
            }

    def __getitem__(self, name):
        return self.viewers[name]

    @property
    def run(self):
        return self.read(get_live_run, "tiny")

    def read(self, function, *arguments):
        with read_session(self.engine) as session:
            return function(session, *arguments)

    def view(self, function, viewer, *arguments):
        """What the function gives for the atlas as the viewer sees it."""
        with read_session(self.engine) as session:
            return function(AtlasContext(session, get_live_run(session, "tiny"), viewer), *arguments)

    def save(self, name, content=None, ref=HEAD, base=0, status="submitted", now=NOW, **fields):
        content = HeadAnnotation() if content is None else content
        request = Save(ref, content, base, fields.pop("key", str(uuid.uuid4())), status, **fields)
        with write_session(self.engine) as session:
            return saving.save(
                AtlasContext(session, get_live_run(session, "tiny"), self[name]), request, now
            ).revision
