"""The check `moderation` against the fake OpenAI over HTTP, through the vendor's SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import openai
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chassis.settings import Settings
from contracts.providers.call import CallIntent
from contracts.providers.signals import Signals
from fake_vendors.openai import FakeOpenAI
from provider_worker.checks.base import Stage, Subject
from provider_worker.checks.check_runner import CheckRunner, ConfiguredCheck
from provider_worker.checks.moderation import MOST_PIECES, PIECE, ModerationCheck, flag_of
from provider_worker.sanitizer import Sanitizer
from testkit.worker.orders import a_prepare_order

from .running_worker import KEY, serving
from .vendors import nobody_listening


def _subject(payload: dict[str, Any], response: dict[str, Any] | None = None) -> Subject:
    return Subject(
        stage=Stage.PAYLOAD if response is None else Stage.RESPONSE,
        tenant="acme",
        user_id=None,
        session_id=None,
        run_id=UUID(int=7),
        work_id="w",
        provider="sandbox",
        model=None,
        operation="text",
        payload=payload,
        response=response,
    )


def _check(url: str, **options: Any) -> ModerationCheck:
    settings = Settings(_env_file=None, openai_api_key=KEY, openai_base_url=url)
    return ModerationCheck.from_settings(settings, options)


@pytest_asyncio.fixture(scope="module")
async def url() -> AsyncIterator[str]:
    """Serve the fake OpenAI and give its base URL."""
    async with serving(FakeOpenAI().app()) as address:
        yield f"{address}/v1"


@pytest_asyncio.fixture
async def moderation(url: str) -> AsyncIterator[ModerationCheck]:
    """Give the check as it is by default."""
    check = _check(url)
    yield check
    await check.close()


async def test_what_is_flagged_asks_for_a_person(moderation: ModerationCheck) -> None:
    """With the categories and their scores, and the flags that policies know."""
    found = await moderation.look(
        _subject({"messages": [{"content": "[moderation:sexual] and [moderation:self-harm]"}]})
    )
    assert found is not None
    assert (found.check, found.code, found.force) == ("moderation", "moderation_flagged", True)
    assert found.message == "Moderation flagged: self-harm, sexual."
    assert found.flags == ("self_harm", "nsfw")
    assert found.data == {"categories": {"self-harm": 0.97, "sexual": 0.97}}


async def test_what_is_not_flagged_passes(moderation: ModerationCheck) -> None:
    """Nothing is said of it."""
    assert await moderation.look(_subject({"prompt": "a red bicycle"})) is None
    assert await moderation.look(_subject({})) is None


async def test_a_response_is_looked_at_in_place_of_its_payload(moderation: ModerationCheck) -> None:
    """The payload's own data were decided on before."""
    flagged = {"text": "[moderation:hate]"}
    assert await moderation.look(_subject(flagged, {"text": "fine"})) is None
    assert await moderation.look(_subject({"text": "fine"}, flagged)) is not None


async def test_long_texts_are_looked_at_to_their_end(moderation: ModerationCheck) -> None:
    """Piece by piece; a longer text is left to a person."""
    long = "x" * (3 * PIECE)
    assert await moderation.look(_subject({"prompt": long})) is None
    found = await moderation.look(_subject({"prompt": f"{long}\n[moderation:violence]"}))
    assert found is not None
    assert found.flags == ("violence",)
    too_long = await moderation.look(_subject({"prompt": "x" * (PIECE * MOST_PIECES + 1)}))
    assert too_long is not None
    assert (too_long.code, too_long.force) == ("not_moderated", True)


async def test_the_operator_may_leave_it_to_the_policy(url: str) -> None:
    """The flags are signals then, and stop no run by themselves."""
    check = _check(url, force=False)
    found = await check.look(_subject({"prompt": "[moderation:violence/graphic]"}))
    assert found is not None
    assert (found.force, found.flags) == (False, ("nsfw",))
    await check.close()


@pytest.mark.parametrize(
    ("category", "flag"),
    [("sexual", "nsfw"), ("sexual/minors", "nsfw"), ("violence", "violence"), ("harassment/threatening", "harassment")],
)
def test_a_category_stands_for_a_flag(category: str, flag: str) -> None:
    """`nsfw` is what thresholds know; every other is its own first word."""
    assert flag_of(category) == flag


async def test_an_endpoint_that_does_not_answer_asks_for_a_person() -> None:
    """Busy, no such endpoint, no server, too few results: tried once, and fails closed."""
    tries = 0

    async def busy(_: Request) -> Response:
        nonlocal tries
        tries += 1
        return JSONResponse({"error": {"message": "busy"}}, status_code=503)

    async def silent(_: Request) -> Response:
        return JSONResponse({"id": "m", "model": "m", "results": []})

    app = Starlette(routes=[Route("/busy/moderations", busy, methods=["POST"])])
    app.routes.append(Route("/silent/moderations", silent, methods=["POST"]))
    async with serving(app) as address:
        for bad in (f"{address}/busy", f"{address}/silent", f"{address}/v1", nobody_listening()):
            check = _check(bad)
            signals = await CheckRunner([ConfiguredCheck(check)]).at_payload(
                a_prepare_order(), CallIntent(provider="sandbox", prompt="x"), {"x": "y"}, None, Signals(), Sanitizer()
            )
            assert [finding.code for finding in signals.forced] == ["check_failed"], bad
            assert KEY not in signals.model_dump_json()
            await check.close()
    assert tries == 1


async def test_the_fake_answers_as_the_sdk_expects(url: str) -> None:
    """A key is needed, and a text or a list of texts."""
    client = openai.AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0)
    answer = await client.moderations.create(input="[moderation:illicit/violent]")
    assert [result.flagged for result in answer.results] == [True]
    assert answer.results[0].categories.illicit_violent is True
    with pytest.raises(openai.BadRequestError):
        await client.moderations.create(input=[])
    await client.close()
