"""Plans of help: a task is delegated, given back, taken back and handed on."""

from __future__ import annotations

from chaos.clients.desk import Desk, Steps
from chaos.clients.plans.plan import LONG, Plan


def task_is_handed_on(desk: Desk) -> Steps:
    """Ask for help, which is given back; then assign it to another."""
    yield [desk.ask("delegate", "ann", to={"user": "bob"})]
    yield [desk.vote("ann", expected="delegated")]
    yield [desk.ask("claim", "bob")]
    yield [desk.ask("return", "bob")]
    yield [desk.ask("claim", "ann")]
    yield [desk.ask("assign", "ann", to={"user": "cleo"})]
    yield [desk.vote("cleo")]


def help_is_taken_back(desk: Desk) -> Steps:
    """Let no one decide or claim while another is asked for help. Who asked takes the task back, and hands it over for good."""
    yield [desk.ask("delegate", "ann", to={"user": "bob"})]
    yield [
        *(desk.vote(who, expected="delegated") for who in ("ann", "bob", "cleo", "lea")),
        desk.vote("cleo", "reject", expected="delegated", reason="wrong"),
        desk.ask("claim", "cleo", expected="delegated"),
        desk.ask("return", "cleo", expected="delegated"),
    ]
    yield [desk.ask("return", "ann")]
    yield [desk.hand_over("ann", "cleo")]
    yield [desk.vote("cleo")]


PLANS = (Plan(task_is_handed_on, {"lease_seconds": LONG}), Plan(help_is_taken_back, {"lease_seconds": LONG}))
