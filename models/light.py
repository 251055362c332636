"""Values of which a page makes thousands."""

from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar

T = TypeVar("T")


def light(of: type[T]) -> type[T]:
    """A frozen dataclass that costs a quarter to make: it is mypy alone that lets nobody change it.

    To freeze a value Python calls `object.__setattr__` for each of its fields. What it is equal to, how it is
    hashed and how it is shown stay as they are. No dataclass is above or below it, and its fields have a
    default or a factory of one, but no other option that changes `__init__`.
    """
    frozen: Any = of
    # dataclass() leaves alone what is there already.
    del frozen.__init__, frozen.__setattr__, frozen.__delattr__
    for field in fields(frozen):
        if field.default_factory is not MISSING:
            setattr(frozen, field.name, field)  # dataclass() took it out of the class
    made: type[T] = dataclass(eq=False, repr=False)(frozen)
    return made
