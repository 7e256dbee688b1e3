"""The experiment commands as typed, on a tiny model and its atlas: what they store, print and refuse."""

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import app.cli
from app.domain.experiments.records import StoredExperiment
from app.precompute.job import run_job
from app.precompute.request import RunOptions
from app.store import experiments
from app.store.atlas.progress import list_progress
from app.store.database.engine import open_store, read_session
from tests.support.tiny_jobs import SLUG, Tiny, make_tiny

PROMPT = '{"text": "The quick brown fox jumps over the lazy dog[[;]]"}\n'


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class LoadedRun:
    """A store with the tiny atlas, and commands on it."""

    tiny: Tiny
    store: Path
    call: Callable[..., Ended]

    def run(self, name: str, *words: str) -> Ended:
        where = ("--model", str(self.tiny.model), "--name", SLUG, "--store", str(self.store))
        return self.call("experiment", name, *where, *words)

    def stored(self) -> list[StoredExperiment]:
        engine = open_store(self.store)
        with read_session(engine) as session:
            found = [
                experiments.get_experiment(session, SLUG, one.id)
                for one in experiments.list_experiments(session, SLUG)
            ]
            assert list_progress(session) == [] or {row.state for row in list_progress(session)} == {"done"}
        engine.dispose()
        return found

    def done(self, name: str, *words: str) -> StoredExperiment:
        ended = self.run(name, *words)
        assert ended.code == 0, ended.err
        [stored] = self.stored()
        assert stored.state == "done"
        assert f"{name} {stored.id}: {stored.finding}" in ended.out
        assert f"/{SLUG}/experiments/{stored.id}" in ended.out
        assert stored.record
        return stored


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("experiments"))


@pytest.fixture(scope="module")
def atlas(tiny: Tiny) -> Path:
    store = tiny.root / "store.sqlite"
    run_job(tiny.request(), str(store), RunOptions())
    return store


@pytest.fixture
def bench(
    tiny: Tiny,
    atlas: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[LoadedRun]:
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def call(*words: str) -> Ended:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["head-atlas", *words])
        with pytest.raises(SystemExit) as ended:
            app.cli.main()
        captured = capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    yield LoadedRun(tiny, Path(shutil.copyfile(atlas, tmp_path / "store.sqlite")), call)
    signal.signal(signal.SIGTERM, handler)


SMALL = {
    "long-prefix-induction": (
        *("--heads", "0.1,L1H2", "--n-examples", "4", "--max-prefix", "3", "--length", "16"),
        *("--n-sequences", "5"),
    ),
    "head-ablation": ("--layer", "1", "--n-prompts", "4", "--task", "induction", "--modes", "zero,mean"),
    "known-heads": ("--n-repeated", "4", "--length", "12", "--n-sequences", "5"),
    "weight-vs-fve": (
        "--layers",
        "1",
    ),
    "universality": ("--n-examples", "4", "--max-prefix", "2", "--length", "12"),
    "polysemanticity": ("--head", "L1H2", "--roles", "induction,poetry", "--n-prompts", "4"),
    "feature-check": ("--proxy", "fox", "--n-intervals", "3"),
}


def words_of(bench: LoadedRun, name: str) -> tuple[str, ...]:
    words = SMALL[name]
    if name == "feature-check":
        from app.studies.atlas import open_atlas

        with open_atlas(str(bench.store), SLUG) as opened:
            busiest = max(opened.features(1), key=lambda feature: feature.n_active)
        words = (*words, "--feature", str(busiest.ref), "--sae-path", str(bench.tiny.saes[1]))
    return words


@pytest.mark.parametrize("name", SMALL)
def test_every_experiment_is_stored_once_and_repeats_exactly(bench: LoadedRun, name: str) -> None:
    words = words_of(bench, name)
    first = bench.done(name, *words)
    assert first.request.model_name == "tiny-model"
    assert first.request.processing == ("none" if name == "weight-vs-fve" else "raw")
    bench.done(name, *words)
    [same] = bench.stored()
    assert same.created_at == first.created_at  # it was there already
    bench.done(name, *words, "--again")
    [again] = bench.stored()
    assert again.created_at > first.created_at
    assert replace(again, created_at=first.created_at, seconds=first.seconds) == first


