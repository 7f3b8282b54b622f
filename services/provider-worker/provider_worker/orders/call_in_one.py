"""The call that a worker makes in one with its preparation, because nobody is asked about the payload. Decides; makes nothing."""

from __future__ import annotations

from contracts.providers.call import Preparation
from contracts.providers.orders import ExecuteOrder, Order, PrepareOrder
from contracts.runs.commands import FromWorker, RecordPreparation
from provider_worker.dependencies import Dependencies
from provider_worker.messages.orders import call_of
from provider_worker.providers.base import AIProvider


class CallInOne:
    """Says which preparations are followed by their call at once."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._registry = dependencies.registry
        self._admission = dependencies.admission

    async def after(self, order: Order, answer: FromWorker) -> ExecuteOrder | None:
        """Return the call that follows `answer` under the same order, or None where its run has to order it, or to ask.

        The run has to where something is in question, and where calls wait for an account's limits: those it can be told about.
        A doubted order is prepared alone, for another worker may be calling.
        """
        if not isinstance(order, PrepareOrder) or not isinstance(answer, RecordPreparation):
            return None
        prepared = answer.preparation
        provider = self._registry.find(prepared.provider)
        if not order.in_one or order.doubted or prepared.is_in_question or provider is None:
            return None
        if self._admission.limits(provider):
            return None
        return call_of(order, prepared) if await _fits_schema(provider, prepared) else None


async def _fits_schema(provider: AIProvider, prepared: Preparation) -> bool:
    # A provider may have rules of its own in place of its schema's; the run would hold the payload to the schema.
    try:
        schema = await provider.schema_for(prepared.operation, prepared.payload)
    except Exception:  # whatever it is, the run looks at the payload before it orders the call
        return False
    return not schema.issues(prepared.payload)
