"""Pages of errors: whole sentences, in which names and paths keep their case."""

import json

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.testclient import TestClient

from app.errors import AppError, InvalidStore, StoreBusy
from app.web.error_pages import on_app_error
from tests.support.soups import only, soup


def _request(app: FastAPI, path: str) -> Request:
    return Request(
        {"type": "http", "app": app, "method": "GET", "path": path, "query_string": b"", "headers": []}
    )


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InvalidStore("/Data/Atlas.sqlite is damaged"), "/Data/Atlas.sqlite is damaged."),
        (InvalidStore("myAtlas is a folder, not a store file"), "myAtlas is a folder, not a store file."),
        (AppError("atlas is not known to Ada"), "atlas is not known to Ada."),
        (StoreBusy("the store is in use by Other.exe"), "The store is in use by Other.exe."),
        (AppError("Layers are a list such as 5-7."), "Layers are a list such as 5-7."),
    ],
)
def test_names_and_paths_keep_their_case(app: FastAPI, error: AppError, sentence: str) -> None:
    page = on_app_error(_request(app, "/tiny"), error)
    assert only(soup(bytes(page.body).decode()).select(".lead")).text == sentence
    problem = on_app_error(_request(app, "/tiny.json"), error)
    assert json.loads(bytes(problem.body))["detail"] == sentence


def test_a_value_of_the_address_is_told_as_it_was_sent(client: TestClient) -> None:
    page = client.get("/tiny?role=Induction-X")
    assert page.status_code == 422
    assert only(soup(page.text).select(".lead")).text.startswith("'Induction-X' is not a role; roles are")
