"""Documents of a corpus: how they are kept, found by a position, and named."""

import numpy as np
import pytest

from app.domain.documents import CorpusText, Document, DocumentStart
from app.domain.records import Json


@pytest.mark.parametrize("start", [DocumentStart(1, 0, 12), DocumentStart(7, 2, 1, "guide/a.md")])
def test_a_start_survives_json(start: DocumentStart) -> None:
    assert DocumentStart.from_json(start.as_json()) == start


@pytest.mark.parametrize("values", [None, [], [1, 2], [1, 0, "a"], [1, 0, 1, None], {"position": 1}])
def test_what_is_no_start_is_refused(values: Json) -> None:
    with pytest.raises(ValueError, match="does not say where a document starts"):
        DocumentStart.from_json(values)


def test_a_position_is_in_the_last_document_that_starts_before_it() -> None:
    starts = (DocumentStart(1, 1, 3), DocumentStart(4, 0, 7, "b"))
    text = CorpusText(np.arange(6, dtype=np.int32), starts, ("a.jsonl", "c"))
    third, seventh = Document("c", 3), Document("a.jsonl", 7, "b")
    assert [text.document_at(position) for position in range(6)] == [
        None,
        third,
        third,
        third,
        seventh,
        seventh,
    ]
    assert CorpusText(np.arange(6, dtype=np.int32)).document_at(3) is None


@pytest.mark.parametrize(
    ("document", "label"),
    [
        (Document("prose.jsonl", 12), "prose 12"),
        (Document("Skylion007/openwebtext", 3), "openwebtext 3"),
        (Document("texts.v2.jsonl.zst", 3), "texts.v2 3"),
        (Document("guide", 3, "intro/a.md"), "guide intro/a.md"),
    ],
)
def test_a_label_is_short(document: Document, label: str) -> None:
    assert document.label == f"{document.source} {document.place}" == label
