"""Every code that a dead letter of ours may have: the bridge's own, and those that the contract's models raise."""

import ast
from pathlib import Path
from typing import Final

from bridge import RefusalCode
from orders.signatures.signature import SignatureCode

_SCHEMAS: Final = Path(__file__).parents[3] / "schemas"


def contract_codes() -> set[str]:
    """The codes. A model's own is the type of its `PydanticCustomError`, wherever in schemas/ that stands."""
    named = {code.value for codes in (RefusalCode, SignatureCode) for code in codes}
    return named | {code for file in _SCHEMAS.rglob("*.py") for code in _codes_in(file)}


def _codes_in(file: Path) -> set[str]:
    raised = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
    return {
        ast.literal_eval(call.args[0])
        for call in raised
        if isinstance(call.func, ast.Name) and call.func.id == "PydanticCustomError"
    }
