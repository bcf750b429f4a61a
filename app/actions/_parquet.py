"""Owns decisions.parquet: the cells of decisions.csv as text columns, in row groups. Needs the extra `parquet`."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

from app.domain.errors import HandrailError
from app.verifier.verify import COLUMNS

ROWS: Final = 10_000  # at most, in a row group: small ones would make a footer that grows with every page
TEXT: Final = 1 << 23  # characters, after which a row group is written however few its rows


def must_be_there() -> None:
    """Raise HandrailError unless pyarrow can be imported; it is imported nowhere else, and not before."""
    try:
        import_module("pyarrow")
    except ImportError:
        raise HandrailError("Parquet needs pyarrow, which is not there: `pip install 'handrail[parquet]'`.") from None


class Parquet:
    """Writes rows to a binary file, and holds no more of them than one row group."""

    def __init__(self, file: Any) -> None:
        self._arrow: Any = import_module("pyarrow")
        self._schema = self._arrow.schema([(name, self._arrow.string()) for name in COLUMNS])
        writer = import_module("pyarrow.parquet").ParquetWriter
        self._writer = writer(file, self._schema, compression="zstd")
        self._rows: list[Sequence[str]] = []
        self._text = 0

    def add(self, cells: Sequence[str]) -> None:
        """One row, of cells as they are in decisions.csv."""
        self._rows.append(cells)
        self._text += sum(map(len, cells))
        if len(self._rows) == ROWS or self._text >= TEXT:
            self._flush()

    def end(self) -> None:
        """Write what is left and the footer; the file stays open."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            columns = [self._arrow.array(column, self._arrow.string()) for column in zip(*self._rows, strict=True)]
            self._writer.write_table(self._arrow.table(columns, schema=self._schema))
            self._rows, self._text = [], 0
