"""What commands print: the help of each, some answers and refusals, and the files that exports write."""

import json
import re
from pathlib import Path

import openpyxl
from names import Names
from running import Tree
from visible import visible_text

_COMMAND = re.compile(r"^│ ([a-z][a-z0-9-]*) {2,}\S")
_ANSWERED = (
    "db check --store {store}",
    "annotators list --store {store}",
    "import annotations records-2.json --model {slug} --store {store}",
    "import annotations records-1.json --model {slug} --store {store}",
    "import annotations corpus.txt --model {slug} --store {store}",
    "import annotations nothing.csv --model {slug} --store {store}",
    "export annotations --model nothing --out x.csv --store {store}",
    "export annotations --model {slug} --out x.doc --store {store}",
    "serve --store nothing/nothing.sqlite",
    "serve --store {store} --host 0.0.0.0",
    "db check --store nothing.sqlite",
    "annotators remove nobody --store {store}",
    "precompute --model model --dataset corpus.txt",
    "precompute --model model --dataset corpus.txt --sae-path nothing --store {store}",
    "precompute --model model --dataset corpus.txt --sae-path sae-0 --layers x --store {store}",
    "experiment weight-vs-fve --model nothing --store {store}",
    "experiment head-ablation --model model --name {slug} --layer 9 --store {store}",
    "experiment long-prefix-induction --model model --name {slug} --store {store}",
    "experiment long-prefix-induction --model model --name {slug} --heads x --store {store}",
    "nonsense",
    "db nonsense",
)


def record_commands(tree: Tree, folder: Path, store: str, out: Path, names: Names) -> None:
    """Write the help texts, the answers and the exports."""
    helps = out / "help"
    helps.mkdir()
    _record_help(tree, folder, [], helps)
    answers: dict[str, object] = {}
    for line in _ANSWERED:
        words = line.format(slug=names.slug, store=store).split()
        code, output = tree.run(words, folder)
        answers[line] = {"code": code, "output": _lasting_lines(names.stable(output))}
    (out / "commands.json").write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n")
    _record_exports(tree, folder, store, out / "exports", names)
    for more in ("--with-annotations", "--without-annotations"):
        words = ["export", "site", "--model", names.slug, "--out", f"site{more}", more, "--store", store]
        tree.must_run(words, folder)
        _record_site(folder / f"site{more}", out / f"site{more}", names)


def _lasting_lines(output: str) -> list[str]:
    """The lines of an output, without bars of progress."""
    return [line for line in output.splitlines() if "it/s]" not in line]


def _record_help(tree: Tree, folder: Path, path: list[str], out: Path) -> None:
    """The help of a command and of those below it, as the help itself lists them."""
    _, text = tree.run([*path, "--help"], folder)
    (out / f"{'-'.join(['head-atlas', *path])}.txt").write_text(
        "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    )
    _, has_commands, below = text.partition("─ Commands ")
    for line in below.splitlines() if has_commands else ():
        if match := _COMMAND.match(line):
            _record_help(tree, folder, [*path, match[1]], out)


def _record_exports(tree: Tree, folder: Path, store: str, out: Path, names: Names) -> None:
    """The annotations in each format: text as it is, a workbook as the values of its cells."""
    out.mkdir()
    for kind in ("csv", "json", "xlsx"):
        file = folder / f"export.{kind}"
        tree.must_run(
            ["export", "annotations", "--model", names.slug, "--out", file.name, "--store", store], folder
        )
        if kind == "xlsx":
            book = openpyxl.load_workbook(file)
            cells = {sheet.title: [list(row) for row in sheet.iter_rows(values_only=True)] for sheet in book}
            text = json.dumps(cells, indent=1, ensure_ascii=False, default=str) + "\n"
            (out / "annotations-xlsx.json").write_text(names.stable(text))
        else:
            (out / f"annotations.{kind}").write_text(names.stable(file.read_text()))


def _record_site(site: Path, out: Path, names: Names) -> None:
    """The list of the files of a static site, and what each page shows."""
    out.mkdir()
    listed: list[str] = []
    for path in sorted(site.rglob("*")):
        name = names.stable(path.relative_to(site).as_posix())
        if path.is_dir() or "static/" in name:
            continue
        listed.append(name)
        if path.suffix == ".html":
            text = visible_text(names.stable(path.read_text()))
            (out / f"{name.replace('/', '%2F')}.txt").write_text(text)
    (out / "files.txt").write_text("\n".join(listed) + "\n")
