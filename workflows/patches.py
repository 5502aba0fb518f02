"""Changes of the workflows that open runs may have begun without; docs/evolving-workflows.md says when one may go."""

from typing import Final

RECORDS_FIRST: Final = "records-first"
"""Nothing is charged, shipped or refunded before the transition that led to it is recorded; and a run that finds that
another has written meanwhile begins again from the records. Before, it did all at once, and went on behind the other's
events."""
