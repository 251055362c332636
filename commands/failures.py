"""How a command ends when it cannot do what was asked: what is wrong, and what to do about it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from temporalio.service import RPCError, RPCStatusCode

from activities.coupons import CouponError
from activities.member_life import UnknownMemberError
from activities.merchants import UnknownMerchantError
from client import EndedError, RefusedError, UnansweredError, UnknownLifecycleError
from intake import InputError
from models.consent import ReasonError
from models.timing import TimeError
from settings import SettingsError
from stack.folder import InUseError
from stack.server import ServerError, TakenError
from temporal_server import NoServerError

MISTAKE, OUT_OF_REACH, OUR_FAULT = 1, 2, 3

MISTAKES = (
    InputError,
    UnknownLifecycleError,
    EndedError,
    RefusedError,
    UnknownMerchantError,
    UnknownMemberError,
    CouponError,
    SettingsError,
    ReasonError,
    TimeError,
    TakenError,
    InUseError,
    NoServerError,
)
"""What the user can mend. Each of these says how."""


class Mistake(Exception):  # noqa: N818  (the user's, and told to the user)
    """Something asked for that cannot be; the message says how to mend it."""


class OutOfReach(Exception):  # noqa: N818  (the same)
    """A service that does not answer; the message says which, and what to do."""


class Finished(Exception):  # noqa: N818  (no fault: a command that answers by its exit status)
    """The command has said all it had to say and ends with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def failure(error: Exception) -> tuple[int, str]:
    """The exit status for an error, and what to tell the user."""
    if isinstance(error, (Mistake, *MISTAKES)):
        return MISTAKE, str(error)
    if isinstance(error, OutOfReach | ServerError | UnansweredError):
        return OUT_OF_REACH, str(error)
    return OUR_FAULT, (
        f"unexpected {type(error).__name__}: {error}\n"
        "This is a fault of Carillon's: please report it. CARILLON_DEBUG=1 shows where it happened."
    )


@asynccontextmanager
async def talking_to_temporal(address: str) -> AsyncIterator[None]:
    """Errors of the connection in the user's words."""
    start = "start `carillon up`, or say where it is with --address or TEMPORAL_ADDRESS"
    try:
        yield
    except RPCError as error:
        raise _temporal_failure(address, error) from error
    except TimeoutError as error:
        raise OutOfReach(f"Temporal at {address} does not answer: {start}") from error
    except RuntimeError as error:
        if not str(error).startswith("Failed client connect"):
            raise
        raise OutOfReach(f"there is no Temporal server at {address}: {start}") from error


def _temporal_failure(address: str, error: RPCError) -> Exception:
    match error.status:
        case RPCStatusCode.FAILED_PRECONDITION if "poller" in error.message or "worker" in error.message:
            return OutOfReach("no worker is at work: start `carillon up`, or `python -m worker`")
        case RPCStatusCode.DEADLINE_EXCEEDED | RPCStatusCode.CANCELLED:
            return OutOfReach(
                f"no answer in time from {address}: see with `carillon doctor` whether a worker is at work"
            )
        case RPCStatusCode.UNAVAILABLE:
            return OutOfReach(f"Temporal at {address} does not answer ({error.message})")
        case RPCStatusCode.NOT_FOUND if "amespace" in error.message:
            return Mistake(f"{error.message.rstrip('.')}: name one that is there with --namespace")
        case RPCStatusCode.UNAUTHENTICATED | RPCStatusCode.PERMISSION_DENIED:
            return OutOfReach(f"Temporal at {address} wants other credentials ({error.message})")
    return OutOfReach(f"Temporal at {address} could not do it: {error.message}")


@asynccontextmanager
async def talking_to_database(url: str) -> AsyncIterator[None]:
    """Errors of the database in the user's words, without its password."""
    try:
        shown = make_url(url).render_as_string()
    except ArgumentError:
        raise Mistake(
            "CARILLON_DATABASE_URL is no address: write sqlite:///FILE or postgresql://..."
        ) from None
    try:
        yield
    except (DBAPIError, OSError) as error:
        cause = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise OutOfReach(f"the database {shown} cannot be used ({cause})") from error
