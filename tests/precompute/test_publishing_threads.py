"""However many threads make the records of a run, its rows are the same."""

from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import pytest

from app.precompute import finalize, publish
from app.precompute.side_by_side import in_turn
from tests.support.tiny_jobs import digest_of, make_tiny, run


@pytest.mark.parametrize("features", ["all", "top"])
def test_rows_do_not_depend_on_the_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, features: str
) -> None:
    monkeypatch.setattr(finalize, "_AT_ONCE", 5)
    tiny = make_tiny(tmp_path / "tiny")
    run(tiny, str(tmp_path / "one.sqlite"), work_dir=tmp_path / "one", features=features)
    n_made: list[int] = []

    def three(pieces: Iterable[Callable[[], Any]], device: str, n_threads: int) -> Generator[Any]:
        assert n_threads == 1
        for made in in_turn(pieces, device, 3):
            n_made.append(len(made[0]))
            yield made

    monkeypatch.setattr(publish, "in_turn", three)
    run(tiny, str(tmp_path / "three.sqlite"), work_dir=tmp_path / "three", features=features)
    assert len(n_made) > 4  # parts of two layers
    assert max(n_made) == 5
    assert digest_of(tmp_path / "three.sqlite") == digest_of(tmp_path / "one.sqlite")
