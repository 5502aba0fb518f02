"""Whether a record speaks of an order, also where it is too malformed to be read. Pure."""

import re
from functools import lru_cache

from orders.operations.messages import order_id_in


def names_order(key: bytes | None, value: bytes | None, order_id: str) -> bool:
    """Whether a record's key or body names the order.

    A body that can be read names the one in its ``order_id``. In one that cannot, the id is looked for as a word.
    """
    wanted = order_id.encode()
    if key == wanted:
        return True
    if not value or wanted not in value:
        return False  # Most records by far, without parsing them.
    found = order_id_in(value)
    return found == order_id if found is not None else _word(wanted).search(value) is not None


@lru_cache(maxsize=16)
def _word(order_id: bytes) -> re.Pattern[bytes]:
    """The id with no character of an id directly before or after it."""
    return re.compile(rb"(?<![A-Za-z0-9._:-])" + re.escape(order_id) + rb"(?![A-Za-z0-9._:-])")
