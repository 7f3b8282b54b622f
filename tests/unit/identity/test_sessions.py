"""Sessions of browsers: their text, their hash, their CSRF token, and how a cookie is read."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from contracts.identity import Principal
from identity.errors import Unauthenticated
from identity.resolver import Resolver
from identity.sessions.cookies import read_cookies, session_of, written
from identity.sessions.record import (
    LIFETIME,
    csrf_token,
    digest_of,
    is_session,
    new_session,
    session_id_of,
    session_record,
)
from identity.testing.memory import MemoryKeys
from identity.testing.memory_sessions import MemorySessions

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANN = Principal(
    tenant="acme", subject="ann", scopes=("runs:read",), credential="key:00000000-0000-0000-0000-000000000001"
)
SESSION, KEY = UUID(int=2), UUID(int=1)


def test_a_session_has_256_random_bits_of_which_the_hash_is_kept() -> None:
    """No two are alike."""
    made = {new_session() for _ in range(100)}
    assert len({one.sha256 for one in made}) == 100
    assert {len(one.text) for one in made} == {51}
    assert all(digest_of(one.text) == one.sha256 and is_session(one.text) for one in made)


@pytest.mark.parametrize(
    "text", ["", "session.", "session." + "a" * 42, "session." + "a" * 44, "a" * 51, "session." + "ä" * 43]
)
def test_a_text_that_no_session_can_have_costs_no_query(text: str) -> None:
    """It has no hash."""
    assert digest_of(text) is None


def test_a_csrf_token_is_its_sessions_own() -> None:
    """The same for as long as the session, another one for each, and no way back."""
    one, other = new_session().text, new_session().text
    assert csrf_token(one) == csrf_token(one) != csrf_token(other)
    assert len(csrf_token(one)) == 43


def test_a_session_says_by_what_it_came() -> None:
    """The principal's credential is the session; the key is kept beside it."""
    record = session_record(ANN, SESSION, NOW)
    assert (record.key_id, record.principal.credential) == (KEY, f"session:{SESSION}")
    assert (session_id_of(record.principal.credential), session_id_of(ANN.credential)) == (SESSION, None)
    assert (record.holds_at(NOW), record.holds_at(NOW + LIFETIME)) == (True, False)


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([], None),
        ([b"other=1"], None),
        ([b"sayso_session=a"], "a"),
        ([b'other=1; sayso_session="a" ;x=y'], "a"),
        ([b"other=1", b"sayso_session=a"], "a"),
        ([b"sayso_session=a; sayso_session=a"], "a"),
        ([b"sayso_session=a; sayso_session=b"], ""),
        ([b"sayso_session=a", b"sayso_session=b"], ""),
        ([b"__Host-sayso_session=a"], None),
        ([b"xsayso_session=a; sayso_sessionx=b; sayso_session"], ""),
        ([b"sayso_session=\xff"], "\xff"),
    ],
)
def test_a_cookie_is_read_as_browsers_send_it(headers: list[bytes], found: str | None) -> None:
    """Of two values none is believed: a stranger may have set one of them."""
    assert session_of([(b"cookie", value) for value in headers], secure=False) == found


def test_under_https_only_a_cookie_of_the_very_host_counts() -> None:
    """Another service of the host, or a page without TLS, cannot set one of that name."""
    headers = [(b"cookie", b"sayso_session=stranger; __Host-sayso_session=mine"), (b"host", b"x")]
    assert session_of(headers, secure=True) == "mine"
    assert read_cookies(headers, "sayso_session") == ["stranger"]


def test_no_script_sees_a_cookie_and_no_foreign_form_sends_it() -> None:
    """Under https it never travels without TLS."""
    assert written("n", "v", 5, secure=True) == "n=v; Path=/; Max-Age=5; HttpOnly; SameSite=Lax; Secure"
    assert "Secure" not in written("n", "v", 5, secure=False)


async def test_a_session_that_is_none_has_ended() -> None:
    """Unknown, malformed, ended: the answer is the same, and whether there was one is not told."""
    sessions = MemorySessions(MemoryKeys())
    made, over = new_session(), new_session()
    await sessions.add(session_record(ANN, SESSION, NOW), made.sha256)
    await sessions.add(session_record(ANN, UUID(int=3), NOW - LIFETIME), over.sha256)
    resolver = Resolver(None, None, lambda: NOW, sessions=sessions)
    assert (await resolver.resolve(f"Bearer {made.text}")).principal.subject == "ann"
    for text in (over.text, new_session().text, made.text + "a", "session.", ""):
        with pytest.raises(Unauthenticated) as refused:
            await resolver.resolve_session(text)
        assert refused.value.code == "session_ended"
    with pytest.raises(Unauthenticated, match="has ended"):
        await Resolver(None, None, lambda: NOW).resolve_session(made.text)


async def test_a_session_that_was_ended_here_is_refused_at_once() -> None:
    """Though it was remembered."""
    sessions, made = MemorySessions(MemoryKeys()), new_session()
    await sessions.add(session_record(ANN, SESSION, NOW), made.sha256)
    resolver = Resolver(None, None, lambda: NOW, lambda: 0.0, sessions=sessions)
    await resolver.resolve_session(made.text)
    await resolver.end_session(made.text)
    await resolver.end_session("nothing")
    with pytest.raises(Unauthenticated):
        await resolver.resolve_session(made.text)
