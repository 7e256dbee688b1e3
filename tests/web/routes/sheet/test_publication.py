"""The page to publish annotations, and its files."""

from app.domain.refs import HeadRef
from tests.support.annotated_atlas import labelled
from tests.support.annotated_site import annotate
from tests.support.sheet_pages import soup_of


def test_the_page_to_publish_has_a_row_a_head_and_its_files(root):
    soup = soup_of(root, "/tiny/annotations/publish?by=ada")
    rows = soup.select(".publication-table tbody tr")
    assert [row.select_one("th").get_text(strip=True) for row in rows] == ["L0H0", "L0H1", "L2H3"]
    assert "a 8" in rows[0].text
    assert "induction, copy suppression" in rows[0].text
    assert len(rows[0].select(".entry-features li")) == 10
    links = [a["href"] for a in soup.select(".export-bar a")]
    assert links == [f"/tiny/annotations/publish.{name}?by=ada" for name in ("xlsx", "csv", "md", "tex")]
    for link in links:
        response = root.get(link)
        assert response.status_code == 200
        assert "attachment" in response.headers["Content-Disposition"]
        assert root.get(link, headers={"If-None-Match": response.headers["ETag"]}).status_code == 304
    assert soup_of(root, "/tiny/annotations").select_one("a[href='/tiny/annotations/publish']")
    for path in ("publish?by=nobody", "publish.xlsx?by=nobody", "publish?page=9", "publish.docx"):
        assert root.get(f"/tiny/annotations/{path}").status_code == 404


def test_the_page_to_publish_asks_no_more_for_more_heads(own):
    from tests.support.queries import count_queries

    store, login = own
    root = login("root")
    path = "/tiny/annotations/publish?by=root"
    engine = root.app.state.app_context.engine
    assert root.get(path).status_code == 200  # which reads the vocabulary and the records, once
    assert count_queries(engine, root, path) <= 9
    annotate(store, "root", labelled(0, *"ab" * 5), HeadRef(0, 0))
    before = count_queries(engine, root, path)  # the new record's among them
    for head in range(1, 4):
        annotate(store, "root", labelled(0, *"ab" * 5), HeadRef(0, head))
    assert count_queries(engine, root, path) == before
