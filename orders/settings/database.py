"""Settings of Postgres."""

from pydantic import BaseModel, Field, SecretStr

from orders.settings.types import Count, Name, Port, Seconds


class DatabaseSettings(BaseModel):
    """The application's Postgres."""

    db_user: Name = Field("orders", description="Postgres user.")
    db_password: SecretStr | None = Field(None, description="Its password.")
    db_host: Name = Field("127.0.0.1", description="Postgres host.")
    db_port: Port = Field(5432, description="Postgres port.")
    db_name: Name = Field("orders", description="Postgres database.")
    db_pool_size: Count = Field(10, description="Most connections that one process holds.")
    db_connect_timeout_seconds: Seconds = Field(
        2, description="How long to try to connect, or to wait for a free connection, before Postgres counts as down."
    )
    db_statement_timeout_seconds: Seconds = Field(3, description="Longest that one statement may take.")
    db_lock_timeout_seconds: Seconds = Field(2, description="Longest that one statement may wait for a lock.")
