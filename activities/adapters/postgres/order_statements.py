"""What is written of an order: each change of its journal with all that belongs to it is one statement.

A statement's parts are its ``WITH`` queries. The first one, `journal`, moves the journal's end; it returns no row where
the journal does not stand where the caller believes, and then the other parts, which join it, write nothing. So the
whole is atomic without a transaction around it, and the usual record costs one round trip.
"""

from enum import Enum
from itertools import product
from typing import Final

from activities.adapters.postgres.statements import Statement


class Journal(Enum):
    """From where the journal's end is moved."""

    FIRST = """
        INSERT INTO journals AS known (order_id, last_sequence) VALUES (:order_id, :last_sequence)
        ON CONFLICT (order_id) DO UPDATE SET last_sequence = excluded.last_sequence WHERE known.last_sequence = 0
        RETURNING order_id, last_published_sequence
    """
    """From 0: there is no journal yet, or one without events."""
    NEXT = """
        UPDATE journals SET last_sequence = :last_sequence,
            last_published_sequence = greatest(last_published_sequence, least(:published, last_sequence))
        WHERE order_id = :order_id AND last_sequence = :before
            AND (NOT CAST(:sees_last AS boolean) OR EXISTS (SELECT FROM head))
        RETURNING order_id, last_published_sequence
    """
    """From a sequence that the caller knows."""
    NEXT_OF_KNOWN = """
        UPDATE journals SET last_sequence = :last_sequence,
            last_published_sequence = greatest(last_published_sequence, least(:published, last_sequence))
        WHERE order_id = :order_id AND last_sequence = :before
            AND (NOT CAST(:sees_last AS boolean) OR EXISTS (SELECT FROM head))
            AND EXISTS (SELECT FROM orders WHERE orders.id = :order_id)
        RETURNING order_id, last_published_sequence
    """
    """As `NEXT`, of an order that has its row in `orders`."""
    UNMOVED = "SELECT order_id, last_published_sequence FROM journals WHERE order_id = :order_id"
    """Not at all."""


_STATE = "CASE WHEN :keeps_state THEN orders.state ELSE :state END"


class Row(Enum):
    """What becomes of the order's row in `orders`. It is never moved back: its own sequence guards it."""

    WHOLE = f"""
        INSERT INTO orders (id, state, address_json, items_json, adjustments_json, amount, is_priced, currency,
            customer_id, payment_id, tracking_id, reason, address_updated_at, approval_deadline, decided_by,
            last_sequence)
        SELECT journal.order_id, :state, CAST(:address_json AS jsonb), CAST(:items_json AS jsonb),
            CAST(:adjustments_json AS jsonb), CAST(:amount AS bigint), CAST(:is_priced AS boolean), :currency,
            :customer_id, :payment_id, :tracking_id, :reason, CAST(:address_updated_at AS timestamptz),
            CAST(:approval_deadline AS timestamptz), :decided_by, CAST(:row_sequence AS integer)
        FROM journal
        ON CONFLICT (id) DO UPDATE SET state = {_STATE}, address_json = excluded.address_json,
            items_json = excluded.items_json, adjustments_json = excluded.adjustments_json, amount = excluded.amount,
            is_priced = excluded.is_priced, currency = excluded.currency, customer_id = excluded.customer_id,
            payment_id = excluded.payment_id, tracking_id = excluded.tracking_id, reason = excluded.reason,
            address_updated_at = excluded.address_updated_at, approval_deadline = excluded.approval_deadline,
            decided_by = excluded.decided_by, last_sequence = excluded.last_sequence, updated_at = now()
        WHERE orders.last_sequence < excluded.last_sequence
    """  # noqa: S608 -- all of it is ours
    """All of it is written: it may be new, or its details have changed."""
    STATE = f"""
        UPDATE orders SET state = {_STATE}, tracking_id = :tracking_id, reason = :reason,
            address_updated_at = CAST(:address_updated_at AS timestamptz),
            approval_deadline = CAST(:approval_deadline AS timestamptz), decided_by = :decided_by,
            last_sequence = CAST(:row_sequence AS integer), updated_at = now()
        FROM journal WHERE orders.id = journal.order_id AND orders.last_sequence < CAST(:row_sequence AS integer)
    """  # noqa: S608 -- all of it is ours
    """Only what a transition changes: its items, amount and address stay as they are, and are not sent again."""
    SEQUENCE = """
        UPDATE orders SET last_sequence = CAST(:row_sequence AS integer), updated_at = now()
        FROM journal
        WHERE orders.id = journal.order_id AND orders.last_sequence BETWEEN 1 AND CAST(:row_sequence AS integer) - 1
    """
    """Only the event that it is up to: a late event's answer changes nothing else."""
    UNTOUCHED = "SELECT"


