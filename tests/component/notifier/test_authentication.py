"""Sockets ask who opens them: at the handshake or by the first message, and until they close."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus

from chassis.failpoints import utc_now
from chassis.settings import Settings
from contracts.identity import Role
from identity.keys.record import new_key
from identity.sessions.record import new_session
from notifier.edges.authentication import UNAUTHORIZED
from testkit.runs.people import RITA, ROBERT, principal
from testkit.runs.pushed_events import moved
from testkit.runs.tasks import under

from .guarded_site import Site, closed, guarded_site, heard
from .test_approvals import accept


@pytest_asyncio.fixture(scope="module")
async def running_site() -> AsyncIterator[Site]:
    """Run a notifier that asks for credentials."""
    async with guarded_site() as running:
        yield running


@pytest.fixture
def site(running_site: Site) -> Site:
    """Give the notifier to one test: it has asked for no snapshot yet."""
    running_site.forget()
    return running_site


@pytest_asyncio.fixture
async def own_site() -> AsyncIterator[Site]:
    """Run a notifier of the test's own, where events happen."""
    async with guarded_site() as running:
        yield running


async def test_a_credential_in_the_header_opens_a_socket(site: Site) -> None:
    """The snapshot is asked for with it, so that the gateway shows what it may see."""
    text, _ = await site.identity.key("ann", Role.REVIEWER)
    async with site.opened(text) as socket:
        await heard(socket, "SNAPSHOT")
    assert site.gateway.credentials == [text]


async def test_a_first_message_opens_a_socket(site: Site) -> None:
    """Browsers can set no header."""
    text, _ = await site.identity.key("ann", Role.REVIEWER)
    async with site.opened() as socket:
        await socket.send(json.dumps({"type": "AUTH", "token": text}))
        assert [json.loads(await socket.recv())["type"] for _ in range(2)] == ["AUTH_OK", "SNAPSHOT"]


@pytest.mark.parametrize("state", ["unknown", "expired", "revoked", "mistyped"])
async def test_a_credential_that_does_not_hold_opens_none(site: Site, state: str) -> None:
    """A problem document at the handshake, a close after a first message; neither repeats what was sent."""
    past = utc_now() - timedelta(seconds=1)
    known: Mapping[str, dict[str, Any]] = {"expired": {"expires_at": past}, "revoked": {"revoked_at": past}}
    text = (await site.identity.key("ann", Role.ADMIN, **known[state]))[0] if state in known else new_key().text
    text = text[:-1] + ("0" if text[-1] != "0" else "1") if state == "mistyped" else text
    with pytest.raises(InvalidStatus) as refused:
        await site.opened(text)
    assert refused.value.response.status_code == 401
    assert text.encode() not in (refused.value.response.body or b"")
    async with site.opened() as socket:
        await socket.send(json.dumps({"type": "AUTH", "token": text}))
        code, reason = await closed(socket)
    assert (code, text in reason) == (UNAUTHORIZED, False)


@pytest.mark.parametrize("first", ['{"type": "PING"}', "{", '{"type": "AUTH"}', '{"type": "AUTH", "token": 5}'])
async def test_any_other_first_message_closes_the_socket(site: Site, first: str) -> None:
    """Nothing is answered before it is known who asks."""
    async with site.opened() as socket:
        await socket.send(first)
        assert (await closed(socket))[0] == UNAUTHORIZED


async def test_a_credential_without_roles_opens_none(site: Site) -> None:
    """It is known who asks, and that is all."""
    text, _ = await site.identity.key("guest")
    with pytest.raises(InvalidStatus) as refused:
        await site.opened(text)
    assert refused.value.response.status_code == 403


async def test_the_reason_of_a_close_has_room_for_any_name(site: Site) -> None:
    """A close frame holds 123 bytes: a long name in another script is cut between its characters."""
    text, _ = await site.identity.key("ж" * 200)
    async with site.opened() as socket:
        await socket.send(json.dumps({"type": "AUTH", "token": text}))
        assert await closed(socket) == (UNAUTHORIZED, "ж" * 60)


