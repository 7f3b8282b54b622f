"""Who may say what over the socket: every message of a client for every role, made from the protocol's own table, and what a socket shows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus

from chassis.failpoints import utc_now
from contracts.identity import ROLES, Right, Role
from contracts.message import Message
from contracts.runs.commands import Command, parse_command
from contracts.runs.outcomes import Outcome, Refused
from contracts.runs.requests import ApprovalResponse
from identity.keys.record import new_key
from notifier.edges.authentication import UNAUTHORIZED
from notifier.protocol.messages import FROM_CLIENT, TYPES_FROM_CLIENT, Auth, CommentMessage, Ping, TaskMessage
from orchestrator.runs import Refusal, decide
from testkit.runs.commands import prepared, start
from testkit.runs.people import RITA
from testkit.runs.specification import given

from .guarded_site import Site, closed, guarded_site, heard
from .test_approvals import accept

WAITING = given(start(allowed_steps=("payload_review",)).but(principal=RITA), prepared())
RUN_ID = WAITING.now.run_id
MESSAGES = sorted(FROM_CLIENT, key=lambda message: message.__name__)

FORGED = "another secret, of 32 bytes or more"

SAID: Mapping[type[Message], dict[str, Any]] = {
    ApprovalResponse: {
        "type": "HITL_APPROVAL_RESPONSE",
        "request_id": "r",
        "run_id": str(RUN_ID),
        "action": "approve",
    },
    TaskMessage: {"type": "HITL_TASK", "request_id": "r", "run_id": str(RUN_ID), "action": "claim"},
    CommentMessage: {"type": "HITL_COMMENT", "request_id": "r", "run_id": str(RUN_ID), "text": "why?"},
    Auth: {"type": "AUTH"},
    Ping: {"type": "PING"},
}
"""One of each message; `AUTH` takes the token of the socket."""

ANSWERS = {
    ApprovalResponse: "HITL_APPROVAL_RESULT",
    TaskMessage: "HITL_TASK_RESULT",
    CommentMessage: "HITL_COMMENT_RESULT",
    Auth: "AUTH_OK",
    Ping: "PONG",
}
COMMANDS = {ApprovalResponse, TaskMessage, CommentMessage}
"""The messages that become a command."""


@pytest_asyncio.fixture(scope="module")
async def running_site() -> AsyncIterator[Site]:
    """Run a notifier that asks for credentials, beside a run of rita's that the real core decides on and nothing changes."""
    async with guarded_site() as running:
        running.answers.by_run[RUN_ID] = decided
        yield running


@pytest.fixture
def site(running_site: Site) -> Site:
    """Give the notifier to one row: no command has left it yet."""
    running_site.forget()
    return running_site


@pytest_asyncio.fixture
async def own_site() -> AsyncIterator[Site]:
    """Run a notifier of the test's own, whose clock, database and events it may change."""
    async with guarded_site() as running:
        yield running


def decided(command: Command) -> Outcome:
    """Decide a command as the orchestrator does."""
    try:
        decide(parse_command(command.model_dump_json().encode()), WAITING.now)
    except Refusal as refusal:
        said = {"code": refusal.code, "message": refusal.message, "details": refusal.details}
        return Refused(command_id=command.command_id, run_id=command.run_id, **said)
    return accept(command)


def text_of(message: type[Message], credential: str) -> str:
    """Return a message as it is sent."""
    return json.dumps(SAID[message] | ({"token": credential} if message is Auth else {}))


async def said(site: Site, credential: str, message: type[Message]) -> dict[str, Any]:
    """Open a socket, say a message, and return its answer."""
    async with site.opened(credential) as socket:
        await heard(socket, "SNAPSHOT")
        await socket.send(text_of(message, credential))
        return await heard(socket, ANSWERS[message])


async def refused(site: Site, credential: str | None) -> tuple[int, dict[str, Any]]:
    """Return the refusal of a handshake."""
    with pytest.raises(InvalidStatus) as refusal:
        await site.opened(credential)
    document: dict[str, Any] = json.loads(refusal.value.response.body or b"")
    return refusal.value.response.status_code, document


