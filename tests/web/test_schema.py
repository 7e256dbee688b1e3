"""The JSON twins: the core that others build on, strictness, and agreement with the published schema."""

import json
import math
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from pydantic_core import PydanticSerializationError
from starlette.testclient import TestClient

from app.domain.refs import FeatureRef, HeadRef
from app.services.reading.fields import HTML_ONLY, described_fields
from app.services.reading.page_json import page_json
from app.web.schema import described_types, documents, page_schemas
from tests.support.json_schema import check, refuse
from tests.support.pages import JSON_PAGES
from tests.support.run_data import StoredRun


@pytest.mark.parametrize(("path", "name"), JSON_PAGES.items())
def test_twins_are_strict_and_match_their_schema(client: TestClient, path: str, name: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    value = json.loads(response.text, parse_constant=refuse)
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    assert check(value, {"$ref": f"#/components/schemas/{name}"}, schemas) == []
    assert check({**value, "surplus": 1}, {"$ref": f"#/components/schemas/{name}"}, schemas) != []


def test_a_page_without_a_schema_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"Axis has no schema: add it, .* to PATHS of app\.web\.schema"):
        documents(type("Axis", (), {}))


def test_the_core_of_a_head(client: TestClient, run: StoredRun) -> None:
    value = client.get("/tiny/heads/L0H1.json?rank=fve&k=4").json()
    ref = HeadRef(0, 1)
    head = next(head for head in run.heads if head.ref == ref)
    assert (value["model"], value["head"], value["rank"]) == ("tiny", "L0H1", "fve")
    assert value["run"]["fingerprint"] == run.record.fingerprint
    assert value["run"]["n_tokens"] == run.record.n_tokens
    assert value["scores"] == pytest.approx(head.scores)
    assert [item["feature"] for item in value["features"]] == [
        str(place.ref) for place in run.rankings[ref, "fve"].features[:4]
    ]
    for rank, item in enumerate(value["features"], 1):
        record = run.features[FeatureRef.parse(item["feature"])]
        assert record.fve_active is not None
        assert item["rank"] == rank
        assert item["decoder_weight_share"] == pytest.approx(record.decoder_weight_share[1])
        assert item["decoder_weight_norm"] == pytest.approx(record.decoder_weight_norm[1])
        assert item["density"] == record.density
        assert item["max_activation"] == record.max_activation
        assert set(item["fve"]) == {"active", "all"}
        assert item["fve"]["active"]["covariance_share"] == pytest.approx(
            record.fve_active.covariance_share[1]
        )
        assert set(item["fve"]["all"]) == {"covariance_share", "residual", "r_squared"}
        assert [part["token_id"] for part in item["promoted"]] == record.promoted.token_id.tolist()
        assert set(item["suppressed"][0]) == {"token_id", "text", "logit"}
        n = record.evidence.n_examples
        assert item["evidence"] == {kind: counts[1] / n for kind, counts in record.evidence.counts.items()}


def test_the_examples_of_a_head(client: TestClient, run: StoredRun) -> None:
    for item in client.get("/tiny/heads/L0H1.json").json()["features"]:
        record = run.features[FeatureRef.parse(item["feature"])]
        stored = record.examples
        assert stored is not None
        assert len(item["examples"]) == len(stored)
        names = [group.name for group in record.groups for _ in range(group.start, group.stop)]
        for i, (example, group) in enumerate(zip(item["examples"], names, strict=True)):
            assert example["group"] == group
            assert example["sequence"] == stored.sequence[i]
            assert example["position"] == stored.position[i]
            assert example["activation"] == pytest.approx(stored.activation[i])
            assert example["head_contribution"] == pytest.approx(stored.head_contribution[i, 1])
            assert example["source_position"] == stored.source[i, 1, 0]
            assert example["source_dfa"] == pytest.approx(stored.dfa[i, 1, 0])
            assert example["prefix_length"] == stored.prefix_length[i, 1]
            assert example["residual"] == pytest.approx(stored.residual[i])


def test_b23_a_dead_feature_has_nulls_not_numbers(client: TestClient) -> None:
    value = client.get("/tiny/features/L2F80.json").json()
    assert value["n_active"] == 0
    assert value["groups"] == []
    assert value["evidence"] == {}
    assert all(head["fve"] == {"active": None, "all": None} for head in value["heads"])


def test_twins_redirect_to_the_canonical_name(client: TestClient) -> None:
    for name in ("0.1", "H0.1", "a0.h1", "l0h1"):
        response = client.get(f"/tiny/heads/{name}.json?k=3")
        assert (response.status_code, response.headers["Location"]) == (308, "/tiny/heads/L0H1.json?k=3")


@dataclass(frozen=True)
class _Numbers:
    values: tuple[float, ...]
    counts: dict[str, int]
    head: HeadRef | None = None
    drawn: Annotated[object, "Of the drawing alone", HTML_ONLY] = None


@dataclass(frozen=True)
class _Unwritable:
    value: set[int]


def test_numbers_references_and_fields_of_the_drawing() -> None:
    page = _Numbers((math.nan, math.inf, -math.inf, 1.5), {"n": 2}, HeadRef(1, 2), object())
    assert page_json(page) == b'{"values":[null,null,null,1.5],"counts":{"n":2},"head":"L1H2"}'


def test_values_without_json_form_are_errors() -> None:
    with pytest.raises(TypeError, match=r"set\[int\] has no JSON"):
        page_json(_Unwritable({1, 2}))
    unknown: Any = object()
    with pytest.raises(PydanticSerializationError, match="object has no JSON form"):
        page_json(_Numbers((unknown,), {}))


def test_schemas_of_the_pages() -> None:
    schemas = page_schemas()
    assert list(schemas) == [page.__name__ for page in described_types()]
    head = schemas["HeadPage"]["properties"]
    assert head["head"] == {"type": "string", "pattern": r"^L\d+H\d+$", "description": "The head"}
    assert "annotation" not in head


def test_every_documented_field_has_help() -> None:
    ours = [page for page in described_types() if page.__module__.startswith("app.services")]
    assert len(ours) > 15
    assert not [
        (page.__name__, part.name) for page in ours for part in described_fields(page) if not part.help
    ]


@dataclass(frozen=True)
class _References:
    head: Annotated[HeadRef | None, "A head, or none"]
    either: Annotated[HeadRef | FeatureRef | None, "A head, a feature or none"]


def test_a_reference_that_is_not_there_is_null_and_no_text() -> None:
    assert page_json(_References(None, None)) == b'{"head":null,"either":null}'
    assert page_json(_References(HeadRef(1, 2), FeatureRef(1, 7))) == b'{"head":"L1H2","either":"L1F7"}'
