"""All settings: defaults < confide.toml < CONFIDE_* environment < command line flags.

The only reader of the environment and of the settings file. `CONFIDE_SERVER__PORT=8000` is
`[server] port = 8000` of confide.toml is `settings.server.port`. At most 60 fields in all.
"""

from __future__ import annotations

import codecs
import json
import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings.exceptions import SettingsError as NotJson

from assistant.errors import SettingsError
from assistant.hours import Hours

_FROZEN = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
"""What a tenant or a collection may be called: it is a folder's name too."""
_UTF8 = "Save it as UTF-8 without a byte order mark (BOM)."


class ModelSettings(BaseModel):
    """[model]: which language model answers, and how."""

    model_config = _FROZEN

    engine: str = "auto"
    """hf, openvino, remote, echo, or auto: remote where [remote] url is set, else what `doctor --measure` found."""
    name: str = "smollm2-135m"
    """A name of `models list`, a Hugging Face id that was pulled, a local folder, or a GGUF file."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the model runs; auto takes cuda, then mps, then cpu."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the weights; auto: bfloat16 on a GPU with it, else float16; on a CPU what measures faster."""
    max_new_tokens: int = Field(default=160, ge=1, le=4096)
    """The longest text the model may write for one answer."""
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    """0 takes the likeliest token each time."""
    time_limit_s: float = Field(default=30.0, gt=0)
    """After so many seconds of generation the answer falls back to quotes."""
    shape: Literal["auto", "quotes", "quote-first", "free"] = "auto"
    """How an answer is made: quotes alone, quotes then checked sentences, or checked sentences."""


class RemoteSettings(BaseModel):
    """[remote]: an OpenAI-compatible server (vLLM, llama-server, Ollama ...)."""

    model_config = _FROZEN

    url: str = ""
    """The base URL, with /v1; several of the same model with commas between. Empty: no remote server is used."""
    adapters: str = ""
    """Where the servers see this data folder's adapters; they are told to load them (vLLM). Empty: they are not."""
    model: str = ""
    """The model's name on that server."""
    api_key: SecretStr = SecretStr("")
    """Its key, where it wants one."""
    context_tokens: int = Field(default=8192, ge=512)
    """The window of that model."""
    languages: tuple[str, ...] = ()
    """Languages the model writes well; empty = all."""

    @property
    def urls(self) -> tuple[str, ...]:
        """The base URLs, one a server."""
        return tuple(url.strip() for url in self.url.split(",") if url.strip())


class RetrievalSettings(BaseModel):
    """[retrieval]: how passages are cut and found."""

    model_config = _FROZEN

    embedder: str = "auto"
    """minilm, use-multilingual, bilingual (both), a sentence-transformers name or path, or auto: by language."""
    top_k: int = Field(default=5, ge=1, le=50)
    """How many passages an answer may draw on."""
    passage_chars: int = Field(default=700, ge=100, le=8000)
    """The longest passage, in characters of English (a Chinese character counts as three)."""
    fusion: Literal["auto", "on", "off"] = "auto"
    """Whether dense and BM25 lists are fused; auto decides by what was measured for the embedder."""
    reranker: str = ""
    """A cross-encoder (a sentence-transformers name or path); empty = none."""
    index_url: SecretStr = SecretStr("")
    """A Qdrant server for the vectors, http://host:6333 (with a key: http://:KEY@host:6333). Empty: FAISS, here."""
    threshold: float | None = Field(default=None, ge=0.0, le=1.0)
    """Least support for an answer; unset = the one calibrated for the embedder."""


class IngestSettings(BaseModel):
    """[ingest]: limits of the worker process that reads files."""

    model_config = _FROZEN

    max_file_mb: int = Field(default=50, ge=1)
    """A larger file is refused."""
    max_text_mb: int = Field(default=20, ge=1)
    """A file whose text is larger than this is refused."""
    memory_mb: int = Field(default=1500, ge=256)
    """Memory of the worker that reads files."""
    seconds_per_file: float = Field(default=60.0, gt=0)
    """A file that takes longer to read is refused."""


