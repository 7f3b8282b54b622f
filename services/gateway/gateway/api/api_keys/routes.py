"""The routes of API keys and of `/me`, with what their documents say."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from gateway.api import openapi
from gateway.api.api_keys.endpoints import ApiKeys
from gateway.api.api_keys.models import KeyBody, KeyPage, MadeKey, RotationBody
from gateway.http.problem_schemas import problems
from gateway.ports import Now
from identity.ports import KeyRepository


def api_keys_router(keys: KeyRepository, now: Now, max_body_bytes: int) -> APIRouter:
    """Return the routes."""
    endpoints = ApiKeys(keys, now, max_body_bytes)
    router = APIRouter(tags=["identity"])
    refused = ("validation_failed", "unavailable")
    router.add_api_route(
        "/me", endpoints.me, summary="Read who one is", responses=problems("validation_failed", "unavailable")
    )
    router.add_api_route(
        "/admin/api-keys",
        endpoints.make,
        methods=["POST"],
        summary="Make an API key",
        status_code=201,
        response_model=MadeKey,
        responses=problems(*refused, "payload_too_large", "unsupported_media_type"),
        openapi_extra=openapi.body(KeyBody),
    )
    router.add_api_route(
        "/admin/api-keys",
        endpoints.list_keys,
        summary="List the API keys",
        response_model=KeyPage,
        responses=problems(*refused),
    )
    router.add_api_route(
        "/admin/api-keys/{key_id}",
        endpoints.revoke,
        methods=["DELETE"],
        summary="Revoke an API key",
        status_code=204,
        response_class=Response,
        responses=problems(*refused, "api_key_not_found"),
    )
    router.add_api_route(
        "/admin/api-keys/{key_id}/rotate",
        endpoints.rotate,
        methods=["POST"],
        summary="Rotate an API key",
        status_code=201,
        response_model=MadeKey,
        responses=problems(*refused, "api_key_not_found", "not_allowed", "payload_too_large", "unsupported_media_type"),
        openapi_extra=openapi.body(RotationBody),
    )
    return router
