"""Inserts of many rows, and of rows that rivals may insert at the same moment."""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, LiteralString, cast

from sqlalchemy import Connection, Dialect, Insert, Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.store.tables.atlas import Base


def insert_unless_there(
    session: Session, table: type[Base], values: Mapping[str, object] | Sequence[Mapping[str, object]]
) -> Insert:
    """The statement that inserts the rows, and leaves those whose keys are taken as they are in the store."""
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert
    return insert(table).values(values).on_conflict_do_nothing()


def insert_rows(session: Session, table: type[Base], rows: Iterable[Mapping[str, object]]) -> None:
    """Add the rows, of which there may be none, all with the same columns; on Postgres by COPY.

    They go to the driver as tuples, past SQLAlchemy's handling of each row, but through the checks of their columns'
    types. Raises KeyError for a row that lacks a column of the first one.
    """
    listed = list(rows)
    if not listed:
        return
    connection, whole_table, names = session.connection(), _table_of(table), tuple(listed[0])
    values = _driver_values(connection.dialect, whole_table, names, listed)
    quote = connection.dialect.identifier_preparer.quote
    target = f"{quote(whole_table.name)} ({', '.join(map(quote, names))})"
    if connection.dialect.name == "postgresql":
        _copy(connection, f"COPY {target} FROM STDIN", values)
    else:
        places = ", ".join("?" * len(names))
        connection.exec_driver_sql(f"INSERT INTO {target} VALUES ({places})", values)  # noqa: S608 - names of columns


def _table_of(table: type[Base]) -> Table:
    return Base.metadata.tables[table.__tablename__]


def _driver_values(
    dialect: Dialect, table: Table, names: Sequence[str], rows: Sequence[Mapping[str, object]]
) -> list[tuple[Any, ...]]:
    """The rows as tuples of what the driver takes."""
    columns: list[Iterable[Any]] = []
    for name in names:
        values = map(itemgetter(name), rows)
        to_driver = table.columns[name].type.dialect_impl(dialect).bind_processor(dialect)
        columns.append(values if to_driver is None else map(to_driver, values))
    return list(zip(*columns, strict=True))


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
