"""What the process that reads a sheet answers: rows as JSON, or one sentence why there are none."""

import pytest

from app.services.sheet import reading_worker
from app.services.sheet.reading_worker import TOO_MUCH, answer


def test_rows_come_with_their_numbers() -> None:
    assert answer(b"head,annotator,notes\nL5H1,ada,one\nL5H2,ben,two\n", "csv") == {
        "heads": [
            [2, {"head": "L5H1", "annotator": "ada", "notes": "one"}],
            [3, {"head": "L5H2", "annotator": "ben", "notes": "two"}],
        ],
        "notes": [],
    }


def test_a_file_that_is_no_sheet_is_one_sentence() -> None:
    said = answer(b"{", "json")
    assert list(said) == ["error"]
    assert "JSON" in said["error"]


@pytest.mark.parametrize(("limit", "n"), [("MAX_CELLS", 5), ("MAX_LETTERS", 10)])
def test_more_cells_or_letters_than_a_server_takes_are_too_much(
    limit: str, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_worker, limit, n)
    assert answer(b"head,annotator,notes\nL5H1,ada,one\nL5H2,ben,two\n", "csv") == {"error": TOO_MUCH}


def test_a_file_that_takes_all_memory_is_told_as_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_sheet(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(reading_worker, "read_sheet", read_sheet)
    assert answer(b"", "csv") == {"error": TOO_MUCH}
