"""Produces dead letters."""

from typing import Any

from bridge.dead_letters.headers import DeadLetter, make_dead_letter, make_pointer, signed
from bridge.dead_letters.signature import Signer
from bridge.decisions import Decision, classify_kafka_error
from bridge.record import Record
from bridge.refusal import Refusal


class DeadLetterWriter:
    """Writes to the dead-letter topic.

    Args:
        producer: A started `aiokafka.AIOKafkaProducer`, acknowledged by all replicas. Not an idempotent one: after the
            broker refuses one record as too large, its next ones fail as out of order (seen in aiokafka 0.14).
        topic: The dead-letter topic.
        signer: Signs each dead letter; None for letters without a signature.
    """

    def __init__(self, producer: Any, topic: str, signer: Signer | None = None) -> None:
        self._producer = producer
        self._topic = topic
        self._signer = signer

    async def set_aside(self, record: Record, refusal: Refusal, *, attempts: int) -> None:
        """Produces the dead letter and returns once it is acknowledged; only then may the source be settled.

        A record that the topic refuses as too large, and a batch that cannot be read, are set aside as a pointer.

        Raises:
            aiokafka.errors.KafkaError: The topic cannot be written now; nothing is settled, and it may be repeated.
        """
        if record.is_unread_batch:
            await self._send(make_pointer(record, refusal, attempts=attempts))
            return
        try:
            await self._send(make_dead_letter(record, refusal, attempts=attempts))
        except Exception as error:
            if classify_kafka_error(error) is not Decision.RECORD:
                raise
            await self._send(make_pointer(record, refusal, attempts=attempts))

    async def _send(self, letter: DeadLetter) -> None:
        if self._signer is not None:
            letter = signed(letter, self._signer)
        if letter.key is None and letter.value is None:
            await self._send_without_key_and_value(letter)
            return
        await self._producer.send_and_wait(
            self._topic, value=letter.value, key=letter.key, headers=list(letter.headers)
        )

    async def _send_without_key_and_value(self, letter: DeadLetter) -> None:
        """``send`` refuses such a record, which Kafka allows; a batch of our own takes it."""
        batch = self._producer.create_batch()
        batch.append(key=None, value=None, timestamp=None, headers=list(letter.headers))
        batch.close()
        partition = min(await self._producer.partitions_for(self._topic))
        acknowledgement = await self._producer.send_batch(batch, self._topic, partition=partition)
        await acknowledgement
