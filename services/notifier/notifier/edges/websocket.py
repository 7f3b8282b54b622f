"""`/ws`: the handshake of a WebSocket, which is accepted or refused with a problem document."""

from __future__ import annotations

from collections.abc import Collection

from starlette.websockets import WebSocket

from chassis.http.origins import is_welcome
from chassis.http.problems import problem_response
from notifier import metrics
from notifier.edges.websocket_connection import ConnectionContext, WebSocketConnection
from notifier.protocol.messages import MessageInvalid
from notifier.protocol.subscription import read_subscription


class WebSocketEdge:
    """Accepts programs, pages of the host that is asked, and pages of `origins`."""

    def __init__(self, context: ConnectionContext, origins: Collection[str]) -> None:
        self._context = context
        self._origins = origins

    async def endpoint(self, websocket: WebSocket) -> None:
        """Serve one connection from its handshake to its end."""
        path = websocket.url.path
        if not is_welcome(websocket.headers, self._origins):
            detail = f"a page of {websocket.headers['origin']} may not connect to this host; see SAYSO_ORIGINS"
            await websocket.send_denial_response(problem_response("forbidden", detail, path))
            return
        try:
            subscription = read_subscription(websocket.query_params)
        except MessageInvalid as error:
            issues = [fault.model_dump() for fault in error.faults]
            refusal = problem_response("validation_failed", str(error), path, {"issues": issues})
            await websocket.send_denial_response(refusal)
            return
        await websocket.accept()
        with metrics.CLIENTS.labels("websocket").track_inprogress():
            await WebSocketConnection(websocket, subscription, self._context).run()
