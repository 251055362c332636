"""The `carillon` command."""

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import typer
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from commands.agenda import agenda, preview_app
from commands.bonus import bonus_app
from commands.booking import booking_app
from commands.clock import fast_forward
from commands.consent import consent_app
from commands.coupon import coupon_app
from commands.credits import credits_app
from commands.doctor import doctor
from commands.explain import explain
from commands.failures import MISTAKE, Finished, failure
from commands.gateway import gateway
from commands.member import member_app
from commands.merchant import merchant_app
from commands.messages import messages
from commands.output import err
from commands.quota import quota_app
from commands.schema import schema
from commands.suppressions import suppressions_app
from commands.suspensions import resume, suspend, suspensions
from commands.task import task_app
from commands.template import template_app
from commands.up import up
from commands.wave import wave_app

USAGE = 2
"""What typer answers for a command line that it cannot read; to us that is the user's mistake."""

app = typer.Typer(
    help="Timed reminders that are never lost, never sent twice and never sent late.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(up)
merchant_app.command()(suspend)
merchant_app.command()(resume)
merchant_app.command()(suspensions)
app.add_typer(merchant_app, name="merchant")
app.add_typer(booking_app, name="booking")
app.add_typer(member_app, name="member")
app.add_typer(coupon_app, name="coupon")
app.add_typer(bonus_app, name="bonus")
app.add_typer(task_app, name="task")
app.add_typer(wave_app, name="wave")
app.add_typer(credits_app, name="credits")
app.add_typer(quota_app, name="quota")
app.command()(agenda)
app.add_typer(preview_app, name="preview")
app.command("fast-forward")(fast_forward)
app.command()(messages)
app.command()(explain)
app.add_typer(suppressions_app, name="suppressions")
app.add_typer(consent_app, name="consent")
app.add_typer(template_app, name="template")
app.command()(schema)
app.command()(gateway)
app.command()(doctor)


def run(arguments: Sequence[str]) -> int:
    """Run one command; answers its exit status. Errors are told on standard error, in words."""
    try:
        app(list(arguments), prog_name="carillon")
    except SystemExit as end:
        return MISTAKE if end.code == USAGE else int(end.code or 0)
    except Finished as end:
        return end.status
    except Exception as error:
        if os.environ.get("CARILLON_DEBUG"):
            raise
        status, words = failure(error)
        err().print(words, style="red", soft_wrap=True)
        return status
    return 0


def _keep_logs_off_the_terminal() -> None:
    """Temporal's core writes its log to standard output, amid the JSON: send it where Python's goes.

    That is nowhere, but for `up`, which has a file for it, and with CARILLON_DEBUG.
    """
    core = LogForwardingConfig(logger=logging.getLogger("temporalio.core"))
    levels = TelemetryFilter(core_level="WARN", other_level="ERROR")
    telemetry = TelemetryConfig(logging=LoggingConfig(filter=levels, forwarding=core))
    Runtime.set_default(Runtime(telemetry=telemetry), error_if_already_set=False)
    if os.environ.get("CARILLON_DEBUG"):
        logging.basicConfig(level=logging.DEBUG)
    else:
        logging.getLogger().addHandler(logging.NullHandler())


def main() -> None:
    """The entry point."""
    _keep_logs_off_the_terminal()
    status = run(sys.argv[1:])
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    # Threads of Temporal's core outlive our last line, and one that comes back to a closing interpreter
    # aborts it (PyGILState_Release): so the interpreter is not closed, only left.
    os._exit(status)


if __name__ == "__main__":
    main()
