"""Assembles the worker's core on its ports, as the settings say. Connects to nothing."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from chassis.failpoints import load_failpoints
from chassis.settings import Settings
from provider_worker.budgets.gate import BudgetGate
from provider_worker.budgets.model import read_budget_rules
from provider_worker.catalog import Catalog
from provider_worker.checks.registry import load_checks
from provider_worker.dependencies import Dependencies, Storage
from provider_worker.execution.call import CallHandler
from provider_worker.execution.stop_listener import StopListener
from provider_worker.orders.claims import Claimer
from provider_worker.orders.consumer import OrderConsumer
from provider_worker.orders.order_handler import OrderHandler
from provider_worker.ports import Transport
from provider_worker.preparation.prepare import Preparer
from provider_worker.preparation.routing_rules import read_routes
from provider_worker.providers.registry import load_providers
from provider_worker.rate_limits.admission import Admission
from provider_worker.rate_limits.circuit_breaker import CircuitTerms
from provider_worker.rate_limits.circuit_breakers import CircuitBreakers
from provider_worker.rate_limits.rules import read_rules
from provider_worker.sanitizer import Sanitizer, secrets_in


class Assembly:
    """The parts that the service starts and stops. Raises SettingsError for settings that make no sense."""

    def __init__(
        self, settings: Settings, storage: Storage, transport: Transport, on_failure: Callable[[BaseException], None]
    ) -> None:
        failpoints = load_failpoints()
        self.registry = registry = load_providers(settings)
        budgets = BudgetGate(read_budget_rules(settings), storage.budgets, failpoints.now)
        self.checks = checks = load_checks(settings, budgets)
        sanitizer = Sanitizer([*registry.secrets, *checks.secrets, *secrets_in(settings)])
        circuits = CircuitBreakers(CircuitTerms(settings.circuit_failures, settings.circuit_seconds))
        dependencies = Dependencies(
            registry,
            storage.claims,
            storage.artifacts,
            transport.publisher,
            sanitizer,
            budgets,
            checks,
            Admission(read_rules(settings, registry), storage.reservations, circuits, uuid4().hex, on_failure),
            failpoints,
        )
        routes = read_routes(settings, registry)
        preparer = Preparer(registry, storage.artifacts, sanitizer, checks, routes, circuits)
        calls = CallHandler(dependencies)
        self.claimer = claimer = Claimer(storage.claims, failpoints)
        self.consumer = OrderConsumer(
            dependencies,
            OrderHandler(dependencies, preparer, calls, claimer),
            claimer,
            confirm=transport.confirm,
            on_failure=on_failure,
            most=settings.worker_concurrency,
        )
        self.stop_listener = StopListener(registry, calls, budgets, on_failure)
        self.catalog = Catalog(registry, transport.publisher, sanitizer, circuits, preparer.routes)
