"""Settings that contradict each other are refused at start, and no refusal shows a secret."""

import pytest
from pydantic import ValidationError

from service_kit.settings import KafkaSettings, ServiceSettings

SECRET = "marker-3f1c"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kafka_security_protocol": "SASL_SSL"}, "needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"),
        ({"kafka_security_protocol": "SASL_SSL", "kafka_sasl_username": "a"}, "needs KAFKA_SASL_USERNAME and"),
        ({"kafka_sasl_username": "a", "kafka_sasl_password": SECRET}, "KAFKA_SECURITY_PROTOCOL=PLAINTEXT would not"),
        ({"kafka_ssl_ca_file": __file__}, "KAFKA_SECURITY_PROTOCOL=PLAINTEXT would not encrypt"),
        ({"kafka_security_protocol": "SSL", "kafka_ssl_cert_file": __file__}, "belong together"),
        ({"kafka_security_protocol": "SSL", "kafka_ssl_ca_file": "/nowhere.pem"}, "kafka_ssl_ca_file"),
        ({"kafka_security_protocol": "TLS"}, "kafka_security_protocol"),
    ],
)
def test_settings_of_kafka_that_would_not_do_what_they_say_are_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as refused:
        KafkaSettings.model_validate(given)
    assert SECRET not in str(refused.value)


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KafkaSettings.model_fields:
        monkeypatch.setenv(name.upper(), "")
    assert KafkaSettings().kafka_security_protocol == "PLAINTEXT"


def test_a_refused_value_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgres://user:{SECRET}@host/name")
    with pytest.raises(ValidationError) as refused:
        ServiceSettings()
    assert "must begin with postgresql+asyncpg://" in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com/",
        "https://app.example.com/board",
        "https://App.example.com",
        "app.example.com",
        "localhost:5173",
        "https://",
        "null",
        "https://*.example.com:x:y/",
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://none")
    monkeypatch.setenv("CORS_ORIGINS", f"https://good.example.com, {origin}")
    with pytest.raises(ValidationError, match="scheme and host in lower case"):
        ServiceSettings()
    monkeypatch.setenv("CORS_ORIGINS", "https://good.example.com, http://localhost:5173")
    assert ServiceSettings().cors_origins == ["https://good.example.com", "http://localhost:5173"]
