"""Owns the one frozen Settings, from the environment (prefix HANDRAIL_). Only the composition root reads it."""

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, IPvAnyNetwork, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _comma_separated(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class Settings(BaseSettings):
    """Every setting; docs/operations.md tells each one."""

    model_config = SettingsConfigDict(env_prefix="HANDRAIL_", frozen=True, extra="ignore")

    database_url: str = "sqlite:///var/handrail.db"
    read_database_url: str | None = None
    database_pooled: bool = False
    secret_key: SecretStr | None = Field(default=None, min_length=32)
    public_url: str = "http://127.0.0.1:8000"
    origin: str = ""
    signing_key_file: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_comma_separated)] = ()
    witnesses: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_separated)] = ()
    log_public: bool = False
    record_reads: bool = True
    push_file: str = ""
    push_webhook: SecretStr | None = None
    push_email: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_separated)] = ()
    push_every: int = Field(default=3600, ge=10, le=31 * 86_400)
    smtp_url: SecretStr | None = None
    email_from: str = "handrail@localhost"
    log_format: Literal["auto", "json", "console"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_enabled: bool = True
    pool_size: int = Field(default=10, ge=1, le=200)
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(_comma_separated)] = ()

    @property
    def log_origin(self) -> str:
        """The name of the audit log: the setting, else the public URL without its scheme."""
        parts = urlsplit(self.public_url)
        return self.origin or f"{parts.netloc}{parts.path}".rstrip("/")
