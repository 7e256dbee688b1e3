"""The matrix as the tables of docs/models.md: families, and architectures that have no row among them."""

import re
from collections.abc import Iterable

import transformers
from transformer_lens.factories.architecture_adapter_factory import SUPPORTED_ARCHITECTURES
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from tests.parity.matrix import COMBINATIONS, name_of
from tests.support.model_families import FAMILIES, model_class
from tests.support.repository import ROOT

PAGE = ROOT / "docs" / "models.md"
HEAD = ("family", *(name_of(*each) for each in COMBINATIONS), "withheld, and why")
BUILT, UNBUILT = "families", "architectures"  # the marks about the tables
NO_CLASS = "transformers has no such class: its code comes with the checkpoint, and is not run"
NOT_MEASURED = (
    "not measured: transformers' AutoModelForCausalLM does not build it, and no tiny model of it is made here"
)
NO_TEXT = "refused: no language model, it has no tokenizer"
NO_TEXT_NAMES = re.compile(
    "^(ViT|DeiT|Hubert|AST)[A-Z]"
)  # as tests/adapters/test_other_models.py has them refused
OTHER_CLASS = "another class of a family above, by the same adapter"
OTHER_NAME = "another name of a family above, that no configuration of transformers has"


def unbuilt() -> list[tuple[str, str]]:
    """Architectures that TransformerLens names and the matrix lacks, each with the reason."""
    built = {model_class(family).__name__ for family in FAMILIES}
    adapters = {SUPPORTED_ARCHITECTURES[name] for name in built if name in SUPPORTED_ARCHITECTURES}
    decoders = set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values())
    rows = []
    for name in sorted(set(SUPPORTED_ARCHITECTURES) - built):
        if NO_TEXT_NAMES.match(name):
            reason = NO_TEXT
        elif hasattr(transformers, name) and SUPPORTED_ARCHITECTURES[name] in adapters:
            reason = OTHER_CLASS
        elif hasattr(transformers, name):
            reason = "no tiny model of it is made here" if name in decoders else NOT_MEASURED
        else:
            reason = OTHER_NAME if SUPPORTED_ARCHITECTURES[name] in adapters else NO_CLASS
        rows.append((f"`{name}`", reason))
    return rows


def drawn(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def committed(mark: str) -> list[tuple[str, ...]]:
    """The rows of a table as the page has it, without its head."""
    lines = _between(PAGE.read_text(), mark).strip().splitlines()[2:]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]


def with_table(page: str, mark: str, table: str) -> str:
    """The page with another table between its marks."""
    return page.replace(_between(page, mark), f"\n{table}\n")


def _between(page: str, mark: str) -> str:
    found = re.search(rf"<!-- {mark} -->(.*?)<!-- end of {mark} -->", page, re.DOTALL)
    if found is None:
        raise ValueError(f"{PAGE} has no marks of {mark}")
    return found[1]
