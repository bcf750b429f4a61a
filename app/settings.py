"""Owns the one frozen Settings, from the environment (prefix HANDRAIL_). Only the composition root reads it."""

from typing import Annotated, Any, Literal

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
    log_format: Literal["auto", "json", "console"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_enabled: bool = True
    pool_size: int = Field(default=10, ge=1, le=200)
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(_comma_separated)] = ()
