"""A peer for the server's side of prompts: speaks the worker's lines without a model. Texts choose what it does.

`crash`, `hang`, `junk`, `other id`, `huge`, `refuse`; anything else is answered with numbers whose sums are true, for
as many heads as the first argument says; the second names a layer without an SAE.
"""

import json
import sys
import time
from typing import Any


def main() -> None:
    n_heads, bare_layer = (int(each) for each in sys.argv[1:] or (4, 1))
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "open" in message:
            if message["open"]["cache_dir"] == "broken":
                send({"id": message["id"], "error": "the SAE is not there"})
            else:
                send({"id": message["id"], "ok": {}})
            continue
        ask = message["ask"]
        text = ask["text"]
        if text == "crash":
            sys.exit(3)
        if text == "hang":
            time.sleep(600)
        if text == "junk":
            sys.stdout.write("no json\n")
            sys.stdout.flush()
        elif text == "other id":
            send({"id": message["id"] + 7, "ok": {}})
        elif text == "incomplete":
            send({"id": message["id"], "ok": {"tokens": []}})
        elif text == "refuse":
            send({"id": message["id"], "error": "the text is not to be read"})
        else:
            if text.startswith("slow"):
                time.sleep(2)
            send({"id": message["id"], "ok": made_up(ask, n_heads, bare_layer)})


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def made_up(ask: dict[str, Any], n_heads: int, bare_layer: int) -> dict[str, Any]:
    tokens = [0, *(1 + len(word) % 9 + 2 * (i % 5) for i, word in enumerate(ask["text"].split()))]
    n = len(tokens)
    head = ask["head"] if ask["head"] is not None else 1
    dest = ask["dest"] if ask["dest"] is not None else n - 1
    pattern = [[1.0 if s == max(0, d - 1) else 0.0 for s in range(d + 1)] for d in range(n)]
    dfa = [[((h + 1) * (s + 2) % 5 - 1) / 4 for s in range(dest + 1)] for h in range(n_heads)]
    contributions = [sum(row) for row in dfa]
    activation = [0.0, *(((3 * at) % 7) / 2 for at in range(1, n))]
    activation[dest] = sum(contributions) + 0.25
    feature = {
        "index": 3 if ask["feature"] is None else ask["feature"],
        "activation": activation,
        "pre_activation": activation,
        "head_contribution": [contributions[head]] * n,
        "contributions": contributions,
        "bias": 0.25,
        "dfa": dfa,
        "residual": 1e-7,
    }
    active = [
        {"index": index, "position": 1, "activation": 1.5, "head_contribution": 1.0 / (1 + i)}
        for i, index in enumerate((3, 10, 999))
    ]
    if ask["layer"] == bare_layer or ask["text"].startswith("nothing"):
        feature, active = None, []
    return {
        "tokens": tokens, "head": head, "dest": dest, "pattern": pattern, "active": active, "feature": feature
    }  # fmt: skip


if __name__ == "__main__":
    main()