class ServerSettings(BaseModel):
    """[server]: the web server."""

    model_config = _FROZEN

    host: str = Field(default="127.0.0.1", min_length=1)
    """The address to listen on; 0.0.0.0 for all (put TLS in front)."""
    port: int = Field(default=7860, ge=0, le=65535)
    """The port to listen on."""
    open_browser: bool = True
    """Open the page in a browser where there is one."""
    admin_password: SecretStr = SecretStr("")
    """The owner's, for the staff's page. Empty: a random one is made at first start and kept in the data folder."""
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost")
    """Host names this server answers to."""
    cors_origins: tuple[str, ...] = ()
    """Sites whose pages may show the widget and call the API, each as https://shop.example."""
    frame_ancestors: tuple[str, ...] = ()
    """Sites that may show the page in a frame; a site other than this page's own needs TLS."""
    max_body_mb: int = Field(default=60, ge=1)
    """The largest upload; other requests are held to 1 MB."""
    requests_per_minute: int = Field(default=60, ge=1)
    """Questions per visitor and minute."""
    questions_per_day: int = Field(default=300, ge=1)
    """Questions per visitor and day over the API and the widget; four times that per address."""
    queue_size: int = Field(default=32, ge=1)
    """Questions that may wait; more are turned away with a clear message."""
    concurrency: int = Field(default=8, ge=1)
    """Questions answered at once over all doors, at most an eighth of them one visitor's; the engine hf takes two."""
    wait_s: float = Field(default=60.0, gt=0)
    """The longest that a question waits for its turn; what would wait longer is turned away when it comes."""
    session_days: int = Field(default=30, ge=1)
    """How long a visitor's conversations stay reachable from the same browser."""


class PrivacySettings(BaseModel):
    """[privacy]: what may leave this machine, and what counts as personal."""

    model_config = _FROZEN

    local_only: tuple[str, ...] = ()
    """Collections of which nothing is sent to a remote engine: quotes only. "*" = none of any."""
    order_formats: tuple[str, ...] = ()
    """What your order numbers look like, # for a digit and @ for a letter ("KF-####-@@"): they are redacted too."""
    finder: str = ""
    """Who also finds names and addresses: tagger (an adapter of yours called names), or a plugin; empty = nobody."""
    keep_days: int = Field(default=0, ge=0, le=36_500)
    """Conversations that nobody wrote in for so many days are deleted, every day. 0 = never."""


class DeskSettings(BaseModel):
    """[desk]: when people answer, and how they learn that somebody waits."""

    model_config = _FROZEN

    hours: str = ""
    """When somebody is at the desk: "Mon-Fri 09:00-17:00, Sat 10:00-14:00 Europe/Berlin". Empty: always."""
    webhook: str = ""
    """An address that is told, signed and without any words of the customer, that somebody waits. Empty: none."""
    email: str = ""
    """Who gets an e-mail that somebody waits. Empty: nobody."""
    smtp: SecretStr = SecretStr("")
    """The mail server for it: smtp://USER:PASSWORD@HOST:587, or smtps://...:465."""

    @field_validator("hours")
    @classmethod
    def _hours(cls, text: str) -> str:
        Hours.read(text)
        return text

    @model_validator(mode="after")
    def _mail(self) -> DeskSettings:
        if self.email and not self.smtp.get_secret_value().startswith(("smtp://", "smtps://")):
            raise ValueError("desk.email needs desk.smtp: smtp://USER:PASSWORD@HOST:587")
        if self.webhook and not self.webhook.startswith(("https://", "http://")):
            raise ValueError("desk.webhook is not an address: https://...")
        return self


class OidcSettings(BaseModel):
    """[oidc]: sign-in of the staff through an identity provider (OpenID Connect)."""

    model_config = _FROZEN

    issuer: str = ""
    """The provider's address, as its discovery document names it. Empty: user names and passwords only."""
    client_id: str = ""
    """What this server is called there; its redirect address there is https://YOUR-HOST/sso/back."""
    client_secret: SecretStr = SecretStr("")
    """Its secret, where the provider gave one."""
    roles: tuple[str, ...] = ()
    """Who gets which role: an e-mail address, @domain or group, "=", viewer, staff or owner. The highest counts."""


class LoopSettings(BaseModel):
    """[loop]: from customers' ratings to the next adapter."""

    model_config = _FROZEN

    every_days: int = Field(default=0, ge=0)
    """Start a turn of the loop after so many days, where enough was learned; 0 = only by hand."""
    least: int = Field(default=30, ge=1)
    """Lessons that must be new for a turn."""
    share: float = Field(default=0.2, ge=0.0, lt=1.0)
    """The share of conversations that a new adapter answers until its trial is concluded; 0 = all at once."""
    preferences: bool = False
    """After its lessons a turn also learns its pairs: to give the corrected answer rather than the rejected one."""


