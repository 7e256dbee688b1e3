"""A view of the spreadsheet: its rows, columns and order, which the page and exported files share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from app.domain.annotations.head_types import HEAD_TYPES
from app.domain.annotations.records import STATUSES
from app.domain.annotations.roles import find_role
from app.domain.refs import HeadRef
from app.errors import AppError
from app.services.reading.layer_ranges import parse_layers
from app.services.sheet.rows import AGREEMENTS, HEAD_COLUMNS, HEAD_KEY, NUMBER_COLUMNS, Row

DEFAULT_COLUMNS = (
    *HEAD_KEY,
    "groups",
    "head_type",
    "roles",
    "largest_group",
    "n_groups",
    "confidence",
    "knew_before",
    "new_groups",
    "n_evidence",
    "agreement",
    "notes",
    "updated_at",
)


class InvalidView(AppError):
    """A column, filter or order that the sheet does not have."""

    status_code = 422


@dataclass(frozen=True)
class SheetView:
    """A choice of rows, columns and order; a row must pass every filter, and an empty text sets none."""

    columns: Annotated[tuple[str, ...], "Columns in order; head and annotator are always among them"] = (
        HEAD_COLUMNS
    )
    layers: Annotated[str, "Layers, such as 5-7 or 2,5"] = ""
    by: Annotated[str, "An annotator's name"] = ""
    head_type: Annotated[str, "A head type"] = ""
    role: Annotated[str, "A role"] = ""
    status: Annotated[str, "A status of the record"] = ""
    agreement: Annotated[
        str, "agree, differs or single: the settled types of others, or that there are none"
    ] = ""
    sort: Annotated[str, "The column to sort by"] = "head"
    descending: Annotated[bool, "Whether the largest comes first"] = False

    @property
    def is_whole(self) -> bool:
        """Whether the view has all rows and columns, as exports for import elsewhere need."""
        return self == SheetView()


def make_view(columns: Sequence[str], **fields: str | bool) -> SheetView:
    """A view with these columns, or the default ones, and these filters.

    Raises InvalidView or UnknownRole.
    """
    view_columns = tuple(dict.fromkeys((*HEAD_KEY, *(columns or DEFAULT_COLUMNS))))
    view = SheetView(view_columns, **{name: value for name, value in fields.items() if value})  # pyright: ignore[reportArgumentType]
    for name in (*view.columns, view.sort):
        if name not in HEAD_COLUMNS:
            raise InvalidView(f"{name[:60]!r} is not a column of the sheet")
    checks = (
        ("head type", view.head_type, HEAD_TYPES),
        ("status", view.status, STATUSES),
        ("agreement", view.agreement, AGREEMENTS),
    )
    for what, value, values in checks:
        if value and value not in values:
            raise InvalidView(f"{value[:60]!r} is an unknown {what}; choose from {', '.join(values)}")
    if view.role:
        find_role(view.role)
    if view.layers:
        parse_layers(view.layers)
    return view


def view_rows(rows: Sequence[Row], view: SheetView) -> list[Row]:
    """The rows of the view in its order, ties in the order of heads; columns are not removed."""
    matching = [row for row in rows if all(test(row) for test in _tests(view))]
    filled = [row for row in matching if row[view.sort]]
    empty = [row for row in matching if not row[view.sort]]
    return [*sorted(filled, key=_sort_key(view.sort), reverse=view.descending), *empty]


def _tests(view: SheetView) -> list[Callable[[Row], bool]]:
    tests: list[Callable[[Row], bool]] = []
    if view.layers:
        layers = parse_layers(view.layers)
        tests.append(lambda row: HeadRef.parse(row["head"]).layer in layers)
    if view.role:
        role = find_role(view.role).name
        tests.append(lambda row: role in row["roles"].split("; "))
    if view.agreement:
        tests.append(lambda row: row["agreement"] == ("" if view.agreement == "single" else view.agreement))
    exact = (("annotator", view.by), ("head_type", view.head_type), ("status", view.status))
    for name, value in exact:
        if value:
            tests.append(lambda row, name=name, value=value: row[name] == value)
    return tests


def _sort_key(name: str) -> Callable[[Row], tuple[int, int, str]]:
    if name == "head":
        return lambda row: (HeadRef.parse(row["head"]).layer, HeadRef.parse(row["head"]).head, "")
    if name in NUMBER_COLUMNS:
        return lambda row: (int(row[name]), 0, "")
    if name == "head_type":
        places = {head_type: place for place, head_type in enumerate(HEAD_TYPES)}
        return lambda row: (places.get(row[name], len(places)), 0, "")  # pyright: ignore[reportArgumentType,reportCallIssue]
    return lambda row: (0, 0, row[name].casefold())
