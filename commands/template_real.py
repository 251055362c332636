"""The real data that `carillon template preview --lifecycle` shows a message with."""

from dataclasses import replace
from datetime import UTC, datetime

from activities.member_samples import OF_MEMBERS, NothingToShowError, real_sample
from activities.merchants import Merchants
from activities.template_samples import Sample
from activities.templates import Templates
from commands.failures import Mistake
from commands.output import plain
from commands.reach import Reach, lifecycle_id, of_merchant
from models.agenda import Agenda, Notice
from models.merchant import Merchant
from models.notices import Kind
from models.own_template import Overrides, Place


async def real(reach: Reach, given: str, place: Place) -> tuple[Sample, Overrides]:
    """What a booking, or a member, has to say in a notice of that kind; Mistake where it has nothing."""
    kind = Kind(place.kind)
    if kind in OF_MEMBERS:
        return await _of_member(reach, given, place)
    begins, colon, _ = given.partition(":")
    if colon and begins != "booking":
        raise Mistake(f"{given} has no {plain(kind)} notice: name a booking, as booking:MERCHANT:ID")
    if kind in (Kind.PHONE_CODE, Kind.SMS_POINTS_LOW):
        raise Mistake(f"a {plain(kind)} notice is of no lifecycle: leave --lifecycle out")
    return await _of_booking(reach, lifecycle_id(given), place)


async def _of_member(reach: Reach, given: str, place: Place) -> tuple[Sample, Overrides]:
    """From SQL: it needs no server, and the member no lifecycle that runs."""
    begins, colon, _ = given.partition(":")
    if colon and begins != "member":
        raise Mistake(
            f"a {plain(place.kind)} notice goes to a member: name one, as member:MERCHANT:ID or MERCHANT/ID"
        )
    merchant_id, member_id = of_merchant(given, "member", "member:MERCHANT:ID or MERCHANT/ID", "member")
    async with reach.database() as engine:
        merchant = await Merchants(engine).get(merchant_id)
        own = await Templates(engine).of(merchant_id)
        now, kind = datetime.now(UTC), Kind(place.kind)
        try:
            return await real_sample(engine, merchant, member_id, kind, place.locale, now), own
        except NothingToShowError as error:
            raise Mistake(str(error)) from None


async def _of_booking(reach: Reach, lifecycle: str, place: Place) -> tuple[Sample, Overrides]:
    """By the lifecycle itself: the notice that is owed, else the last one."""
    async with reach.carillon() as carillon:
        notice = _notice_of(await carillon.agenda(lifecycle), place.kind)
        content = await carillon.content(lifecycle, notice)
    shop, own = await known(reach, lifecycle.split(":")[1])
    recipient = replace(notice.recipient, locale=place.locale)
    return Sample(replace(notice, recipient=recipient), content, shop), own


async def known(reach: Reach, merchant_id: str) -> tuple[Merchant, Overrides]:
    """A merchant and its own texts."""
    async with reach.database() as engine:
        return await Merchants(engine).get(merchant_id), await Templates(engine).of(merchant_id)


def _notice_of(agenda: Agenda, kind: str) -> Notice:
    owed = [notice for notice in agenda.owed if notice.kind == kind]
    done = [done.notice for done in agenda.done if done.notice.kind == kind]
    if not owed and not done:
        raise Mistake(
            f"{agenda.lifecycle} has no {plain(kind)} notice: see `carillon agenda {agenda.lifecycle}`"
        )
    return owed[0] if owed else done[-1]
