"""The Dockerfile and compose.yaml, without a container engine: what they install, open and keep secret."""

import re
from fnmatch import fnmatch

import pytest
import yaml

from tests.support.repository import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """(instruction, rest) in order, continued lines joined, comments dropped."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [
        (word, rest.strip())
        for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)
    ]


def stages() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for instruction, rest in instructions(DOCKERFILE):
        if instruction == "FROM":
            found[rest.partition(" AS ")[2]] = [(instruction, rest)]
        else:
            list(found.values())[-1].append((instruction, rest))
    return found


def all_of(stage: str, instruction: str) -> list[str]:
    return [rest for word, rest in stages()[stage] if word == instruction]


def test_there_is_an_image_for_each_half():
    assert list(stages()) == ["wheel", "server", "precompute"]
    assert all_of("server", "FROM") == ["python:3.11-slim AS server"]
    assert all_of("precompute", "FROM") == ["server AS precompute"]


def test_the_server_image_has_no_torch():
    runs = " ".join(all_of("server", "RUN"))
    assert "[postgres]" in runs
    assert "torch" not in runs
    assert "precompute" not in runs
    [torch_first] = [run for run in all_of("precompute", "RUN") if "torch" in run]
    assert torch_first.index("'^torch=='") < torch_first.index("[precompute,postgres]")


def test_everything_is_installed_as_locked():
    installs = [
        part
        for stage in stages()
        for run in all_of(stage, "RUN")
        for part in run.split("&&")
        if "pip" in part
    ]
    assert len(installs) >= 5
    for command in installs:
        assert "--no-cache-dir" in command
        assert "constraints.txt" in command or "pip wheel" in command


@pytest.mark.parametrize("stage", ["server", "precompute"])
def test_nothing_runs_as_root(stage):
    assert all_of(stage, "USER")[-1] == "atlas"
    words = [word for word, _ in stages()[stage]]
    last_user = max(index for index, word in enumerate(words) if word == "USER")
    assert "RUN" not in words[last_user:]


def test_the_server_says_whether_it_is_well():
    [check] = all_of("server", "HEALTHCHECK")
    assert "http://127.0.0.1:8000/healthz" in check
    assert "curl" not in check
    assert all_of("server", "EXPOSE") == ["8000"]
    assert all_of("server", "VOLUME") == ["/data"]
    [command] = all_of("server", "CMD")
    assert "head-atlas db upgrade && exec head-atlas serve" in command
    assert "--open-to-network" in command
    assert "--port 8000" in command


def test_images_use_no_secret_and_no_remote_file():
    assert not re.search(r"(?i)password|secret|token|api_key", DOCKERFILE)
    assert not [rest for word, rest in instructions(DOCKERFILE) if word == "ADD"]
    assert ":latest" not in DOCKERFILE


def test_what_is_copied_exists_and_is_not_ignored():
    ignore = [
        line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line[:1] not in ("#", "")
    ]
    assert ignore[0] == "*"
    kept = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    copied = {
        name
        for stage in stages()
        for rest in all_of(stage, "COPY")
        if not rest.startswith("--from")
        for name in rest.split()[:-1]
    }
    assert copied == kept
    assert all((ROOT / name).exists() for name in kept)
    assert any(fnmatch("app/__pycache__", line) for line in ignore[1:])


def test_the_wheels_own_parts_are_copied_to_where_it_is_built():
    from_checkout = {name for rest in all_of("wheel", "COPY") for name in rest.split()[:-1]}
    assert {"app", "frontend", "migrations", "pyproject.toml", "README.md", "LICENSE"} <= from_checkout


def test_a_password_must_be_given():
    text = (ROOT / "compose.yaml").read_text("utf-8")
    uses = re.findall(r"\$\{POSTGRES_PASSWORD[^}]*\}", text)
    assert len(uses) >= 3
    assert set(uses) == {"${POSTGRES_PASSWORD:?set POSTGRES_PASSWORD}"}


def test_services_wait_for_a_healthy_database_that_is_kept():
    services = COMPOSE["services"]
    assert services["postgres"]["image"] == "postgres:16"
    assert "pg_isready" in services["postgres"]["healthcheck"]["test"][1]
    assert services["postgres"]["volumes"] == ["postgres:/var/lib/postgresql/data"]
    assert {"postgres", "work"} == COMPOSE["volumes"].keys()
    for name in ("server", "precompute"):
        assert services[name]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
        assert services[name]["build"]["target"] in stages()
        assert services[name]["environment"]["HEAD_ATLAS_STORE"].endswith("@postgres/head_atlas")
    assert services["precompute"]["profiles"] == ["precompute"]


def test_no_port_is_open_to_other_machines():
    for name, service in COMPOSE["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
