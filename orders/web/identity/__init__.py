"""Who sends a request, and what he may do: API keys, tokens of an OpenID provider, browsers that are signed in.

A process opens a `Gate` and gives it to its application with `install`; routes depend on `caller` or
``requires(role)``.
"""

from orders.roles import Role
from orders.web.identity.dependencies import caller, gate_of, requires
from orders.web.identity.gate import Gate, open_gate
from orders.web.identity.install import install
from orders.web.identity.who import Identity

__all__ = ["Gate", "Identity", "Role", "caller", "gate_of", "install", "open_gate", "requires"]
