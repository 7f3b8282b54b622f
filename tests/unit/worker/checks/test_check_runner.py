"""Checks inspect payloads and responses, and no failure of one loses a finding of another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Self

import pytest
from structlog.testing import capture_logs

from chassis.settings import Settings
from contracts.providers.call import Execution
from contracts.providers.orders import ExecuteOrder, PrepareOrder
from contracts.providers.signals import Finding, Signals
from provider_worker.checks.base import Check, Stage, Subject
from provider_worker.checks.check_runner import CheckRunner, ConfiguredCheck
from provider_worker.execution.execute import CallContext, execute
from provider_worker.preparation.prepare import Preparer
from provider_worker.providers.base import ProviderError
from provider_worker.providers.registry import Registry
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.memory import MemoryArtifacts
from testkit.worker.orders import a_check_order

SECRET = "sk-a-very-secret-key"  # noqa: S105 - it is one in name only
FOUND = Finding(check="told", code="found", message="something", flags=("pii", "odd"), data={"places": ["/prompt"]})


class Told(Check):
    """A check that remembers its subjects and returns given findings; an exception is raised, None found."""

    name = "told"

    def __init__(self, *finds: Finding | Exception | None) -> None:
        self.finds = [*finds]
        self.saw: list[Subject] = []

    @classmethod
    def from_settings(cls, settings: Settings, options: Mapping[str, Any]) -> Self:
        """Find nothing."""
        del settings, options
        return cls(None)

    async def look(self, subject: Subject) -> Finding | None:
        """Find the next."""
        self.saw.append(subject)
        found = self.finds.pop(0) if len(self.finds) > 1 else self.finds[0]
        if isinstance(found, Exception):
            raise found
        return found


class Endless(Told):
    """A check that never comes to an end."""

    async def look(self, subject: Subject) -> Finding | None:
        """Wait for ever."""
        del subject
        await asyncio.Event().wait()
        return None


class Trampling(Told):
    """A check that changes its subject."""

    async def look(self, subject: Subject) -> Finding | None:
        """Empty it."""
        for looked_at in (subject.payload, subject.response):
            if isinstance(looked_at, dict):
                looked_at.clear()
        return None


async def _prepared(order: PrepareOrder, *checks: ConfiguredCheck, seconds: float = 10) -> Signals:
    sandbox, runner = SandboxProvider(), CheckRunner(checks, seconds)
    preparation = await Preparer(Registry([sandbox]), MemoryArtifacts(), Sanitizer([SECRET]), runner).prepare(order)
    return preparation.signals


async def _executed(order: ExecuteOrder, *checks: ConfiguredCheck, seconds: float = 10) -> Execution:
    around = CallContext(checks=CheckRunner(checks, seconds))
    return await execute(order, SandboxProvider(), MemoryArtifacts().of("acme"), Sanitizer([SECRET]), around)


async def test_what_a_check_finds_is_among_the_signals(
    prepare_order: Callable[..., PrepareOrder], execute_order: Callable[..., ExecuteOrder]
) -> None:
    """Its flags are judged like a provider's, at both stages."""
    watch = ConfiguredCheck(Told(FOUND))
    before, after = await _prepared(prepare_order(), watch), (await _executed(execute_order(), watch)).signals
    for signals in (before, after):
        assert signals.findings == (FOUND,)
        assert set(signals.safety_flags) >= {"pii", "odd"}
    assert (before.confidence, after.response_quality) == (1.0, 0.9)


async def test_a_check_is_shown_what_a_person_would_be_shown(
    prepare_order: Callable[..., PrepareOrder], execute_order: Callable[..., ExecuteOrder]
) -> None:
    """Whose run it is, the payload with its estimate, then the response with its cost."""
    check = Told(None)
    await _prepared(prepare_order(user_id="ann", session_id="s1", prompt="Hi"), ConfiguredCheck(check))
    await _executed(execute_order(prompt="Hi"), ConfiguredCheck(check))
    before, after = check.saw
    assert (before.stage, before.tenant, before.user_id, before.prompt) == (Stage.PAYLOAD, "acme", "ann", "Hi")
    assert (before.model, before.operation, before.looked_at["prompt"]) == ("sandbox-1", "text", "Hi")
    assert before.estimate
    assert after.stage is Stage.RESPONSE
    assert after.looked_at is after.response
    assert "text" in after.looked_at
    assert after.cost


async def test_without_findings_signals_stay_as_they_are(prepare_order: Callable[..., PrepareOrder]) -> None:
    """A run that nothing is found in costs no byte more."""
    assert await _prepared(prepare_order(), ConfiguredCheck(Told(None))) == await _prepared(prepare_order())


@pytest.mark.parametrize("broken", [KeyError("x"), TimeoutError(), ValueError(SECRET)])
async def test_a_check_that_fails_asks_for_a_person(
    prepare_order: Callable[..., PrepareOrder], broken: Exception
) -> None:
    """An unchecked payload asks for a person; the log says why, and no secret is in either."""
    with capture_logs() as logs:
        (finding,) = (await _prepared(prepare_order(), ConfiguredCheck(Told(broken)))).findings
    assert (finding.check, finding.code, finding.force) == ("told", "check_failed", True)
    assert "told" in finding.message
    assert [line["log_level"] for line in logs] == ["error"]
    assert SECRET not in f"{finding} {logs}"


async def test_a_check_that_takes_too_long_asks_for_a_person(prepare_order: Callable[..., PrepareOrder]) -> None:
    """And the others' findings are not lost with it."""
    signals = await _prepared(
        prepare_order(), ConfiguredCheck(Endless(None)), ConfiguredCheck(Told(FOUND)), seconds=0.01
    )
    assert [finding.code for finding in signals.findings] == ["check_failed", "found"]


