"""Addresses: the ones that templates write are the routes, and other spellings lead to them."""

from inspect import Parameter, signature

import pytest
from fastapi import FastAPI
from starlette.routing import Match, Route
from starlette.testclient import TestClient

from app.domain.refs import FeatureRef, HeadRef
from app.web import urls
from app.web.factory import JSON_ROUTES, PAGES


def test_templates_write_the_addresses_of_routes(app: FastAPI) -> None:
    head, feature = HeadRef(5, 1), FeatureRef(5, 35744)
    assert urls.atlas_url("tiny") == app.url_path_for("atlas", model="tiny")
    assert urls.head_url("tiny", head) == app.url_path_for("head", model="tiny", head=str(head))
    assert urls.attention_url("tiny", head) == app.url_path_for("attention", model="tiny", head=str(head))
    assert urls.feature_url("tiny", feature) == app.url_path_for(
        "feature", model="tiny", feature=str(feature)
    )
    assert urls.cite_experiment_url("tiny", "ab") == app.url_path_for(
        "cite_experiment", model="tiny", experiment="ab"
    )
    assert urls.cite_url("tiny", feature) == app.url_path_for("cite", model="tiny", feature=str(feature))
    assert urls.card_url("tiny", head) == app.url_path_for("head_card", model="tiny", head=str(head))
    assert urls.layer_url("tiny", 5) == app.url_path_for("layer", model="tiny", layer=5)
    assert urls.annotations_url("tiny") == app.url_path_for("annotations", model="tiny")
    assert (
        urls.annotations_url("tiny", "csv", columns="head,notes")
        == "/tiny/annotations.csv?columns=head,notes"
    )
    assert urls.annotations_url("tiny", "csv") == app.url_path_for(
        "annotations_file", model="tiny", file_format="csv"
    )
    assert urls.publication_url("tiny") == app.url_path_for("publication", model="tiny")
    assert urls.publication_url("tiny", "xlsx") == app.url_path_for(
        "publication_file", model="tiny", file_format="xlsx"
    )
    assert urls.import_url("tiny") == app.url_path_for("import", model="tiny")
    assert urls.consensus_url("tiny", head) == app.url_path_for("consensus", model="tiny", head=str(head))
    assert urls.annotated_layers_url("tiny") == app.url_path_for("annotated_layers", model="tiny")
    assert urls.published_url("tiny") == app.url_path_for("published", model="tiny")
    assert urls.annotation_url("tiny", head) == app.url_path_for("annotate", model="tiny", head=str(head))
    assert urls.history_url("tiny", head) == app.url_path_for("history", model="tiny", head=str(head))
    assert urls.head_url("tiny", head, rank="decoder_weight", k=10, align="prefix") == "/tiny/heads/L5H1"
    assert urls.history_url("tiny", head, k=20, align="token") == "/tiny/heads/L5H1/history?k=20&align=token"
    assert urls.head_url("a/b?", head, rank="fve", open=None) == "/a%2Fb%3F/heads/L5H1?rank=fve"


# A value for each parameter of the functions that make URLs.
SAMPLES = {
    "model": "tiny",
    "head": HeadRef(5, 1),
    "feature": FeatureRef(5, 35744),
    "layer": 5,
    "heads": [HeadRef(5, 1)],
    "experiment": "ab",
    "query": "the",
}
# In the order in which the application tries them.
ROUTES = [
    route
    for router in (*(module.router for module in JSON_ROUTES), *(module.pages for module in PAGES))
    for route in router.routes
    if isinstance(route, Route)
]
URL_FUNCTIONS = [
    name for name in vars(urls) if name.endswith("_url") and name[0] != "_" and name != "any_head_url"
]


@pytest.mark.parametrize("name", URL_FUNCTIONS)
def test_every_function_of_templates_makes_the_address_of_a_route(name: str) -> None:
    function = getattr(urls, name)
    needed = [
        part.name
        for part in signature(function).parameters.values()
        if part.default is Parameter.empty and part.kind is not Parameter.VAR_KEYWORD
    ]
    path = function(*(SAMPLES[part] for part in needed)).partition("?")[0]
    scopes = [{"type": "http", "method": method, "path": path, "headers": []} for method in ("GET", "POST")]
    routes = [route for route in ROUTES if any(route.matches(scope)[0] is Match.FULL for scope in scopes)]
    literal = [part for part in routes[0].path.split("/") if part and "{" not in part]
    # A pattern of parameters alone takes other spellings.
    assert literal or routes[0].path == "/{model}", f"{path} is the address of no route"


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("/tiny/heads/5.1", "/tiny/heads/L5H1"),
        ("/tiny/heads/H5.1", "/tiny/heads/L5H1"),
        ("/tiny/heads/a5.h1", "/tiny/heads/L5H1"),
        ("/tiny/heads/L5.H1", "/tiny/heads/L5H1"),
        ("/tiny/heads/l5h1", "/tiny/heads/L5H1"),
        ("/tiny/heads/5/1", "/tiny/heads/L5H1"),
        ("/tiny/head/5/1", "/tiny/heads/L5H1"),
        ("/tiny/heads/5.1?rank=fve", "/tiny/heads/L5H1?rank=fve"),
        ("/tiny/features/5/35744", "/tiny/features/L5F35744"),
        ("/tiny/features/l5f35744", "/tiny/features/L5F35744"),
        ("/tiny/5-att-kk/35744", "/tiny/features/L5F35744"),
        ("/tiny/5-gemmascope-att-16k/7", "/tiny/features/L5F7"),
    ],
)
def test_other_spellings_redirect(client: TestClient, asked: str, path: str) -> None:
    response = client.get(asked)
    assert (response.status_code, response.headers["Location"]) == (308, path)


@pytest.mark.parametrize(
    "asked", ["/tiny/head/5/x", "/tiny/5-att-kk/x", "/tiny/att-kk/5", "/tiny/heads", "/tiny/head"]
)
def test_what_is_no_spelling_is_not_found(client: TestClient, asked: str) -> None:
    assert client.get(asked).status_code == 404
