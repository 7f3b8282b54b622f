"""Refusals: every code that outsiders may get from the core, and who gets nothing but `run_not_found`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args
from uuid import UUID

import pytest

from contracts.runs import commands as c
from orchestrator.run.errors import Refusal
from support.asking import (
    again,
    approve,
    at_payload_review,
    calling,
    cancel,
    completed,
    edit,
    executed,
    extend_lease,
    failed,
    lease_ends,
    pause,
    reject,
    resume,
    retry,
    start,
    time_is_up,
)
from support.deciding import Ask, Story, like
from support.invariants import API_CODES
