"""Sealed files: the same bytes for the same partials, whole or refused, and never half there."""

import errno
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.errors import AppError, OutOfSpace
from app.precompute import partial_files
from app.precompute.partial_files import (
    CorruptPartial,
    SealedHeader,
    open_sealed,
    sweep_temporary,
    write_sealed,
)
from app.statistics.feature_partial import FeatureBatch, FeaturePartial, FeatureShape
from app.statistics.head_partial import SCORE_NAMES, HeadScoreBatch, HeadScorePartial, ScoreSums
from app.statistics.leaves import Count, Shards
from app.statistics.payloads import Payloads
from tests.support.sealed_files import read_sealed

HEADER = SealedHeader("plan-é", (7,), {"tokens_per_second": None, "layers": [1, 2]})


def feature_partial(seed: int) -> FeaturePartial:
    random, n_pairs = np.random.default_rng(seed), 12
    contribution = random.normal(size=(n_pairs, 2)).astype(np.float32)
    batch = FeatureBatch(
        n_tokens=n_pairs,
        token_index=np.arange(n_pairs),
        text=np.arange(n_pairs),
        feature=random.integers(0, 3, n_pairs),
        activation=random.lognormal(size=n_pairs).astype(np.float32),
        pre_activation=contribution.sum(axis=1),
        contribution=contribution,
        z=random.normal(size=(n_pairs, 4)).astype(np.float32),
        squared_error=1.5,
    )
    partial = FeaturePartial.empty(HEADER.plan, FeatureShape(5, 2, 4), seed, Shards.of(7)).update(batch)
    feature, token_index = partial.winners()
    columns = {
        "window": random.normal(size=(len(feature), 3)).astype(np.float16),
        "source": np.arange(len(feature), dtype=np.int16),
        "bos": np.ones(len(feature), dtype=np.bool_),
    }
    return partial.with_payloads(Payloads.of(feature, token_index, columns))


def partials() -> dict[str, FeaturePartial | HeadScorePartial]:
    total = np.random.default_rng(0).uniform(size=(4, 2, 3))
    sums = {name: ScoreSums(total * i, np.ones(4, np.int64)) for i, name in enumerate(SCORE_NAMES)}
    heads = HeadScorePartial.empty(HEADER.plan, 2, 3, Shards.of(7)).update(HeadScoreBatch(**sums))
    empty = FeaturePartial.empty(HEADER.plan, FeatureShape(5, 2, 4), 0, Shards.of(7))
    return {"layer.2": feature_partial(2), "heads": heads, "layer.1": feature_partial(1), "empty": empty}


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    path = tmp_path / "shard-7.sealed"
    write_sealed(path, HEADER, partials())
    return path


def test_what_is_read_is_what_was_written(sealed):
    header, read = read_sealed(sealed)
    assert header == HEADER
    assert read == partials()
    assert list(sealed.parent.iterdir()) == [sealed]


def test_read_partials_go_on_counting(sealed):
    """Their arrays are read-only, so this also shows that neither merge nor update writes to its inputs."""
    _, read = read_sealed(sealed)
    partial = read["layer.1"]
    assert isinstance(partial, FeaturePartial)
    other = replace(feature_partial(1), shards=Shards.of(8))
    assert partial.merge(other) == partials()["layer.1"].merge(other)
    with pytest.raises(ValueError, match="read-only"):
        partial.n_active.total[0] = 1


def test_one_partial_is_read_without_the_others(sealed, monkeypatch):
    decoded = []
    from_array = partial_files._array
    monkeypatch.setattr(partial_files, "_array", lambda *a: decoded.append(a) or from_array(*a))
    _, read = read_sealed(sealed, names=["heads"])
    assert read == {"heads": partials()["heads"]}
    assert len(decoded) == len(partials()["heads"].to_arrays())
    with pytest.raises(KeyError):
        read_sealed(sealed, names=["layer.3"])


