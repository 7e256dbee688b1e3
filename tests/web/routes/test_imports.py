"""Importing on the web: nothing is stored before it was shown, and then all of it or nothing."""

import re
from contextlib import ExitStack

import pytest

from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from app.services.sheet import import_page
from app.services.sheet.import_page import Upload
from app.store.database.engine import open_store, write_session
from app.web.guards import uploads
from app.web.guards.uploads import TooManyUploads, UploadGone, Uploads
from app.web.routes import imports
from tests.support.annotated_site import annotate, team_of
from tests.support.logins import logged_in
from tests.support.soups import soup as parsed

PATH = "/tiny/annotations/import"
BY_HAND = b"head,Role,description,Colour\nL1H1,induction,=says who,red\n1.2,copying; PT,,blue\n"


@pytest.fixture
def own(store):
    team = team_of(store)
    with ExitStack() as opened:
        yield store, lambda name: opened.enter_context(logged_in(team, name))


def upload(client, data, name="sheet.csv"):
    response = client.post(PATH, files={"file": (name, data)}, data={"action": "show"})
    return response, parsed(response.text)


def fields(soup):
    """What the second form sends: hidden fields and chosen options, as a browser would."""
    form = soup.select("form[action$=import]")[1]
    sent = {tag["name"]: tag["value"] for tag in form.select("input[type=hidden]") if tag["name"] != "column"}
    sent["column"] = [tag["value"] for tag in form.select("input[name=column]")]
    sent["ours"] = [
        (chosen["value"] if (chosen := tag.select_one("[selected]")) else "") for tag in form.select("select")
    ]
    return sent


def rows(client):
    return client.get("/tiny/annotations.json").json()["heads"]


def by_ada(client):
    return {row["head"]: row for row in rows(client) if row["annotator"] == "ada"}


def test_a_sheet_made_by_hand_is_shown_and_then_stored(own):
    _, login = own
    ada = login("ada")
    before = rows(ada)
    response, soup = upload(ada, BY_HAND)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert "2 new, 0 changed, 0 unchanged, 0 wrong" in soup.select_one("#diff-title").text
    assert fields(soup)["column"] == ["Role", "description", "Colour"]
    assert fields(soup)["ours"] == ["roles", "notes", ""]
    shown = soup.select_one(".diff").get_text(" ", strip=True)
    assert "L1H1 ada new roles induction notes =says who" in shown
    assert rows(ada) == before
    stored = ada.post(PATH, data={**fields(soup), "action": "store"})
    assert (stored.status_code, stored.headers["Location"]) == (303, "/tiny/annotations?imported=2")
    assert "2 records stored" in ada.get(stored.headers["Location"]).text
    assert by_ada(ada)["L1H2"]["roles"] == "copying; previous token"
    assert by_ada(ada)["L1H1"]["notes"] == "=says who"


def test_a_sheet_of_another_program_is_read_as_the_command_reads_it(own):
    ada = own[1]("ada")
    sheet = 'sep=;\r\n"HEAD";"Annotator";"Notes"\r\n"L1H1";"ada";"naïve"\r\n'
    _, soup = upload(ada, sheet.encode("utf-16"))
    assert "1 new, 0 changed, 0 unchanged, 0 wrong" in soup.select_one("#diff-title").text
    assert fields(soup)["ours"] == ["head", "annotator", "notes"]
    response, _ = upload(ada, sheet.encode("cp1252"))
    assert response.status_code == 422
    assert "line 3 has the byte 0xef" in response.text


def test_columns_are_mapped_on_the_page(own):
    ada = own[1]("ada")
    _, soup = upload(ada, BY_HAND)
    chosen = {**fields(soup), "ours": ["", "", "notes"]}
    again = parsed(ada.post(PATH, data={**chosen, "action": "show"}).text)
    assert fields(again)["ours"] == ["", "", "notes"]
    assert fields(again)["plan"] != fields(soup)["plan"]
    ada.post(PATH, data={**fields(again), "action": "store"})
    assert (by_ada(ada)["L1H1"]["notes"], by_ada(ada)["L1H1"]["roles"]) == ("red", "")
    _, soup = upload(ada, BY_HAND)
    twice = ada.post(PATH, data={**fields(soup), "ours": ["notes", "notes", ""], "action": "show"})
    assert twice.status_code == 422
    assert "row 2 has two columns that are read as" in twice.text


