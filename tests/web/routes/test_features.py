"""The page of a feature through one head or all of them, and of runs that did not keep the sum."""

from collections.abc import Callable
from dataclasses import replace

from starlette.testclient import TestClient

from app.domain.refs import FeatureRef
from app.store.database.engine import open_store
from tests.support.run_data import StoredRun, make_run, publish
from tests.support.serving import served
from tests.support.soups import soup


def test_the_feature_page_reads_through_all_heads(client: TestClient, run: StoredRun) -> None:
    ref = FeatureRef(0, 3)
    address = f"/tiny/features/{ref}?head=all&align=token"
    page = soup(client.get(address).text)
    assert [link.text for link in page.select(".segmented a[aria-current]")] == ["all heads", "token"]
    assert "DFA of all heads" in page.text
    assert "Through all heads alone" not in page.text
    assert {str(link["href"]).split("?")[1].split("&")[0] for link in page.select("a.whole-link")} == {
        "head=all"
    }
    row = client.get(str(page.select("a.whole-link")[0]["href"]), headers={"HX-Request": "true"}).text
    assert "head=all" in row
    assert "through all heads" in row
    twin = client.get(f"/tiny/features/{ref}.json?head=all").json()
    assert (twin["head"], twin["all_heads"]) == (None, True)
    assert "DFA of all heads" in client.get(f"/embed{address}").text


def test_the_key_d_leads_through_every_head_and_all(client: TestClient) -> None:
    address, seen = "/tiny/features/L0F3?head=L0H0", list[str]()
    for _ in range(5):
        page = soup(client.get(address).text)
        [following] = page.select("[data-key=d]")
        address = str(following["href"])
        seen.append(address.split("head=")[1])
    assert seen == ["L0H1", "L0H2", "L0H3", "all", "L0H0"]
    assert [link.text for link in page.select(".segmented > a")][:2] != ["L0H0", "all heads"]


def test_a_run_without_the_sum_over_heads_does_not_offer_it(make_sqlite_store: Callable[..., str]) -> None:
    run, ref = make_run(), FeatureRef(0, 3)
    store = make_sqlite_store()
    engine = open_store(store)
    publish(engine, without_sums(run))
    engine.dispose()
    with TestClient(served(store)) as client:
        page = soup(client.get(f"/tiny/features/{ref}?head=L0H3").text)
        assert "all heads" not in page.select_one(".features-bar").text  # type: ignore[union-attr]
        assert str(page.select("[data-key=d]")[0]["href"]).endswith("head=L0H0")
        asked = client.get(f"/tiny/features/{ref}?head=all", headers={"Accept": "text/html"})
        assert asked.status_code == 404
        [sentence] = [p for p in soup(asked.text).select("main p") if "precompute the atlas again" in p.text]
        assert sentence.text.startswith("This run was published before")
        twin = client.get(f"/tiny/features/{ref}.json?head=all")
        assert (twin.status_code, "precompute" in twin.json()["detail"]) == (404, True)


def without_sums(run: StoredRun) -> StoredRun:
    """As it was stored before the sums were kept."""
    old = {
        ref: replace(record, examples=record.examples and replace(record.examples, summed=None))
        for ref, record in run.features.items()
    }
    return replace(run, features=old)


def test_b23_a_dead_feature_has_a_page_without_examples(client: TestClient) -> None:
    text = client.get("/tiny/features/L2F80").text
    assert "Not active on any of" in text
    assert "Histogram of activations" not in text
    assert "nan" not in text.lower().replace("finance", "")


def test_the_feature_page_reads_through_any_head(client: TestClient, run: StoredRun) -> None:
    ref = FeatureRef(0, 3)
    largest = int(run.features[ref].decoder_weight_share.argmax())
    assert f"DFA of L0H{largest}" in client.get(f"/tiny/features/{ref}").text
    for head in range(4):
        page = soup(client.get(f"/tiny/features/{ref}?head=L0H{head}").text)
        assert f"DFA of L0H{head}" in page.text
        assert len(page.select("ol.examples")) == 6
    assert client.get(f"/tiny/features/{ref}?head=L2H0").status_code == 404


def test_a_slice_whose_tokens_are_not_stored_says_so(make_sqlite_store: Callable[..., str]) -> None:
    run, ref, head = make_run(), FeatureRef(0, 3), 2
    record, store = run.features[ref], make_sqlite_store()
    ends = {}
    for name in ("head_promoted", "head_suppressed"):
        end = getattr(record, name)
        token_id, logit = end.token_id.copy(), end.logit.copy()
        token_id[head], logit[head] = -1, 0
        ends[name] = replace(end, token_id=token_id, logit=logit)
    engine = open_store(store)
    publish(engine, replace(run, features=run.features | {ref: replace(record, **ends)}))
    engine.dispose()
    with TestClient(served(store)) as client:
        for asked, n_tokens in ((head, 0), (1, 10)):
            address = f"/tiny/features/{ref}"
            text = " ".join(soup(client.get(f"{address}?head=L0H{asked}").text).text.split())
            assert f"Through L0H{asked} alone" in text
            assert ("Tokens are stored for the heads that list this feature" in text) == (asked == head)
            twin = client.get(f"{address}.json?head=L0H{asked}").json()
            assert (len(twin["head_promoted"]), len(twin["head_suppressed"])) == (n_tokens, n_tokens)
