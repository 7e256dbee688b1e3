"""Figures of how a checkout is built, as tables: python scripts/tree_numbers.py [CHECKOUT].

They are counts to compare two trees by, not rules. Nothing of the checkout is imported; circles of imports need
grimp, which comes with import-linter.
"""

import ast
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

PARTICIPLES = frozenset(
    ("found", "given", "made", "one", "asked", "told", "kept", "known", "noted", "wanted", "shown")
)
OPENINGS = ("Of ", "To ", "The same", "Whose ", "None for ", "Through ")
CARRIED = ("session", "run", "viewer")
ANY_FOLDERS = ("app/web", "app/studies", "app/commands")
LINE_LIMIT = 120
# The sample number, which was added last, and one of each kind that older trees have too.
SAMPLE_NUMBERS = {
    "top_source_share": "the sample: derived, of each head's part in a feature",
    "decoder_weight_norm": "stored, of each head's part in a feature",
    "mean_activation": "stored, of a feature",
    "rank_correlation": "stored, of a head",
}
PLACES_OF_NUMBERS = (
    "app",
    "frontend/templates",
    "frontend/static",
    "migrations",
    "docs",
    "tests",
    "CHANGELOG.md",
)
SUFFIXES = (".py", ".html", ".js", ".css", ".md")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A parsed file, by its path in the checkout."""

    path: str
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def functions(self) -> list[Function]:
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]

    def at(self, node: ast.stmt) -> str:
        return f"{self.path}:{node.lineno}"


def read_modules(root: Path) -> list[Module]:
    """The modules of app/ by path."""
    modules: list[Module] = []
    for path in sorted((root / "app").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        modules.append(Module(path.relative_to(root).as_posix(), text, ast.parse(text)))
    return modules


def modules_by_package(modules: list[Module]) -> list[str]:
    counts = Counter(
        module.path.rpartition("/")[0] for module in modules if not module.path.endswith("__init__.py")
    )
    return [f"{count:4}  {package}" for package, count in sorted(counts.items())]


def circles(root: Path) -> list[str]:
    """The largest circle of imports, between modules and between packages, of app and of app/services."""
    try:
        import grimp
    except ImportError:
        return ["grimp is not installed: no circles are counted"]
    sys.path.insert(0, str(root))
    graph = grimp.build_graph("app", cache_dir=None)
    edges = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    lines: list[str] = []
    for inside in ("app", "app.services"):
        within = {
            name: {x for x in targets if _is_in(x, inside)}
            for name, targets in edges.items()
            if _is_in(name, inside)
        }
        between = _joined(within, len(inside.split(".")) + 1)
        parts = "sub-packages" if inside == "app" else "parts"
        for what, between_them in (("modules", within), (f"{parts} of {inside}", between)):
            largest = max(_components(between_them), key=len, default=[])
            members = "none" if len(largest) < 2 else f"{len(largest)}: {', '.join(sorted(largest))}"
            lines.append(f"{inside}, between {what}: {members}")
    return lines


def _is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _joined(edges: dict[str, set[str]], depth: int) -> dict[str, set[str]]:
    """The same imports between the parts of a package."""
    between: dict[str, set[str]] = defaultdict(set)
    for name, imported in edges.items():
        part = ".".join(name.split(".")[:depth])
        between[part] |= {".".join(x.split(".")[:depth]) for x in imported} - {part}
    return between


def _components(edges: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components: sets of nodes that all reach each other."""
    reach = {node: _reached(edges, node) for node in edges}
    left, components = set(edges), []
    while left:
        node = min(left)
        component = [node, *(x for x in reach[node] if x != node and node in reach.get(x, ()))]
        components.append(component)
        left -= set(component)
    return components


def _reached(edges: dict[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        new = edges.get(waiting.pop(), set()) - reached
        reached |= new
        waiting += new
    return reached


def repeated_classes(modules: list[Module]) -> list[str]:
    places: dict[str, list[str]] = defaultdict(list)
    for module in modules:
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module.at(node))
    repeated = {name: at for name, at in sorted(places.items()) if len(at) > 1}
    return [f"{len(repeated)} names", *(f"{name}: {', '.join(at)}" for name, at in repeated.items())]


def carrying(modules: list[Module]) -> list[str]:
    """Functions that take session, run and viewer, and those that take session and run."""
    whole: list[str] = []
    pairs: list[str] = []
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, Function | ast.Lambda):
                arguments = node.args
                names = {
                    each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
                }
                if set(CARRIED[:2]) <= names:
                    name = getattr(node, "name", "lambda")
                    pairs.append(name)
                    whole += [f"{module.path}:{node.lineno} {name}"] if CARRIED[2] in names else []
    first = f"{len(whole)} take session, run and viewer; {len(pairs)} take session and run"
    return [first, *whole]


