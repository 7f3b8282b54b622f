"""How the fake Replicate delivers a file badly, by the prediction's fault.

`lost` is 404, `torn` breaks off, `large_output` has 24 MiB, `huge_output` 50 MB without a length, `told_large` claims 1 GB, `lasting` never
ends. `moved` sends to another host, `circling` to itself. `flaky` fails for the first delivery, `broken_host` for each. `lost_second` has all files
but the second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.responses import RedirectResponse, Response, StreamingResponse

from fake_vendors.faults import transport_fault

LARGE = 24 * 1024 * 1024


def fault_of(fault: str | None, name: str, number: int) -> str | None:
    """Return the fault that the delivery of a file has, which is the `number`th of all."""
    match fault:
        case "lost_second":
            return "lost" if "-1." in name else None
        case "flaky":
            return "broken_host" if number == 1 else None
    return fault


async def delivered_badly(fault: str | None, url: str) -> Response | None:
    """Return a delivery with a fault, or None for a good one."""
    match fault:
        case "lost":
            return Response("gone", 404)
        case "broken_host":
            return Response("broken", 503)
        case "torn":
            return await transport_fault("reset")
        case "huge_output":
            return await transport_fault("huge")
        case "large_output":
            return Response(b"\0" * LARGE, media_type="video/mp4")
        case "told_large":
            return Response(b"x", headers={"content-length": "1000000000"})
        case "lasting":
            return StreamingResponse(_lasting(), media_type="video/mp4")
        case "moved":
            return RedirectResponse("http://169.254.169.254/latest/meta-data/")
        case "circling":
            return RedirectResponse(url)
    return None


async def _lasting() -> AsyncIterator[bytes]:
    while True:
        yield b"x"
        await asyncio.sleep(0.05)
