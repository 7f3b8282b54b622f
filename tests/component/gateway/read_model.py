"""A read model that tests fill and read, whatever it stands on."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from contracts.runs.views import RunView
from gateway.ports import Page, Tables, Views, WaitingPage
from testkit.runs.histories import Append, Feed, history_of
from testkit.runs.specification import Story


@dataclass
class Store:
    """A read model: what writes it and what reads it."""

    tables: Tables
    views: Views
    append: Append

    def feed(self) -> Feed:
        """Return a projector that fills it."""
        return Feed(self.tables, self.append)


async def fill(store: Store, *histories: tuple[Story, UUID], **members: object) -> None:
    """Project whole histories."""
    for story, run_id in histories:
        await store.feed().give(*history_of(story, run_id, **members))


def ids(page: Page | WaitingPage) -> list[UUID]:
    """Return the runs of a page."""
    return [RunView.model_validate_json(view).run_id for view in page.views]