@pytest.mark.parametrize("name", sorted(set(SMALL) - {"weight-vs-fve"}))
def test_the_seed_is_part_of_the_request_and_the_batch_size_is_not(bench: LoadedRun, name: str) -> None:
    words = words_of(bench, name)
    bench.done(name, *words, "--seed", "3")
    bench.done(name, *words, "--seed", "3", "--batch-size", "3")
    ended = bench.run(name, *words, "--seed", "4")
    assert ended.code == 0
    assert {one.request.seed for one in bench.stored()} == {3, 4}


def test_the_default_correlation_is_over_all_live_features(bench: LoadedRun) -> None:
    from app.studies.atlas import open_atlas

    result = bench.done("weight-vs-fve", "--layers", "1").record
    with open_atlas(str(bench.store), SLUG) as opened:
        stored = {record.ref: record.rank_correlation for record in opened.head_records()}
    whole = [one for one in result.agreements if one.over_all]
    assert {one.head: one.correlation for one in whole} == {
        ref: value for ref, value in stored.items() if ref.layer == 1
    }
    assert {(one.definition, one.tokens) for one in whole} == {("covariance_share", "active")}


def test_progress_has_plain_lines_with_rate(bench: LoadedRun) -> None:
    ended = bench.run("universality", *SMALL["universality"], "--batch-size", "2")
    assert "attention by prefix length: 12 of 12 sequences" in ended.err
    assert "sequences/s" in ended.err


def test_every_parameter_is_part_of_the_request(bench: LoadedRun) -> None:
    words = ("--n-repeated", "4", "--length", "12", "--n-sequences", "5")
    for more in ((), ("--n-repeated", "5"), ("--n-sequences", "4"), ("--length", "10")):
        assert bench.run("known-heads", *words, *more).code == 0
    asked = {(p["n_sequences"], p["n_text_sequences"], p["length"]) for p in parameters_of(bench)}
    assert asked == {(4, 5, 12), (5, 5, 12), (4, 4, 12), (4, 5, 10)}


def parameters_of(bench: LoadedRun) -> list[dict[str, object]]:
    return [one.request.parameters for one in bench.stored()]


def test_a_layer_stands_for_all_its_heads(bench: LoadedRun) -> None:
    words = [word for word in SMALL["long-prefix-induction"] if word not in ("--heads", "0.1,L1H2")]
    stored = bench.done("long-prefix-induction", "--layer", "1", *words)
    assert stored.request.parameters["heads"] == ["L1H0", "L1H1", "L1H2", "L1H3"]


def test_prompts_of_ones_own(bench: LoadedRun, tmp_path: Path) -> None:
    prompts = tmp_path / "mine.jsonl"
    prompts.write_text(PROMPT * 3)
    stored = bench.done(
        "head-ablation", "--layer", "0", "--prompts", str(prompts), "--modes", "zero", "--task", "proxy:fox"
    )
    assert stored.request.parameters["tasks"] == ["proxy:fox", "mine"]


LONG = "{" + '"text": "' + "dog " * 80 + '[[;]]"}'


