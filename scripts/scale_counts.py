"""The tables of docs/scale.md: operations, bytes, and time at the limit of one H100.

python scripts/scale_counts.py
"""

import sys
from dataclasses import replace

from app.precompute.costs import (
    LIMIT,
    ModelSizes,
    SaeSizes,
    Work,
    disk,
    kept_bytes,
    memory,
    operations,
)

GPT2_SMALL = ModelSizes(12, 12, 12, 64, 768, 50_257, 124_439_808, 85_056_000)
GEMMA_2_2B = ModelSizes(26, 8, 4, 256, 2304, 256_000, 2_614_341_888, 2_024_517_888)
WIDE = (5, 7)  # layers of gpt2-small-hook-z-kk with 49,152 features
GPT2_SAES = tuple(SaeSizes(layer, 768, 49_152 if layer in WIDE else 24_576, 20) for layer in range(12))
GEMMA_SAES = tuple(SaeSizes(layer, 2048, 16_384, 80) for layer in range(26))
# NVIDIA's figures of an H100 SXM, dense: float32 without tensor cores, bfloat16 with them.
H100 = {"float32": 67e12, "bfloat16": 989e12}
N_SEQUENCES = 8192  # of 128 tokens: 1,048,576 positions

WORKS = {
    "GPT-2 small": Work(GPT2_SMALL, GPT2_SAES, N_SEQUENCES, 128, 16, 512, 4, is_whole=True, k=20),
    "Gemma-2-2B": Work(GEMMA_2_2B, GEMMA_SAES, N_SEQUENCES, 128, 16, 512, 2, is_whole=True, k=20),
}


def tables() -> str:
    """Both tables, as Markdown."""
    lines = ["| part | " + " | ".join(WORKS) + " |", "|---|" + "---|" * len(WORKS)]
    lines.append(_row("features", *(f"{work.n_published:,}" for work in WORKS.values())))
    counted = [operations(work) for work in WORKS.values()]
    for name in counted[0]:
        lines.append(_row(f"{name}, TFLOP", *(f"{each[name] / 1e12:,.1f}" for each in counted)))
    for dtype, rate in H100.items():
        limits = (sum(each[name] for name in LIMIT) / rate for each in counted)
        lines.append(_row(f"limit in {dtype}, s", *(f"{limit:,.1f}" for limit in limits)))
    lines += ["", lines[0], lines[1]]
    for what in (memory, disk):
        sizes = [what(work) for work in WORKS.values()]
        for name in sizes[0]:
            lines.append(_row(f"{name}, GB", *(f"{each[name] / 1e9:,.2f}" for each in sizes)))
    lines.append(_row("activations, were all kept, GB", *(_gb(kept_bytes(w)) for w in WORKS.values())))
    lists = [replace(work, is_whole=False) for work in WORKS.values()]
    lines.append(_row("store of `--features top`, GB", *(_gb(disk(work)["store"]) for work in lists)))
    return "\n".join(lines)


def _gb(size: float) -> str:
    return f"{size / 1e9:,.2f}"


def _row(name: str, *cells: str) -> str:
    return f"| {name} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(tables() + "\n")