async def test_a_check_that_fails_loses_no_paid_answer(execute_order: Callable[..., ExecuteOrder]) -> None:
    """The response is recorded, with the finding that asks for a person."""
    execution = await _executed(execute_order(), ConfiguredCheck(Told(ZeroDivisionError())))
    assert execution.response["text"]
    assert [finding.code for finding in execution.signals.forced] == ["check_failed"]


async def test_a_check_cannot_change_what_it_looks_at(execute_order: Callable[..., ExecuteOrder]) -> None:
    """The recorded payload is the approved one."""
    order = execute_order(prompt="Hi")
    execution = await _executed(order, ConfiguredCheck(Trampling(None)))
    assert order.payload["prompt"] == "Hi"
    assert execution.response["text"]


@pytest.mark.parametrize(
    ("watch", "asked", "looks"),
    [
        ({}, (), ["payload", "response"]),
        ({"stages": frozenset({Stage.RESPONSE})}, (), ["response"]),
        ({"only_asked": True}, (), []),
        ({"only_asked": True}, ("told",), ["payload", "response"]),
    ],
)
async def test_a_check_looks_where_the_operator_wants_it(
    prepare_order: Callable[..., PrepareOrder],
    execute_order: Callable[..., ExecuteOrder],
    watch: dict[str, Any],
    asked: tuple[str, ...],
    looks: list[str],
) -> None:
    """At every run or at those that ask, at both stages or at one."""
    check = Told(None)
    await _prepared(prepare_order(checks=asked), ConfiguredCheck(check, **watch))
    await _executed(execute_order(checks=asked), ConfiguredCheck(check, **watch))
    assert [subject.stage.value for subject in check.saw] == looks


async def test_a_check_that_is_not_offered_is_named_with_the_choices(
    prepare_order: Callable[..., PrepareOrder],
) -> None:
    """A run does not go on without a check that it counts on."""
    with pytest.raises(ProviderError) as refused:
        await _prepared(prepare_order(checks=("told", "virus")), ConfiguredCheck(Told(None)))
    (issue,) = refused.value.failure.issues
    assert (issue.code, issue.path, refused.value.failure.retryable) == (
        "check_unknown",
        "/hitl_config/checks/1",
        False,
    )
    assert issue.message.endswith("on offer are told.")


async def test_whatever_a_check_says_can_be_recorded(prepare_order: Callable[..., PrepareOrder]) -> None:
    """Under its own name, bounded, as sound JSON, and without a secret."""
    odd = Finding.model_construct(
        check="other",
        code="c" * 900,
        message=f"{SECRET} \ud800" + "m" * 9000,
        flags=("f",) * 900,
        force=False,
        data={"nan": float("nan"), "big": "x" * 99_999},
    )
    (finding,) = (await _prepared(prepare_order(), ConfiguredCheck(Told(odd)))).findings
    assert (finding.check, len(finding.code), len(finding.message), len(finding.flags)) == ("told", 200, 1000, 50)
    assert SECRET not in finding.message
    assert finding.data == {"left_out": "too large"}
    assert Finding.model_validate_json(finding.model_dump_json()) == finding


async def test_an_edited_payload_is_looked_at_priced_and_validated_anew(
    sandbox: SandboxProvider, sanitizer: Sanitizer
) -> None:
    """The check sees the edited bytes; the answer has the model that they name, their issues and their estimate."""
    check = Told(FOUND)
    payload = {"model": "sandbox-2", "prompt": "Ask ann@example.org", "parameters": {"temperature": 9}}
    order = a_check_order(payload=payload, prompt="Ask Ann")
    preparer = Preparer(Registry([sandbox]), MemoryArtifacts(), sanitizer, CheckRunner([ConfiguredCheck(check)]))
    facts = await preparer.check(order, sandbox)
    (saw,) = check.saw
    assert (saw.stage, saw.payload, saw.response, saw.prompt, saw.model) == (
        Stage.PAYLOAD,
        payload,
        None,
        "Ask Ann",
        "sandbox-2",
    )
    assert (facts.model, facts.estimate) == ("sandbox-2", await sandbox.estimate_cost("text", payload))
    assert facts.issues == tuple(await sandbox.validate_payload("text", payload))
    assert facts.signals.findings == (FOUND,)


async def test_an_edited_response_is_looked_at_anew(sandbox: SandboxProvider, sanitizer: Sanitizer) -> None:
    """With the payload that it answers; nothing is priced, since it was paid for."""
    check = Told(FOUND)
    order = a_check_order(response={"text": "Ask ann@example.org"})
    preparer = Preparer(Registry([sandbox]), MemoryArtifacts(), sanitizer, CheckRunner([ConfiguredCheck(check)]))
    facts = await preparer.check(order, sandbox)
    (saw,) = check.saw
    assert (saw.stage, saw.response, saw.payload) == (Stage.RESPONSE, order.response, order.payload)
    assert (facts.issues, facts.estimate, facts.signals.findings) == ((), None, (FOUND,))


async def test_an_execution_names_the_checks_that_looked_at_it(
    execute_order: Callable[..., ExecuteOrder], sandbox: SandboxProvider, sanitizer: Sanitizer
) -> None:
    """An edit of the response goes to them again; without any it counts at once."""
    looking = CallContext(checks=CheckRunner([ConfiguredCheck(Told(None))]))
    for context, names in ((looking, ("told",)), (CallContext(), ())):
        execution = await execute(execute_order(), sandbox, MemoryArtifacts().of("acme"), sanitizer, context)
        assert execution.checks == names
