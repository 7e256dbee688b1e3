"""What must not change when a tree is reorganised, recorded from outside and compared.

    python scripts/snapshot make-store FOLDER              a small store, made by the tree
    python scripts/snapshot record STORE OUT               what the tree answers about a store
    python scripts/snapshot compare OUT OTHER              every difference between two recordings

Nothing of the app is imported: the tree is run by its command, so any version of it can be recorded.
"""

import argparse
from pathlib import Path

from comparing import compare
from making import make_store
from recording import record
from running import Tree


def main() -> None:
    options = _parser().parse_args()
    if options.action == "compare":
        raise SystemExit(compare(options.before, options.after, options.all))
    tree = Tree(options.tree, options.command)
    if options.action == "make-store":
        make_store(tree, options.folder)
    else:
        record(tree, options.store.resolve(), options.out, options.addresses)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="snapshot", description=(__doc__ or "").partition("\n")[0])
    actions = parser.add_subparsers(dest="action", required=True)
    made = actions.add_parser("make-store", help="make a small store with the tree's own commands")
    made.add_argument("folder", type=Path)
    recorded = actions.add_parser("record", help="record what the tree answers about a store")
    recorded.add_argument("store", type=Path)
    recorded.add_argument("out", type=Path, help="new folder")
    recorded.add_argument(
        "--addresses", type=Path, help="pages/addresses.txt of a recording: ask for the same"
    )
    for each in (made, recorded):
        each.add_argument("--tree", type=Path, default=Path(), help="the checkout that is run [.]")
        each.add_argument("--command", default=".venv/bin/head-atlas", help="how it is run [%(default)s]")
    compared = actions.add_parser("compare", help="list every difference between two recordings")
    compared.add_argument("before", type=Path)
    compared.add_argument("after", type=Path)
    compared.add_argument("--all", action="store_true", help="name every place of a repeated difference")
    return parser


if __name__ == "__main__":
    main()
