"""The one algorithm that a signed token is checked with."""

from typing import Any

from joserfc.errors import UnsupportedAlgorithmError
from joserfc.jws import JWSRegistry


class OneAlgorithm(JWSRegistry):
    """joserfc's registry, limited to one algorithm, without its warning that `EdDSA` is called `Ed25519` by now.

    Args:
        algorithm: its name.
    """

    def __init__(self, algorithm: str) -> None:
        # Unknown header parameters are ignored (RFC 7515, section 4); the library refuses what is called critical.
        super().__init__(algorithms=[algorithm], strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        """The algorithm of this name, without a warning."""
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError
        return self.algorithms[name]
