"""Inserts of many rows, and of rows that rivals may insert at the same moment."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, LiteralString, cast

from sqlalchemy import Connection, Dialect, Insert, Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from app.store.database.column_types import Whole
from app.store.tables.atlas import Base


def insert_unless_there(
    session: Session, table: type[Base], values: Mapping[str, object] | Sequence[Mapping[str, object]]
) -> Insert:
    """The statement that inserts the rows, and leaves those whose keys are taken as they are in the store."""
    return _insert(session.get_bind().dialect.name, table).values(values)


def insert_one_unless_there(session: Session, table: type[Base], row: Mapping[str, object]) -> int | None:
    """Insert the row and return its id; None where one of its keys is taken. Cheaper than the statement for many."""
    statement = _insert(session.get_bind().dialect.name, table, "id")
    return session.connection().execute(statement, row).scalar()


@cache
def _insert(dialect: str, table: type[Base], returned: str = "") -> Any:
    """An insert that leaves rows whose keys are taken, without values. Any: the two dialects' inserts share no type."""
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert
    whole_table = _table_of(table)
    statement = insert(whole_table if returned else table).on_conflict_do_nothing()
    return statement.returning(whole_table.c[returned]) if returned else statement


def insert_rows(session: Session, table: type[Base], rows: Iterable[Mapping[str, object]]) -> None:
    """Add the rows, of which there may be none, all with the same columns, as `insert_columns` does.

    Raises KeyError for a row that lacks a column of the first one.
    """
    listed = list(rows)
    if listed:
        insert_columns(session, table, {name: list(map(itemgetter(name), listed)) for name in listed[0]})


def insert_columns(session: Session, table: type[Base], columns: Mapping[str, Sequence[object]]) -> None:
    """Add the rows that these columns, all as long, consist of; on Postgres by COPY.

    They go to the driver as tuples, past SQLAlchemy's handling of each row, but through the checks of their columns'
    types. Raises ValueError for columns of different lengths.
    """
    connection, whole_table = session.connection(), _table_of(table)
    rows = _driver_rows(connection.dialect, whole_table, columns)
    if not rows:
        return
    quote = connection.dialect.identifier_preparer.quote
    target = f"{quote(whole_table.name)} ({', '.join(map(quote, columns))})"
    if connection.dialect.name == "postgresql":
        _copy(connection, f"COPY {target} FROM STDIN", rows)
    else:
        places = ", ".join("?" * len(columns))
        connection.exec_driver_sql(f"INSERT INTO {target} VALUES ({places})", rows)  # noqa: S608 - names of columns


def _table_of(table: type[Base]) -> Table:
    return Base.metadata.tables[table.__tablename__]


def _driver_rows(
    dialect: Dialect, table: Table, columns: Mapping[str, Sequence[object]]
) -> list[tuple[Any, ...]]:
    """The rows as tuples of what the driver takes."""
    of_driver = (_driver_values(dialect, table.columns[name].type, columns[name]) for name in columns)
    return list(zip(*of_driver, strict=True))


def _driver_values(dialect: Dialect, kind: TypeEngine[Any], values: Sequence[object]) -> Iterable[Any]:
    if isinstance(kind, Whole) and {int}.issuperset(map(type, values)):
        return values  # as they are, which is quicker seen of all than of each
    to_driver = kind.dialect_impl(dialect).bind_processor(dialect)
    return values if to_driver is None else map(to_driver, values)


def _copy(connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    import psycopg

    driver = cast("psycopg.Connection[Any]", connection.connection.dbapi_connection)
    try:
        with driver.cursor() as cursor, cursor.copy(cast(LiteralString, statement)) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:
        raise DBAPIError.instance(
            statement, None, error, psycopg.Error, dialect=connection.dialect
        ) from error
