"""People who write to a store, and what a server draws meanwhile."""

import uuid
from contextlib import contextmanager
from dataclasses import replace

from app.services.annotations.saving import Save, reveal_hint, save
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.store.annotations import Conflict
from app.store.annotators import change_annotator, get_annotator
from app.store.atlas.reads import get_live_run
from app.store.database.engine import write_session
from tests.support.annotated_atlas import later


class Writer:
    """Somebody who writes to the store, but not through the server."""

    def __init__(self, engine, name, minutes=0):
        self.engine, self.name, self.now = engine, name, later(minutes)

    def save(self, ref, content, status="submitted", **fields):
        """Save as the newest version."""
        with write_session(self.engine) as session:
            viewer = Viewer.of(get_annotator(session, self.name))
            context = AtlasContext(session, get_live_run(session, "tiny"), viewer)
            for base in range(40):
                with_base = Save(ref, content, base, str(uuid.uuid4()), status, **fields)
                try:
                    save(context, with_base, self.now)
                except Conflict:
                    continue
                return

    def reveal(self, head):
        with write_session(self.engine) as session:
            viewer = Viewer.of(get_annotator(session, self.name))
            reveal_hint(AtlasContext(session, get_live_run(session, "tiny"), viewer), head, self.now)

    def change(self, **fields):
        with write_session(self.engine) as session:
            change_annotator(session, replace(get_annotator(session, self.name), **fields))


@contextmanager
def drawn(app):
    """The templates that are drawn in the block."""
    renderer, seen = app.state.app_context.renderer, []
    draw = renderer.html
    renderer.html = lambda template, page: seen.append(template) or draw(template, page)
    yield seen
    renderer.html = draw
