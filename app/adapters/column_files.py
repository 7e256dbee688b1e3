"""Documents in a column of a Parquet or Arrow file."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.adapters.text_files import FieldFile
from app.errors import InvalidCorpus

COLUMN_SUFFIXES = frozenset({".parquet", ".arrow", ".feather", ".ipc"})
_ROWS = 1024  # of a Parquet file, read at a time


@dataclass(frozen=True)
class ColumnFile(FieldFile):
    """A column of text whose rows are documents. Rows without text are left out."""

    def documents(self) -> Iterator[str]:
        """The documents, read in batches of rows.

        Raises InvalidCorpus for a damaged file, or a column that is missing or no text.
        """
        import pyarrow

        try:
            for batch in self._batches():
                column = batch.column(0)
                if not (pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type)):
                    raise InvalidCorpus(
                        f"{self.path}: the column {self.text_field!r} is {column.type}, not text"
                    )
                yield from (text for text in column.to_pylist() if text is not None)
        except (pyarrow.ArrowException, OSError) as error:
            cause = " ".join(str(error).split())[:200]
            raise InvalidCorpus(f"{self.path} is not a readable {self.path.suffix} file: {cause}") from error

    def _batches(self) -> Iterator[Any]:
        """Batches of the text column alone."""
        if self.path.suffix.lower() == ".parquet":
            from pyarrow import parquet

            with parquet.ParquetFile(self.path) as file:
                self._check_column(file.schema_arrow.names)
                yield from file.iter_batches(batch_size=_ROWS, columns=[self.text_field])
            return
        import pyarrow

        with pyarrow.memory_map(str(self.path)) as source, _open_arrow(source) as reader:
            self._check_column(reader.schema.names)
            batches = (
                (reader.get_batch(i) for i in range(reader.num_record_batches))
                if hasattr(reader, "num_record_batches")
                else reader
            )
            for batch in batches:
                yield batch.select([self.text_field])

    def _check_column(self, names: list[str]) -> None:
        if self.text_field not in names:
            has = ", ".join(names[:10]) or "none"
            raise InvalidCorpus(
                f"{self.path} has no column {self.text_field!r}, its columns are {has}; name one with --text-field"
            )


def _open_arrow(source: Any) -> Any:
    """A reader of an Arrow file, or of a stream, as the datasets library keeps it under the same suffix."""
    import pyarrow

    try:
        return pyarrow.ipc.open_file(source)
    except pyarrow.ArrowInvalid:
        source.seek(0)
        return pyarrow.ipc.open_stream(source)
