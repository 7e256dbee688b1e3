"""Rows that an import refuses or marks: whose they are, of when, and what they are about."""

import json
import re

import pytest

from app.domain.annotations.records import HeadAnnotation, Subject
from app.domain.refs import HeadRef
from app.services.annotations.history import history_page
from app.services.reading.visibility import visible_records
from app.services.sheet import imports
from app.services.sheet.imports import ImportRefused
from app.store.annotations import get_atlas_id
from tests.support.sheets import export_sheet, history_of, import_sheet
from tests.support.unstorable import UNSTORABLE


@pytest.mark.parametrize(
    ("name", "row", "sentence"),
    [
        ("ada", "L0H1,ben", "only an admin"),
        ("ada", "L0H1,consensus", "only an admin"),
        ("root", "L0H1,published", "not imported"),
    ],
)
def test_whose_records_may_be_imported(team, name, row, sentence):
    with pytest.raises(ImportRefused, match=sentence):
        import_sheet(team, "csv", f"head,annotator\n{row}\n".encode(), name)


def test_an_annotator_cannot_claim_that_someone_else_wrote_blind(team):
    import_sheet(team, "csv", b"head,author,blind\nL0H2,root,yes\n", "ada")
    records = team.read(
        visible_records, team.read(get_atlas_id, "tiny"), team["ada"], [Subject(HeadRef(0, 2))]
    )
    assert (records[0].author, records[0].blind) == ("ada", False)


LINES = ("annotator", "author", "run", "against_sae", "software")


@pytest.mark.parametrize("text", [*UNSTORABLE, "x" * 401, "two\nlines"])
@pytest.mark.parametrize(("sheet", "name"), [*(("heads", n) for n in LINES), ("feature_notes", "sae")])
def test_text_beside_the_content_is_checked_by_its_row_and_nothing_is_stored(team, sheet, name, text):
    whole = json.loads(export_sheet(team, "json"))
    whole["heads"][0]["annotator"] = "cleo"  # a new record
    whole[sheet][0][name] = text
    before = export_sheet(team, "json")
    with pytest.raises(ImportRefused, match=f"1 rows are wrong: row 1 of {sheet}: column '{name}' has "):
        import_sheet(team, "json", json.dumps(whole).encode())
    assert export_sheet(team, "json") == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"feature": "L0F999999"}, "L0F999999 is not a feature of the atlas"),
        ({"feature": "L0F999999", "sae": ""}, "L0F999999 is not a feature of the atlas"),
        ({"feature": "L2F3"}, "L2F3 is not a feature of the SAE 00000000, which belongs to another layer"),
        ({"feature": "L9F3", "sae": "a" * 64}, "L9F3 is not a feature of this model"),
        ({"sae": "mine"}, "'mine' is not the checksum of an SAE"),
    ],
)
def test_a_note_needs_a_feature_that_exists(team, change, sentence):
    whole = json.loads(export_sheet(team, "json"))
    whole["feature_notes"][0].update(change)
    with pytest.raises(ImportRefused, match=re.escape(sentence)):
        import_sheet(team, "json", json.dumps(whole).encode())


@pytest.mark.parametrize(
    "time",
    [
        "2026-03-03T12:00:00+00:00",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "1999-12-31T00:00:00+00:00",
    ],
)
def test_a_record_is_of_a_time_that_can_be(team, time):
    with pytest.raises(ImportRefused, match="which is not a time between 2000 and now"):
        import_sheet(team, "csv", f"head,updated_at\nL1H1,{time}\n".encode(), "ada")


def test_what_a_sheet_says_of_when_and_against_what_is_marked(team):
    sheet = b"head,notes,updated_at,run,software\nL1H1,x,2020-01-01T00:00:00+00:00,theirs,9.9\n"
    import_sheet(team, "csv", sheet, "ada")
    (record,) = history_of(team, HeadRef(1, 1))
    assert (record.created_at.year, record.against.run, record.against.software) == (2020, "theirs", "9.9")
    assert record.given_by_sheet
    import_sheet(team, "csv", b"head,notes,run\nL1H1,y,mine\n", "ada")  # a change of what is here
    team.save("ada", HeadAnnotation(notes="z"), HeadRef(1, 1), base=2)
    assert [entry.given_by_sheet for entry in history_of(team, HeadRef(1, 1))] == [False, False, True]
    page = team.view(history_page, team["ada"], HeadRef(1, 1), None)
    assert [entry.record.given_by_sheet for entry in page.entries] == [False, False, True]


def test_labels_are_of_features_that_the_runs_sae_has_as_in_the_form(team):
    labels = json.dumps([{"feature": "L1F999999", "group": None, "unclear": True, "suggested": False}])
    whole = json.loads(export_sheet(team, "json"))
    row = {"head": "L1H1", "annotator": "ada", "labels": labels}
    whole["heads"] = [row]
    with pytest.raises(ImportRefused, match="L1F999999 is not a feature"):
        import_sheet(team, "json", json.dumps(whole).encode())
    whole["heads"] = [{**row, "run": "earlier", "against_sae": "a" * 64}]  # another SAE may have it
    assert import_sheet(team, "json", json.dumps(whole).encode())[1] == 1


def test_a_sheet_names_a_limited_number_of_people(team, monkeypatch):
    monkeypatch.setattr(imports, "MAX_PEOPLE", 3)
    data = "head,annotator\n" + "".join(f"L0H0,person {i}\n" for i in range(5))
    with pytest.raises(ImportRefused, match="row 4 of heads: the sheet names more than 3 people"):
        import_sheet(team, "csv", data.encode())