def any_annotations(modules: list[Module]) -> list[str]:
    """Annotations that hold Any, with or without a comment on the line or the one before."""
    lines: list[str] = []
    total: Counter[str] = Counter()
    for folder in ANY_FOLDERS:
        counts: Counter[str] = Counter()
        for module in modules:
            if module.path.startswith(f"{folder}/"):
                text = module.lines
                for number in _any_lines(module.tree):
                    near = (text[number - 1], text[number - 2].strip() if number > 1 else "")
                    has_reason = "#" in near[0] or near[1].startswith("#")
                    counts["with a reason" if has_reason else "without a reason"] += 1
        total += counts
        lines.append(
            f"{folder}: {counts['with a reason']} with, {counts['without a reason']} without a reason"
        )
    return [f"{total.total()} in all", *lines]


def _any_lines(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        for annotation in _annotations(node):
            yield from (x.lineno for x in ast.walk(annotation) if isinstance(x, ast.Name) and x.id == "Any")


def _annotations(node: ast.AST) -> Iterable[ast.expr]:
    if isinstance(node, ast.AnnAssign | ast.arg):
        return [node.annotation] if node.annotation else []
    if isinstance(node, Function):
        return [node.returns] if node.returns else []
    return []


def template_lines(root: Path) -> list[str]:
    lines: list[tuple[int, str]] = []
    for path in sorted((root / "frontend" / "templates").rglob("*.html")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            lines.append((len(line), f"{path.relative_to(root)}:{number}"))
    longest = max(lines, default=(0, ""))
    n_long = sum(length > LINE_LIMIT for length, _ in lines)
    return [
        f"{n_long} of {len(lines)} lines over {LINE_LIMIT} columns; the longest has {longest[0]} ({longest[1]})"
    ]


def files_of_numbers(root: Path) -> list[str]:
    """The files that name each sample number: where it is declared, computed, shown, described, tested or used."""
    texts: dict[str, str] = {}
    for place in PLACES_OF_NUMBERS:
        for path in [root / place, *(root / place).rglob("*")]:
            if path.is_file() and path.suffix in SUFFIXES:
                texts[path.relative_to(root).as_posix()] = path.read_text(encoding="utf-8")
    lines: list[str] = []
    for number, what in SAMPLE_NUMBERS.items():
        files = sorted(path for path, text in texts.items() if re.search(rf"\b{number}\b", text))
        lines += [f"{len(files):4}  {number} ({what})", *(f"        {path}" for path in files)]
    return lines


def lengths(modules: list[Module]) -> list[str]:
    """Median and maximum of functions and modules, docstrings and blank lines counted."""
    functions = [
        ((node.end_lineno or node.lineno) - node.lineno + 1, f"{module.at(node)} {node.name}")
        for module in modules
        for node in module.functions()
    ]
    whole = [
        (len(module.lines), module.path) for module in modules if not module.path.endswith("__init__.py")
    ]
    return [_spread("functions", functions), _spread("modules", whole)]


def _spread(what: str, sizes: list[tuple[int, str]]) -> str:
    middle, (longest, where) = median(size for size, _ in sizes), max(sizes)
    return f"{what}: {len(sizes)}, median {middle:g} lines, longest {longest} ({where})"


def participles(modules: list[Module]) -> list[str]:
    """Names bound to a bare participle: assignments, fields, parameters and loops."""
    counts: Counter[str] = Counter()
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in PARTICIPLES:
                counts[node.id] += 1
            elif isinstance(node, ast.arg) and node.arg in PARTICIPLES:
                counts[f"{node.arg} (parameter)"] += 1
    return [f"{counts.total()} in all", *(f"{count:4}  {name}" for name, count in counts.most_common())]


def docstring_openings(modules: list[Module]) -> list[str]:
    """Docstrings that open with a word after which the subject is missing."""
    counts: Counter[str] = Counter()
    n_docstrings = 0
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Module | ast.ClassDef | Function):
                text = ast.get_docstring(node) or ""
                n_docstrings += bool(text)
                counts.update(opening.strip() for opening in OPENINGS if text.startswith(opening))
    return [
        f"{counts.total()} of {n_docstrings} docstrings",
        *(f"{count:4}  {opening}" for opening, count in counts.most_common()),
    ]


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    modules = read_modules(root)
    tables = {
        "Modules by package (direct ones, without __init__)": modules_by_package(modules),
        "Largest circle of imports": circles(root),
        "Public class names defined more than once": repeated_classes(modules),
        "Functions that carry the same arguments": carrying(modules),
        f"Any in annotations of {', '.join(ANY_FOLDERS)}": any_annotations(modules),
        "Templates": template_lines(root),
        "Files touched by a number: those that name it, tests and docs included": files_of_numbers(root),
        "Lengths": lengths(modules),
        "Bare participles as names": participles(modules),
        "Docstrings that open with Of, To, The same, Whose, None for, Through": docstring_openings(modules),
    }
    for title, lines in tables.items():
        sys.stdout.write("\n".join([title, *(f"  {line}" for line in lines), "", ""]))


if __name__ == "__main__":
    main()
