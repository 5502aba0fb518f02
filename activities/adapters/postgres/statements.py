"""Statements that are made once, when the module is imported: each execution only binds its values.

SQLAlchemy computes the cache key of every ``insert().values(…)`` anew, which took a fifth of a worker's time (profile
of commit fd0770e). What runs several times in an order's life is therefore written as text, with its parameters' places
known beforehand.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from sqlalchemy import CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection

_NAME: Final = re.compile(r"(?<!:):([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement with named parameters, ready for the driver, which knows them by number."""

    text: str
    names: tuple[str, ...]
    """The parameters, each at the place of its number."""

    @classmethod
    def of(cls, text: str) -> Self:
        """From text in which ``:name`` stands for a parameter, wherever it is used."""
        names = tuple(dict.fromkeys(_NAME.findall(text)))
        numbers = {name: f"${number}" for number, name in enumerate(names, start=1)}
        return cls(_NAME.sub(lambda found: numbers[found[1]], text), names)

    async def on(self, connection: AsyncConnection, values: Mapping[str, Any]) -> CursorResult[Any]:
        """Executes it.

        Args:
            connection: where.
            values: of the parameters; others may be among them. They go to the driver as they are.

        In a transaction, that is, or beside other reads. One by itself is for `driver.fetch`.
        """
        return await connection.exec_driver_sql(self.text, self.arguments(values))

    def arguments(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The parameters' values, each at the place of its number."""
        return tuple(values[name] for name in self.names)
