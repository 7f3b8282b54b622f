"""The fake OpenAI's images: drawn by rule, of the size that was asked for."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from fake_vendors.openai.chat import CREATED
from provider_worker.providers.sandbox.image import draw

_SIZE = re.compile(r"(\d{2,4})x(\d{2,4})")


def images_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return as many images as a body asks for."""
    size = _SIZE.fullmatch(str(body.get("size", "64x64")))
    width, height = (min(int(size[1]), 1024), min(int(size[2]), 1024)) if size else (64, 64)
    picture = base64.b64encode(draw(str(body["prompt"]), width, height)).decode()
    tokens = {"input_tokens": len(str(body["prompt"])) // 4, "output_tokens": 1056}
    return {
        "created": CREATED,
        "data": [{"b64_json": picture} for _ in range(int(body.get("n", 1)))],
        "usage": {**tokens, "total_tokens": sum(tokens.values())},
    }
