"""Finds activities by their definition, so that no list of them stands anywhere else."""

import inspect
from collections.abc import Callable
from typing import Any


def activities_of(*owners: object) -> list[Callable[..., Any]]:
    """The methods of these objects that ``@activity.defn`` stands over, for a worker to register.

    The SDK marks what it decorates by an attribute, and offers no public function that asks for it (temporalio 1.35).
    """
    return [
        method
        for owner in owners
        for _, method in inspect.getmembers(owner, inspect.ismethod)
        if hasattr(method, "__temporal_activity_definition")
    ]
