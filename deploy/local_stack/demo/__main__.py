"""Tell the story on the stack that the settings name. The exit code says whether every step went as told."""

from __future__ import annotations

import asyncio
import sys

import httpx
import websockets

from chassis.settings import Settings, SettingsError, exit_with, load_settings
from local_stack.demo.people import Person, people_of
from local_stack.demo.story import tell_story
from local_stack.demo.terminal import NotAsToldError, expect
from local_stack.stack import addresses_of


async def run(settings: Settings) -> None:
    """Tell the story. Raises NotAsToldError when no stack answers, or a step went otherwise."""
    addresses = addresses_of(settings)
    async with httpx.AsyncClient(base_url=addresses.http("gateway"), timeout=30, trust_env=False) as gateway:
        try:
            (await gateway.get("/health/live")).raise_for_status()
        except httpx.HTTPError:
            raise NotAsToldError(f"no stack answers at {gateway.base_url}; start one with: make run") from None
        people = await people_of(gateway, settings.admin_key_file)
        provider = await choose_provider(gateway, people.ann, settings)
        await tell_story(gateway, addresses.websocket(), provider, people)


async def choose_provider(gateway: httpx.AsyncClient, person: Person, settings: Settings) -> str:
    """Return `openai` where the settings name a server for it, else the sandbox. Raises NotAsToldError."""
    if settings.openai_base_url is None:
        return "sandbox"
    offered = (await gateway.get("/providers/openai", headers=person.headers)).json()
    expect(offered.get("configured") is True, "OPENAI_BASE_URL is set here; start the stack with it too")
    return "openai"


def main() -> None:
    """Tell the story; exit with 1 and one line when it went otherwise."""
    try:
        asyncio.run(run(load_settings()))
    except SettingsError as error:
        exit_with(error)
    except (NotAsToldError, httpx.HTTPError, websockets.WebSocketException, OSError) as error:
        sys.exit(f"sayso: demo: {error or type(error).__name__}")
    print("\nAll went as told.")


if __name__ == "__main__":
    main()
