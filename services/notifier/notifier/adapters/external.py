"""All adapters of a deployed notifier, made of its settings."""

from __future__ import annotations

from chassis.failpoints import load_failpoints
from chassis.settings import Settings
from notifier.adapters.gateway import HttpGateway
from notifier.adapters.identity import PostgresIdentity
from notifier.adapters.kafka import KafkaLog
from notifier.ports import Adapters


def external_adapters(settings: Settings) -> Adapters:
    """Return the adapters of a deployed notifier. Nothing connects yet. Raises SettingsError."""
    now = load_failpoints().now
    identity = PostgresIdentity(settings, now) if settings.auth == "on" else None
    gateway = HttpGateway(settings.gateway, internal=None if identity is None else identity.internal)
    return Adapters(gateway, KafkaLog(settings), now, identity)
