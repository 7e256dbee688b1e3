"""JSON schemas and documentation of the pages' JSON, generated from the page dataclasses."""

from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from functools import cache
from typing import Annotated, Literal, get_args, get_origin

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import DefsRef, GenerateJsonSchema
from pydantic_core.core_schema import LiteralSchema, WithDefaultSchema

from app.domain.records import Json
from app.domain.refs import FeatureRef, HeadRef, LabelledRef
from app.services.about import AboutPage
from app.services.annotations.models import HeadRecordsPage, HistoryPage, NotesPage
from app.services.atlas.models import AtlasPage, IndexPage
from app.services.compare.models import ComparePage
from app.services.experiments.models import ExperimentPage, ExperimentsPage
from app.services.features.models import FeaturePage, LayerPage
from app.services.heads.attention_models import AttentionPage
from app.services.heads.models import HeadPage
from app.services.prompts.models import PromptPage
from app.services.reading.fields import FieldHelp, described_fields
from app.services.reading.page_json import page_schema
from app.services.search.models import SearchPage
from app.services.sheet.models import AgreementPage, AnnotatedLayersPage, PublishedPage
from app.services.sheet.publication_models import PublicationPage
from app.web.answers import describe_answers

JsonObject = dict[str, Json]


@dataclass(frozen=True)
class FieldRow:
    name: Annotated[str, "Name in the JSON"]
    kind: Annotated[str, "Its type, in words"]
    help: Annotated[str, "What it holds"]


@dataclass(frozen=True)
class TypeHelp:
    name: Annotated[str, "Name of the type"]
    path: Annotated[str | None, "Address, for a type that is a page"]
    summary: Annotated[str, "What it is, where its name does not say so"]
    fields: Annotated[tuple[FieldRow, ...], "Its fields"]


@dataclass(frozen=True)
class DocsPage:
    types: Annotated[tuple[TypeHelp, ...], "Pages first, then the parts they are made of"]


PATHS: dict[type, str] = {
    IndexPage: "/atlases.json",
    AtlasPage: "/{model}.json?score=",
    HeadPage: "/{model}/heads/L5H1.json?rank=&k=",
    AttentionPage: "/{model}/heads/L5H1/attention.json?group=&example=",
    FeaturePage: "/{model}/features/L5F35744.json?head=",
    LayerPage: "/{model}/layers/5.json?after=",
    ComparePage: "/{model}/compare.json?heads=L5H1,L5H5&rank=",
    SearchPage: "/{model}/search.json?q=",
    HeadRecordsPage: "/{model}/heads/L5H1/annotation.json",
    HistoryPage: "/{model}/heads/L5H1/history.json?annotator=&below=",
    NotesPage: "/{model}/features/L5F35744/notes.json",
    ExperimentsPage: "/{model}/experiments.json",
    ExperimentPage: "/{model}/experiments/{id}.json?heads=&threshold=&mode=&definition=&tokens=",
    PromptPage: "/{model}/prompt.json?text=&head=L5H1&feature=&dest=",
    AboutPage: "/about.json",
    AgreementPage: "/{model}/agreement.json",
    AnnotatedLayersPage: "/{model}/layers.json?by=",
    PublishedPage: "/{model}/published.json?by=",
    PublicationPage: "/{model}/annotations/publish.json?by=&page=",
}


class _PageSchema(GenerateJsonSchema):
    """pydantic's schemas without titles, defaults (every field is present) and types of enums."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002
        return False

    def field_is_required(self, field: object, total: bool) -> bool:  # noqa: ARG002
        return True

    def default_schema(self, schema: WithDefaultSchema) -> JsonObject:
        return self.generate_inner(schema["schema"])

    def literal_schema(self, schema: LiteralSchema) -> JsonObject:
        return {"enum": list(schema["expected"])}


def json_fields(page: type) -> list[FieldHelp]:
    """The fields of a page dataclass that its JSON has."""
    return [part for part in described_fields(page) if part.in_json]


@cache
def page_schemas() -> dict[str, JsonObject]:
    """The schemas of all pages and their parts by name, with the help text of each field."""
    generator = _PageSchema(ref_template="#/components/schemas/{model}")
    _, generated = generator.generate_definitions(
        [(page, "serialization", page_schema(page)) for page in PATHS]
    )
    schemas: dict[str, JsonObject] = {}
    for page in described_types():
        properties = generated[DefsRef(page.__name__)]["properties"]
        for part in json_fields(page):
            if part.help:
                properties[part.name]["description"] = part.help
        schemas[page.__name__] = {"type": "object", "properties": properties, "required": list(properties)}
    return schemas


def _parts(hint: object) -> Iterator[type]:
    if hint in _WORDS:
        return
    if is_dataclass(hint) and isinstance(hint, type):
        yield hint
    for argument in get_args(hint):
        yield from _parts(argument)


@cache
def described_types() -> tuple[type, ...]:
    """All pages and the types of their parts, without duplicates."""
    types = list(PATHS)
    for page in types:  # grows while it is walked
        for field in json_fields(page):
            types.extend(part for part in _parts(field.hint) if part not in types)
    return tuple(types)


def documents(page: type) -> dict[int | str, dict[str, object]]:
    """The OpenAPI description of a route's response. Raises ValueError for a page that has no schema yet."""
    if page not in PATHS:
        raise ValueError(
            f"{page.__name__} has no schema: add it, with the address of its JSON, to PATHS of {__name__}"
        )
    reference = {"$ref": f"#/components/schemas/{page.__name__}"}
    return {200: {"description": page.__name__, "content": {"application/json": {"schema": reference}}}}


def install_openapi(app: FastAPI) -> None:
    """Add the schemas of the page dataclasses to /openapi.json."""

    def openapi() -> dict[str, object]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
            describe_answers(schema)
            schema["components"]["schemas"] |= page_schemas()
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi


_WORDS: dict[object, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    type(None): "null",
    HeadRef: "text such as L5H1",
    FeatureRef: "text such as L5F35744",
    LabelledRef: "text such as L5F35744, of an example L5H1:12:34",
}


def kind_of(hint: object) -> str:
    """The type in words, for a cell of a table."""
    if hint in _WORDS:
        return _WORDS[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (tuple, list):
        return f"list of {kind_of(arguments[0])}"
    if origin is dict:
        return f"object of {kind_of(arguments[1])}"
    if origin is Literal:
        return " or ".join(str(argument) for argument in arguments)
    return " or ".join(kind_of(argument) for argument in arguments) or getattr(hint, "__name__", str(hint))


@cache
def docs_page() -> DocsPage:
    return DocsPage(
        tuple(
            TypeHelp(
                name=page.__name__,
                path=PATHS.get(page),
                summary="" if (page.__doc__ or "").startswith(f"{page.__name__}(") else page.__doc__ or "",
                fields=tuple(
                    FieldRow(part.name, kind_of(part.hint), part.help) for part in json_fields(page)
                ),
            )
            for page in described_types()
        )
    )
