"""Addresses and keys of servers, as settings name them: one rule for all, checked at the start."""

from __future__ import annotations

import pytest

from chassis.settings import SettingsError, load_settings

URLS = ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "REPLICATE_BASE_URL", "HF_BASE_URL", "SAYSO_GATEWAY_URL")
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "REPLICATE_API_TOKEN", "HF_TOKEN")
FIELDS = {"SAYSO_GATEWAY_URL": "gateway_url"}


@pytest.fixture(autouse=True)
def _no_dotenv(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("http://127.0.0.1:9101", "http://127.0.0.1:9101"),
        ("http://127.0.0.1:9101/", "http://127.0.0.1:9101"),
        ("  https://llm.example/v1/\n", "https://llm.example/v1"),
        ("HTTPS://LLM.example/V2/Openai", "https://llm.example/V2/Openai"),
        ("http://[::1]:9101/v1", "http://[::1]:9101/v1"),
        ("https://llm.example/v1beta/openai/", "https://llm.example/v1beta/openai"),
    ],
)
def test_an_address_is_read_alike(monkeypatch: pytest.MonkeyPatch, name: str, written: str, read: str) -> None:
    """Spaces around it, a slash at its end, and the case of its host mean nothing."""
    monkeypatch.setenv(name, written)
    assert getattr(load_settings(), FIELDS.get(name, name.lower())) == read


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("127.0.0.1:9101", "does not begin with http"),
        ("llm.example/v1", "does not begin with http"),
        ("localhost:9101/v1", "does not begin with http"),
        ("ftp://llm.example", "does not begin with http"),
        ("http:/llm.example", "does not begin with http"),
        ("//llm.example", "does not begin with http"),
        ("http://", "names no host"),
        ("http:///v1", "names no host"),
        ("http://:9101", "names no host"),
        ("http://llm.example:port", "names no host"),
        ("http://llm.example:99999", "names no host"),
        ("http://llm.example:", "names no host"),
        ("http://[::1", "names no host"),
        ("https://llm.example/v1?api-version=1", "without them"),
        ("https://llm.example/v1?", "without them"),
        ("https://llm.example/v1#top", "without them"),
        ("https://user:word-that-is-secret@llm.example/v1", "a user or a password"),
        ("https://word-that-is-secret@llm.example/v1", "a user or a password"),
        ("https://llm.example/v 1", "write the address alone"),
        ("https://llm.example/v1\nhttps://other.example", "write the address alone"),
        ("https://llm.example\\v1", "write the address alone"),
        ('"https://llm.example/v1"', "write the address alone"),
        ("https://llm.example/v1/chat/completions", "up to and with /v1"),
        ("https://llm.example/v1/messages/", "up to and with /v1"),
        ("https://llm.example/v1/predictions", "up to and with /v1"),
    ],
)
def test_an_address_that_is_none_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, written: str, said: str
) -> None:
    """With one line that names the setting, says what to write, and repeats no password."""
    monkeypatch.setenv(name, written)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    line = str(refused.value)
    assert line.startswith(f"{name}: ")
    assert said in line
    assert "\n" not in line
    assert "word-that-is-secret" not in line


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("written", ["sk-abc-DEF_123", " sk-abc-DEF_123\n", "sk-abc-DEF_123\r\n"])
def test_a_key_is_read_without_what_stands_around_it(monkeypatch: pytest.MonkeyPatch, name: str, written: str) -> None:
    """A file of secrets ends with a line break."""
    monkeypatch.setenv(name, written)
    assert getattr(load_settings(), name.lower()).get_secret_value() == "sk-abc-DEF_123"


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("sk-abc\nsk-def", "write the key alone"),
        ("sk-abc def", "write the key alone"),
        ("sk-\u00e9\u00e9\u00e9", "write the key alone"),
        ("sk-abc\x07", "write the key alone"),
        ("Bearer sk-abc", "write the key alone"),
        ('"sk-abc"', "without them"),
        ("'sk-abc'", "without them"),
    ],
)
def test_a_key_that_is_none_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, written: str, said: str
) -> None:
    """With one line that names the setting and says what to write, and not the key."""
    monkeypatch.setenv(name, written)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert str(refused.value).startswith(f"{name}: ")
    assert said in str(refused.value)
    assert "abc" not in str(refused.value)


@pytest.mark.parametrize("name", [*URLS, *KEYS])
def test_an_empty_setting_is_none(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As Compose hands on what is not set; spaces are empty too."""
    monkeypatch.setenv(name, "  ")
    assert getattr(load_settings(), FIELDS.get(name, name.lower())) is None
