"""Import: the cells that were edited change, and nothing else; all of a file or none of it."""

import csv
import io
import json

import pytest

from app.domain.annotations.records import HeadAnnotation, Subject
from app.domain.refs import HeadRef
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import visible_records
from app.services.sheet.files import read_sheet
from app.services.sheet.imports import ImportRefused, apply_import, plan_import, rename_columns
from app.store.annotations import Conflict, get_atlas_id
from app.store.database.engine import write_session
from tests.support.annotated_atlas import NOW, later
from tests.support.annotating import HEAD
from tests.support.queries import counted
from tests.support.sheets import export_sheet, history_of, import_sheet, workbook


def edited(data, edit):
    table = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    edit(table)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(table[0]))
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue().encode()


def test_g09_only_the_cells_that_were_edited_change(team):
    def edit(table):
        next(row for row in table if row["annotator"] == "ben")["confidence"] = "4"

    plan, done = import_sheet(team, "csv", edited(export_sheet(team, "csv"), edit), now=later(60))
    assert (done, plan.count("changed"), plan.count("unchanged")) == (1, 1, 3)
    (change,) = (change for change in plan.changes if change.kind == "changed")
    assert change.fields == (("confidence", "2", "4"),)
    records = team.read(visible_records, team.read(get_atlas_id, "tiny"), team["root"], [Subject(HEAD)])
    record = next(record for record in records if record.annotator == "ben")
    assert (record.version, record.author, record.created_at) == (2, "root", later(60))
    assert record.content == HeadAnnotation(confidence=4, surprising=True, knew_before="partly")


def test_a_row_that_changed_in_the_meantime_is_refused(team):
    def edit(table):
        next(row for row in table if row["annotator"] == "ben")["confidence"] = "4"

    data = edited(export_sheet(team, "csv"), edit)
    team.save("ben", HeadAnnotation(confidence=1), base=1)
    with pytest.raises(
        ImportRefused, match="changed since the export: it is at version 2, the row is of version 1"
    ):
        import_sheet(team, "csv", data)


def test_g12_one_wrong_row_and_nothing_is_imported(team):
    before = export_sheet(team, "json")
    sheet = "head,roles,notes\nL0H0,induction,new\nL9H9,,\nL0H2,flying,\n,copying,\nL0H0,,again\nL0H3,,\x07\n"
    with pytest.raises(ImportRefused) as caught:
        import_sheet(team, "csv", sheet.encode())
    assert [error.row for error in caught.value.errors] == [3, 4, 5, 6, 7]
    messages = [error.message for error in caught.value.errors]
    for part, message in zip(("L9H9", "'flying'", "no head", "row 2", "U+0007"), messages, strict=True):
        assert part in message
    assert export_sheet(team, "json") == before


def test_a_sheet_made_by_hand(team):
    sheet = "Head,role,description,My column\n5.1,,,\n"
    with pytest.raises(ImportRefused, match="'My column' is not a column"):
        import_sheet(team, "csv", sheet.encode())
    sheet = 'head,roles,description,mine\n0.2,"Induction, prev token",says who,x\nH1.3,,,\n'
    plan, done = import_sheet(team, "csv", sheet.encode(), "ada", {"mine": ""})
    assert done == plan.count("new") == 2
    records = team.read(
        visible_records, team.read(get_atlas_id, "tiny"), team["ada"], [Subject(HeadRef(0, 2))]
    )
    assert records[0].content == HeadAnnotation(roles=("induction", "previous token"), notes="says who")
    assert (records[0].annotator, records[0].status, records[0].version) == ("ada", "submitted", 1)


def test_columns_that_are_missing_leave_what_is_stored(team):
    import_sheet(team, "csv", b"head,annotator,confidence\nL0H1,ben,5\n")
    records = team.read(visible_records, team.read(get_atlas_id, "tiny"), team["root"], [Subject(HEAD)])
    record = next(record for record in records if record.annotator == "ben")
    assert record.content == HeadAnnotation(confidence=5, surprising=True, knew_before="partly")


def test_a_workbook_made_by_hand(team):
    plan, _ = import_sheet(team, "xlsx", workbook(["head", "roles", "confidence"], ["L0H2", "IN", 4]), "ada")
    assert plan.changes[0].content == HeadAnnotation(roles=("induction",), confidence=4)
    with pytest.raises(ImportRefused, match=r"5\.1 and 5\.10 are one number"):
        import_sheet(team, "xlsx", workbook(["head"], [0.2]), "ada")


def test_a_cell_that_was_emptied_empties_the_field(team):
    data = workbook(["head", "annotator", "confidence", "notes"], ["L0H1", "ada", 3, None])
    import_sheet(team, "xlsx", data)
    assert history_of(team, HEAD)[0].head.notes == ""
    assert history_of(team, HEAD)[0].head.confidence == 3


def test_a_note_of_an_earlier_runs_sae_is_imported(team):
    whole = json.loads(export_sheet(team, "json"))
    whole["feature_notes"][0].update(sae="a" * 64, feature="L0F999999")
    assert import_sheet(team, "json", json.dumps(whole).encode())[1] == 1


def test_an_imported_record_can_be_saved_on_and_its_version_has_the_limit_of_the_form(team):
    for version in ("0", "1000001", "999999999"):
        row = f"head,notes,version\nL1H1,x,{version}\n".encode()
        with pytest.raises(ImportRefused, match=f"version {version} cannot be imported"):
            import_sheet(team, "csv", row, "ada")
    import_sheet(team, "csv", b"head,notes,version\nL1H1,x,1000000\n", "ada")
    assert team.save("ada", HeadAnnotation(notes="y"), HeadRef(1, 1), base=1_000_000).version == 1_000_001


def test_a_large_import_holds_the_lock_of_writers_for_few_statements(team):
    names = [f"person {i}" for i in range(20)]
    heads = [f"L{layer}H{head}" for layer in range(3) for head in range(4)]
    data = "\n".join(
        ["head,annotator,notes", *(f"{h},{name},said by {name}" for name in names for h in heads)]
    )
    sheet = rename_columns(read_sheet(data.encode(), "csv")[0], {})
    with write_session(team.engine) as session:
        context = AtlasContext(session, team.run, team["root"])
        plan = plan_import(context, sheet, [], NOW)
        with counted(team.engine) as statements:
            assert apply_import(context, plan, NOW) == 240
    assert len(statements) < 4 * len(names) + 10  # a few for each new person, and a handful for all rows
    kept = team.view(lambda context: context.records, team["root"])
    assert (
        sum(record.content == HeadAnnotation(notes=f"said by {record.annotator}") for record in kept) == 240
    )


def test_a_record_that_was_saved_since_the_plan_stops_the_import(team):
    with write_session(team.engine) as session:
        context = AtlasContext(session, team.run, team["root"])
        data = b"head,annotator,notes\nL1H0,ada,a\nL1H1,ada,b\n"
        plan = plan_import(context, rename_columns(read_sheet(data, "csv")[0], {}), [], NOW)
    team.save("ada", HeadAnnotation(notes="meanwhile"), HeadRef(1, 1))
    before = export_sheet(team, "json")
    with pytest.raises(Conflict), write_session(team.engine) as session:
        apply_import(AtlasContext(session, team.run, team["root"]), plan, NOW)
    assert export_sheet(team, "json") == before