def test_bytes_depend_on_nothing_but_the_partials(sealed, tmp_path):
    again = tmp_path / "again"
    write_sealed(again, HEADER, dict(reversed(partials().items())))
    assert again.read_bytes() == sealed.read_bytes()
    # The same values in another memory order and byte order.
    partial = feature_partial(1)
    strange = replace(
        partial,
        payloads=Payloads(
            partial.payloads.key,
            {
                n: np.asfortranarray(c.astype(c.dtype.newbyteorder(">")))
                for n, c in partial.payloads.columns.items()
            },
        ),
    )
    write_sealed(again, HEADER, partials() | {"layer.1": strange})
    assert again.read_bytes() == sealed.read_bytes()


def test_a13_any_flipped_byte_is_found(sealed):
    content, random = sealed.read_bytes(), np.random.default_rng(0)
    ends = [0, len(content) - 1]
    for place in [*ends, *random.choice(len(content), 100, replace=False).tolist()]:
        broken = bytearray(content)
        broken[place] ^= 1 << int(random.integers(8))
        sealed.write_bytes(broken)
        with pytest.raises(CorruptPartial, match=r"shard-7\.sealed is"):
            open_sealed(sealed)


def test_a_file_cut_short_or_grown_is_found(sealed):
    content, random = sealed.read_bytes(), np.random.default_rng(0)
    for length in [0, 1, 16, 24, 56, len(content) - 1, *random.integers(0, len(content), 40).tolist()]:
        sealed.write_bytes(content[:length])
        with pytest.raises(CorruptPartial):
            open_sealed(sealed)
    sealed.write_bytes(content + b"\0")
    with pytest.raises(CorruptPartial, match="damaged"):
        open_sealed(sealed)


def test_a_foreign_file_is_refused(sealed):
    sealed.write_bytes(b"PK\x03\x04" * 100)
    with pytest.raises(CorruptPartial, match="not a sealed partial"):
        open_sealed(sealed)
    assert issubclass(CorruptPartial, AppError)


def test_another_format_version_is_refused(sealed, monkeypatch):
    monkeypatch.setattr(partial_files, "SCHEMA_VERSION", 99)
    with pytest.raises(CorruptPartial, match="another version"):
        open_sealed(sealed)


@pytest.mark.parametrize("read_as", [FeaturePartial, HeadScorePartial])
def test_a_kind_unknown_to_this_version_is_refused(sealed, monkeypatch, read_as):
    monkeypatch.setattr(partial_files, "_CLASSES", {"FeaturePartial": read_as})
    with pytest.raises(CorruptPartial, match="unknown to this version"):
        open_sealed(sealed)


def test_a_file_changed_after_opening_is_found(sealed):
    opened = open_sealed(sealed)
    content = bytearray(sealed.read_bytes())
    content[-33] ^= 255  # the last byte of the last partial, which is padding
    sealed.write_bytes(content)
    with pytest.raises(CorruptPartial, match="changed while"):
        opened.read("layer.2")
    assert opened.read("empty") == partials()["empty"]


def test_a_partial_of_another_plan_or_shard_is_not_sealed(tmp_path):
    for wrong in ({"plan": "other"}, {"shards": Shards.of()}, {"shards": Shards.of(7, 8)}):
        with pytest.raises(ValueError, match="partial one and its file"):
            write_sealed(tmp_path / "x", HEADER, {"one": replace(feature_partial(1), **wrong)})
    assert list(tmp_path.iterdir()) == []


def test_several_shards_merged_are_sealed_too(tmp_path):
    merged = feature_partial(1).merge(replace(feature_partial(1), shards=Shards.of(3)))
    header = SealedHeader(HEADER.plan, (3, 7))
    write_sealed(tmp_path / "x", header, {"one": merged})
    assert read_sealed(tmp_path / "x") == (header, {"one": merged})


