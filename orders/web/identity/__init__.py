"""Who sends a request, and what he may do: API keys, tokens of an OpenID provider, browsers that are signed in.

A process opens a `Gate` and gives it to its application with `install`; routes depend on
``requires(role)``.
"""

from orders.roles import Role
from orders.web.identity.dependencies import SECURITY_SCHEMES, gate_of, identify, requires
from orders.web.identity.gate import Gate, open_gate
from orders.web.identity.install import install
from orders.web.identity.who import Identity

__all__ = ["SECURITY_SCHEMES", "Gate", "Identity", "Role", "gate_of", "identify", "install", "open_gate", "requires"]
