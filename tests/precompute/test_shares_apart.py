"""A14: shares in work folders of their own, as the tasks of a SLURM array have them, gathered by `cp`."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

import app.precompute.executors
from app.precompute.request import RunOptions
from tests.support.repository import ROOT
from tests.support.stopped_jobs import sealed_files
from tests.support.tiny_jobs import SLUG, digest_of, make_tiny, run

N_SHARES = 3
GATHER = "cp --link {shares}/*/{slug}/sealed/{{features,scores}}-* {work}/{slug}/sealed"


def test_a14_shares_of_an_array_are_gathered_and_published_without_computing_anything_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = make_tiny(tmp_path, k=6)
    run(tiny, str(tmp_path / "whole.sqlite"), work_dir=tmp_path / "whole")
    (tmp_path / "shares").mkdir()
    for task in range(N_SHARES):
        folder = tmp_path / "shares" / str(task)
        run(tiny, f"{folder}.sqlite", RunOptions(shard=(task, N_SHARES)), work_dir=folder)
    gather = GATHER.format(shares=tmp_path / "shares", slug=SLUG, work=tmp_path / "work")
    (tmp_path / "work" / SLUG / "sealed").mkdir(parents=True)
    subprocess.run(["bash", "-c", gather], check=True)

    def refuse(_run: Any, unit: Any) -> Path:
        raise AssertionError(f"{unit} is computed again")

    monkeypatch.setattr(app.precompute.executors, "run_unit", refuse)
    run(tiny, str(tmp_path / "store.sqlite"), work_dir=tmp_path / "work")
    assert digest_of(tmp_path / "store.sqlite") == digest_of(tmp_path / "whole.sqlite")
    assert sealed_files(tmp_path / "work") == sealed_files(tmp_path / "whole")


def test_the_documents_gather_as_the_test_does() -> None:
    gather = GATHER.format(shares="/shared/shares", slug="gpt2", work="/shared/work")
    assert gather in (ROOT / "docs" / "scale.md").read_text("utf-8")