def test_text_arrays_are_refused(tmp_path):
    partial = feature_partial(1)
    strings = np.full(len(partial.payloads), "text")
    wrong = replace(partial, payloads=Payloads(partial.payloads.key, {"text": strings}))
    with pytest.raises(TypeError, match=r"payloads\.columns\.text"):
        write_sealed(tmp_path / "x", HEADER, {"one": wrong})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "error"), [(errno.ENOSPC, OutOfSpace), (errno.EDQUOT, OutOfSpace), (errno.EIO, OSError)]
)
def test_a_failing_disk_leaves_the_old_file_alone(sealed, monkeypatch, code, error):
    before = sealed.read_bytes()

    def fail(_descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(error) as caught:
        write_sealed(sealed, HEADER, {"one": feature_partial(3)})
    assert isinstance(caught.value, OutOfSpace) == (code != errno.EIO)
    assert list(sealed.parent.iterdir()) == [sealed]
    assert sealed.read_bytes() == before


def test_a_full_device_is_out_of_space(tmp_path, monkeypatch):
    path = tmp_path / "x"
    monkeypatch.setattr(partial_files, "open_new", lambda _path: Path("/dev/full").open("wb"))  # noqa: SIM115
    with pytest.raises(OutOfSpace, match="no space left"):
        write_sealed(path, HEADER, partials())
    assert list(tmp_path.iterdir()) == []


def test_bytes_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    calls, real_fsync, real_replace = [], os.fsync, Path.replace

    def fsync(descriptor):
        calls.append("directory" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")  # noqa: PTH112
        real_fsync(descriptor)

    def rename(source, target):
        calls.append("rename")
        return real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)
    write_sealed(tmp_path / "x", HEADER, partials())
    assert calls == ["file", "rename", "directory"]


WRITER = """
import os, signal, sys
from pathlib import Path
from app.precompute.partial_files import SealedHeader, write_sealed
from app.statistics.head_partial import HeadScorePartial
from app.statistics.leaves import Shards
left = int(sys.argv[2])
def killing(call):
    def wrapped(*args):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args)
    return wrapped
os.fsync, Path.replace = killing(os.fsync), killing(Path.replace)
partial = HeadScorePartial.empty("new", 1, 1, Shards.of(7))
write_sealed(Path(sys.argv[1]), SealedHeader("new", (7,)), {"heads": partial})
"""


@pytest.mark.parametrize(("n_calls", "plan"), [(0, HEADER.plan), (1, HEADER.plan), (2, "new"), (3, "new")])
def test_a_killed_writer_leaves_the_old_file_or_the_new(sealed, n_calls, plan):
    """Killed before the flush, before the rename, before the directory's flush, or not at all."""
    root = Path(partial_files.__file__).parents[2]
    ran = subprocess.run([sys.executable, "-c", WRITER, sealed, str(n_calls)], cwd=root, check=False)
    assert ran.returncode == (0 if n_calls == 3 else -signal.SIGKILL)
    assert read_sealed(sealed)[0].plan == plan
    sweep_temporary(sealed.parent)
    assert list(sealed.parent.iterdir()) == [sealed]


def test_a03_sweeping_takes_only_what_dead_writers_left(sealed):
    with subprocess.Popen([sys.executable, "-c", ""]) as finished:
        finished.wait()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as alive:
        left = [sealed.with_name(f"a.tmp{finished.pid}"), sealed.with_name(f"b.tmp{os.getpid()}")]
        kept = [sealed, sealed.with_name(f"c.tmp{alive.pid}"), sealed.with_name("notes.tmp")]
        for path in (*left, *kept[1:]):
            path.touch()
        assert sweep_temporary(sealed.parent) == left
        assert sorted(sealed.parent.iterdir()) == sorted(kept)
        alive.communicate(b"\n")


def test_sealed_files_need_no_torch(sealed):
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['safetensors'] = None\n"
        "from pathlib import Path; from tests.support.sealed_files import read_sealed\n"
        "print(len(read_sealed(Path(sys.argv[1]))[1]))"
    )
    root = Path(partial_files.__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", code, sealed], cwd=root, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == str(len(partials()))


def test_counts_beyond_32_bits_survive(tmp_path):
    partial = replace(feature_partial(1), n_tokens=Count.of(2**53 + 1))
    write_sealed(tmp_path / "x", HEADER, {"one": partial})
    _, read = read_sealed(tmp_path / "x")
    assert read == {"one": partial}
