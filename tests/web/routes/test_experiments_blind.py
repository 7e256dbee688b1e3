"""Experiments that rest on what annotators said are no way around blind mode; others can be cited."""

import pytest

from app.domain.experiments.registry import KINDS
from app.domain.refs import HeadRef
from app.store.database.engine import open_store
from tests.support.annotated_atlas import NOW
from tests.support.experiment_results import kinds_about, store_experiments
from tests.support.html_forms import page_of, press
from tests.support.logins import add_people, logged_in, team_app

HEAD = "/tiny/heads/L1H0"
ON_ROLES = {"known-heads", "polysemanticity"}


@pytest.fixture
def ids(store):
    add_people(store, NOW, ada={}, ben={"blind": True})
    engine = open_store(store)
    made = store_experiments(engine)
    engine.dispose()
    return made


@pytest.fixture
def app(store, ids):
    return team_app(store)


def names_of(client, path=f"{HEAD}"):
    return {link.text for link in page_of(client, path).select(".linked-list a")}


def test_d16_a_blind_annotator_sees_no_experiment_that_rests_on_roles(app, ids):
    ben, ada = logged_in(app, "ben"), logged_in(app, "ada")
    assert {name for name in ids if name in KINDS and KINDS[name].needs_roles} == ON_ROLES
    for name in ON_ROLES:
        for address in (f"/tiny/experiments/{ids[name]}{suffix}" for suffix in ("", ".json", ".csv")):
            assert ada.get(address).status_code == 200
            refused = ben.get(address)
            assert (refused.status_code, ids[name] in refused.text) == (403, False)
        for address in ("/tiny/experiments", "/tiny/experiments.json", HEAD):
            assert ids[name] in ada.get(address).text, address
            assert ids[name] not in ben.get(address).text, address
        # The twin is the same for everyone.
        assert ids[name] not in ada.get(f"{HEAD}.json").text
    others = kinds_about(HeadRef(1, 0), needs_roles=False)
    assert others >= {"long-prefix-induction", "head-ablation", "universality"}
    assert names_of(ben) == others
    assert names_of(ada) == others | ON_ROLES


def test_a_claim_cites_an_experiment_of_the_head_and_leads_to_it(app, ids):
    ada = logged_in(app, "ada")
    offered = page_of(ada, HEAD).select('button[value^="cite:experiment:"]')
    assert {button["value"].rsplit(":", 1)[1] for button in offered} == {
        ids[name] for name in kinds_about(HeadRef(1, 0), needs_roles=False) | ON_ROLES
    }
    press(ada, f"cite:experiment:{ids['head-ablation']}", {}, HEAD)
    [link] = page_of(ada, HEAD).select("#evidence a")
    assert ada.get(link["href"]).status_code == 200
    assert link["href"].endswith(ids["head-ablation"])


def test_an_experiment_is_cited_from_its_own_page_by_whoever_sees_it_and_may_write(app, ids):
    ada, ben = (logged_in(app, name) for name in ("ada", "ben"))
    address, head = f"/tiny/experiments/{ids['head-ablation']}", "/tiny/heads/L0H3"
    [form] = page_of(ada, address).select("form#cite")
    for _ in range(2):
        answer = ada.post(form["action"], data={"head": " L0H3"})
        assert (answer.status_code, answer.headers["Location"]) == (303, f"{address}#cite")
    content = ada.get(f"{head}/annotation.json").json()["record"]["content"]
    assert [(link["kind"], link["target"]) for link in content["evidence"]] == [
        ("experiment", ids["head-ablation"])
    ]
    assert "Your records that cite it: L0H3" in " ".join(page_of(ada, address).text.split())
    assert "Your records" not in ben.get(address).text
    for name in ON_ROLES:
        assert ben.post(f"/tiny/experiments/{ids[name]}/cite", data={"head": "L0H3"}).status_code == 403
    for head in ("L9H9", "x"):
        assert ada.post(f"{address}/cite", data={"head": head}).status_code == 404
    assert ada.post("/tiny/experiments/none/cite", data={"head": "L0H3"}).status_code == 404
