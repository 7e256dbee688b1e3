"""Records of a team on one atlas: labels, a note of a feature, a blind annotator's, and the consensus."""

import pytest

from app.domain.annotations.records import FeatureNote, HeadAnnotation
from app.domain.refs import HeadRef
from tests.support.annotated_atlas import labelled, later
from tests.support.annotating import Team
from tests.support.sheets import FEATURE, LONG


@pytest.fixture
def team(engine):
    members = Team(engine, ada={}, ben={"blind": True}, root={"role": "admin"})
    members.save("ada", labelled(0, *"aaab?", None, notes="=1+1\r\n", roles=("induction", "copying")))
    members.save("ada", labelled(0, *"aaaa", notes=LONG), base=1, now=later(5))
    members.save(
        "ada", labelled(2, "x", override="unclear", override_reason="-"), HeadRef(2, 3), status="unsure"
    )
    members.save("ada", FeatureNote("of", "'=x"), FEATURE)
    members.save("ben", HeadAnnotation(confidence=2, surprising=True, knew_before="partly"))
    members.save("root", HeadAnnotation(notes="agreed"), for_consensus=True)
    return members