class Settings(BaseSettings):
    """The whole. Frozen: a change is a new object."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        env_prefix="CONFIDE_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        nested_model_default_partial_update=True,
    )

    data_dir: Path = Path("data")
    """Everything Confide writes: store, indexes, models, keys."""
    tenant: str = Field(default="default", pattern=NAME)
    """The company whose collections are served."""
    collection: str = Field(default="shop", pattern=NAME)
    """The collection that is asked when none is named."""
    language: Literal["auto", "en", "zh"] = "auto"
    """The language of the page; the messages of the command line are English."""
    store_url: SecretStr = SecretStr("")
    """A PostgreSQL database for the store, postgresql://user:password@host/name. Empty: SQLite in the data folder."""
    model: ModelSettings = ModelSettings()
    remote: RemoteSettings = RemoteSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    ingest: IngestSettings = IngestSettings()
    server: ServerSettings = ServerSettings()
    privacy: PrivacySettings = PrivacySettings()
    oidc: OidcSettings = OidcSettings()
    loop: LoopSettings = LoopSettings()
    desk: DeskSettings = DeskSettings()

    @field_validator("data_dir", mode="before")
    @classmethod
    def _folder(cls, path: Any) -> Any:
        if not isinstance(path, str | Path):
            return path
        folder = os.path.expanduser(path)
        if not folder or os.path.isfile(folder):
            raise ValueError(f"{folder!r} is not a folder")
        return folder

    @field_validator("store_url")
    @classmethod
    def _database(cls, url: SecretStr) -> SecretStr:
        if url and not url.get_secret_value().startswith(("postgresql:", "postgresql+", "postgres:", "sqlite:")):
            raise ValueError("not the URL of a database that Confide knows: postgresql://user:password@host/name")
        return url

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then the file: the first that has a value wins."""
        file = TomlConfigSettingsSource(settings_cls, toml_file=settings_file())
        return init_settings, env_settings, file


def settings_file() -> Path:
    """Where the settings file is: CONFIDE_SETTINGS, or confide.toml in the current folder."""
    return Path(os.environ.get("CONFIDE_SETTINGS", "confide.toml"))


def load_settings(**flags: Any) -> Settings:
    """The settings in force. `flags` are what the command line says, nested like the fields.

    Raises:
        SettingsError: lists everything that is wrong, each with its name.
    """
    file = settings_file()
    if file.is_dir():  # what Docker makes of `-v ./confide.toml:...` where there is no such file
        raise SettingsError(f"{file} is a folder, not a settings file.", hint="Put the file in its place.")
    if "CONFIDE_SETTINGS" in os.environ and not file.is_file():
        raise SettingsError(f"There is no settings file {file}.", hint="Mend or unset CONFIDE_SETTINGS.")
    unknown = [name for name in os.environ if name.startswith("CONFIDE_") and not _is_known(name)]
    if unknown:
        raise SettingsError(
            f"The environment has {', '.join(sorted(unknown))}, which Confide does not know.",
            hint="`confide doctor --settings` lists all settings.",
        )
    try:
        return Settings(**flags)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}" for problem in error.errors()
        )
        raise SettingsError(
            f"Settings are wrong: {problems}.", hint="`confide doctor --settings` lists them."
        ) from error
    except NotJson as error:
        raise SettingsError(
            f"The environment's {', '.join(_not_json())} should be a list in JSON.", hint='For example ["one", "two"].'
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not UTF-8.", hint=_UTF8) from error
    except tomllib.TOMLDecodeError as error:
        hint = _UTF8 if file.read_bytes().startswith(codecs.BOM_UTF8) else ""
        raise SettingsError(f"{file} is not TOML: {error}.", hint=hint) from error


def describe() -> list[tuple[str, str, str]]:
    """(name, default, what it is) of every setting, in order."""
    rows: list[tuple[str, str, str]] = []
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            rows += [
                (f"{name}.{inner}", str(part.default), part.description or "")
                for inner, part in kind.model_fields.items()
            ]
        else:
            rows.append((name, str(field.default), field.description or ""))
    return rows


def _is_known(variable: str) -> bool:
    """Whether an environment variable is a setting, or one of the two that are read elsewhere."""
    if variable in {"CONFIDE_SETTINGS", "CONFIDE_EVAL_DATA"}:
        return True
    return _setting_of(variable) in {name for name, _, _ in describe()}


def _setting_of(variable: str) -> str:
    return variable.removeprefix("CONFIDE_").lower().replace("__", ".")


def _not_json() -> list[str]:
    """The variables of the environment that should hold a list and hold no JSON."""
    lists = {name for name, default, _ in describe() if default.startswith("(")}
    found = []
    for variable, text in sorted(os.environ.items()):
        if text and variable.startswith("CONFIDE_") and _setting_of(variable) in lists:
            try:
                json.loads(text)
            except ValueError:
                found.append(variable)
    return found
