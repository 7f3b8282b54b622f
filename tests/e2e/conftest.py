"""The users of the end-to-end tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from testkit.stack.services import Stack
from testkit.stack.user import User


@pytest_asyncio.fixture(scope="session")
async def ann(stack: Stack) -> AsyncIterator[User]:
    """Make a user who starts runs and decides them."""
    user = User(stack.gateway_url, stack.ws_url, "ann")
    async with user.http:
        yield user


@pytest_asyncio.fixture(scope="session")
async def bob(stack: Stack) -> AsyncIterator[User]:
    """Make a second user."""
    user = User(stack.gateway_url, stack.ws_url, "bob")
    async with user.http:
        yield user
