"""The predictions of the fake Replicate: how they go on, how they end, what they answer. Knows no HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provider_worker.fakes.replicate_models import MODELS, version_of

AT = "2026-01-01T00:00:00.000Z"

_ENDS: Mapping[str, tuple[str, str | None]] = {
    "fails": ("failed", "CUDA out of memory. Tried to allocate 2 GiB."),
    "nsfw": ("failed", "NSFW content detected. Try running it again, or try a different prompt."),
    "canceled": ("canceled", None),
    "aborted": ("aborted", None),
}


@dataclass
class Prediction:
    """A prediction: it stands where it stood when it was last looked at."""

    id: str
    model: str
    input: dict[str, Any]
    fault: str | None
    base: str
    status: str = "starting"
    looks: int = 0

    def move_on(self) -> None:
        """Go one state further, as time does it elsewhere."""
        match self.status:
            case "starting":
                self.status = "processing"
            case "processing" if self.fault != "stuck":
                self.status = _ENDS.get(self.fault or "", ("succeeded", None))[0]

    def document(self) -> dict[str, Any]:
        """Return it as the API tells it."""
        done = self.status == "succeeded"
        gone = done and self.fault == "removed"
        address = f"{self.base}v1/predictions/{self.id}"
        return {
            "id": self.id,
            "model": self.model,
            "version": "hidden" if MODELS[self.model][1] else version_of(self.model),
            "input": {} if gone else self.input,
            "output": self._output() if done and not gone else None,
            "logs": "Using seed: 7\n",
            "error": _ENDS[self.fault or ""][1] if self.status == "failed" and self.fault in _ENDS else None,
            "status": self.status,
            "created_at": AT,
            "started_at": None if self.status == "starting" else AT,
            "completed_at": None if self.status in ("starting", "processing") else AT,
            "data_removed": gone,
            "source": "api",
            "metrics": self._metrics() if done else {},
            "urls": {"get": address, "cancel": f"{address}/cancel", "web": f"https://replicate.com/p/{self.id}"},
        }

    def _output(self) -> Any:
        if self.fault == "empty":
            return None
        text = str(self.input.get("prompt") or self.input.get("text") or "")
        match self.model:
            case "acme/painter":
                return [f"{self.base}delivery/{self.id}/out-{n}.png" for n in range(self.input.get("num_outputs", 1))]
            case "acme/writer":
                return ["The fake", " heard", f" {len(text)}", " characters."]
            case "acme/listener":
                return f"The fake heard a file of {len(self.input['audio_file'])} characters."
            case _:
                return {"label": text[:20], "score": 0.5, "references": len(self.input.get("references", []))}

    def _metrics(self) -> dict[str, Any]:
        metrics: dict[str, Any] = {"predict_time": 1.25, "total_time": 2.5}
        if self.model == "acme/painter":
            metrics["image_count"] = self.input.get("num_outputs", 1)
        if self.model == "acme/writer":
            metrics |= {"input_token_count": len(str(self.input["prompt"])) // 4, "output_token_count": 4}
        return metrics
