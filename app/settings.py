"""Owns the one frozen Settings, from the environment (prefix HANDRAIL_). Only the composition root reads it."""

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


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
