"""From notices to messages: gate, render, reserve, claim, hand over, settle.

One pipeline serves one notice and five hundred members of a page. Whatever these need of the database it asks
for once; what leaves is claimed in small groups, and a crash leaves no more doubt than what was in flight.
"""

import asyncio
import logging
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from activities.attempt import Answer, Attempt, Item, Later
from activities.handing_over import HandingOver, Job
from activities.ledger import Want
from activities.message_log import MessageLog
from activities.message_rows import Asked, Cap, Closing
from activities.rendering import Rendered, Renderer, RenderError
from activities.standing import Standings
from activities.templates import Templates
from models.channels import SMS
from models.ids import message_reference
from models.member_content import PhoneCodeContent
from models.own_template import NONE, Overrides
from models.tables.messages import MessageStatus
from policies.answers import Code
from policies.gate import (
    POLICY_VERSION,
    Deferred,
    Passed,
    Proposal,
    Refused,
    after_rendering,
    before_rendering,
)
from policies.routes import next_channel

GROUP = 50
"""So many messages of a page are claimed and leave at one time: what a crash leaves in doubt."""
TEMPLATE = "template"
"""The rule of a message that waits because it cannot be rendered."""
BREATH = 20
"""So many are rendered before others on the event loop have their turn."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Way:
    """An item on its way through the pipeline."""

    item: Item
    proposal: Proposal
    rendered: Rendered | None = None
    logged: str = ""
    """Its text as the message log keeps it."""
    answer: Answer | None = None

    @property
    def passed(self) -> bool:
        """Whether it may go: nothing is known of it yet but what it says."""
        return self.rendered is not None and self.answer is None


class Pipeline:
    """Sends, with what it needs."""

    def __init__(
        self,
        log: MessageLog,
        standings: Standings,
        renderer: Renderer,
        handing_over: HandingOver,
        templates: Templates | None = None,
    ) -> None:
        self._templates = templates
        self._log = log
        self._standings = standings
        self._renderer = renderer
        self._handing_over = handing_over

    async def send(self, items: Sequence[Item], attempt: Attempt) -> list[list[Answer]]:
        """Send each item by its channel, and by the next of its route where that one cannot.

        Answers, for each item, what came of every channel that was tried; the last is the one that counts.
        Safe to run again: what has gone is not sent again.
        """
        answers: list[list[Answer]] = [[] for _ in items]
        going = list(enumerate(items))
        while going:
            came = await self._send([item for _, item in going], attempt)
            following = []
            for (number, item), answer in zip(going, came, strict=True):
                answers[number].append(answer)
                following += [(number, link) for link in _next_link(item, answer)]
            going = following
        return answers

    async def _send(self, items: Sequence[Item], attempt: Attempt) -> list[Answer]:
        now = attempt.now
        ways = [_Way(item, _proposal(item, now)) for item in items]
        standings = await self._standings.read([way.proposal for way in ways])
        for way, standing in zip(ways, standings, strict=True):
            way.proposal.standing = standing
        await self._pass_the_gate(ways, attempt)
        paced: dict[tuple[int, str], bool] = {}
        jobs = []
        for way in ways:
            if way.passed:
                place = id(way.item.merchant), way.item.channel
                if place not in paced:
                    paced[place] = self._handing_over.paced(way.item)
                jobs.append((way, _job(way, attempt, now, paced=paced[place])))
        groups = ([job for _, job in jobs[start : start + GROUP]] for start in range(0, len(jobs), GROUP))
        await self._handing_over.send(groups, attempt)
        for way, job in jobs:
            way.answer = job.answer
        return [way.answer or Later(way.item.channel, "not reached") for way in ways]

    async def _pass_the_gate(self, ways: Sequence[_Way], attempt: Attempt) -> None:
        """Decide, render, decide again; what does not pass is written down with what held it."""
        held: list[tuple[_Way, Refused | Deferred | None]] = []
        own = await self._own_texts({way.item.merchant.id for way in ways})
        for number, way in enumerate(ways):
            decision = before_rendering(way.proposal)
            if isinstance(decision, Passed):
                self._render(way, own[way.item.merchant.id])
                if way.rendered is not None:
                    decision = after_rendering(way.proposal)
            if not isinstance(decision, Passed):
                held.append((way, decision))
            elif way.rendered is None:
                held.append((way, None))
            if number % BREATH == BREATH - 1:
                await asyncio.sleep(0)
        outcomes = await self._log.close([_closing(way, decision, attempt.now) for way, decision in held])
        for (way, held_by), outcome in zip(held, outcomes, strict=True):
            if outcome is not None:
                way.answer = outcome
            elif isinstance(held_by, Deferred):
                wait = max(held_by.until - attempt.now, timedelta(0))
                way.answer = Later(way.item.channel, held_by.reason, wait)

    async def _own_texts(self, merchant_ids: Set[str]) -> dict[str, Overrides]:
        """The wording that merchants have made their own."""
        if self._templates is None:
            return dict.fromkeys(merchant_ids, NONE)
        return {merchant_id: await self._templates.of(merchant_id) for merchant_id in sorted(merchant_ids)}

    def _render(self, way: _Way, own: Overrides) -> None:
        item = way.item
        content = item.delivery.content
        try:
            rendered = self._worded(item, content, own)
            secret = isinstance(content, PhoneCodeContent)
            way.logged = self._worded(item, content.masked, own).text if secret else rendered.text
        except RenderError as error:
            # A mended template lets the message go: it is tried again until its last moment.
            way.answer = Later(item.channel, str(error))
            return
        except Exception as error:
            # A fault in one message holds up no other of its page.
            _log.exception("%s by %s cannot be rendered", item.delivery.notice.kind, item.channel)
            way.answer = Later(item.channel, f"{type(error).__name__} while it was rendered")
            return
        way.rendered = rendered
        way.proposal.text, way.proposal.segments = rendered.text, rendered.segments

    def _worded(self, item: Item, content: Any, own: Overrides) -> Rendered:
        return self._renderer.render(item.delivery.notice, content, item.merchant, item.channel, own)


def _job(way: _Way, attempt: Attempt, now: datetime, *, paced: bool) -> Job:
    item, rendered = way.item, way.rendered
    if rendered is None:
        raise ValueError("only what is rendered can be sent")
    said = {
        "locale": rendered.locale,
        "subject": rendered.subject,
        "text": way.logged,
        "segments": rendered.segments,
        "policy_version": POLICY_VERSION,
    }
    want, cap = _want(way), _cap(way.proposal)
    who, alive = attempt.token, attempt.alive
    asked = Asked(item.delivery, item.channel, item.merchant, who, now, said, want, not paced, cap, alive)
    return Job(item, asked, rendered, paced)


def _proposal(item: Item, now: datetime) -> Proposal:
    branch_id = getattr(item.delivery.content, "branch_id", "")
    return Proposal(item.delivery.notice, item.channel, item.merchant, now, branch_id=branch_id)


def _closing(way: _Way, decision: Refused | Deferred | None, now: datetime) -> Closing:
    item = way.item
    if decision is None:  # it waits for its template; the staff is told of it
        why = way.answer.reason if way.answer is not None else ""
        return Closing(item.delivery, item.channel, MessageStatus.WAITING, why, now, TEMPLATE, POLICY_VERSION)
    status = MessageStatus(decision.status) if isinstance(decision, Refused) else MessageStatus.DEFERRED
    short = isinstance(decision, Refused) and decision.code is Code.NO_CREDITS
    return Closing(
        item.delivery,
        item.channel,
        status,
        decision.reason,
        now,
        decision.rule,
        POLICY_VERSION,
        short=item.merchant if short else None,
    )


def _want(way: _Way) -> Want | None:
    """What the message costs: points by its segments, and one of the branch's quota. [LS-20, LS-21]"""
    item, rendered = way.item, way.rendered
    if item.channel != SMS or rendered is None:
        return None
    domestic = way.proposal.standing.domestic
    points = item.merchant.sms_points(rendered.segments, domestic=domestic)
    if not points and item.merchant.quota.monthly is None:
        return None
    branch_id = way.proposal.branch_id
    return Want(
        message_reference(item.delivery.notice.key, item.channel),
        points,
        messages=1,
        branch_id=branch_id,
        zone=item.merchant.zone_of(branch_id),
        in_part=item.merchant.charged_in_part,
    )


def _cap(proposal: Proposal) -> Cap | None:
    since = proposal.standing.since
    return None if since is None else Cap(since, proposal.class_policy.daily_cap)


def _next_link(item: Item, answer: Answer) -> list[Item]:
    """The same by the next channel of its route, where this one was refused or failed.

    Also by one that the recipient has no address for: the history then says why nothing came by it either.
    """
    if isinstance(answer, Later):
        return []
    channel = next_channel(item.delivery.notice, answer)
    return [] if channel is None else [replace(item, channel=channel)]
