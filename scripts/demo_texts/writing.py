"""Candidates for texts, written by the embedded model: sampled in batches, one kind a batch."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from scripts.demo_texts.prompts import KINDS, Prompt, prompts_of
from scripts.demo_texts.sampling import Sampler, Sampling

SEED = 2026
BATCH = 96
MAX_NEW_TOKENS = 180
SAMPLING = {"code": Sampling(0.5, repetition_penalty=1.0), "record": Sampling(repetition_penalty=1.03)}


def write_candidates(path: Path, cache_dir: Path, rounds: int) -> None:
    """Append what the model writes to a file of JSON lines, a batch of each kind a round; goes on where it stopped.

    A batch has a seed of its own, so that what it gives depends on no other. Other machines may round otherwise, and
    then write other texts.
    """
    sampler, tokenizer = _load(cache_dir)
    n_written = sum(1 for _ in path.open(encoding="utf-8")) // BATCH if path.exists() else 0
    for number, prompts in enumerate(_batches(rounds)):
        if number < n_written:
            continue
        texts = _sample(sampler, tokenizer, prompts, SEED + number)
        with path.open("a", encoding="utf-8") as file:
            file.writelines(
                f"{json.dumps({'kind': p.kind, 'title': p.title, 'text': text, 'ended': ended}, ensure_ascii=False)}\n"
                for p, (text, ended) in zip(prompts, texts, strict=True)
            )


def _batches(rounds: int) -> Iterator[Sequence[Prompt]]:
    prompts = {kind: prompts_of(kind, rounds * BATCH, SEED) for kind in KINDS}
    for start in range(0, rounds * BATCH, BATCH):
        for kind in KINDS:
            yield prompts[kind][start : start + BATCH]


def _load(cache_dir: Path) -> tuple[Sampler, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from app.adapters.model_sources import unpack_embedded

    folder = str(unpack_embedded(cache_dir))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return Sampler(model.eval()), tokenizer


def _sample(sampler: Sampler, tokenizer: Any, prompts: Sequence[Prompt], seed: int) -> list[tuple[str, bool]]:
    """The text of each prompt, its opening included, and whether the model ended it itself."""
    asked = [
        tokenizer.encode(f"<|im_start|>user\n{p.request}<|im_end|>\n<|im_start|>assistant\n{p.opening}")
        for p in prompts
    ]
    openings = [len(tokenizer.encode(p.opening)) for p in prompts]
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    how = SAMPLING.get(prompts[0].kind, Sampling())
    written = sampler.sample(asked, openings, end, MAX_NEW_TOKENS, how, seed)
    return [
        (prompt.opening + tokenizer.decode(ids[:-1] if ids[-1] == end else ids), ids[-1] == end)
        for prompt, ids in zip(prompts, written, strict=True)
    ]
