"""The interpreter that a benchmark measured, since figures of different builds do not compare."""

from __future__ import annotations

import platform
import sysconfig


def interpreter() -> str:
    """Return implementation, version and kind of build, such as `CPython 3.13.1, optimised build`."""
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    build = "optimised" if "--enable-optimizations" in arguments else "unoptimised"
    return f"{platform.python_implementation()} {platform.python_version()}, {build} build"
