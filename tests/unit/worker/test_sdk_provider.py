"""All providers over a vendor's SDK: with and without a key, and the modules that they load."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from chassis.settings import Settings
from provider_worker.providers.anthropic import AnthropicProvider
from provider_worker.providers.base import AIProvider, Call, ProviderError
from provider_worker.providers.huggingface import HuggingFaceProvider
from provider_worker.providers.openai import OpenAIProvider
from provider_worker.providers.replicate import ReplicateProvider
from provider_worker.testing.memory import MemoryArtifacts

VENDORS = [
    # the class, the settings of its key and its address, how people write its name
    (OpenAIProvider, "openai_api_key", "openai_base_url", "OpenAI"),
    (AnthropicProvider, "anthropic_api_key", "anthropic_base_url", "Anthropic"),
    (ReplicateProvider, "replicate_api_token", "replicate_base_url", "Replicate"),
    (HuggingFaceProvider, "hf_token", "hf_base_url", "HuggingFace"),
]
SETTINGS = ("OPENAI_", "ANTHROPIC_", "REPLICATE_", "HF_")


@pytest.mark.parametrize(
    ("key", "url", "configured"),
    [
        (None, None, False),
        ("sk-test-key", None, True),
        (None, "http://127.0.0.1:9/v1", True),
        ("  ", None, False),
    ],
    ids=["neither", "a key", "a server", "an empty key"],
)
@pytest.mark.parametrize(("vendor", "key_setting", "url_setting", "title"), VENDORS, ids=[row[3] for row in VENDORS])
async def test_without_a_usable_key_or_a_server_it_says_so(
    vendor: type[AIProvider],
    key_setting: str,
    url_setting: str,
    title: str,
    key: str | None,
    url: str | None,
    *,
    configured: bool,
) -> None:
    """It is announced all the same, and a call is refused before it is made."""
    given: dict[str, Any] = {key_setting: key, url_setting: url}
    provider = vendor.from_settings(Settings(_env_file=None, **given))
    assert (await provider.get_capabilities()).configured is configured
    assert provider.secrets == ((key,) if configured and key else ())
    if not configured:
        with pytest.raises(ProviderError) as refused:
            await provider.execute({}, Call("text", None, 1, "key", MemoryArtifacts().of("acme")))
        assert refused.value.failure.code == "provider_unconfigured"
        assert title in refused.value.failure.message
    await provider.close()


@pytest.mark.parametrize(
    ("name", "sdk"),
    [("openai", "openai"), ("anthropic", "anthropic"), ("replicate", "replicate"), ("huggingface", "huggingface_hub")],
)
def test_a_worker_without_a_key_does_not_load_the_sdk(name: str, sdk: str) -> None:
    """Each takes 15 MB and more."""
    program = (
        "import sys; from chassis.settings import Settings; from provider_worker.providers.registry import load_providers; "
        f"names = load_providers(Settings(_env_file=None)).names; assert {name!r} in names, names; "
        f"sys.exit({sdk!r} in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)  # noqa: S603 - our own words
