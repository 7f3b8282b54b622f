"""The predictions of the fake Replicate: progress, end and output. Knows no HTTP."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fake_vendors.replicate.models import MODELS, version_of

AT = "2026-01-01T00:00:00.000Z"

_ENDS: Mapping[str, tuple[str, str | None]] = {
    "fails": ("failed", "CUDA out of memory. Tried to allocate 2 GiB."),
    "nsfw": ("failed", "NSFW content detected. Try running it again, or try a different prompt."),
    "canceled": ("canceled", None),
    "aborted": ("aborted", None),
}

_INLINE = 26 * 1024 * 1024
_ENDLESS = ("stuck", "uncanceled")
_ANSWER = ("The fake", " heard", " {}", " characters.")


@dataclass
class Prediction:
    """A prediction: it moves on when it is looked at. `pace` is the time that a language model takes for a word.

    Without a pace it adds one word from look to look. A prediction that is stuck stops at half of its words.
    """

    id: str
    model: str
    input: dict[str, Any]
    fault: str | None
    base: str
    pace: float = 0.0
    status: str = "starting"
    looks: int = 0
    deafness: int = 2
    _began: float | None = None
    _told: int = 0

    def move_on(self) -> None:
        """Go one state further, as time does it elsewhere."""
        match self.status:
            case "starting":
                self.status, self._began = "processing", time.monotonic()
            case "processing" if self._tells():
                return
            case "processing" if self.fault not in _ENDLESS:
                self.status = _ENDS.get(self.fault or "", ("succeeded", None))[0]

    def cancel(self) -> bool:
        """End it, and return whether it had been running."""
        is_running = self.status in ("starting", "processing")
        if is_running:
            self.status = "canceled"
        return is_running

    def _tells(self) -> bool:
        """Add the next words; return whether there were any."""
        words = _ANSWER if self.model == "acme/writer" else ()
        most = len(words) // 2 if self.fault in _ENDLESS else len(words)
        passed = (time.monotonic() - (self._began or 0.0)) / self.pace if self.pace else self._told + 1
        before, self._told = self._told, min(most, int(passed))
        return before < most

    def document(self) -> dict[str, Any]:
        """Return it as the API does."""
        done, told = self.status == "succeeded", self._text()[: self._told] or None
        gone = done and self.fault == "removed"
        address = f"{self.base}v1/predictions/{self.id}"
        return {
            "id": self.id,
            "model": self.model,
            "version": "hidden" if MODELS[self.model][1] else version_of(self.model),
            "input": {} if gone else self.input,
            "output": (self._output() if done else told) if not gone else None,
            "logs": "Using seed: 7\n",
            "error": _ENDS[self.fault or ""][1] if self.status == "failed" and self.fault in _ENDS else None,
            "status": self.status,
            "created_at": AT,
            "started_at": None if self._began is None else AT,
            "completed_at": None if self.status in ("starting", "processing") else AT,
            "data_removed": gone,
            "source": "api",
            "metrics": self._metrics() if done else self._metrics_of_a_part(),
            "urls": {"get": address, "cancel": f"{address}/cancel", "web": f"https://replicate.com/p/{self.id}"},
        }

    def _output(self) -> Any:
        if self.fault == "empty":
            return None
        if self.fault == "inline_output":
            return [f"data:video/mp4;base64,{base64.b64encode(bytes(_INLINE)).decode()}"]
        text = str(self.input.get("prompt") or self.input.get("text") or "")
        match self.model:
            case "acme/painter":
                return [f"{self.base}delivery/{self.id}/out-{n}.png" for n in range(self.input.get("num_outputs", 1))]
            case "acme/writer":
                return self._text()
            case "acme/listener":
                return f"The fake heard a file of {len(self.input['audio_file'])} characters."
            case _:
                return {"label": text[:20], "score": 0.5, "references": len(self.input.get("references", []))}

    def _text(self) -> list[str]:
        return [word.format(len(str(self.input.get("prompt")))) for word in _ANSWER]

    def _metrics_of_a_part(self) -> dict[str, Any]:
        return {"predict_time": 0.5} if self.status == "canceled" and self._began is not None else {}

    def _metrics(self) -> dict[str, Any]:
        metrics: dict[str, Any] = {"predict_time": 1.25, "total_time": 2.5}
        if self.model == "acme/painter":
            metrics["image_count"] = self.input.get("num_outputs", 1)
        if self.model == "acme/writer":
            metrics |= {"input_token_count": len(str(self.input["prompt"])) // 4, "output_token_count": 4}
        return metrics
