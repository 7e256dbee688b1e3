"""How many small faults, put into the statistics and the store of annotations one at a time, their own tests find.

    python benchmarks/mutants.py [--n 150] [--seed 0] [--note TEXT]

A mutant is the module with one operator, comparison, number or truth value changed. A sample drawn by the seed is put,
one by one, into a copy of the tree, where the quick tests of that module run until one fails. Prints the mutants that
no test found, and adds a JSON line to benchmarks/results.jsonl.
"""

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from results import keep

ROOT = Path(__file__).parents[1]
COPIED = ("app", "tests", "migrations", "frontend", "pyproject.toml", "README.md", "docs")
ANNOTATIONS = "app/store/annotations.py"
TESTS_OF_ANNOTATIONS = ("tests/store/test_annotation*.py", "tests/services/annotations/test_saving.py")
TIMEOUT_S = 600
OTHERS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


def changes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Change the tree in each way in turn; while one is in force, its line and what it is are given."""
    annotated = {
        id(part)
        for node in ast.walk(tree)
        for hint in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if isinstance(hint, ast.AST)
        for part in ast.walk(hint)
    }
    for node in [each for each in ast.walk(tree) if id(each) not in annotated]:
        if isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in OTHERS:
            before, node.op = node.op, OTHERS[type(node.op)]()  # type: ignore[assignment]
            yield node.lineno, f"{type(before).__name__} is {type(node.op).__name__}"
            node.op = before  # type: ignore[assignment]
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in OTHERS:
            first = node.ops[0]
            node.ops[0] = OTHERS[type(first)]()  # type: ignore[assignment]
            yield node.lineno, f"{type(first).__name__} is {type(node.ops[0]).__name__}"
            node.ops[0] = first
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
            value = node.value
            node.value = not value if isinstance(value, bool) else value + 1
            yield node.lineno, f"{value} is {node.value}"
            node.value = value


def mutants() -> list[tuple[str, int]]:
    """The module and the number of every change that can be made."""
    modules = [*sorted((ROOT / "app/statistics").glob("*.py")), ROOT / ANNOTATIONS]
    return [
        (str(path.relative_to(ROOT)), number)
        for path in modules
        for number, _ in enumerate(changes(ast.parse(path.read_text("utf-8"))))
    ]


def tests_of(module: str) -> list[str]:
    """The tests of a module: of its own name, or else those of its package."""
    if module == ANNOTATIONS:
        return [
            str(path.relative_to(ROOT)) for pattern in TESTS_OF_ANNOTATIONS for path in ROOT.glob(pattern)
        ]
    own = f"tests/statistics/test_{Path(module).stem}.py"
    return [own] if (ROOT / own).exists() else ["tests/statistics"]


def is_found(copy: Path, module: str, number: int) -> tuple[bool, str]:
    """Whether a test of the module, or else of its package, fails with the change; and what it is."""
    text = (ROOT / module).read_text("utf-8")
    tree = ast.parse(text)
    line, what = next(each for at, each in enumerate(changes(tree)) if at == number)
    changed = ast.unparse(tree)  # the change is in force until the next one
    (copy / module).write_text(changed, encoding="utf-8")
    try:
        # Of another module of the package a test may find it as well.
        found = any(
            _fails(copy, tests) for tests in dict.fromkeys((tuple(tests_of(module)), _package(module)))
        )
    finally:
        (copy / module).write_text(text, encoding="utf-8")
    return found, f"{module}:{line}: {what}"


def _package(module: str) -> tuple[str, ...]:
    return tuple(tests_of(module)) if module == ANNOTATIONS else ("tests/statistics",)


def _fails(copy: Path, tests: tuple[str, ...]) -> bool:
    words = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    words += ["-m", "not slow and not sweep", *tests]
    environment = os.environ | {"PYTHONPATH": str(copy)}
    try:
        done = subprocess.run(
            words, cwd=copy, env=environment, capture_output=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:  # it loops
        return True
    return done.returncode != 0


def main() -> None:
    """Sample, run, print, keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--note", default="")
    asked = parser.parse_args()
    load, everything = os.getloadavg()[0], mutants()
    sample = sorted(random.Random(asked.seed).sample(everything, asked.n))
    n_found = 0
    with tempfile.TemporaryDirectory(prefix="head-atlas-mutants-") as folder:
        copy = Path(folder)
        for name in COPIED:
            place = ROOT / name
            (shutil.copytree if place.is_dir() else shutil.copyfile)(place, copy / name)
        for tests in {tuple(tests_of(module)) for module, _ in sample}:
            if _fails(copy, tests):
                raise SystemExit(f"{' '.join(tests)} fail without a change")
        for module, number in sample:
            found, what = is_found(copy, module, number)
            n_found += found
            if not found:
                print(what, flush=True)
    figures = {
        "n": asked.n,
        "of": len(everything),
        "seed": asked.seed,
        "percent": round(100 * n_found / asked.n, 1),
    }
    print(json.dumps(keep("mutants", figures, asked.note, load), indent=1))


if __name__ == "__main__":
    main()
