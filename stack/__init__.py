"""Local servers for development and tests: Apache Kafka, Temporal and PostgreSQL, real ones.

``up`` starts or finds them, ``find`` only finds them, ``down`` ends them. All three block.
"""

from stack.endpoints import Endpoints
from stack.errors import StackError
from stack.lifecycle import down, find, is_started, prepare, up
from stack.running import RunningStack
from stack.service import SERVICES, ServiceName
from stack.tools import Tools, make_tools

__all__ = [
    "SERVICES",
    "Endpoints",
    "RunningStack",
    "ServiceName",
    "StackError",
    "Tools",
    "down",
    "find",
    "is_started",
    "make_tools",
    "prepare",
    "up",
]
