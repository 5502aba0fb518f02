"""Databases of a test's own, on the endpoints' server: made, migrated, and dropped afterwards."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

import migrations
from activities.adapters.postgres import EngineOptions, create_engine, database_url
from stack.endpoints import Endpoints


@asynccontextmanager
async def temporary_database(endpoints: Endpoints) -> AsyncIterator[URL]:
    """An empty database with a random name."""
    name = f"test_{secrets.token_hex(8)}"
    await _administer(endpoints, f"CREATE DATABASE {name}")
    try:
        yield database_url(
            host=endpoints.db_host,
            port=endpoints.db_port,
            user=endpoints.db_user,
            password=endpoints.db_password,
            name=name,
        )
    finally:
        await _administer(endpoints, f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def migrated_engine(endpoints: Endpoints, options: EngineOptions | None = None) -> AsyncIterator[AsyncEngine]:
    """An engine on a database with our tables, and nothing in them."""
    async with temporary_database(endpoints) as url:
        await migrations.upgrade(url)
        engine = create_engine(url, options)
        try:
            yield engine
        finally:
            await engine.dispose()


@asynccontextmanager
async def connected(endpoints: Endpoints) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the server's own database, by its own user."""
    connection = await asyncpg.connect(
        host=endpoints.db_host,
        port=endpoints.db_port,
        user=endpoints.db_user,
        password=endpoints.db_password,
        database=endpoints.db_name,
    )
    try:
        yield connection
    finally:
        await connection.close()


async def _administer(endpoints: Endpoints, statement: str) -> None:
    async with connected(endpoints) as connection:
        await connection.execute(statement)
