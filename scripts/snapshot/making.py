"""A small store made afresh by a tree: a random GPT-2, SAEs that fit it, records of three annotators, experiments.

Everything is made with fixed seeds on one thread, and each command runs in the store's folder with relative paths,
so that one tree makes the same store twice.
"""

import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
from running import Tree

SLUG, STORE = "tiny", "atlas.sqlite"
N_LAYERS, N_HEADS, D_HEAD, CONTEXT = 2, 4, 8, 24
D_IN = N_HEADS * D_HEAD
D_SAE = 2 * D_IN + 4
_N_POSITIONS = 64
_LINES = (
    "The quick brown fox jumps over the lazy dog, and the dog sleeps on.",
    "When Mary and John went to the store, John gave a drink to Mary.",
    "def head(values, index):\n    return values[index]\n",
    "One, two, three, four; one, two, three, four. Naïve café: 10 €.",
)
_TEXT = (
    "The quick brown fox jumps over the lazy dog; 3 dogs bark.\nMary gave John a drink, John gave Mary two.\n"
)
_PEOPLE = (("ana", "annotator"), ("ben", "annotator"), ("eva", "admin"))


def make_store(tree: Tree, folder: Path) -> Path:
    """The store in its folder, with the model, the SAEs and the text beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / STORE).exists():
        raise SystemExit(f"{folder / STORE} is there already")
    _make_inputs(folder)
    _precompute(tree, folder)
    for name, role in _PEOPLE:
        blind = ["--blind"] if name == "ben" else []
        tree.must_run(
            ["annotators", "add", name, "--role", role, "--no-password", *blind, "--store", STORE], folder
        )
    for version in (1, 2):
        sheet = folder / f"records-{version}.json"
        sheet.write_text(json.dumps(_records(folder / STORE, version), indent=1, ensure_ascii=False) + "\n")
        tree.must_run(
            ["import", "annotations", sheet.name, "--model", SLUG, "--apply", "--store", STORE], folder
        )
    _experiments(tree, folder)
    return folder / STORE


def _precompute(tree: Tree, folder: Path) -> None:
    words = ["precompute", "--model", "model", "--dataset", "corpus.txt", "--name", SLUG]
    for layer in range(N_LAYERS):
        words += ["--sae-path", f"sae-{layer}"]
    words += ["--context-size", str(CONTEXT), "--n-prompts", "10", "--k", "12", "--min-active", "3"]
    words += ["--shard-size", "4", "--batch-size", "3", "--threads", "1", "--processing", "raw"]
    tree.must_run([*words, "--store", STORE, "--work-dir", "work"], folder)


def _experiments(tree: Tree, folder: Path) -> None:
    """One of each kind that a random model can take."""
    common = ["--model", "model", "--name", SLUG, "--store", STORE]
    model = [*common, "--threads", "1", "--processing", "raw", "--batch-size", "4"]
    few = ["--n-sequences", "8"]
    tree.must_run(["experiment", "weight-vs-fve", *common, "--k", "4"], folder)
    tasks = ["--task", "proxy:induction", "--task", "proxy:dog", "--n-prompts", "6"]
    tree.must_run(["experiment", "head-ablation", *model, *few, "--layer", "1", *tasks], folder)
    short = ["--n-examples", "4", "--max-prefix", "3", "--length", "16"]
    tree.must_run(["experiment", "long-prefix-induction", *model, *few, *short, "--layer", "0"], folder)
    repeated = ["--n-repeated", "4", "--length", "12"]
    tree.must_run(["experiment", "known-heads", *model, *few, *repeated], folder)


def _make_inputs(folder: Path) -> None:
    # Only a store that is made needs torch; recording and comparing do not.
    import torch
    from tiny_model import fitting_sae, save_tiny_gpt2, z_of

    torch.set_num_threads(1)
    words, generator = _TEXT.split(" "), np.random.default_rng(5)
    text = "\n".join(" ".join(generator.choice(words, 12)) for _ in range(40))
    (folder / "corpus.txt").write_text(text)
    model, tokenizer = save_tiny_gpt2(folder / "model", _LINES, (N_LAYERS, N_HEADS, D_HEAD, _N_POSITIONS))
    for layer in range(N_LAYERS):
        z = z_of(model, tokenizer, text, layer, CONTEXT)
        fitting_sae(folder / f"sae-{layer}", z, layer, D_SAE)


def _records(store: Path, version: int) -> dict[str, Any]:
    """A sheet as the export writes it. The second version changes some records of the first."""
    heads: list[dict[str, str]] = []
    for layer in range(N_LAYERS):
        for head in range(N_HEADS - 1):  # the last head of a layer has no record
            top = _top_features(store, layer, head)
            people = (("ana", "ben", "eva", "me"), ("ana", "ben"), ("ana", "me"))[head]
            heads += [_record(name, layer, head, top, version) for name in people]
    notes = [
        {
            "feature": f"L{layer}F{feature}",
            "annotator": name,
            "status": "submitted" if name == "ana" else "draft",
            "label": f"{name}'s label {version}",
            "note": "Fires on <b>dogs</b> & foxes.",
        }
        for layer in range(N_LAYERS)
        for name in ("ana", "ben")
        for feature in _top_features(store, layer, 0)[:2]
    ]
    return {
        "format": "head-atlas annotations",
        "version": 1,
        "atlas": SLUG,
        "heads": heads,
        "feature_notes": notes,
    }


def _record(name: str, layer: int, head: int, top: list[int], version: int) -> dict[str, str]:
    """Groups differ from person to person; one record of each stays a draft, one is unsure."""
    n_first = len(top) if (name, head) == ("ana", 1) else len(top) // 2 + version - 1
    labels = [
        {"feature": f"L{layer}F{feature}", "group": "animals" if rank < n_first else "names"}
        for rank, feature in enumerate(top)
    ]
    if name == "ben":
        labels[-1] = {"feature": labels[-1]["feature"], "group": None, "unclear": True}  # type: ignore[dict-item]
    groups = [
        {"name": "animals", "family": "LX", "abstraction": "token"},
        {"name": "names", "family": "IN", "abstraction": "concept"},
    ]
    status = {0: "submitted", 1: "submitted", 2: "unsure" if name == "ana" else "draft"}[head]
    evidence = [{"kind": "score", "target": "induction", "note": "by name"}] if head == 0 else []
    return {
        "head": f"L{layer}H{head}",
        "annotator": name,
        "status": status,
        "roles": "induction; previous token" if head == 0 else "name copying",
        "groups": json.dumps(groups),
        "labels": json.dumps(labels),
        "evidence": json.dumps(evidence) if evidence else "",
        "ranking": "decoder_weight",
        "k": "10",
        "confidence": str(head + 1),
        "knew_before": "no",
        "surprising": "yes" if head == 1 else "no",
        "notes": f"Version {version} of {name}: “quoted”, 10 €.",
    }


def _top_features(store: Path, layer: int, head: int) -> list[int]:
    query = (
        "SELECT feature_index FROM rankings WHERE ranking = 'decoder_weight' AND layer = ? AND head = ?"
        " ORDER BY rank LIMIT 10"
    )
    with sqlite3.connect(store) as connection:
        return [index for (index,) in connection.execute(query, (layer, head))]
