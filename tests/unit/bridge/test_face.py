"""The bridge's public names: all are there, each says what it promises, and none costs what it does not need."""

import inspect
import subprocess
import sys

import pytest

import bridge

CONSTANTS = {"SINGLE_ATTEMPT", "Header"}
"""Their docstrings stand below them in the source, where no program sees them."""


@pytest.mark.parametrize("name", bridge.__all__)
def test_every_public_name_is_there_and_has_a_docstring_of_its_own(name: str) -> None:
    found = getattr(bridge, name)
    if name not in CONSTANTS:
        assert found.__name__ == name
        assert (found.__doc__ or "").partition("(")[0] != name, "the one that a dataclass makes"
        assert inspect.cleandoc(found.__doc__ or "").endswith((".", "``"))


def test_no_other_name_has_a_home() -> None:
    assert sorted(bridge._HOME_OF) == sorted(bridge.__all__)
    with pytest.raises(AttributeError, match="Brigde"):
        _ = bridge.Brigde


def test_to_make_a_configuration_or_read_a_record_imports_no_client_of_any_server() -> None:
    code = (
        "import sys; from bridge import BridgeConfig, Kafka, Record, RefusedError, read_event; "
        "print([name for name in ('aiokafka', 'temporalio') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