_HEAD = """
    SELECT link FROM events WHERE order_id = :order_id AND sequence = :before
    UNION ALL SELECT archived_link FROM orders WHERE id = :order_id AND archived_sequence = :before AND :before > 0
    LIMIT 1
"""
"""The link of the journal's last event, which may be in the archive. No row where the statement does not see it, as
where somebody took it away: then it must not write. An event that another writer has only just committed is not met so:
the journal's number, which that statement saw before, keeps it from moving the journal at all."""

_RECORD = """
WITH RECURSIVE head AS ({head}),
-- The links of the new events, each made of the one before it (`activities.audit_chain`).
chain (place, link) AS (
    SELECT 0, coalesce((SELECT link FROM head), '')
    UNION ALL
    SELECT place + 1, sha256(link || (CAST(:entries AS bytea[]))[place + 1]) FROM chain
    WHERE place < cardinality(CAST(:entries AS bytea[]))
),
journal AS ({journal}),
appended AS (
    INSERT INTO events (order_id, sequence, event_id, type, payload_json, ts, traceparent, salt, payload_digest, link)
    -- Sent as text: the bytes are fixed, and json keeps them as they are (jsonb would not).
    SELECT journal.order_id, new.sequence, new.event_id, new.type, CAST(new.payload_json AS json), new.ts,
        new.traceparent, new.salt, new.payload_digest, chain.link
    FROM journal, unnest(CAST(:sequences AS integer[]), CAST(:event_ids AS text[]), CAST(:types AS text[]),
        CAST(:payloads AS text[]), CAST(:times AS timestamptz[]), CAST(:traceparents AS text[]),
        CAST(:salts AS bytea[]), CAST(:payload_digests AS bytea[]))
        WITH ORDINALITY
        AS new (sequence, event_id, type, payload_json, ts, traceparent, salt, payload_digest, place)
    JOIN chain ON chain.place = new.place
    ORDER BY new.sequence
    ON CONFLICT DO NOTHING
),
decided AS (
    INSERT INTO inbound_events (order_id, event_digest, event_id, type, outcome, reason, ts, body_digest, sequence)
    SELECT journal.order_id, new.*
    FROM journal, unnest(CAST(:inbound_digests AS bytea[]), CAST(:inbound_ids AS text[]),
        CAST(:inbound_types AS text[]), CAST(:outcomes AS text[]), CAST(:reasons AS text[]),
        CAST(:decided_at AS timestamptz[]), CAST(:body_digests AS bytea[]),
        CAST(:outcome_sequences AS integer[])) AS new
    ON CONFLICT DO NOTHING
),
projected AS ({row})
SELECT last_published_sequence FROM journal
"""

RECORDS: Final = {
    (journal, row): Statement.of(_RECORD.format(head=_HEAD, journal=journal.value, row=row.value))
    for journal, row in product(Journal, Row)
}
"""Records events, outcomes and the order's row. It answers with the last published sequence, or with no row where the
journal stood elsewhere and nothing was written."""

LOCK_JOURNAL: Final = Statement.of(
    # Not DO NOTHING, which neither locks the row nor returns it.
    """
    INSERT INTO journals AS known (order_id) VALUES (:order_id)
    ON CONFLICT (order_id) DO UPDATE SET last_published_sequence =
        greatest(known.last_published_sequence, least(:published, known.last_sequence))
    RETURNING last_sequence, last_published_sequence
    """
)
"""Makes the order's journal where there is none, locks it until the transaction's end, and reads it."""

MARK_PUBLISHED: Final = Statement.of(
    """
    WITH noted AS (
        SELECT * FROM unnest(CAST(:order_ids AS text[]), CAST(:sequences AS integer[])) AS noted (order_id, sequence)
    ),
    behind AS (
        SELECT journals.order_id, least(noted.sequence, journals.last_sequence) AS sequence
        FROM noted JOIN journals ON journals.order_id = noted.order_id
        WHERE journals.last_published_sequence < least(noted.sequence, journals.last_sequence)
    ),
    free AS (
        -- One that somebody writes to now is left to the next time: whoever is stuck there holds nobody else up.
        SELECT journals.order_id, behind.sequence FROM behind JOIN journals ON journals.order_id = behind.order_id
        ORDER BY journals.order_id FOR UPDATE OF journals SKIP LOCKED
    ),
    moved AS (
        UPDATE journals SET last_published_sequence = greatest(last_published_sequence, free.sequence)
        FROM free WHERE journals.order_id = free.order_id
    )
    SELECT order_id FROM behind EXCEPT SELECT order_id FROM free
    """
)
"""Notes of many orders how far they are published; answers with those that somebody else holds, and were left out."""
MARK_ONE_PUBLISHED: Final = Statement.of(
    """
    UPDATE journals SET last_published_sequence = least(:sequence, last_sequence)
    WHERE order_id = :order_id AND last_published_sequence < least(:sequence, last_sequence)
    """
)
