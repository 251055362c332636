"""From the options of a command to what they lead to: the settings, Temporal, the database."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.testing import TimeSkipper

from activities.database import open_database, revision
from activities.merchants import Merchants, UnknownMerchantError
from client import Carillon, connect, connect_to
from commands.failures import Mistake, OutOfReach, talking_to_database, talking_to_temporal
from models.ids import booking_workflow_id
from models.merchant import Merchant
from settings import Settings, settings_from
from stack.folder import Folder

CONNECT_SECONDS = 10
ELSEWHERE = ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE")
"""Set, these say which Temporal is meant; else it is the one that `carillon up` runs."""

DataDir = Annotated[
    Path, typer.Option(envvar="CARILLON_DATA_DIR", help="The folder of the development stack.")
]
Address = Annotated[
    str | None, typer.Option(help="Temporal's host:port.  [default: TEMPORAL_ADDRESS, or what `up` runs]")
]
Namespace = Annotated[str | None, typer.Option(help="Temporal's namespace.  [default: TEMPORAL_NAMESPACE]")]
Limit = Annotated[int, typer.Option(min=1, max=1_000_000, help="How many at the most.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Lifecycle = Annotated[
    str, typer.Argument(help="booking:MERCHANT:ID, member:MERCHANT:ID or coupon:MERCHANT:ID", metavar="ID")
]
VAR = Path("var")
LIFECYCLE = re.compile(r"[^\s:/]+:[^\s:/]+:[^\s:/]+")
"""Three parts, none of them empty: a kind, a merchant, an id."""
LIVING = ("booking", "member", "coupon")
"""The kinds of workflow that are lifecycles."""


@dataclass(frozen=True)
class Reach:
    """What a command's options lead to."""

    data_dir: Path = VAR
    address: str | None = None
    namespace: str | None = None

    @property
    def settings(self) -> Settings:
        """SettingsError names what cannot be used."""
        return settings_from(os.environ, self.data_dir)

    @property
    def temporal_address(self) -> str:
        """Where Temporal is looked for."""
        if self.address:
            return self.address
        if self._local is not None:
            return self._local
        configured: str = ClientConfig.load_client_connect_config().get("target_host", "localhost:7233")
        return configured

    @property
    def development(self) -> bool:
        """Whether this leads to what `carillon up` runs."""
        return self._local is not None

    @property
    def _local(self) -> str | None:
        note = Folder(self.data_dir).note()
        if self.address or note is None or any(os.environ.get(name) for name in ELSEWHERE):
            return None
        return note.address

    async def temporal(self) -> Client:
        """A connected client; OutOfReach says where there was none."""
        async with talking_to_temporal(self.temporal_address), asyncio.timeout(CONNECT_SECONDS):
            if self._local is not None:
                return await connect_to(self._local, self.namespace or "default")
            options = {"target_host": self.address, "namespace": self.namespace}
            return await connect(**{name: value for name, value in options.items() if value})

    @asynccontextmanager
    async def carillon(self) -> AsyncIterator[Carillon]:
        """The way in to the lifecycles, each with its own clock; errors come out in the user's words."""
        client = await self.temporal()
        clock = TimeSkipper(client).get_current_time
        async with talking_to_temporal(self.temporal_address):
            yield Carillon(client, task_queue=self.settings.task_queue, clock=clock)

    async def look_at_member(self, merchant_id: str, member_id: str) -> None:
        """Let a member's lifecycle see what has changed in SQL; where nobody is there, it is no matter."""
        with suppress(OutOfReach):
            async with self.carillon() as carillon:
                await carillon.look_at_member(merchant_id, member_id)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[AsyncEngine]:
        """The database, if it is there and migrated; OutOfReach says what is wrong with it."""
        url = self.settings.database_url
        async with talking_to_database(url):
            if (file := sqlite_file(url)) is not None and not file.exists():
                raise OutOfReach(f"there is no database {file}: start `carillon up`, or use --data-dir")
            found, newest = await revision(url)
            if found != newest:
                raise OutOfReach(
                    f"the database is at revision {found}, and this Carillon needs {newest}: "
                    "start a worker of this version, which migrates it"
                )
            engine = open_database(url)
            try:
                yield engine
            finally:
                await engine.dispose()

    async def merchant(self, merchant_id: str) -> Merchant | None:
        """The merchant, where this machine has a database that knows it."""
        file = sqlite_file(self.settings.database_url)
        if file is not None and not file.exists():
            return None
        try:
            async with self.database() as engine:
                return await Merchants(engine).get(merchant_id)
        except UnknownMerchantError:
            return None


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database; None for others."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def of_merchant(given: str, what: str, form: str, prefix: str = "") -> tuple[str, str]:
    """The merchant and the id in MERCHANT/ID, or in the id of the workflow that begins with `prefix`.

    `what` and `form` are for whoever wrote something else: "no member: write it as MERCHANT/ID".
    """
    written = given.removeprefix(f"{prefix}:").replace(":", "/", 1) if prefix else given
    merchant_id, _, id_ = written.partition("/")
    if not (merchant_id and id_):
        raise Mistake(f"{given!r} is no {what}: write it as {form}")
    return merchant_id, id_


def lifecycle_id(given: str) -> str:
    """The id of a lifecycle; `lumi/b-1` is short for `booking:lumi:b-1`."""
    merchant_id, slash, booking_id = given.partition("/")
    id_ = booking_workflow_id(merchant_id, booking_id) if slash else given
    if LIFECYCLE.fullmatch(id_) is None:
        raise Mistake(f"{given!r} is no lifecycle: write it as booking:MERCHANT:ID or member:MERCHANT:ID")
    return id_


def living_id(given: str) -> str:
    """The id of a lifecycle that has an agenda; a Mistake that says how to see what is none."""
    id_ = lifecycle_id(given)
    kind, merchant_id, name = id_.split(":")
    if kind in LIVING:
        return id_
    elsewhere = {
        "wave": f"see it with `carillon wave show {id_}`",
        "task": f"see it with `carillon task list {merchant_id}`",
        "phone": f"see the member with `carillon member show {merchant_id}/{name}`",
    }
    mend = elsewhere.get(kind, "write it as booking:MERCHANT:ID, member:MERCHANT:ID or coupon:MERCHANT:ID")
    raise Mistake(f"{given!r} has no agenda: {mend}")
