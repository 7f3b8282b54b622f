"""Bad credentials at the gateway's door: each gets 401 with its reason, and neither an answer nor a log has a part of one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts.identity import Role
from gateway.identity.route_rights import RUN
from identity.keys.record import new_key

from .credentials import SECRET, bearer, guarded_site, key, token, unchanged
from .memory_site import Site
from .over_http import problem

PUBLIC = generate_private_key(65537, 2048).public_key()
PEM = PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest_asyncio.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Run a gateway that asks for credentials, and takes tokens by a secret and by the keys of a file."""
    folder = tmp_path_factory.mktemp("gateway")
    file = folder / "jwks.json"
    public = jwt.get_algorithm_by_name("RS256").to_jwk(PUBLIC, as_dict=True) | {"kid": "k1"}
    file.write_text(json.dumps({"keys": [public]}))
    async with guarded_site(folder, jwks_file=file) as running:
        yield running


def claims() -> dict[str, Any]:
    """Return claims that hold."""
    return jwt.decode(token(), options={"verify_signature": False})


def headed(**header: Any) -> str:
    """Return a token by the secret, under a header that its signer should not have written."""
    head, _, rest = jwt.encode(claims(), SECRET, "HS256").partition(".")
    del head
    return f"{base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b'=').decode()}.{rest}"


def unsigned() -> str:
    """Return a token of the algorithm `none`."""
    return jwt.encode(claims(), "", "none")


def confused() -> str:
    """Return a token by HMAC with a public key as its secret, which an honest library refuses to make."""
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"k1"}').rstrip(b"=").decode()
    body = jwt.encode(claims(), SECRET, "HS256").split(".")[1]
    signature = hmac.digest(PEM, f"{head}.{body}".encode(), hashlib.sha256)
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


TOKENS = {
    "none": unsigned(),
    "none, with a signature": headed(alg="none"),
    "NONE": headed(alg="NONE"),
    "no algorithm": headed(typ="JWT"),
    "signed by the text of a public key": confused(),
    "another algorithm of the same kind": headed(alg="HS512"),
    "an algorithm of the file, by the secret": headed(alg="RS256", kid="k1"),
    "kid, a path": headed(alg="RS256", kid="../../../dev/null"),
    "kid, a file": headed(alg="RS256", kid="file:///dev/null"),
    "kid, an address": headed(alg="RS256", kid="https://evil.example/keys.json"),
    "kid, a query": headed(alg="RS256", kid="k1' OR '1'='1"),
    "jku": headed(alg="RS256", jku="https://evil.example/keys.json"),
    "jwk": headed(alg="RS256", jwk={"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
    "crit": headed(alg="HS256", crit=["exp"]),
}


@pytest.mark.parametrize("credential", TOKENS.values(), ids=TOKENS)
async def test_a_token_that_asks_for_trust_gets_none(
    site: Site, credential: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No algorithm, another one, another key: what a header asks for is compared, and nothing is fetched or opened."""
    document = problem(await site.http.get("/me", headers=bearer(credential)), 401, "unauthorized")
    assert document["reason"] == "token_invalid"
    said = capsys.readouterr()
    body = credential.split(".")[1]
    assert body not in said.out + said.err + str(document)


FIELDS = {
    "nothing": ([b""], "credential_missing"),
    "no scheme": ([b"sayso_AAAA"], "credential_malformed"),
    "another scheme": ([b"Basic YW5uOnNlY3JldA=="], "credential_malformed"),
    "the scheme alone": ([b"Bearer"], "credential_malformed"),
    "two words": ([b"Bearer one two"], "credential_malformed"),
    "not ASCII": (["Bearer sayso_Größe".encode()], "credential_malformed"),
    "Latin-1": (["Bearer sayso_Größe".encode("latin-1")], "credential_malformed"),
    "digits of another script": (["Bearer ١٢٣.٤٥٦.٧٨٩".encode()], "credential_malformed"),
    "long": ([b"Bearer " + b"a" * 8193], "credential_malformed"),
    "huge": ([b"Bearer " + b"a." * 5_000_000], "credential_malformed"),
    "two fields": ([b"Bearer a", b"Bearer b"], "credential_malformed"),
    "two fields, one empty": ([b"", b"Bearer b"], "credential_malformed"),
    "an unknown key": ([f"Bearer {new_key().text}".encode()], "credential_unknown"),
}


@pytest.mark.parametrize("name", FIELDS)
async def test_a_field_that_is_no_credential_has_its_reason(site: Site, name: str) -> None:
    """Whatever stands in it, however long; the challenge says what is wanted."""
    values, reason = FIELDS[name]
    answer = await site.http.get("/me", headers=[(b"authorization", value) for value in values])
    assert problem(answer, 401, "unauthorized")["reason"] == reason
    assert answer.headers["www-authenticate"] == 'Bearer realm="sayso"'


async def test_a_good_key_twice_is_none(site: Site) -> None:
    """Readers would differ on which one counts."""
    fields = [("Authorization", f"Bearer {await key(site, 'ann', Role.ADMIN)}") for _ in range(2)]
    assert problem(await site.http.get("/me", headers=fields), 401, "unauthorized")["reason"] == "credential_malformed"


@pytest.mark.parametrize("path", ["/me", "/hitl/runs", "/", "/no/such/path", RUN])
@pytest.mark.parametrize("name", ["api_key", "access_token", "token", "API_KEY", "authorization"])
async def test_a_key_in_an_address_is_refused(
    site: Site, path: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside a good one in the header too: it was sent where it is logged, though not by us."""
    text = await key(site, "ann", Role.ADMIN)
    asked = path.format(run_id=next(iter(site.tables.rows)))
    for headers in ({}, bearer(text)):
        document = problem(await site.http.get(asked, params={name: text}, headers=headers), 401, "unauthorized")
        assert document["reason"] == "credential_in_address"
        assert text not in str(document)
    said = capsys.readouterr()
    assert text not in said.out + said.err


@pytest.mark.parametrize("action", ["approve", "edit", "reject", "pause", "resume", "cancel", "retry"])
async def test_an_actor_in_a_body_is_refused(site: Site, action: str) -> None:
    """Who acts is who the credential says, whichever name the body has, one's own too. Nothing happens to the run."""
    run_id = next(iter(site.tables.rows))
    headers = bearer(await key(site, "ann", Role.ADMIN))
    edits = {"edits": {"temperature": 1}} if action == "edit" else {}
    path = f"/hitl/runs/{run_id}/{action}"
    with unchanged(site):
        for actor in ("bob", "ann", "", 5, ["bob"]):
            answer = await site.http.post(path, headers=headers, json={"actor": actor, **edits})
            document = problem(answer, 422, "validation_failed")
            assert "/actor" in [issue["path"] for issue in document["issues"]]
