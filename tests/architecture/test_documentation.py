"""Documents: links lead somewhere, make targets and modules exist, decisions are numbered."""

import re
import tomllib

import pytest

from app.domain.numbers import FeatureNumbers, HeadNumbers, field_types
from app.services.features.models import HeadShare
from tests.support.repository import DOCUMENTS, ROOT, relative

LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(markdown: str) -> set[str]:
    """The anchors of the headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", markdown), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken_links(document, text: str) -> list[str]:
    broken = []
    for link in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            broken.append(link)
    return broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_links_resolve(document):
    assert broken_links(document, document.read_text("utf-8")) == []


def test_a_broken_link_is_found():
    text = "[a](LICENSE) [b](no-such.md) [c](docs/operating.md#migrations) [d](docs/operating.md#no-such) [e](#x)"
    assert broken_links(ROOT / "README.md", text) == ["no-such.md", "docs/operating.md#no-such", "#x"]


def test_every_document_can_be_reached_from_the_readme():
    reached, todo = set(), [ROOT / "README.md"]
    while todo:
        document = todo.pop()
        if document in reached:
            continue
        reached.add(document)
        links = [link.partition("#")[0] for link in LINK.findall(document.read_text("utf-8"))]
        todo += [
            (document.parent / link).resolve() for link in links if link.endswith(".md") and ":" not in link
        ]
    assert set(DOCUMENTS) <= reached


def test_decisions_are_numbered_and_have_a_status():
    decisions = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    index = (ROOT / "docs" / "decisions" / "README.md").read_text("utf-8")
    assert len(decisions) >= 3
    for number, path in enumerate(decisions, start=1):
        assert re.fullmatch(rf"{number:04}-[a-z0-9-]+\.md", path.name)
        text = path.read_text("utf-8")
        assert text.startswith(f"# {number}. ")
        assert re.search(r"^Status: (proposed|accepted|superseded)", text, re.MULTILINE)
        assert "\n## Why this needed a decision\n" in text
        assert "\n## What was decided\n" in text
        assert f"| {number} | [{text.partition('. ')[2].partition(chr(10))[0]}]({path.name})" in index


def test_the_make_targets_that_documents_name_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for document in DOCUMENTS:
        code = re.findall(r"`[^`\n]+`|^```.*?^```", document.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        named = {name for part in code for name in re.findall(r"(?:^|`|\s)make ([a-z-]+)", part)}
        assert named <= targets, relative(document)


def test_the_changelog_has_a_place_for_the_next_release():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1:] == [] or version in headings[1]


def test_the_modules_and_functions_that_the_walks_name_exist():
    walks = (ROOT / "docs" / "architecture.md").read_text("utf-8").partition("## Four walks")[2]
    named = re.findall(r"`([a-z_]+(?:/[a-z_]+)+)(?:\.(\w+))?`", walks)
    assert len(named) > 30
    missing = [f"{module}.{name}" for module, name in named if not _defines(module, name)]
    assert missing == []
    assert not _defines("precompute/shard", "no_such_function")
    assert not _defines("precompute/no_such_module", "")


def _defines(module: str, name: str) -> bool:
    """Whether app/`module` is a package or a module, and defines the class or function `name`, if one is given."""
    path = ROOT / "app" / module
    if not name:
        return path.is_dir() or path.with_suffix(".py").is_file()
    source = path.with_suffix(".py")
    return (
        source.is_file() and re.search(rf"^(def|class) {name}\b", source.read_text("utf-8"), re.M) is not None
    )


def test_every_declared_number_has_a_row_with_its_formula():
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs" / "statistics.md").read_text("utf-8"), re.MULTILINE)
    documented = {word.strip(" `") for row in rows for word in re.split("[,()]", row)}
    for numbers in (FeatureNumbers, HeadNumbers, HeadShare):
        for name, hint in field_types(numbers).items():
            if hint.__origin__ in (int, float, int | None, float | None):
                assert {name, name.replace("_", " ")} & documented, name
