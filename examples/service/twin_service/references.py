"""Secrets by reference: where a password or token is to be found, never the word itself."""

import os
from dataclasses import dataclass
from pathlib import Path

from physics_twin.errors import DataError


@dataclass(frozen=True)
class Reference:
    """ "env:NAME" or "file:/path". What it stands for is read when it is needed, and printed nowhere."""

    where: str

    def __post_init__(self) -> None:
        kind, _, place = self.where.partition(":")
        if kind not in ("env", "file") or not place:
            # The word may be the secret: it is not repeated.
            raise DataError('a secret is given by reference: write "env:NAME" or "file:/path", not the secret itself')

    def read(self) -> str:
        """The secret; raises DataError that names the place where none is."""
        kind, _, place = self.where.partition(":")
        if kind == "env":
            found = os.environ.get(place, "")
        else:
            try:
                found = Path(place).read_text(encoding="utf8").strip()
            except OSError as error:
                raise DataError(f"{self.where} cannot be read: {error.strerror}") from error
        if not found:
            raise DataError(f"{self.where} is empty; put the secret there before the service is started")
        return found
