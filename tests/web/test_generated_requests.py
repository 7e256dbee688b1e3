"""Generated requests to every documented address: each answer is one that /openapi.json describes."""

import json
import random
from collections import Counter
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from tests.support.annotated_site import team_of
from tests.support.counts import count
from tests.support.json_schema import check, refuse
from tests.support.logins import logged_in, visitor

PROBLEM = "application/problem+json"
# What fits a parameter, by its name; others get words.
FITTING = {
    "model": ["tiny"],
    "head": ["L0H1", "L2H3", "0.1", "a1.h2", "L9H9", "all"],
    "feature": ["L0F3", "L2F80", "L0F999999", "3"],
    "layer": ["0", "2", "9"],
    "heads": ["L0H1", "L0H1,L1H0", "L0H1,L0H1", ","],
    "experiment": ["0" * 16, "none"],
    "file_format": ["csv", "json", "xlsx", "parquet", "md", "tex", "pdf"],
    "rank": ["fve", "decoder_weight"],
    "order": ["score", "layer"],
    "colour": ["type", "score"],
    "status": ["draft", "submitted"],
    "type": ["induction", "polysemantic"],
    "role": ["induction", "copying"],
    "q": ['promotes:" of"', "evidence:copying", "score:entropy<2", "L0H1", "layer:0-2 role:induction", '"'],
    "columns": ["head", "head,notes", "roles"],
    "sort": ["head", "-annotator", "notes"],
    "annotator": ["ada", "ben", "nobody"],
    "by": ["ada", "ben", "nobody"],
    "text": ["a b c", "x" * 3000],
}
ODD = (
    *(
        "",
        " ",
        "0",
        "-1",
        "1",
        "00",
        "2147483647",
        "2147483648",
        "9" * 30,
        "1e999",
        "NaN",
        "Infinity",
        "-0.0",
    ),
    *(
        "٣",
        "５",
        "true",
        "null",
        "[]",
        "{}",
        "a" * 300,
        "é",
        "\u202e",
        "\x00",
        "\x07",
        "\n",
        "\ufffe",
        "\u200d",
    ),
    *(
        "'",
        '"',
        "\\",
        "%",
        "%00",
        "%ud800",
        "../..",
        "..%2f",
        "/",
        "//evil.example",
        "?",
        "#",
        "&",
        ";",
        "a;b",
    ),
    *(
        "<script>",
        "{{7*7}}",
        "' OR 1=1 --",
        "NEAR(",
        "*",
        "^",
        "col:x",
        "L0H",
        "H1",
        "L0H1L0H1",
        "L-1H0",
        "L0H1 ",
    ),
    *("l0h1", "L00H01", "L0F", "promotes:", "score:", "score:entropy<", "layer:9-1", "role:"),
)


class Generator:
    """Requests by a seed: mostly what fits, with odd values, missing, doubled and unknown parameters among them."""

    def __init__(self, openapi, seed):
        self.random = random.Random(seed)
        self.operations = [
            (path, operation) for path, item in openapi["paths"].items() for operation in item.values()
        ]

    def value(self, name):
        fitting = FITTING.get(name, ["0", "1", "5", "0.5", "x"])
        chosen = self.random.random()
        if chosen < 0.6:
            return self.random.choice(fitting)
        if chosen < 0.95:
            return self.random.choice(ODD)
        return "".join(chr(self.random.choice((33, 47, 127, 255, 0x2028, 0xFFFD)) + i) for i in range(5))

    def request(self):
        path, operation = self.random.choice(self.operations)
        address, query = path, []
        for parameter in operation.get("parameters", []):
            name = parameter["name"]
            if parameter["in"] == "path":
                value = "tiny" if name == "model" and self.random.random() < 0.9 else self.value(name)
                address = address.replace(f"{{{name}}}", quote(value, safe="") or "%20")
            elif self.random.random() < 0.5:
                query += [(name, self.value(name))] * self.random.choice((1, 1, 1, 2))
        if self.random.random() < 0.05:
            query.append(("unknown", self.value("unknown")))
        sent = "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in query)
        headers = {
            name: self.random.choice(values)
            for name, values in (
                ("HX-Request", ("true", "x")),
                ("If-None-Match", ("*", '"x"', 'W/"')),
                ("Accept", ("*/*", "text/html", "x")),
            )
            if self.random.random() < 0.1
        }
        return path, operation, f"{address}?{sent}" if sent else address, headers


def faults(response, operation, schemas):
    """What of the answer is not as described."""
    described = operation["responses"].get(str(response.status_code))
    if described is None:
        return f"status {response.status_code} is not described"
    if response.status_code == 500:
        return "a mistake of the server"
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    contents = described.get("content", {})
    if media_type not in contents and (contents or response.content):
        return f"{response.status_code} as {media_type} is not described"
    schema = contents.get(media_type, {}).get("schema", {})
    if media_type in ("application/json", PROBLEM) and "$ref" in schema:
        value = json.loads(response.text, parse_constant=refuse)
        if wrong := check(value, schema, schemas):
            return f"not of its schema: {wrong[0]}"
        if media_type == PROBLEM and value["status"] != response.status_code:
            return "the problem is of another status"
    return ""


def sweep(clients, n, seed):
    openapi = clients[0].get("/openapi.json").json()
    generator, schemas = Generator(openapi, seed), openapi["components"]["schemas"]
    found, statuses, asked = [], Counter(), set()
    for number in range(n):
        path, operation, address, headers = generator.request()
        response = clients[number % len(clients)].get(address, headers=headers)
        statuses[response.status_code] += 1
        count("generated requests")
        asked.add(path)
        if fault := faults(response, operation, schemas):
            found.append(f"{path}: {fault}: {address} {headers}")
    return found, statuses, asked == set(openapi["paths"])


@pytest.mark.parametrize(
    "n", [600, pytest.param(2_000, marks=pytest.mark.slow), pytest.param(10_000, marks=pytest.mark.sweep)]
)
def test_e20_e24_every_answer_is_described(client, n):
    found, statuses, all_asked = sweep([client], n, seed=n)
    assert found == []
    assert all_asked
    assert {200, 304, 404, 422} <= set(statuses)


@pytest.mark.parametrize(
    "n", [300, pytest.param(1_000, marks=pytest.mark.slow), pytest.param(3_000, marks=pytest.mark.sweep)]
)
def test_every_answer_of_a_team_is_described(store, n):
    app = team_of(store)
    with visitor(app) as nobody, logged_in(app, "ada") as ada, logged_in(app, "ben") as ben:
        found, statuses, all_asked = sweep([ada, ben, nobody], n, seed=n)
    assert found == []
    assert all_asked
    assert {200, 401, 404, 422} <= set(statuses)


def test_the_guards_answers_are_described(client: TestClient) -> None:
    openapi = client.get("/openapi.json").json()
    operation, schemas = openapi["paths"]["/{model}.json"]["get"], openapi["components"]["schemas"]
    for response, status in (
        (client.get("/tiny.json", headers={"Host": "evil.example"}), 400),
        (client.request("GET", "/tiny.json", content=b"x" * (2**20 + 1)), 413),
        (client.get("/none.json"), 404),
    ):
        assert (response.status_code, faults(response, operation, schemas)) == (status, "")
    assert client.post("/tiny.json").status_code == 405
    assert client.post("/tiny.json").headers["Allow"] == "GET"


def test_the_schema_itself_is_whole(client: TestClient) -> None:
    text = client.get("/openapi.json").text
    openapi = json.loads(text)
    named = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(openapi["components"]["schemas"])
    assert "HTTPValidationError" not in text
    assert not [path for path in openapi["paths"] if "?" in path]
