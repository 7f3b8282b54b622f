"""Where a sign-in leads afterwards: a path of this host, and nothing else."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from gateway.http.parameters import Parameters
from gateway.identity.browser import HOME, is_local


def _local(path: str) -> str:
    if not is_local(path):
        raise PydanticCustomError("not_local", "a path of this host, such as /")
    return path


class Destination(Parameters):
    """Where one is led afterwards."""

    next: Annotated[str, AfterValidator(_local)] = HOME
