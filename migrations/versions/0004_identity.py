"""API keys, and the console's sessions.

Revision ID: 0004
Revises: 0003
"""

from typing import Final

from alembic import op

revision = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None

UPGRADE: Final = (
    """
    CREATE TABLE api_keys (
        id text PRIMARY KEY,
        name text NOT NULL,
        role text NOT NULL CONSTRAINT api_keys_role_check CHECK (role IN ('viewer', 'approver', 'operator')),
        digest bytea NOT NULL CONSTRAINT api_keys_digest_check CHECK (octet_length(digest) = 32),
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz,
        revoked_at timestamptz,
        last_used_at timestamptz
    )
    """,
    "COMMENT ON TABLE api_keys IS 'Who may use the API with a key; of the key itself only its digest is kept'",
    "COMMENT ON COLUMN api_keys.id IS 'The part of the key that may be shown'",
    "COMMENT ON COLUMN api_keys.name IS 'Who the caller is, in journals; two keys of one name are one caller'",
    "COMMENT ON COLUMN api_keys.digest IS 'SHA-256 of the whole key'",
    "COMMENT ON COLUMN api_keys.last_used_at IS 'Written once an hour at most'",
    """
    CREATE TABLE sessions (
        digest bytea PRIMARY KEY CONSTRAINT sessions_digest_check CHECK (octet_length(digest) = 32),
        caller_id text NOT NULL,
        name text NOT NULL,
        role text NOT NULL CONSTRAINT sessions_role_check CHECK (role IN ('viewer', 'approver', 'operator')),
        api_key_id text CONSTRAINT sessions_api_key_id_fkey REFERENCES api_keys (id),
        created_at timestamptz NOT NULL DEFAULT now(),
        last_seen_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX sessions_by_caller ON sessions (caller_id, created_at)",
    "CREATE INDEX sessions_by_expiry ON sessions (expires_at)",
    "COMMENT ON TABLE sessions IS 'Browsers that are signed in to the console'",
    "COMMENT ON COLUMN sessions.digest IS 'SHA-256 of what the cookie holds'",
    "COMMENT ON COLUMN sessions.api_key_id IS 'The key that signed in, and with which the session ends; else null'",
    "COMMENT ON COLUMN sessions.last_seen_at IS 'Written once a minute at most'",
)

DOWNGRADE: Final = ("DROP TABLE sessions, api_keys",)


def upgrade() -> None:
    """Makes the tables."""
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Drops them: every key and session with them."""
    for statement in DOWNGRADE:
        op.execute(statement)
