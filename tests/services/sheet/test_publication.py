"""What is published: submitted records and the consensus alone, with numbers as numbers and examples as text."""

import csv
import io
import re
from dataclasses import replace

import openpyxl
import pytest

from app.domain.annotations.records import EvidenceLink, Group
from app.domain.annotations.tallies import LeftOut
from app.domain.refs import FeatureRef, HeadRef
from app.errors import NotFound
from app.services.reading.visibility import Viewer
from app.services.sheet.pages import NoSuchAnnotator
from app.services.sheet.publication import publication_page
from app.services.sheet.publication_files import PUBLICATION_FORMATS, export_publication, latex_table
from app.services.sheet.publication_tables import PublishedTable, TableColumn
from tests.support.annotated_atlas import labelled
from tests.support.annotating import Team
from tests.support.run_data import make_run

ADMIN = Viewer(0, "", "admin")
SITE = "https://atlas.example.org"
ODD = "=1+1 & 50% of_it | <b>"


def with_levels(content, **levels):
    groups = tuple(Group(g.name, g.family, levels.get(g.name)) for g in content.groups)
    return replace(content, groups=groups)


@pytest.fixture(scope="module")
def run():
    return make_run()


@pytest.fixture
def team(engine, run):
    team = Team(engine, run, ada={}, ben={}, root={"role": "admin"})
    clear = labelled(0, *"aaaaaaaa", "b", "?", roles=("induction",), confidence=4, surprising=True, notes=ODD)
    team.save("ada", with_levels(clear, a="token", b="context"), HeadRef(0, 0))
    cited = (EvidenceLink("example", place(run, FeatureRef(0, 10), 4)), EvidenceLink("score", "induction"))
    team.save("ada", labelled(0, *"cccccccccc", evidence=cited), HeadRef(0, 1))
    team.save("ada", labelled(2, *"aaaaa", *"ddd", None, None), HeadRef(2, 0))
    team.save("ada", labelled(2, *"zzzzzzzzzz", notes="a draft"), HeadRef(2, 1), status="draft")
    team.save("ben", labelled(2, *"yyyyyyyyyy", notes="as ben says"), HeadRef(2, 2))
    team.save("ben", labelled(0, *"yyyyyyyyyy"), HeadRef(0, 1))
    team.save("root", labelled(0, *"eeeee", *"fffff"), HeadRef(0, 1), for_consensus=True)
    return team


def place(run, feature, index):
    examples = run.features[feature].examples
    return f"{feature}:{examples.sequence[index]}:{examples.position[index]}"


def page_of(team, by=None):
    return team.view(publication_page, ADMIN, by)


def test_the_entries_are_submitted_records_and_the_consensus_where_there_is_one(team):
    page = page_of(team)
    assert (page.by, page.annotators) == ("ada", ("ada", "ben", "consensus"))
    assert [(str(e.head), e.annotator) for e in page.entries] == [
        ("L0H0", "ada"),
        ("L0H1", "consensus"),
        ("L2H0", "ada"),
    ]
    assert (page.n_entries, page.n_consensus, page.left_out) == (3, 1, (LeftOut(HeadRef(2, 0), 2, 10),))
    assert [(str(e.head), e.annotator) for e in page_of(team, "ben").entries] == [
        ("L0H1", "consensus"),
        ("L2H2", "ben"),
    ]
    assert [str(e.head) for e in page_of(team, "consensus").entries] == ["L0H1"]
    with pytest.raises(NoSuchAnnotator):
        page_of(team, "root")
    with pytest.raises(NotFound):
        team.view(publication_page, ADMIN, "ada", 2)


def test_an_entry_has_what_the_record_and_the_run_say(team, run):
    entry = page_of(team).entries[0]
    assert [(g.name, g.count, g.abstraction) for g in entry.groups] == [
        ("a", 8, "token"),
        ("b", 1, "context"),
    ]
    assert (entry.n_features, entry.n_unclear, entry.n_open) == (10, 1, 0)
    assert entry.abstraction == pytest.approx((8 * 1 + 4) / 9)
    assert entry.head_type == "minor_exceptions"
    assert (entry.new_groups, entry.surprising, entry.confidence) == (("a", "b"), True, 4)
    for rank, feature in enumerate(entry.features, 1):
        stored = run.features[feature.feature]
        assert feature.rank == rank
        assert feature.share == float(stored.decoder_weight_share[0])
        assert feature.fve == float(stored.fve_active.covariance_share[0])
        assert [token.token_id for token in feature.promoted] == stored.promoted.token_id[:3].tolist()
    assert [feature.group for feature in entry.features[7:]] == ["a", "b", None]


def test_each_group_has_one_example_the_cited_one_or_the_strongest(team, run):
    strongest = page_of(team).entries[0].examples
    assert [(e.group, str(e.feature)) for e in strongest] == [("a", "L0F3"), ("b", f"L0F{7 * 8 + 3}")]
    first = run.features[FeatureRef(0, 3)].examples
    assert (strongest[0].sequence, strongest[0].position) == (first.sequence[0], first.position[0])
    token = run.vocabulary.view(int(run.sequences[first.sequence[0]][first.position[0]]))
    assert f"«{''.join(part.text for part in token.parts)}»" in strongest[0].fires
    with_source = [e for entry in page_of(team).entries for e in entry.examples if e.reads]
    assert with_source
    assert all(e.reads.count("«") >= 1 for e in with_source)


def test_a_cited_example_is_the_one_that_is_shown(team, run):
    ben_has_none = team.save("root", labelled(0, *"gggggggggg"), HeadRef(0, 2))
    assert ben_has_none.status == "submitted"
    cited = EvidenceLink("example", place(run, FeatureRef(0, 10), 4))
    team.save("ada", labelled(0, *"cccccccccc", evidence=(cited,)), HeadRef(0, 3))
    example = page_of(team, "ada").entries[2].examples[0]
    assert f"{example.feature}:{example.sequence}:{example.position}" == cited.target