def test_g12_wrong_rows_are_named_and_nothing_can_be_stored(own):
    ada = own[1]("ada")
    before = rows(ada)
    response, soup = upload(ada, b"head,roles,notes\nL1H1,induction,x\nL9H9,,\nL1H1,,\nL1H2,flying,\n")
    assert response.status_code == 200
    wrong = [row.get_text(" ", strip=True) for row in soup.select("table:not(.diff) tbody tr")]
    assert [text.split()[:2] for text in wrong] == [["heads", "3"], ["heads", "4"], ["heads", "5"]]
    assert "L9H9 is not one of" in wrong[0]
    assert "row 2 is about L1H1" in wrong[1]
    assert "'flying' is not a role" in wrong[2]
    assert not soup.select("button[value=store]")
    forced = ada.post(PATH, data={**fields(soup), "action": "store"})
    assert forced.status_code == 422
    assert "nothing was imported, 3 rows are wrong" in forced.text
    assert rows(ada) == before


def test_what_is_stored_is_what_was_shown(own):
    store, login = own
    ada = login("ada")
    _, soup = upload(ada, b"head,notes\nL0H0,from the sheet\n")
    annotate(store, "ada", HeadAnnotation(notes="typed meanwhile"), HeadRef(0, 0), base=1)
    answer = ada.post(PATH, data={**fields(soup), "action": "store"})
    assert answer.status_code == 409
    fresh = parsed(answer.text)
    assert "have changed since this was shown" in fresh.select_one("[role=alert]").text
    assert "typed meanwhile" in fresh.select_one(".diff").text
    assert by_ada(ada)["L0H0"]["notes"] == "typed meanwhile"
    assert ada.post(PATH, data={**fields(fresh), "action": "store"}).status_code == 303
    assert by_ada(ada)["L0H0"]["notes"] == "from the sheet"


@pytest.mark.parametrize("file_format", ["csv", "xlsx", "json", "parquet"])
def test_an_export_changes_nothing(own, file_format):
    root = own[1]("root")
    data = root.get(f"/tiny/annotations.{file_format}").content
    _, soup = upload(root, data, f"tiny.{file_format.upper()}")
    assert "0 new, 0 changed" in soup.select_one("#diff-title").text
    assert "0 wrong" in soup.select_one("#diff-title").text
    assert "stored already" in soup.text
    assert root.get(f"/tiny/annotations.{file_format}").content == data


@pytest.mark.parametrize(
    ("data", "name", "sentence"),
    [
        (b"head\n\xff\n", "a.csv", "is not UTF-8"),
        (b"PK", "a.xlsx", "not a ZIP archive"),
        (b"[]", "a.json", "is not an export"),
        (b"x", "a.exe", "must end in one of csv, xlsx, json, parquet"),
        (b"", "a.csv", "no header row"),
    ],
)
def test_g11_files_that_are_not_sheets_are_refused_on_the_page(own, data, name, sentence):
    ada = own[1]("ada")
    response, soup = upload(ada, data, name)
    assert response.status_code == 422
    assert sentence in soup.select_one("[role=alert]").text
    assert soup.select_one("input[type=file]")


def test_g11_a_file_above_the_limit_is_refused_unread(own):
    ada = own[1]("ada")
    response = ada.post(PATH, files={"file": ("a.csv", b"head\n" + b"x" * (50 * 2**20))})
    assert response.status_code == 413
    assert len(rows(ada)) > 0


def test_whose_rows_may_be_imported(own):
    _, login = own
    ada, ben, root, vera = (login(name) for name in ("ada", "ben", "root", "vera"))
    others = b"head,annotator,notes\nL1H3,ada,x\n"
    assert "only an admin may write another annotator" in upload(ben, others)[0].text
    assert "1 new" in upload(root, others)[1].select_one("#diff-title").text
    assert vera.get(PATH).status_code == 403
    assert upload(vera, others)[0].status_code == 403
    assert ada.get(PATH).status_code == 200


def test_d16_an_import_tells_nothing_of_hidden_records(own):
    """A blind annotator's sheet is compared with what they may see."""
    ben = own[1]("ben")
    _, soup = upload(ben, b"head,notes\nL0H0,mine\n")
    assert "1 new" in soup.select_one("#diff-title").text
    assert "hidden-until-submitted" not in soup.text


