"""The table of layers and its chart, counted by hand."""

from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from tests.support.annotated_atlas import labelled
from tests.support.annotated_site import SECRET, annotate
from tests.support.sheet_pages import soup_of


def test_the_layer_table_by_hand(root):
    page = root.get("/tiny/layers.json?by=ada").json()
    counts = {
        row["head_type"]: (row["count"], row["total"], row["fraction"]) for row in page["tally"]["rows"]
    }
    assert counts["monosemantic"] == (1, 3, 1 / 3)
    assert counts["minor_exceptions"] == (1, 3, 1 / 3)
    assert counts["bisemantic"] == (1, 3, 1 / 3)
    assert (page["n_heads"], page["n_submitted"], page["n_novel"], page["n_surprising"]) == (12, 3, 2, 1)
    first, _, last = page["layers"]
    assert [(group["name"], group["count"]) for group in first["groups"]] == [("a", 18), (SECRET, 1)]
    assert [(family["family"], family["count"]) for family in first["families"]] == [
        ("IN", 19),
        ("unclear", 1),
    ]
    assert [(head["head"], head["all_alike"]) for head in first["notable"]] == [
        ("L0H0", False),
        ("L0H1", True),
    ]
    assert (first["n_novel"], last["n_novel"]) == (1, 1)
    assert len(page["sensitivity"]) == 6
    soup = soup_of(root, "/tiny/layers?by=ada")
    cells = [td.get_text(" ", strip=True) for td in soup.select(".tall tbody tr:first-child > *")]
    assert cells == ["plausibly monosemantic", "1/3", "33%"]
    assert "L0H1 *" in soup.select_one(".layer-table tbody tr").get_text(" ", strip=True)
    assert "2 heads bring a group that no earlier head has; 1 was flagged" in soup.select_one(
        "section[aria-labelledby=novel]"
    ).get_text(" ", strip=True)


def test_the_layer_table_is_of_the_consensus_where_there_is_one(own):
    store, login = own
    root = login("root")
    assert root.get("/tiny/layers.json").json()["by"] == "root"
    annotate(store, "root", labelled(0, *"a" * 10), HeadRef(0, 0), for_consensus=True)
    assert root.get("/tiny/layers.json").json()["by"] == "consensus"
    choices = soup_of(root, "/tiny/layers").select('[aria-label="Labels of"] a')
    assert [choice.text for choice in choices] == [
        "ada",
        "ben",
        "consensus",
        "root",
    ]


def test_the_chart_of_abstraction_has_a_table(own):
    store, login = own
    root = login("root")
    from app.domain.annotations.records import FeatureLabel, Group
    from app.domain.refs import FeatureRef

    content = HeadAnnotation(
        groups=(Group("of", "LX", "token"), Group("court", "CX", "context")),
        labels=tuple(FeatureLabel(FeatureRef(0, 7 * i + 3), "court" if i else "of") for i in range(4)),
    )
    annotate(store, "root", content, HeadRef(0, 2))
    soup = soup_of(root, "/tiny/layers?by=root")
    assert [cell.text for cell in soup.select(".table-view tbody tr > *")] == ["0", "3.25"]
    assert "from 3.25 in layer 0" in soup.select_one("svg.level-chart")["aria-label"]
    assert len(soup.select("svg.level-chart circle")) == 1
