"""The users of the end-to-end tests, and their browser: its client takes half a second to import, so the other suites do without."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from testkit.chromium.visitors import chromium, visitor
from testkit.stack.services import Stack
from testkit.stack.user import User

__all__ = ["ann", "bob", "chromium", "visitor"]


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
