"""`carillon schema`: what the input must look like, for editors and for other programs."""

from enum import StrEnum
from typing import Annotated

import typer

from commands.output import print_json
from intake.schema import schema as json_schema


class Input(StrEnum):
    """What can be handed in."""

    BOOKING = "booking"
    COUPON = "coupon"
    FACTS = "facts"
    MERCHANT = "merchant"
    TASKS = "tasks"


def schema(
    of: Annotated[Input, typer.Argument(help="Which input.", metavar="booking|coupon|facts|merchant|tasks")],
) -> None:
    """The JSON Schema of an input."""
    print_json(json_schema(of))
