"""What a journal needs of a database, and the schema that both kinds take."""

import importlib.resources
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

type Row = tuple[Any, ...]


class Database(Protocol):
    """A connection that writes durably. Statements have ? where arguments go; errors are JournalError."""

    def execute(self, statement: str, arguments: Sequence[Any] = ()) -> list[Row]:
        """All rows that it gives."""
        ...

    def insert(self, statement: str, rows: Sequence[Row]) -> int:
        """How many of the rows were put in."""
        ...

    def stream(self, statement: str, arguments: Sequence[Any] = ()) -> Iterator[Row]:
        """Rows as they come, of what is committed when it begins; nothing written later shows."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """All that is written inside is durable when the block ends well, and undone otherwise."""
        ...

    def claim(self, asset: str) -> None:
        """Be the only one who writes to this asset; raises JournalError that names who does already."""
        ...

    @property
    def size(self) -> int:
        """Bytes on disk."""
        ...

    def close(self) -> None:
        """Let go of it, and of what was claimed."""
        ...


def statements(name: str) -> list[str]:
    """The statements of one of the SQL files beside this one."""
    text = importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf8")
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return [one.strip() for one in plain.split(";\n") if one.strip()]