def test_every_message_has_a_row() -> None:
    """A message without one is unknown to the session; here it fails before."""
    assert set(SAID) == set(ANSWERS) == set(FROM_CLIENT)
    assert {said["type"] for said in SAID.values()} == TYPES_FROM_CLIENT


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
async def test_a_role_may_say_what_its_rights_allow(site: Site, message: type[Message], role: Role) -> None:
    """The same by a key and by a token. A refusal comes as the answer does, and no command of it leaves."""
    # A requester comments on its own runs.
    who = "rita" if message is CommentMessage and role is Role.REQUESTER else "zoe"
    key, _ = await site.identity.key(who, role)
    for credential in (key, site.identity.token(who, role)):
        answer = await said(site, credential, message)
        is_allowed = role in ROLES[FROM_CLIENT[message]]
        assert answer.get("ok", True) is is_allowed
        if not is_allowed:
            assert (answer["code"], answer["request_id"], answer["run_id"]) == ("forbidden", "r", str(RUN_ID))
    assert bool(site.answers.commands) is (role in ROLES[FROM_CLIENT[message]] and message in COMMANDS)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
async def test_scopes_narrow_what_a_role_may_say(site: Site, message: type[Message]) -> None:
    """A socket is opened with the right to read, and each message needs its own right beside it."""
    right = FROM_CLIENT[message]
    enough, _ = await site.identity.key("ann", Role.ADMIN, scopes=(Right.READ, right))
    assert (await said(site, enough, message)).get("ok", True)
    others = tuple(one for one in Right if one is not right)
    lacking, _ = await site.identity.key("ann", Role.ADMIN, scopes=others)
    for credential in (lacking, site.identity.token("ann", Role.ADMIN, scope=" ".join(others))):
        if right is Right.READ:
            assert (await refused(site, credential))[1]["code"] == "forbidden"
        else:
            assert (await said(site, credential, message))["code"] == "forbidden"


async def bad_credentials(site: Site) -> dict[str, str]:
    """Return credentials that do not hold, with the reason of each refusal."""
    past = utc_now() - timedelta(hours=1)
    return {
        new_key().text: "credential_unknown",
        (await site.identity.key("ann", Role.ADMIN, expires_at=past))[0]: "credential_expired",
        (await site.identity.key("ann", Role.ADMIN, revoked_at=past))[0]: "credential_revoked",
        site.identity.token("ann", Role.ADMIN, exp=past.timestamp()): "credential_expired",
        site.identity.token("ann", Role.ADMIN, secret=FORGED): "token_invalid",
    }


async def test_no_socket_opens_by_a_credential_that_does_not_hold(site: Site) -> None:
    """An unknown one, an expired, a revoked, a forged one: 401 with the reason, and nothing of what was sent."""
    for credential, reason in (await bad_credentials(site)).items():
        status, document = await refused(site, credential)
        assert (status, document["code"], document["reason"]) == (401, "unauthorized", reason)
        assert credential not in str(document)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
async def test_no_message_is_heard_before_it_is_known_who_speaks(site: Site, message: type[Message]) -> None:
    """The socket is closed with 4401, and no command leaves."""
    for credential in await bad_credentials(site):
        async with site.opened() as socket:
            await socket.send(text_of(message, credential))
            code, reason = await closed(socket)
        assert (code, credential in reason) == (UNAUTHORIZED, False)
    assert site.answers.commands == []


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
async def test_nothing_is_said_about_a_foreign_tenants_run(site: Site, message: type[Message]) -> None:
    """It is not there: no decision reaches it, and no snapshot shows it, to an administrator of another tenant."""
    key, _ = await site.identity.key("eve", Role.ADMIN, tenant="elsewhere")
    answer = await said(site, key, message)
    if message in COMMANDS:
        assert (answer["ok"], answer["code"]) == (False, "run_not_found")
        assert [command.tenant for command in site.answers.of(RUN_ID)] == ["elsewhere"]


async def test_a_watched_run_of_a_foreign_tenant_looks_like_none(own_site: Site) -> None:
    """Neither the snapshot nor the events that follow tell it from a run that does not exist."""
    key, _ = await own_site.identity.key("eve", Role.ADMIN, tenant="elsewhere")
    shown = []
    for run_id in (RUN_ID, uuid4()):
        async with own_site.opened(key, run_id=str(run_id)) as socket:
            snapshot = await heard(socket, "SNAPSHOT")
            await own_site.publish(*WAITING.history)
            await socket.send(text_of(Ping, key))
            shown.append((snapshot["runs"], snapshot["approvals"], json.loads(await socket.recv())["type"]))
    assert shown == [([], [], "PONG")] * 2


