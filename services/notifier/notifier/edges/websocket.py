"""`/ws`: the handshake of a WebSocket, which is accepted or refused with a problem document."""

from __future__ import annotations

from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from chassis.http.problems import problem_response
from notifier import metrics
from notifier.edges.websocket_connection import ConnectionContext, WebSocketConnection
from notifier.errors import Unadmitted
from notifier.protocol.messages import MessageInvalid
from notifier.protocol.subscription import read_subscription


class WebSocketEdge:
    """Accepts whatever the access guard lets through, has a valid query, and says who it is."""

    def __init__(self, context: ConnectionContext) -> None:
        self._context = context

    async def endpoint(self, websocket: WebSocket) -> None:
        """Serve one connection from its handshake to its end."""
        path = websocket.url.path
        try:
            subscription = read_subscription(websocket.query_params.multi_items())
        except MessageInvalid as error:
            issues = [fault.model_dump() for fault in error.faults]
            refusal = problem_response("validation_failed", str(error), path, {"issues": issues})
            await websocket.send_denial_response(refusal)
            return
        with metrics.CLIENTS.labels("websocket").track_inprogress(), suppress(Unadmitted, WebSocketDisconnect):
            caller = await self._context.authentication.admit(websocket)
            await WebSocketConnection(websocket, subscription, caller, self._context).run()
