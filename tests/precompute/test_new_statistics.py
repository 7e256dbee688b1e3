"""A statistic that is new in this version: what an earlier one counted without it is counted again."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from app.precompute import partial_files
from app.precompute.partial_files import SealedHeader, write_sealed
from app.precompute.prepare import prepare
from app.precompute.work_folder import WorkFolder
from app.statistics.feature_partial import FeaturePartial, FeatureShape
from app.statistics.leaves import Count, Shards
from tests.support.tiny_jobs import make_tiny


@dataclass(frozen=True, eq=False)
class LaterPartial(FeaturePartial):
    """The statistics of a later version."""

    n_late: Count


def test_a_sealed_file_without_it_is_counted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = {**partial_files._CLASSES, "FeaturePartial": LaterPartial}
    monkeypatch.setattr(partial_files, "_CLASSES", later)
    plan = prepare(make_tiny(tmp_path).request())[0].plan
    folder = WorkFolder(tmp_path / "work")
    folder.start(plan, new_run=False)
    unit, other = plan.units(10)[:2]
    partial = FeaturePartial.empty(plan.fingerprint, FeatureShape(5, 2, 4), 0, Shards.of(0))
    for each, partials in ((unit, {"layer.0": partial}), (other, {})):
        write_sealed(folder.sealed_path(each), SealedHeader(plan.fingerprint, (0,)), partials)
    assert folder.finished(plan, [unit, other]) == ([other], [folder.sealed_path(unit).name])
    assert not folder.sealed_path(unit).exists()
