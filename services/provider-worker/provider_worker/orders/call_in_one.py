"""The call that a worker makes in one with its preparation, because its payload needs no review. Decides; makes nothing."""

from __future__ import annotations

import asyncio

from contracts.providers.call import Preparation
from contracts.providers.orders import ExecuteOrder, Order, PrepareOrder
from contracts.runs.commands import FromWorker, RecordPreparation
from messaging.records import Outgoing
from provider_worker.dependencies import Dependencies
from provider_worker.messages.answers import to_record, to_record_in_one
from provider_worker.messages.orders import call_of
from provider_worker.providers.base import AIProvider

SCHEMA_SECONDS = 10.0
"""How long the schema of a prepared payload may take, which its provider has most likely read for the preparation."""


class CallInOne:
    """Says which preparations are followed by their call at once."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._registry = dependencies.registry
        self._admission = dependencies.admission

    async def after(self, order: Order, answer: FromWorker) -> tuple[ExecuteOrder | None, Outgoing]:
        """Return the call that follows `answer` under the same order, and the answer's record. None where the run orders it, or asks.

        The run does where something is in question, where calls wait for an account's limits, since it can be told about those,
        and where the payload is so large that it might not be recorded. A doubted order is prepared alone, for another worker may be calling.
        """
        if isinstance(order, PrepareOrder) and isinstance(answer, RecordPreparation):
            call = await self._call(order, answer.preparation)
            told = None if call is None else to_record_in_one(answer)
            if told is not None:
                return call, told
        return None, to_record(answer)

    async def _call(self, order: PrepareOrder, prepared: Preparation) -> ExecuteOrder | None:
        provider = self._registry.find(prepared.provider)
        if not order.calls_at_once or prepared.is_in_question or provider is None:
            return None
        if self._admission.limits(provider):
            return None
        return call_of(order, prepared) if await _fits_schema(provider, prepared) else None


async def _fits_schema(provider: AIProvider, prepared: Preparation) -> bool:
    # A provider may have rules of its own in place of its schema's; the run would hold the payload to the schema.
    try:
        async with asyncio.timeout(SCHEMA_SECONDS):
            schema = await provider.schema_for(prepared.operation, prepared.payload)
        return not schema.issues(prepared.payload)
    except Exception:  # whatever it is, the run looks at the payload before it orders the call
        return False
