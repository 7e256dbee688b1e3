"""`python -m tests.parity`: measure the matrix and print its table. Exit status 1 where a number is wrong.

--write puts the tables into docs/models.md; without it, a row that differs from the page's is an error as well.
"""

import argparse
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

from tests.parity.matrix import COMBINATIONS, Row, make_row, name_of, quiet
from tests.parity.table import BUILT, HEAD, PAGE, UNBUILT, committed, drawn, unbuilt, with_table
from tests.support.model_families import FAMILIES


def main() -> int:
    """Measure, print, and write where asked to."""
    options = argparse.ArgumentParser(prog="tests.parity", description=__doc__)
    options.add_argument("families", nargs="*", default=sorted(FAMILIES), metavar="FAMILY")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--write", action="store_true", help="renew the tables of docs/models.md")
    chosen = options.parse_args()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(chosen.workers, mp_context=context, initializer=quiet) as pool:
        rows = []
        for row in pool.map(make_row, chosen.families):
            rows.append(row)
            _tell(_printed(row))
    _tell(f"\n{drawn(HEAD, [row.cells for row in rows])}\n\n{drawn(('architecture', 'why'), unbuilt())}")
    _tell(f"\n{_worst_by_kind(rows)}")
    if chosen.write:
        measured = {row.cells[0]: row.cells for row in rows}
        cells = {**{each[0]: each for each in committed(BUILT)}, **measured}
        page = with_table(
            PAGE.read_text(), BUILT, drawn(HEAD, [cells[name] for name in sorted(cells, key=_bare)])
        )
        PAGE.write_text(with_table(page, UNBUILT, drawn(("architecture", "why no row above"), unbuilt())))
    return _verdict(rows)


def _bare(name: str) -> str:
    return name.strip("`")


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _printed(row: Row) -> str:
    lines = [f"{row.family}: {row.reasons or 'nothing withheld'}"]
    for name, verdict in row.verdicts.items():
        off = row.off.get(name, {})
        worst = sorted(off, key=lambda kind: -off[kind])
        lines.append(f"  {name}: {verdict} {', '.join(f'{kind} {off[kind]:.0e}' for kind in worst)}".rstrip())
    return "\n".join([*lines, *(f"  WRONG {each}" for each in row.wrong)])


def _worst_by_kind(rows: list[Row]) -> str:
    """For each kind of number the largest difference of all families, by combination, and whose it is."""
    names = [name_of(*each) for each in COMBINATIONS]
    kinds = sorted({kind for row in rows for off in row.off.values() for kind in off})
    cells = []
    for kind in kinds:
        by_name = [max((row.off.get(name, {}).get(kind, -1.0), row.family) for row in rows) for name in names]
        cells.append((kind, *(f"{off:.1e} {family}" if off >= 0 else "" for off, family in by_name)))
    return drawn(("number", *names), cells)


def _verdict(rows: list[Row]) -> int:
    on_page = {cells[0]: cells for cells in committed(BUILT)}
    other = [row.family for row in rows if on_page.get(row.cells[0]) != row.cells]
    wrong = [row.family for row in rows if row.wrong]
    _tell(
        f"\n{len(rows)} families, {len(wrong)} with wrong numbers {wrong}, {len(other)} unlike the page {other}"
    )
    return 1 if wrong or other else 0


if __name__ == "__main__":
    sys.exit(main())
