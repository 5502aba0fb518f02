"""An attempt of an activity as a worker makes it, without Temporal."""

import dataclasses
from datetime import timedelta

from temporalio.testing import ActivityEnvironment

START_TO_CLOSE = timedelta(seconds=30)
"""Far longer than what any call here takes on a busy machine. The SDK's own default, a second, is cut too short."""


def attempt_environment() -> ActivityEnvironment:
    """Runs attempts of activities, each with time enough for its calls."""
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, start_to_close_timeout=START_TO_CLOSE)
    return environment
