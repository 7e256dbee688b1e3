"""What a command needs is checked before it starts: one sentence, within a second, and no library is imported."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.precompute.work_folder import WorkFolder
from tests.support.run_data import make_run, store_with
from tests.support.time_limits import slowness

ROOT = Path(__file__).parents[2]
LIBRARIES = ("torch", "transformers", "transformer_lens", "sae_lens", "safetensors", "jaxtyping", "psutil")
# Runs commands in one process, and tells of each how it ended, how long it took, and what it imported.
RUNNER = """
import contextlib, io, json, sys, time
for name in sys.argv[2].split():
    sys.modules[name] = None
import app.cli
for line in sys.stdin:
    sys.argv[1:] = json.loads(line)
    out, err, began = io.StringIO(), io.StringIO(), time.process_time()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            app.cli.main()
        except SystemExit as stop:
            code = stop.code
    libraries = ("torch", "transformers", "sae_lens", "transformer_lens")
    loaded = [name for name in libraries if sys.modules.get(name)]
    print(json.dumps([code, out.getvalue(), err.getvalue(), time.process_time() - began, loaded]))
"""


@dataclass(frozen=True)
class EndedCommand:
    code: int
    out: str
    err: str
    seconds: float  # of a processor as fast as the reference
    loaded: list[str]


def ended(commands, absent=()):
    lines = "".join(json.dumps(words) + "\n" for words in commands)
    command = [sys.executable, "-c", RUNNER, "", " ".join(absent)]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    slower = slowness()
    results = (json.loads(line) for line in done.stdout.splitlines())
    return [EndedCommand(code, out, err, s / slower, loaded) for code, out, err, s, loaded in results]


@pytest.fixture
def store(engine_of_run):
    return str(engine_of_run)


@pytest.fixture
def engine_of_run(sqlite_template, tmp_path):
    return store_with(sqlite_template, tmp_path, make_run())


def experiments(store):
    at = ["--model", "tiny", "--store", store]
    return [
        ["experiment", "long-prefix-induction", *at, "--heads", "L0H0"],
        ["experiment", "head-ablation", *at, "--layer", "0"],
    ]


def test_without_the_extra_every_command_that_needs_it_says_so_and_how_to_get_it(store, tmp_path):
    work = ["--store", store, "--work-dir", str(tmp_path / "work")]
    commands = [
        ["precompute", "--model", "gpt2", "--sae-path", "x", "--dataset", "x", *work],
        ["precompute", "--model", "gpt2", "--sae-id", "gpt2-small/5-att-kk", "--dataset", "x", *work],
        ["demo", "--no-serve", *work],
        ["demo", "--port", "0", *work],
        ["train-sae", "--model", "gpt2", "--layers", "5", "--dataset", "x", "--out", str(tmp_path / "out")],
        ["convert-sae", "a", "--out", "b"],
        ["reproduce", *work],
        *experiments(store),
    ]
    for words, one in zip(commands, ended(commands, LIBRARIES), strict=True):
        assert (one.code, one.out) == (2, ""), (words, one)
        name = "experiment" if words[0] == "experiment" else words[0]
        assert one.err.startswith(f"error: {name} needs packages that are not installed (torch, "), one.err
        assert one.err.endswith("pip install 'head-atlas[precompute]'\n")
        assert len(one.err.splitlines()) == 1
        assert one.seconds < 1
    assert not (tmp_path / "work").exists()


def test_without_parquet_a_site_and_a_parquet_file_are_refused_at_once(store, tmp_path):
    site = ["export", "site", "--model", "tiny", "--store", store, "--out", str(tmp_path / "site")]
    sheet = ["--model", "tiny", "--store", store]
    commands = [
        site,
        ["export", "annotations", *sheet, "--out", str(tmp_path / "a.parquet")],
        ["import", "annotations", str(tmp_path / "a.parquet"), *sheet],
    ]
    for words, one in zip(commands, ended(commands, ["pyarrow"]), strict=True):
        assert (one.code, one.out) == (2, ""), (words, one)
        assert one.err.endswith("not installed (pyarrow): pip install 'head-atlas[parquet]'\n")
        assert one.seconds < 1
    assert not list(tmp_path.glob("site*"))
    [whole] = ended([[*site, "--without-annotations"]], ["pyarrow"])
    assert whole.code == 0, whole.err


def test_what_would_refuse_a_job_later_refuses_it_before_anything_is_imported(store, tmp_path):
    work = tmp_path / "work"
    job = ["precompute", "--model", "tiny", "--sae-path", "x", "--dataset", "x", "--work-dir", str(work)]
    missing = str(tmp_path / "nowhere" / "store.sqlite")
    commands = [
        [*job, "--store", store],
        [*job, "--name", "other", "--store", missing],
        ["reproduce", "--name", "tiny", "--store", store, "--work-dir", str(work)],
        *experiments(missing),
        ["experiment", "head-ablation", "--model", "other", "--store", store, "--layer", "0"],
    ]
    with WorkFolder(work / "tiny").locked():
        busy, no_folder, busy_too, *nothing_there, no_atlas = ended(commands)
    for one in (busy, busy_too):
        assert (one.code, one.out) == (3, "")
        assert f"error: {work / 'tiny'} is in use by" in one.err
        assert '"pid": ' in one.err
    assert "is not a folder" in no_folder.err
    assert all("there is no store at" in one.err or "is not a folder" in one.err for one in nothing_there)
    assert "no atlas 'other' in this store" in no_atlas.err
    for one in (busy, no_folder, busy_too, *nothing_there, no_atlas):
        assert one.seconds < 1
        assert one.loaded == []
