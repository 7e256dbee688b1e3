"""A state machine of tabs: stale forms, retries, merges and restores, against a model that is a list of texts."""

import shutil
import tempfile
import uuid
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from app.domain.annotations.records import HeadAnnotation
from app.store import annotations
from app.store.annotations import Conflict
from app.store.database.engine import open_store, read_session, write_session
from app.store.histories import WHOLE, read_history
from tests.support.annotated_atlas import HEAD, NOW, draft, make_atlas

TABS = st.integers(0, 2)


def machine_on(template: Path) -> type[RuleBasedStateMachine]:
    class Tabs(RuleBasedStateMachine):
        """Three tabs of one annotator on one record."""

        def __init__(self):
            super().__init__()
            self.folder = Path(tempfile.mkdtemp(prefix="head-atlas-"))
            shutil.copyfile(template, self.folder / "store.sqlite")
            self.engine = open_store(self.folder / "store.sqlite")
            self.atlas_id, (self.ada,) = 1, self._people()
            self.stored: list[str] = []
            self.versions = [0, 0, 0]
            self.sent = []
            self.count = 0

        def _people(self):
            from app.store.annotators import add_annotator

            with write_session(self.engine) as session:
                return [add_annotator(session, "ada", NOW)]

        def save(self, made):
            with write_session(self.engine) as session:
                return annotations.save(session, self.atlas_id, made, NOW)

        @rule(tab=TABS)
        def reload(self, tab):
            self.versions[tab] = len(self.stored)

        @rule(tab=TABS)
        def type_and_save(self, tab):
            self.count += 1
            text, base = f"text {self.count}", self.versions[tab]
            made = draft(self.ada, HeadAnnotation(notes=text), base, idempotency_key=str(uuid.uuid4()))
            if base == len(self.stored):
                saved = self.save(made)
                self.stored.append(text)
                self.versions[tab] = len(self.stored)
                self.sent.append((made, saved.revision))
                assert not saved.replayed
                return
            with pytest.raises(Conflict) as caught:
                self.save(made)
            assert caught.value.mine.notes == text
            assert caught.value.theirs.content.notes == self.stored[-1]
            assert caught.value.theirs.version == len(self.stored)
            if base:
                assert caught.value.base.content.notes == self.stored[base - 1]

        @rule(data=st.data())
        def deliver_again(self, data):
            if self.sent:
                made, first = data.draw(st.sampled_from(self.sent))
                again = self.save(made)
                assert again.replayed
                assert again.revision == first

        @invariant()
        def every_acknowledged_text_is_in_the_history(self):
            with read_session(self.engine) as session:
                kept = read_history(
                    session, self.atlas_id, HEAD, self.ada.id, WHOLE, with_drafts=True
                ).revisions
                current = annotations.current_records(session, self.atlas_id)
            assert [record.content.notes for record in kept] == self.stored[::-1]
            assert [record.content.notes for record in current] == self.stored[-1:]

        def teardown(self):
            self.engine.dispose()
            shutil.rmtree(self.folder)

    return Tabs


@pytest.mark.parametrize("n", [12, pytest.param(150, marks=pytest.mark.slow)])
def test_no_update_is_ever_lost(make_sqlite_store, n):
    template = Path(make_sqlite_store())
    engine = open_store(template)
    assert make_atlas(engine)[0] == 1
    engine.dispose()
    limits = settings(max_examples=n, stateful_step_count=12, deadline=None)
    run_state_machine_as_test(machine_on(template), settings=limits)
