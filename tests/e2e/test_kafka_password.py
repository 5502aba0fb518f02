"""Kafka's password is renewed while a bridge and a worker run: by each mechanism, whichever side comes first."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.servers.secure.kafka import Listener, SecureKafka
from tests.helpers.system.processes import OrdersProcess
from tests.helpers.system.secured import SecuredSystem

SOON_SECONDS = 90.0


@dataclass(slots=True)
class Renewed:
    """A user of Kafka's, whose password stands in a file."""

    name: str
    file: Path
    kafka: SecureKafka

    def settings(self, mechanism: str) -> dict[str, str]:
        """By which a process comes as this user."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.address(Listener.SASL),
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": mechanism,
            "KAFKA_SASL_USERNAME": self.name,
            "KAFKA_SASL_PASSWORD_FILE": str(self.file),
        }

    def write(self, password: str) -> None:
        """Puts another file in the place of the present one, as orchestrators do."""
        draft = self.file.with_suffix(".new")
        draft.write_text(f"{password}\n")
        draft.replace(self.file)

    async def revoke(self, password: str) -> None:
        """Has Kafka know the new password only, and ends every connection that was opened with the old one."""
        await self.kafka.change_password(self.name, password)
        await self.kafka.restart()


@pytest.fixture
async def user(secured: SecuredSystem, tmp_path: Path) -> AsyncIterator[Renewed]:
    kafka, name = secured.servers.kafka, f"renewed-{secrets.token_hex(4)}"
    one = Renewed(name, tmp_path / "password", kafka)
    one.write("first")
    everything = [part for kind in ("--topic", "--group") for part in (kind, "*")]
    allowed = ("--allow-principal", f"User:{name}", "--operation", "All", *everything, "--cluster")
    await kafka.change_rights("--add", *allowed)
    await one.revoke("first")
    yield one
    await kafka.change_rights("--remove", "--force", *allowed)


async def test_a_password_is_renewed_without_a_restart_whichever_side_comes_first(
    secured: SecuredSystem, user: Renewed, tmp_path: Path
) -> None:
    bridge = secured.start("bridge", "bridge", **user.settings("SCRAM-SHA-512"))
    worker = secured.start("worker", "worker", **user.settings("PLAIN"))
    await secured.complete_an_order()

    # The file first: both are read before anybody is refused.
    user.write("second")
    await user.revoke("second")
    await secured.complete_an_order()
    for process in (bridge, worker):
        assert "kafka.password.renewed" in process.log

    # The server first: who is refused tries again, and goes on once the file has it too.
    await user.revoke("third")
    await bridge.wait_until_logged("credentials_refused", SOON_SECONDS)
    user.write("third")
    await secured.complete_an_order()

    former = tmp_path / "former"
    former.write_text("second")
    refused = {**user.settings("SCRAM-SHA-512"), "KAFKA_SASL_PASSWORD_FILE": str(former)}
    said = await secured.run("produce", "created", "o-1", "--payment-id", "p-1", status=2, **refused)
    assert f"refuses the user {user.name!r}" in said
    assert not any(password in log for log in (bridge.log, worker.log) for password in ("second", "third"))
    await end(bridge, worker)


async def end(*processes: OrdersProcess) -> None:
    for process in processes:
        await process.terminate()