def test_the_tally_is_of_the_entries(team):
    tally = page_of(team).tally
    assert {row.head_type: row.count for row in tally.rows if row.count} == {
        "minor_exceptions": 1,
        "bisemantic": 1,
    }
    assert (tally.total, tally.n_provisional) == (2, 1)


def export_sheet(team, file_format, by=None, site=SITE):
    return team.view(export_publication, ADMIN, file_format, by, site)


@pytest.mark.parametrize("file_format", PUBLICATION_FORMATS)
def test_files_are_the_same_bytes_each_time_and_hold_no_draft(team, file_format):
    file = export_sheet(team, file_format)
    assert file.file_name == f"tiny-publication.{file_format}"
    assert export_sheet(team, file_format).data == file.data
    assert b"a draft" not in file.data
    assert b"as ben says" not in file.data


def test_the_workbook_is_made_to_print(team):
    book = openpyxl.load_workbook(io.BytesIO(export_sheet(team, "xlsx").data))
    assert book.sheetnames == ["Heads", "Features", "Head types", "Layers", "About"]
    for sheet in book:
        assert sheet.page_setup.orientation == "landscape"
        assert sheet.sheet_properties.pageSetUpPr.fitToPage
        assert (sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight) in ((1, 0), (None, 0))
        assert sheet.print_title_rows == "$1:$1"
        assert sheet.freeze_panes == "B2"
        assert all(cell.alignment.wrap_text for row in sheet.iter_rows() for cell in row)
        assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)
    heads = book["Heads"]
    titles = [cell.value for cell in heads[1]]
    first = dict(zip(titles, heads[2], strict=True))
    assert first["Head"].hyperlink.target == f"{SITE}/tiny/heads/L0H0"
    assert first["Groups"].value == "a 8 (token), b 1 (context), unclear 1"
    assert (first["Level"].data_type, first["Level"].value) == ("n", pytest.approx(12 / 9))
    assert (first["Sure"].data_type, first["Sure"].value) == ("n", 4)
    assert first["Notes"].value == ODD
    assert heads.row_dimensions[2].height > 30  # of three features and two examples
    # As wide as a page of A4: the text of 9 points is printed with more than 7.
    assert sum(dimension.width for dimension in heads.column_dimensions.values()) < 185
    assert all(
        sheet["A1"].alignment.indent == sheet["A2"].alignment.indent for sheet in book if sheet["A2"].font.b
    )
    features = book["Features"]
    assert {cell.data_type for column in "BEF" for cell in features[column][1:]} == {"n"}
    assert [cell.value for cell in features["A"][1:11]] == ["L0H0"] * 10
    types = {row[0].value: (row[1].value, row[2].value) for row in book["Head types"].iter_rows(min_row=2)}
    assert types["plausibly bisemantic"] == (1, 0.5)
    assert types["left out: L2H0 (2 of 10 features open)"] == (1, None)


def test_without_a_site_nothing_is_linked_and_csv_has_the_path(team):
    book = openpyxl.load_workbook(io.BytesIO(export_sheet(team, "xlsx", site="").data))
    assert book["Heads"]["A2"].hyperlink is None
    rows = list(csv.DictReader(io.StringIO(export_sheet(team, "csv", site="").data.decode("utf-8-sig"))))
    assert [row["Page"] for row in rows] == [f"/tiny/heads/{head}" for head in ("L0H0", "L0H1", "L2H0")]
    assert float(rows[0]["Level"]) == pytest.approx(12 / 9)
    assert rows[0]["Notes"] == f"'{ODD}"  # no formula for a spreadsheet program


def test_markdown_and_latex_have_the_two_tables(team):
    markdown = export_sheet(team, "md").data.decode()
    assert "| plausibly bisemantic | 1 | 50% |" in markdown
    assert "| 0 | 2 | a 8, " in markdown
    assert re.findall("^## (.*)$", markdown, re.MULTILINE) == ["Head types", "Layers"]
    latex = export_sheet(team, "tex").data.decode()
    assert latex.count("\\begin{tabular}") == latex.count("\\end{tabular}") == 2
    assert "plausibly bisemantic & 1 & 50\\% \\\\" in latex


def test_latex_escapes_what_has_a_meaning_in_it():
    table = PublishedTable("x", (TableColumn("a_b", 10),), [[r"50% & [x] \y {z} ~^ <|> $#"]])
    line = latex_table(table).splitlines()[5]
    assert line == (
        r"50\% \& {[}x{]} \textbackslash{}y \{z\} \textasciitilde{}\textasciicircum{} "
        r"\textless{}\textbar{}\textgreater{} \$\# \\"
    )


def test_an_empty_atlas_publishes_empty_tables(engine):
    team = Team(engine, ada={})
    page = page_of(team)
    assert (page.by, page.entries, page.n_pages) == (None, (), 1)
    for file_format in PUBLICATION_FORMATS:
        assert export_sheet(team, file_format).data


def test_features_that_another_run_had_are_named_without_numbers(team):
    gone = labelled(2, *"hhhhhhhhhh")
    labels = tuple(replace(label, feature=FeatureRef(2, 200 + i)) for i, label in enumerate(gone.labels))
    team.save("ada", replace(gone, labels=labels), HeadRef(2, 3))
    entry = page_of(team).entries[-1]
    assert entry.examples == ()
    assert {feature.share for feature in entry.features} == {None}
    assert export_sheet(team, "xlsx").data