@pytest.mark.parametrize(
    ("name", "words", "sentence"),
    [
        ("long-prefix-induction", ("--heads", "L5H1"), "tiny-model has no head L5H1"),
        ("long-prefix-induction", ("--heads", "L1"), "not a head reference"),
        ("long-prefix-induction", (), "give either --heads"),
        ("long-prefix-induction", ("--heads", "0.0", "--layer", "0"), "give either --heads"),
        ("long-prefix-induction", ("--layer", "7"), "no head L7H0"),
        ("long-prefix-induction", ("--heads", "0.0,L0H0"), "given twice"),
        ("long-prefix-induction", ("--heads", "0.0", "--length", "90"), "longer than the 64"),
        ("long-prefix-induction", ("--heads", "0.0", "--length", "9"), "cannot hold a span of 9"),
        ("long-prefix-induction", ("--heads", "0.0", "--threshold", "2"), "between 0 and 1"),
        ("head-ablation", ("--layer", "9"), "no head L9H0"),
        ("head-ablation", ("--layer", "0", "--task", "poetry"), "'poetry' is an unknown task"),
        ("head-ablation", ("--layer", "0", "--task", "proxy:("), "nor a regular expression"),
        ("head-ablation", ("--layer", "0", "--task", "proxy:zzz9"), "selects no position"),
        ("head-ablation", ("--layer", "0", "--modes", "zero,none"), "not none"),
        ("head-ablation", ("--layer", "0", "--prompts", "{two}"), "is not one token of tiny-model"),
        ("head-ablation", ("--layer", "0", "--prompts", "{long}"), "longer than the 64"),
        ("head-ablation", ("--layer", "0", "--prompts", "none.jsonl"), "none.jsonl cannot be read"),
        ("known-heads", ("--length", "40"), "longer than the 64"),
        ("weight-vs-fve", ("--layers", "7"), "no features of layer 7"),
        ("universality", ("--length", "5", "--max-prefix", "4"), "cannot hold a span of 4"),
        ("polysemanticity", ("--head", "0.1"), "nobody has submitted roles for L0H1"),
        ("polysemanticity", ("--head", "0.1", "--roles", "poetry"), "no role of L0H1 has a task"),
        ("feature-check", ("--feature", "L0F1", "--proxy", "fox"), "the SAE of layer 0 is needed"),
        ("feature-check", ("--feature", "L0F1", "--proxy", "fox", "--sae-path", "{sae}"), "is not the SAE"),
        ("feature-check", ("--feature", "L0F1", "--proxy", "("), "nor a regular expression"),
        ("feature-check", ("--feature", "L0F1", "--proxy", "x", "--release", "y"), "go together"),
    ],
)
def test_invalid_requests_are_one_sentence_and_leave_nothing(
    bench: LoadedRun, tmp_path: Path, name: str, words: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "two.jsonl").write_text('{"text": "the lazy[[ dog;]]"}')
    (tmp_path / "long.jsonl").write_text(LONG)
    places = {
        "{two}": str(tmp_path / "two.jsonl"),
        "{long}": str(tmp_path / "long.jsonl"),
        "{sae}": str(bench.tiny.saes[1]),
    }
    ended = bench.run(name, *(places.get(word, word) for word in words))
    assert ended.code != 0
    [error] = [line for line in ended.err.splitlines() if line.startswith("error:")]
    assert sentence in error
    assert "Traceback" not in ended.err
    assert bench.stored() == []


def test_a_store_an_atlas_or_a_model_that_is_not_there(bench: LoadedRun, tmp_path: Path) -> None:
    missing = tmp_path / "none.sqlite"
    words = ("--heads", "0.1", "--model", str(bench.tiny.model))
    for more, sentence in (
        (("--store", str(missing), "--name", SLUG), "there is no store"),
        (("--store", str(bench.store)), "no atlas 'tiny-model'"),
        (("--store", str(bench.store), "--name", "API"), "is not an atlas name"),
    ):
        ended = bench.call("experiment", "long-prefix-induction", *words, *more)
        assert ended.code != 0
        assert sentence in ended.err
    assert not missing.exists()


def test_a_model_other_than_the_atlas_was_made_from(bench: LoadedRun, tmp_path: Path) -> None:
    from tests.support.tiny_models import save_tiny_gpt2

    other = save_tiny_gpt2(tmp_path / "tiny-model", seed=9)
    words = ("--model", str(other), "--name", SLUG, "--store", str(bench.store))
    ended = bench.call("experiment", "universality", *words)
    assert ended.code != 0
    assert "was made from revision" in ended.err
    without_bos = save_tiny_gpt2(tmp_path / "no-bos", bos=None, end=None)
    ended = bench.call("experiment", "universality", "--model", str(without_bos), *words[2:])
    assert ended.code != 0
    assert "no BOS token" in ended.err
    assert bench.stored() == []


def test_a_run_that_breaks_says_why(bench: LoadedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("odd")

    monkeypatch.setattr("app.studies.experiments.universality", broken)
    with pytest.raises(OSError, match="odd"):
        bench.run("universality", *SMALL["universality"])
    [stored] = bench.stored()
    assert (stored.state, stored.result, stored.message) == ("failed", None, "OSError: odd")


def test_an_interrupted_one_can_be_run_again(bench: LoadedRun) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.studies.experiments.universality", _interrupt)
        assert bench.run("universality", *SMALL["universality"]).code == 130
    [stored] = bench.stored()
    assert (stored.state, stored.message) == ("failed", "it was stopped before it ended")
    bench.done("universality", *SMALL["universality"])


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_help_names_every_experiment(bench: LoadedRun) -> None:
    ended = bench.call("experiment", "--help")
    assert ended.code == 0
    assert all(name in ended.out for name in SMALL)