async def test_a_foreign_cursor_is_refused(site: Site) -> None:
    """A client that returns with another tenant's begins with a snapshot, as without one; its own is taken."""
    mine, _ = await site.identity.key("ann", Role.REVIEWER)
    foreign, _ = await site.identity.key("eve", Role.ADMIN, tenant="elsewhere")
    cursors = []
    for key in (mine, foreign):
        async with site.opened(key) as socket:
            cursors.append((await heard(socket, "SNAPSHOT"))["cursor"])
    for key, cursor, first in (
        (mine, cursors[0], "PONG"),
        (mine, cursors[1], "SNAPSHOT"),
        (foreign, cursors[0], "SNAPSHOT"),
    ):
        async with site.opened(key, cursor=cursor) as socket:
            await socket.send(text_of(Ping, key))
            assert {json.loads(await socket.recv())["type"] for _ in range(1 if first == "PONG" else 2)} == {
                "PONG",
                first,
            }


@pytest.mark.parametrize("name", ["token", "api_key", "access_token", "authorization"])
async def test_a_key_in_the_address_is_refused(site: Site, name: str) -> None:
    """Addresses are logged and remembered: the handshake fails, whether or not a good key comes in the header too."""
    key, _ = await site.identity.key("ann", Role.ADMIN)
    for credential in (None, key):
        with pytest.raises(InvalidStatus) as refusal:
            await site.opened(credential, **{name: key})
        document = json.loads(refusal.value.response.body or b"")
        assert (document["status"], [issue["path"] for issue in document["issues"]]) == (422, [f"/{name}"])
        assert key not in str(document)


async def test_the_stream_of_a_run_is_the_gateways(site: Site) -> None:
    """The notifier shows nothing there, to any credential: it names the gateway, which asks for one."""
    key, _ = await site.identity.key("eve", Role.ADMIN, tenant="elsewhere")
    for headers in ({}, {"Authorization": f"Bearer {key}"}, {"Authorization": "Bearer nonsense"}):
        answer = await site.notifier.http.get(f"/hitl/runs/{UUID(int=7)}/events", headers=headers)
        assert (answer.status_code, answer.content) == (307, b"")


@pytest.mark.parametrize("credential", ["key", "token"])
async def test_a_credential_that_expires_ends_its_sockets(own_site: Site, credential: str) -> None:
    """And no other: one that holds goes on, also when its socket was opened at the same time."""
    ends = utc_now() + timedelta(hours=1)
    expiring = (
        (await own_site.identity.key("ann", Role.REVIEWER, expires_at=ends))[0]
        if credential == "key"
        else own_site.identity.token("ann", Role.REVIEWER, exp=ends.timestamp())
    )
    lasting, _ = await own_site.identity.key("bob", Role.REVIEWER)
    async with own_site.opened(expiring) as ended, own_site.opened(lasting) as stays:
        for socket in (ended, stays):
            await heard(socket, "SNAPSHOT")
        own_site.identity.clock.ahead = timedelta(hours=2)
        assert await closed(ended) == (UNAUTHORIZED, "the credential holds no longer")
        await stays.send(text_of(Ping, lasting))
        await heard(stays, "PONG")


async def test_while_the_database_is_unavailable_a_token_ends_in_time(own_site: Site) -> None:
    """A key that holds stays: whether it was revoked is asked again once the database answers."""
    token = own_site.identity.token("ann", Role.REVIEWER)
    key, _ = await own_site.identity.key("bob", Role.REVIEWER)
    async with own_site.opened(token) as ended, own_site.opened(key) as stays:
        for socket in (ended, stays):
            await heard(socket, "SNAPSHOT")
        own_site.identity.keys.unavailable = True
        own_site.identity.clock.ahead = timedelta(hours=2)
        assert (await closed(ended))[0] == UNAUTHORIZED
        await stays.send(text_of(Ping, key))
        await heard(stays, "PONG")
