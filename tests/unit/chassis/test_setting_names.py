"""Misspelt settings: one with our prefix stops the start, one without it is told with the nearest name."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.setting_names import doubtful_names, unknown_name
from chassis.settings import SettingsError, doubts, load_settings, setting_names

KNOWN = setting_names()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("SAYSO_GATEWAY_PROT", "SAYSO_GATEWAY_PORT"),
        ("SAYSO_CHECK", "SAYSO_CHECKS"),
        ("SAYSO_LIMIT", "SAYSO_LIMITS"),
        ("SAYSO_LOGLEVEL", "SAYSO_LOG_LEVEL"),
        ("sayso_data_dri", "SAYSO_DATA_DIR"),
        ("SAYSO_DATABASE_URL", "DATABASE_URL"),
        ("SAYSO_OPENAI_APIKEY", "OPENAI_API_KEY"),
        ("SAYSO_PORT", "SAYSO_GATEWAY_PORT or SAYSO_NOTIFIER_PORT or SAYSO_ORCHESTRATOR_PORT or SAYSO_WORKER_PORT"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest_names(given: str, meant: str) -> None:
    """A slip of one name, or all names that have the word."""
    assert unknown_name([given], KNOWN) == f"{given}: no such setting; did you mean {meant}?"


def test_an_unknown_setting_that_resembles_none_is_refused_with_all_names() -> None:
    """The line lists what there is."""
    line = unknown_name(["SAYSO_XYZZY"], KNOWN)
    assert line is not None
    assert line.startswith("SAYSO_XYZZY: no such setting; known are ")
    assert all(name in line for name in KNOWN)


@pytest.mark.parametrize("given", ["PATH", "HOME", *KNOWN])
def test_settings_and_names_of_others_are_not_refused(given: str) -> None:
    """Every setting is known by its name."""
    assert unknown_name([given], KNOWN) is None


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("OPENAI_APIKEY", "OPENAI_API_KEY"),
        ("OPENAI_API_KYE", "OPENAI_API_KEY"),
        ("DATABASE_UR", "DATABASE_URL"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("database_ulr", "DATABASE_URL"),
        ("HF_TOKN", "HF_TOKEN"),
        ("HF_TOEKN", "HF_TOKEN"),
        ("REPLICATE_API_KEY", "REPLICATE_API_TOKEN"),
        ("KAFKA_BOOTSTRAP_SERVER", "KAFKA_BOOTSTRAP_SERVERS"),
        ("SASYO_AUTH", "SAYSO_AUTH"),
    ],
)
def test_a_slip_without_our_prefix_is_told_with_the_name_that_is_meant(given: str, meant: str) -> None:
    """It may be another program's, so it stops nothing; and nothing is said once the name itself is given too."""
    assert list(doubtful_names([given, "PATH"], KNOWN)) == [
        f"{given} is no setting and has no effect; did you mean {meant}?"
    ]
    assert list(doubtful_names([given, meant], KNOWN)) == []


@pytest.mark.parametrize(
    "given",
    [
        *("DATABASE_USER", "DATABASE_NAME", "DATABASE_HOST", "TEST_DATABASE_URL", "POSTGRES_URL", "PGDATABASE"),
        *("OPENAI_ORG_ID", "OPENAI_API_BASE", "OPENAI_MODEL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_MODEL"),
        *("HF_HOME", "HF_HUB_OFFLINE", "HF_ENDPOINT", "KAFKA_HEAP_OPTS", "KAFKA_HOME", "KAFKA_OPTS", "HOST", "PORT"),
        *("LOG_LEVEL", "PATH", "HOSTNAME", "SSL_CERT_FILE", "GITHUB_TOKEN", "CHECKS"),
    ],
)
def test_names_of_other_programs_are_not_doubted(given: str) -> None:
    """An environment has hundreds of them."""
    assert list(doubtful_names([given], KNOWN)) == []


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "marked"])
def test_a_file_of_settings_is_read_as_other_programs_write_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, mark: str
) -> None:
    """With `export`, quotes, comments, line ends of Windows, and the mark that its editors begin a file with."""
    monkeypatch.chdir(tmp_path)
    lines = ['export SAYSO_LOG_LEVEL="debug"', "# a comment", "SAYSO_GATEWAY_PORT='9000'", "HF_TOKEN=abc # mine", ""]
    (tmp_path / ".env").write_bytes((mark + end.join(lines)).encode())
    settings = load_settings()
    assert (settings.log_level, settings.gateway_port) == ("debug", 9000)
    assert settings.hf_token is not None
    assert settings.hf_token.get_secret_value() == "abc"


def test_a_misspelt_name_in_the_file_is_found_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is judged like the environment, its first line too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("\ufeffOPENAI_APIKEY=x\n")
    assert doubts() == ["OPENAI_APIKEY is no setting and has no effect; did you mean OPENAI_API_KEY?"]
    (tmp_path / ".env").write_text("\ufeffSAYSO_GATEWAY_PROT=1\n")
    with pytest.raises(SettingsError, match="did you mean SAYSO_GATEWAY_PORT"):
        load_settings()


def test_a_file_that_is_no_text_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names the file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"\xff\xfeA\x00=\x001\x00")
    with pytest.raises(SettingsError, match=r"^\.env: cannot be read: "):
        load_settings()


@pytest.mark.parametrize("given", ["kafka", "kafka:", "kafka:x", "kafka:0", "kafka:99999", "a:1,,b:2", "a:1 b:2"])
def test_an_address_of_kafka_that_no_client_takes_is_one_line(given: str) -> None:
    """Found before anything starts."""
    with pytest.raises(SettingsError, match=r"^KAFKA_BOOTSTRAP_SERVERS: not host:port"):
        load_settings(kafka_bootstrap_servers=given)