def test_one_cannot_store_what_someone_else_uploaded(own):
    _, login = own
    ada, ben = login("ada"), login("ben")
    _, soup = upload(ada, BY_HAND)
    stolen = ben.post(PATH, data={**fields(soup), "action": "store"})
    assert stolen.status_code == 410
    assert "choose the file again" in stolen.text


def test_a_form_from_elsewhere_imports_nothing(own):
    ada = own[1]("ada")
    response = ada.post(PATH, files={"file": ("a.csv", BY_HAND)}, headers={"Origin": "http://evil.example"})
    assert response.status_code == 403


def test_e01_names_of_files_and_columns_are_inert(own):
    ada = own[1]("ada")
    response, soup = upload(ada, b"head,<script>x</script>\nL1H1,\n", '"><img src=x onerror=y>.csv')
    assert not re.search(r"<script>x|<img", response.text)
    assert soup.select_one("#diff-title bdi").text.endswith(".csv")


def test_uploads_are_forgotten():
    uploads = Uploads(max_bytes=100, max_age_s=60)
    first = uploads.keep("tiny", 1, Upload("a.csv", b"x" * 60))
    assert uploads.get("tiny", 1, first).data == b"x" * 60
    for wrong in ((("other", 1, first)), ("tiny", 2, first), ("tiny", 1, "é")):
        with pytest.raises(UploadGone):
            uploads.get(*wrong)
    second = uploads.keep("tiny", 2, Upload("b.csv", b"y" * 60))
    with pytest.raises(UploadGone):
        uploads.get("tiny", 1, first)  # both would be too large, and it is the older
    assert uploads.get("tiny", 2, second).file_name == "b.csv"
    aged = Uploads(max_age_s=-1)
    token = aged.keep("tiny", 1, Upload("a.csv", b""))
    with pytest.raises(UploadGone):
        aged.get("tiny", 1, token)
    uploads.drop("tiny", 2)
    with pytest.raises(UploadGone):
        uploads.get("tiny", 2, second)


def test_a_sheet_is_read_and_planned_while_no_connection_to_the_store_is_held(own, monkeypatch):
    store, login = own
    ada, seen = login("ada"), []
    engine = ada.app.state.app_context.engine
    read, plan = import_page.read_upload, import_page.plan_import

    def watched(function):
        def call(*arguments):
            seen.append((function.__name__, engine.pool.checkedout()))
            with write_session(open_store(store)):  # nor the lock of writers
                return function(*arguments)

        return call

    monkeypatch.setattr(import_page, "read_upload", watched(read))
    monkeypatch.setattr(import_page, "plan_import", watched(plan))
    _, soup = upload(ada, BY_HAND)
    assert ada.post(PATH, data={**fields(soup), "action": "store"}).status_code == 303
    assert seen == [("read_upload", 0), ("plan_import", 0)] * 2


def test_a_record_saved_between_plan_and_store_is_shown_again(own, monkeypatch):
    store, login = own
    ada = login("ada")
    _, soup = upload(ada, b"head,notes\nL0H0,from the sheet\n")
    plan = import_page.plan_import

    def overtaken(*arguments):
        monkeypatch.setattr(import_page, "plan_import", plan)
        planned = plan(*arguments)
        annotate(store, "ada", HeadAnnotation(notes="typed meanwhile"), HeadRef(0, 0), base=1)
        return planned

    monkeypatch.setattr(import_page, "plan_import", overtaken)
    answer = ada.post(PATH, data={**fields(soup), "action": "store"})
    assert answer.status_code == 409
    assert "typed meanwhile" in parsed(answer.text).select_one(".diff").text
    assert by_ada(ada)["L0H0"]["notes"] == "typed meanwhile"


def test_a_sheet_is_given_up_when_its_sender_has_left(own, monkeypatch):
    ada = own[1]("ada")

    async def gone(request):
        return True

    monkeypatch.setattr("starlette.requests.Request.is_disconnected", gone)
    monkeypatch.setattr(imports, "ASK_S", 0.0)
    answer, _ = upload(ada, BY_HAND)
    assert answer.status_code == 499


def test_of_three_uploads_one_waits_its_turn(monkeypatch):
    monkeypatch.setattr(uploads, "TURN_WAIT_S", 0.01)
    kept = Uploads()
    with kept.turn(1):
        with kept.turn(2), pytest.raises(TooManyUploads, match="try again in a moment"), kept.turn(3):
            pass
        with kept.turn(2):
            pass
