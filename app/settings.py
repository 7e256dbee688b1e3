"""Settings of the server and the commands: the only reader of the environment."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server on this address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Settings(BaseSettings):
    """Read from HEAD_ATLAS_*, and PORT, which hosting services set. Arguments win over the environment."""

    model_config = SettingsConfigDict(env_prefix="HEAD_ATLAS_", populate_by_name=True, frozen=True)

    # A SQLite file or a postgresql:// address. Not in the repr: an address may hold a password.
    store: str = Field(default="head-atlas.sqlite", repr=False, min_length=1)
    work_dir: Path = Path("work")  # sealed shards and other files that a job resumes from
    cache_dir: Path = Path.home() / ".cache" / "head-atlas"  # the embedded model, unpacked; safe to delete
    # The Ray cluster that jobs with `--executor ray` join without --address; Ray's own variable.
    ray_address: str = Field(default="", validation_alias="RAY_ADDRESS")
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535, validation_alias=AliasChoices("HEAD_ATLAS_PORT", "PORT"))
    # Names the server answers to, comma-separated; others are refused, which stops DNS rebinding.
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ("localhost", "127.0.0.1", "[::1]")
    # Who may show the /embed pages in a frame, as in a Content-Security-Policy: notebooks of this machine.
    frame_ancestors: Annotated[tuple[str, ...], NoDecode] = (
        "'self'",
        "http://localhost:*",
        "http://127.0.0.1:*",
    )
    # Team mode: accounts and logins. Without it there is one annotator, of this name, on this machine only.
    team: bool = False
    local_annotator: str = Field(default="me", min_length=1, max_length=100)
    # The address that people use, such as https://atlas.example.org, where a proxy stands before the server.
    public_url: str = ""
    # Whether visitors may run texts of their own through the model, in a process beside the server. If not said:
    # where only this machine's own user reaches the server.
    prompts: bool | None = None
    prompt_seconds: float = Field(default=60, gt=0)  # for one text, once the model is loaded
    prompt_queue: int = Field(default=8, ge=0)  # texts that may wait behind the one under way
    # Whether /metrics tells counts of requests to whoever asks, for Prometheus.
    metrics: bool = False
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("allowed_hosts", "frame_ancestors", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("frame_ancestors")
    @classmethod
    def _plain(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        # One that ends the directive could undo the rest of the policy.
        if any(re.search(r"[\s;,]", source) or not source.isascii() for source in value):
            raise ValueError("frame ancestors are sources such as https://example.org, between commas")
        return value

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+/?", value):
            raise ValueError("a public address is a scheme and a host, such as https://atlas.example.org")
        return value.rstrip("/")

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @property
    def runs_prompts(self) -> bool:
        """Whether texts are run through the model: as the setting says, else where only its own user is served."""
        return not self.team and is_loopback(self.host) if self.prompts is None else self.prompts