async def test_a_socket_gets_what_its_opener_may_see(own_site: Site) -> None:
    """Nothing of another tenant; a requester nothing of others; a reviewer what it is asked about, from then on. Whatever the address asks for."""
    eve = principal("eve", Role.ADMIN)
    mine, other, foreign = (moved(under({}, by=who), uuid4()) for who in (RITA, ROBERT, eve))
    foreign = [event.changed({"tenant": "elsewhere"}) for event in foreign]
    text, _ = await own_site.identity.key("rita", Role.REQUESTER)
    reviewer, _ = await own_site.identity.key("ann", Role.REVIEWER)
    async with own_site.opened(text, session_id="s1") as rita, own_site.opened(reviewer) as ann:
        for socket in (rita, ann):
            await heard(socket, "SNAPSHOT")
        await own_site.publish(*foreign, *other, *mine)
        assert (await heard(rita, "HITL_STATUS_UPDATE"))["run_id"] == str(mine[0].run_id)
        seen = [await heard(ann, "HITL_STATUS_UPDATE") for _ in range(2)]
        assert [one["run_id"] for one in seen] == [str(other[0].run_id), str(mine[0].run_id)]
        assert {one["event"]["kind"] for one in seen} == {"checkpoint-opened.v1"}


async def test_a_socket_of_a_reviewer_gets_the_runs_that_it_is_asked_about(own_site: Site) -> None:
    """By its groups, and no other."""
    legal, leads = (
        moved(under({"candidates": {"groups": [group]}, "escalate_to": {"users": ["zoe"]}}), uuid4())
        for group in ("legal", "leads")
    )
    bo, _ = await own_site.identity.key("bo", Role.REVIEWER, groups=("legal",))
    async with own_site.opened(bo) as socket:
        await heard(socket, "SNAPSHOT")
        await own_site.publish(*leads, *legal)
        for kind in ("HITL_STATUS_UPDATE", "HITL_APPROVAL_REQUEST"):
            assert (await heard(socket, kind))["run_id"] == str(legal[0].run_id)


async def test_who_decides_is_who_the_credential_says(site: Site) -> None:
    """The command has the principal; a name in the message is refused."""
    run_id = uuid4()
    site.answers.by_run[run_id] = accept
    text, record = await site.identity.key("ann", Role.REVIEWER, groups=("legal",))
    said = {"type": "HITL_APPROVAL_RESPONSE", "request_id": "r", "run_id": str(run_id), "action": "approve"}
    async with site.opened(text, user_id="bob") as socket:
        await socket.send(json.dumps({**said, "actor": "bob"}))
        assert [issue["path"] for issue in (await heard(socket, "ERROR"))["issues"]] == ["/actor"]
        await socket.send(json.dumps(said))
        assert (await heard(socket, "HITL_APPROVAL_RESULT"))["ok"]
    (command,) = site.answers.of(run_id)
    assert (command.actor, command.tenant) == ("ann", "default")
    assert (command.principal.subject, command.principal.groups) == ("ann", ("legal",))
    assert command.principal.credential == f"key:{record.id}"


async def test_a_key_that_is_revoked_ends_its_open_sockets(site: Site) -> None:
    """And no other: within the seconds that a revocation takes everywhere."""
    text, record = await site.identity.key("ann", Role.REVIEWER)
    other, _ = await site.identity.key("bob", Role.REVIEWER)
    async with site.opened(text) as ended, site.opened(other) as stays:
        for socket in (ended, stays):
            await heard(socket, "SNAPSHOT")
        await site.identity.keys.revoke("default", record.id, utc_now())
        assert (await closed(ended))[0] == UNAUTHORIZED
        await stays.send('{"type": "PING"}')
        await heard(stays, "PONG")


