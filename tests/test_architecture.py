"""The house holds: imports run one way, decisions are pure, nothing outgrows a screen."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models.notices import CATALOGUE, Row
from tests.source_rules import (
    RULES,
    Source,
    a_workflow_file_stays_short,
    channels_know_no_engine,
    every_file_has_its_place,
    functions_fit_on_a_screen,
    imports_run_one_way,
    project,
    pure_places_do_not_iterate_over_sets,
    pure_places_do_not_touch_the_world,
    pure_places_import_nothing_foreign,
    tables_are_made_in_one_place,
)

ROOT = Path(__file__).parent.parent
REQUIREMENT = re.compile(r"(WACA|LOY|CRES|MAAC|LS)-[0-9]{2}[a-c]?")

Rule = Callable[[Source], Iterator[str]]

PASSED_THROUGH = "from temporalio import workflow\nwith workflow.unsafe.imports_passed_through():\n    "
DEFN = "from temporalio import workflow\n@workflow.defn\nclass W:\n    pass\n"

BROKEN: list[tuple[Rule, str, str]] = [
    (every_file_has_its_place, "helpers/misc.py", ""),
    (every_file_has_its_place, "utils.py", ""),
    (imports_run_one_way, "models/a.py", "import workflows.booking"),
    (imports_run_one_way, "models/a.py", "from activities import delivery"),
    (imports_run_one_way, "models/a.py", "from models.tables.messages import MessageRow"),
    (imports_run_one_way, "models/a.py", "from models import tables"),
    (imports_run_one_way, "models/a.py", "from .tables import MessageRow"),
    (imports_run_one_way, "models/a.py", "from ..policies import gate"),
    (imports_run_one_way, "models/a.py", "def f():\n    import channels.base"),
    (imports_run_one_way, "models/a.py", "if TYPE_CHECKING:\n    from policies.gate import Proposal"),
    (imports_run_one_way, "models/tables/a.py", "import channels.base"),
    (imports_run_one_way, "policies/a.py", "from channels.base import Channel"),
    (imports_run_one_way, "policies/a.py", "import models.tables"),
    (imports_run_one_way, "channels/a.py", "from models.people import Person"),
    (imports_run_one_way, "channels/a.py", "from settings import Settings"),
    (imports_run_one_way, "activities/a.py", "from workflows.booking import BookingWorkflow"),
    (imports_run_one_way, "activities/a.py", "import client"),
    (imports_run_one_way, "workflows/a.py", "from activities.delivery import Deliveries"),
    (imports_run_one_way, "workflows/a.py", "from policies.gate import gate"),
    (imports_run_one_way, "workflows/a.py", PASSED_THROUGH + "import channels.base"),
    (imports_run_one_way, "workflows/a.py", PASSED_THROUGH + "from models.tables import MessageRow"),
    (imports_run_one_way, "worker.py", "from tests.bookings import booking"),
    (imports_run_one_way, "gateway/a.py", "import bench.lifecycles"),
    (pure_places_import_nothing_foreign, "models/a.py", "from pydantic import BaseModel"),
    (pure_places_import_nothing_foreign, "models/a.py", "import temporalio.workflow"),
    (pure_places_import_nothing_foreign, "policies/a.py", "import sqlalchemy as sa"),
    (pure_places_import_nothing_foreign, "workflows/a.py", "import croniter"),
    (pure_places_import_nothing_foreign, "models/tables/a.py", "import temporalio"),
    (tables_are_made_in_one_place, "models/a.py", "from sqlmodel import SQLModel"),
    (tables_are_made_in_one_place, "activities/a.py", "from sqlmodel import Field, col"),
    (tables_are_made_in_one_place, "gateway/a.py", "import sqlmodel"),
    (channels_know_no_engine, "channels/a.py", "from temporalio.exceptions import ApplicationError"),
    (channels_know_no_engine, "channels/a.py", "import sqlalchemy"),
    (pure_places_do_not_touch_the_world, "models/a.py", "from datetime import datetime\ndatetime.now()"),
    (pure_places_do_not_touch_the_world, "models/a.py", "from datetime import datetime as dt\nf = dt.utcnow"),
    (pure_places_do_not_touch_the_world, "models/a.py", "import datetime\ndatetime.datetime.today()"),
    (pure_places_do_not_touch_the_world, "models/a.py", "import datetime as d\nd.date.today()"),
    (pure_places_do_not_touch_the_world, "models/a.py", "import time\ntime.time()"),
    (pure_places_do_not_touch_the_world, "workflows/a.py", "from time import monotonic"),
    (pure_places_do_not_touch_the_world, "models/a.py", "import os\nos.environ['A']"),
    (pure_places_do_not_touch_the_world, "models/a.py", "from os import getenv"),
    (pure_places_do_not_touch_the_world, "models/a.py", "import random"),
    (pure_places_do_not_touch_the_world, "models/a.py", "import uuid\nuuid.uuid4()"),
    (pure_places_do_not_touch_the_world, "workflows/a.py", "from uuid import uuid4 as fresh\nfresh()"),
    (pure_places_do_not_touch_the_world, "models/a.py", "open('a')"),
    (pure_places_do_not_touch_the_world, "models/a.py", "print('a')"),
    (pure_places_do_not_touch_the_world, "models/a.py", "def f(path):\n    return path.read_text()"),
    (pure_places_do_not_touch_the_world, "models/a.py", "from pathlib import Path"),
    (pure_places_do_not_touch_the_world, "policies/a.py", "import httpx"),
    (pure_places_do_not_touch_the_world, "policies/a.py", "import urllib.request"),
    (pure_places_do_not_touch_the_world, "workflows/a.py", "import requests"),
    (pure_places_do_not_touch_the_world, "models/a.py", "import importlib\nimportlib.import_module('a')"),
    (pure_places_do_not_iterate_over_sets, "models/a.py", "for a in {1, 2}:\n    pass"),
    (pure_places_do_not_iterate_over_sets, "models/a.py", "[a for a in set(b)]"),
    (pure_places_do_not_iterate_over_sets, "models/a.py", "{a: 1 for a in frozenset(b)}"),
    (pure_places_do_not_iterate_over_sets, "models/a.py", "any(a for a in {c for c in b})"),
    (pure_places_do_not_iterate_over_sets, "workflows/a.py", "for a in set(b) | c:\n    pass"),
    (pure_places_do_not_iterate_over_sets, "workflows/a.py", "for a in set(b).union(c):\n    pass"),
    (pure_places_do_not_iterate_over_sets, "models/a.py", "tuple({1, 2})"),
    (pure_places_do_not_iterate_over_sets, "models/a.py", "', '.join({'a', 'b'})"),
    (pure_places_do_not_iterate_over_sets, "models/a.py", "[*{1, 2}]"),
    (
        pure_places_do_not_iterate_over_sets,
        "models/a.py",
        "def f(b):\n    c = set(b)\n    return [a for a in c]",
    ),
    (
        pure_places_do_not_iterate_over_sets,
        "models/a.py",
        "def f(b: set[int]):\n    for a in b:\n        pass",
    ),
    (functions_fit_on_a_screen, "channels/a.py", "def f():\n" + "    pass\n" * 50),
    (functions_fit_on_a_screen, "cli.py", "async def f():\n" + "    pass\n" * 50),
    (a_workflow_file_stays_short, "workflows/a.py", DEFN + "a = 1\n" * 146),
    (a_workflow_file_stays_short, "workflows/a.py", DEFN.replace("defn", "defn(name='W')") + "a = 1\n" * 146),
]

SOUND: list[tuple[Rule, str, str]] = [
    (every_file_has_its_place, "models/tables/a.py", ""),
    (every_file_has_its_place, "worker.py", ""),
    (imports_run_one_way, "models/a.py", "import models.people, os\nfrom .people import Role"),
    (imports_run_one_way, "models/tables/a.py", "from models.people import Person"),
    (imports_run_one_way, "policies/a.py", "from models.agenda import Notice"),
    (imports_run_one_way, "channels/a.py", "from channels.base import Channel\nimport httpx"),
    (imports_run_one_way, "activities/a.py", "import policies.gate, channels.base, models.tables.messages"),
    (imports_run_one_way, "workflows/a.py", "from models.agenda import Agenda"),
    (imports_run_one_way, "workflows/a.py", PASSED_THROUGH + "from activities.delivery import Deliveries"),
    (imports_run_one_way, "worker.py", "import workflows.booking, activities.delivery, settings"),
    (imports_run_one_way, "tests/a.py", "import workflows.booking, channels.base, models.tables, bench"),
    (pure_places_import_nothing_foreign, "models/a.py", "import re\nfrom croniter import croniter"),
    (pure_places_import_nothing_foreign, "workflows/a.py", "import asyncio\nfrom temporalio import workflow"),
    (pure_places_import_nothing_foreign, "channels/a.py", "import httpx"),
    (tables_are_made_in_one_place, "models/tables/a.py", "from sqlmodel import SQLModel"),
    (tables_are_made_in_one_place, "activities/a.py", "from sqlmodel import col"),
    (channels_know_no_engine, "channels/a.py", "import httpx"),
    (pure_places_do_not_touch_the_world, "workflows/a.py", "from temporalio import workflow\nworkflow.now()"),
    (pure_places_do_not_touch_the_world, "models/a.py", "from datetime import datetime, time\ntime(10)"),
    (pure_places_do_not_touch_the_world, "models/a.py", "import uuid\nuuid.uuid5(a, 'b')"),
    (pure_places_do_not_touch_the_world, "activities/a.py", "import time\ntime.time()\nprint(open('a'))"),
    (pure_places_do_not_iterate_over_sets, "models/a.py", "for a in sorted({1, 2}):\n    b = a in {1}"),
    (pure_places_do_not_iterate_over_sets, "models/a.py", "for a in dict.fromkeys(b):\n    pass"),
    (pure_places_do_not_iterate_over_sets, "models/a.py", "c = set(b)\nd = [a in c for a in b]"),
    (pure_places_do_not_iterate_over_sets, "activities/a.py", "for a in {1, 2}:\n    pass"),
    (functions_fit_on_a_screen, "models/a.py", "def f():\n" + "    pass\n" * 49),
    (functions_fit_on_a_screen, "tests/a.py", "def f():\n" + "    pass\n" * 60),
    (a_workflow_file_stays_short, "workflows/a.py", DEFN + "a = 1\n\n" * 145),
    (a_workflow_file_stays_short, "models/a.py", "a = 1\n" * 300),
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_its_rules(rule: Rule) -> None:
    """Over every file of the project."""
    assert [found for source in project(ROOT) for found in rule(source)] == []


@pytest.mark.parametrize(("rule", "path", "text"), BROKEN)
def test_each_rule_finds_what_breaks_it(rule: Rule, path: str, text: str) -> None:
    """A rule that finds nothing proves nothing. The place is named."""
    (first, *_) = list(rule(Source(path, text)))
    assert first.startswith(f"{path}:")


@pytest.mark.parametrize(("rule", "path", "text"), SOUND)
def test_no_rule_finds_what_is_sound(rule: Rule, path: str, text: str) -> None:
    """What a place may do, it may do."""
    assert list(rule(Source(path, text))) == []


def test_every_rule_is_shown_to_find_something() -> None:
    """None is forgotten among the examples."""
    assert {rule for rule, _, _ in BROKEN} == {rule for rule, _, _ in SOUND} == set(RULES)


def test_the_project_is_found() -> None:
    """A search that finds no file would keep every rule."""
    paths = [source.path for source in project(ROOT)]
    assert "models/booking.py" in paths
    assert "worker.py" in paths
    assert not any(path.startswith((".venv", "var")) for path in paths)


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=lambda row: row.kind)
def test_every_notice_names_the_requirements_it_comes_from(row: Row) -> None:
    """By IDs of the form that the requirements have."""
    assert row.requirements
    assert all(REQUIREMENT.fullmatch(name) for name in row.requirements)
