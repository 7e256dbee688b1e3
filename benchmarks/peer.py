"""Head Atlas beside SAEDashboard on the same model, SAE and tokens, in one go, with DFA.

    python benchmarks/peer.py PEER_PYTHON [--sequences 64] [--note TEXT]

PEER_PYTHON is the Python of an environment with sae-dashboard 0.8.0 (`make bench-peer` makes one). The peer computes
1,024 features at each of three batch sizes of features; Head Atlas all 4,608 of the SAE, and of SAEs of five layers
together, which the peer takes one after the other, each at its speed for one. Both are timed after loading, and head
scores, which the peer has not, are left out. Prints seconds, features per second, peak memory and ratios, and those of
jobs that did nothing but the least for the same stores (`least_work.py`): the most that can be reached.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from job_cost import Limit, least_seconds
from job_inputs import D_SAE, EMBEDDED, FIVE_LAYERS, Settings, find_model
from least_work import LeastWork
from results import keep, renew_section, where_and_when
from script_output import json_of

LAYER, MINIBATCHES, N_FEATURES = 17, (64, 256, 1024), 1024
COMPUTED = """
SAEDashboard: for each feature activation and logit histograms, logit tables, correlations with neurons and features,
sequences of the top and of ten quantile groups, and DFA over sources at each prompt's strongest token.
Head Atlas: for each feature density, activation histogram, top and sampled examples with activations, contributions and
DFA by head and source, prefix lengths, logit effects of the whole feature and by head, decoder weight share and FVE by
head, similar features, a word index; for each head of every layer attention evidence. All in a store.
"""


@dataclass(frozen=True)
class Speed:
    """One tool's work on the features."""

    name: str
    n_features: int
    seconds: float
    peak_memory_mib: int

    @property
    def features_per_second(self) -> float:
        """After loading."""
        return self.n_features / self.seconds


def main() -> None:
    """Run both, print the comparison, keep it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("peer_python", type=Path)
    parser.add_argument("--sequences", type=int, default=64)
    parser.add_argument("--note", default="")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="head-atlas-peer-") as folder:
        (ours, least), (of_five, least_of_five) = (
            head_atlas(Path(folder) / f"{len(layers)}", layers, options.sequences)
            for layers in ((LAYER,), FIVE_LAYERS)
        )
        peers = [dashboard(options.peer_python, Path(folder) / "1", minibatch) for minibatch in MINIBATCHES]
    best = max(peers, key=lambda speed: speed.features_per_second)
    ratio, ratio_of_five = (each.features_per_second / best.features_per_second for each in (ours, of_five))
    most = ours.n_features / least / best.features_per_second
    most_of_five = of_five.n_features / least_of_five / best.features_per_second
    lines = [line_of(speed) for speed in (ours, of_five, *peers)]
    lines.append(
        f"\n{ratio:.1f} × the peer's best in features per second of one layer, {ratio_of_five:.1f} × of five. "
        f"The least that fills the same stores takes {least:.1f} and {least_of_five:.1f} s: no job that does so is "
        f"more than {most:.1f} and {most_of_five:.1f} times as fast as the peer on this machine."
    )
    print(*lines, COMPUTED, sep="\n")
    figures = {
        "ratio": round(ratio, 2),
        "ratio_of_five_layers": round(ratio_of_five, 2),
        "most": round(most, 2),
        "most_of_five_layers": round(most_of_five, 2),
        "memory_ratio": round(ours.peak_memory_mib / best.peak_memory_mib, 2),
        "tools": [asdict(speed) for speed in (ours, of_five, *peers)],
    }
    line = keep("peer", figures, options.note, load)
    table = ["| tool | features | seconds | features per second | memory |", "|---|---|---|---|---|", *lines]
    renew_section("peer", "\n".join([where_and_when(line) + ":", "", *table, COMPUTED]))


def line_of(speed: Speed) -> str:
    """One tool in Markdown."""
    return (
        f"| {speed.name} | {speed.n_features:,} | {speed.seconds:.1f} | "
        f"{speed.features_per_second:.1f} | {speed.peak_memory_mib:,} MiB |"
    )


def head_atlas(folder: Path, layers: Sequence[int], n_sequences: int) -> tuple[Speed, float]:
    """All features of the SAEs of these layers, and the least seconds that any job takes for the same store."""
    folder.mkdir()
    listed = ",".join(map(str, layers))
    cost = json_of(sys.executable, "job_cost.py", folder, "--layers", listed, "--sequences", n_sequences)
    seconds = cost["statistics_s"] + cost["publish_s"]
    least = least_seconds(Limit(**cost["quick_limit"]), LeastWork(**cost["least"]))
    name = f"Head Atlas, {D_SAE} features" if len(layers) == 1 else f"Head Atlas, {len(layers)} layers"
    return Speed(name, cost["n_features"], seconds, cost["peak_memory_mib"]), least


def dashboard(python: Path, folder: Path, minibatch: int) -> Speed:
    """The peer on the inputs that the job left in the folder."""
    model = find_model(EMBEDDED, Settings().cache_dir).location
    inputs = [model, folder / "tokens.npy", folder / f"sae-{LAYER}", "--layer", LAYER]
    figures = json_of(
        python, "peer_dashboard.py", *inputs, "--features", N_FEATURES, "--minibatch", minibatch
    )
    name = f"SAEDashboard, {minibatch} features at a time"
    return Speed(name, figures["n_features"], figures["seconds"], figures["peak_memory_mib"])


if __name__ == "__main__":
    main()