async def test_another_credential_of_the_same_person_keeps_a_socket_open(site: Site) -> None:
    """As a token is renewed; another person's is refused, and one that may not read. The socket stays as it was."""
    first, record = await site.identity.key("ann", Role.REVIEWER)
    second, _ = await site.identity.key("ann", Role.REVIEWER)
    bobs, _ = await site.identity.key("bob", Role.REVIEWER)
    blind, _ = await site.identity.key("ann", Role.REVIEWER, scopes=("decisions:write",))
    async with site.opened(first) as socket, site.opened(first) as not_renewed:
        for each in (socket, not_renewed):
            await heard(each, "SNAPSHOT")
        for refused in (bobs, blind):
            await socket.send(json.dumps({"type": "AUTH", "token": refused}))
            assert (await heard(socket, "ERROR"))["code"] == "unauthorized"
        await socket.send(json.dumps({"type": "AUTH", "token": second}))
        await heard(socket, "AUTH_OK")
        await site.identity.keys.revoke("default", record.id, utc_now())
        assert (await closed(not_renewed))[0] == UNAUTHORIZED
        await socket.send('{"type": "PING"}')
        await heard(socket, "PONG")


async def test_a_sessions_cookie_opens_a_socket_for_a_page_of_ours(site: Site) -> None:
    """The gateway's page asks with the cookie that it got there; the snapshot is asked for with the session."""
    _, record = await site.identity.key("ann", Role.REVIEWER)
    session = await site.identity.session(record)
    async with site.opened_by_page(session, f"http://127.0.0.1:{Settings(_env_file=None).gateway_port}") as socket:
        await heard(socket, "SNAPSHOT")
    assert site.gateway.credentials == [session]


@pytest.mark.parametrize("origin", ["", "https://evil.example", "null", "http://127.0.0.1:1"])
async def test_a_cookie_opens_no_socket_for_another_page(site: Site, origin: str) -> None:
    """None that is foreign, and none that is not named: 403, whatever the cookie holds."""
    session = await site.identity.session((await site.identity.key("ann", Role.REVIEWER))[1])
    with pytest.raises(InvalidStatus) as refused:
        await site.opened_by_page(session, origin)
    assert refused.value.response.status_code == 403
    assert site.gateway.credentials == []


async def test_a_session_that_does_not_hold_opens_none(site: Site) -> None:
    """Unknown, ended, malformed, there twice: 401. Its text is not repeated."""
    ended = await site.identity.session((await site.identity.key("ann", Role.REVIEWER))[1])
    assert site.identity.resolver is not None
    await site.identity.resolver.end_session(ended)
    for session in (new_session().text, ended, "x", f"{ended}; sayso_session=other"):
        with pytest.raises(InvalidStatus) as refused:
            await site.opened_by_page(session)
        assert refused.value.response.status_code == 401
        body = json.loads(refused.value.response.body or b"")
        assert (body["reason"], session in str(body)) == ("session_ended", False)


async def test_a_field_authorization_counts_alone(site: Site) -> None:
    """Beside a cookie; a wrong one is not mended by it, and a right one needs no page."""
    session = await site.identity.session((await site.identity.key("ann", Role.REVIEWER))[1])
    bob, _ = await site.identity.key("bob", Role.REVIEWER)
    async with site.opened_by_page(session, "", Authorization=f"Bearer {bob}") as socket:
        await heard(socket, "SNAPSHOT")
    assert site.gateway.credentials == [bob]
    with pytest.raises(InvalidStatus):
        await site.opened_by_page(session, Authorization=f"Bearer {new_key().text}")


@pytest.mark.parametrize("way", ["signed out", "key revoked"])
async def test_a_session_that_ends_takes_its_open_sockets_with_it(site: Site, way: str) -> None:
    """Within 5 s, and no other's."""
    _, record = await site.identity.key("ann", Role.REVIEWER)
    other = await site.identity.session((await site.identity.key("bob", Role.REVIEWER))[1])
    session = await site.identity.session(record)
    async with site.opened_by_page(session) as ended, site.opened_by_page(other) as stays:
        for socket in (ended, stays):
            await heard(socket, "SNAPSHOT")
        if way == "signed out":
            assert site.identity.resolver is not None
            await site.identity.resolver.end_session(session)
        else:
            await site.identity.keys.revoke("default", record.id, utc_now())
        assert (await closed(ended))[0] == UNAUTHORIZED
        await stays.send('{"type": "PING"}')
        await heard(stays, "PONG")
