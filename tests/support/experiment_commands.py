"""The experiment commands on a tiny atlas, with options that make each quick."""

from dataclasses import dataclass
from pathlib import Path

from app.domain.experiments.records import StoredExperiment
from app.store import experiments
from app.store.atlas.progress import list_progress
from app.store.database.engine import open_store, read_session
from tests.support.command_line import Command, Ended
from tests.support.tiny_jobs import SLUG, Tiny


@dataclass(frozen=True)
class ExperimentCommands:
    """A store with the tiny atlas, and commands on it."""

    tiny: Tiny
    store: Path
    call: Command

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


SMALL = {
    "long-prefix-induction": (
        *("--heads", "0.1,L1H2", "--n-examples", "4", "--max-prefix", "3", "--length", "16"),
        *("--n-sequences", "5"),
    ),
    "head-ablation": ("--layer", "1", "--n-prompts", "4", "--task", "induction", "--modes", "zero,mean"),
    "known-heads": ("--n-repeated", "4", "--length", "12", "--n-sequences", "5"),
    "weight-vs-fve": ("--layers", "1"),
    "universality": ("--n-examples", "4", "--max-prefix", "2", "--length", "12"),
    "polysemanticity": ("--head", "L1H2", "--roles", "induction,poetry", "--n-prompts", "4"),
    "feature-check": ("--proxy", "fox", "--n-intervals", "3"),
}


def words_of(typed: ExperimentCommands, name: str) -> tuple[str, ...]:
    """The options of SMALL, and those that depend on what the atlas holds."""
    words = SMALL[name]
    if name == "feature-check":
        from app.studies.atlas import open_atlas

        with open_atlas(str(typed.store), SLUG) as opened:
            busiest = max(opened.features(1), key=lambda feature: feature.n_active)
        words = (*words, "--feature", str(busiest.ref), "--sae-path", str(typed.tiny.saes[1]))
    return words
