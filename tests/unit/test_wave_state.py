"""What a wave remembers: pages, moments and counts, whatever comes of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.contrib.pydantic import pydantic_data_converter

from models.notices import Kind
from models.wave import Audience, Wave
from models.wave_showing import (
    counted,
    progress,
    progress_document,
    progress_markdown,
    wave_report,
)
from models.wave_state import (
    AFTER,
    LONGEST_BACKOFF,
    MOST_PAGES,
    SMALL_PAGE,
    Counts,
    Cut,
    Page,
    PageDone,
    WaveOptions,
    WaveState,
    next_go,
    with_cut,
    with_end,
    with_failure,
    with_page,
)

NOW = datetime(2026, 3, 10, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)
WAVE = Wave(
    "w1", "lumi", Kind.BIRTHDAY, Audience("members"), ("email",), NOW, NOW + 24 * HOUR, "task:lumi:t", "today"
)
STATE = with_cut(
    WaveState(WAVE, WaveOptions(in_flight=2)), Cut(("c", "f", "i"), last=True, zone="Asia/Taipei")
)


def test_pages_follow_each_other_over_several_cuts() -> None:
    more = with_cut(replace(STATE, cut_all=False), Cut(("k",), last=True))
    assert [(page.after, page.until) for page in more.pages] == [
        ("", "c"),
        ("c", "f"),
        ("f", "i"),
        ("i", "k"),
    ]
    assert (more.cursor, more.cut_all) == ("k", True)


def test_an_empty_audience_is_over_at_once() -> None:
    state = with_cut(WaveState(WAVE), Cut((), last=True))
    assert (state.over, wave_report(state).words) == (True, "Nobody was there to be told.")


@pytest.mark.parametrize(
    ("members", "size"),
    [
        (0, 500),
        (3, 500),
        (1_000, 500),
        (2_400, 600),
        (8_000, 2_000),
        (8_001, 1_001),
        (10_000, 1_250),
        (20_000, 1_667),
    ],
)
def test_pages_are_as_large_as_may_be_and_keep_all_hands_busy_to_the_end(members: int, size: int) -> None:
    """Four hands, pages of two thousand at the most: none is left over for one hand alone."""
    options = WaveOptions(page_size=2_000, in_flight=4)
    assert options.even_size(members) == size
    pages = -(-members // size)
    assert members <= 2_000 or pages % 4 == 0


@given(st.integers(0, 100_000), st.integers(1, 3_000), st.integers(1, 20))
def test_a_page_is_never_larger_than_it_may_be(members: int, most: int, hands: int) -> None:
    """Nor smaller than a small one, unless it must be."""
    size = WaveOptions(page_size=most, in_flight=hands).even_size(members)
    assert min(most, SMALL_PAGE) <= size <= most


def test_more_is_cut_only_while_too_few_new_pages_are_at_hand() -> None:
    """Those under way are not at hand; nothing is cut while the wave is held."""
    open_ended = replace(STATE, cut_all=False)
    assert not open_ended.wants_cut(())
    assert open_ended.wants_cut(("c", "f"))
    assert not STATE.wants_cut(("c", "f"))
    assert not replace(open_ended, paused=True).wants_cut(("c", "f"))
    assert not replace(open_ended, cancelled=True).wants_cut(("c", "f"))


def test_a_wave_of_whom_all_sleep_outgrows_no_payload() -> None:
    """So many pages are open at most; what is cut later comes when some of them are finished."""
    page = Page(
        "member-0000000001", "member-0000000500", NOW, 1, 500, 480, Counts(sent=20), NOW, {"asleep" * 9: 480}
    )
    pages = tuple(replace(page, until=f"member-{number:010}") for number in range(MOST_PAGES))
    full = replace(STATE, pages=pages, cut_all=False)
    (payload,) = pydantic_data_converter.payload_converter.to_payloads([full])
    assert len(payload.data) < 1_500_000
    assert not full.wants_cut(())
    assert progress(full, NOW - HOUR / 60, ()).stage == "waiting"
    asleep = replace(full, pages=tuple(replace(one, at=NOW + HOUR) for one in pages))
    assert progress(asleep, NOW, ()).stage == "holding"
    assert replace(full, pages=pages[1:]).wants_cut(())


def test_pages_that_were_begun_go_before_new_ones() -> None:
    """The one whose moment came first goes first; one under way and one that waits do not go."""
    first, second, third = STATE.pages
    again = [replace(second, at=NOW - HOUR), replace(third, at=NOW - 2 * HOUR), Page("i", "k", at=NOW + HOUR)]
    state = replace(STATE, pages=(first, *again))
    assert [page.until for page in state.ready(NOW, ())] == ["i", "f", "c"]
    assert [page.until for page in state.ready(NOW, ("i",))] == ["f", "c"]
    assert state.next_moment(NOW) == NOW + HOUR
    assert state.next_moment(NOW - 5 * HOUR) == NOW
    for held in (replace(state, paused=True), replace(state, cancelled=True)):
        assert (held.ready(NOW, ()), held.next_moment(NOW)) == ([], None)


def test_a_page_that_fails_is_tried_less_and_less_often() -> None:
    page, waits = STATE.pages[0], []
    for _ in range(14):
        done = PageDone(NOW, 3, waiting=3, failing=True)
        waits.append(next_go(WAVE, page, done) - NOW)
        page = next(one for one in with_page(STATE, page, done).pages if one.until == "c")
    assert waits[:3] == [timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=4)]
    assert waits[-1] == LONGEST_BACKOFF


def test_a_page_goes_again_at_the_soonest_moment_and_never_long_past_the_last_one() -> None:
    page, last = STATE.pages[0], WAVE.not_after
    known = PageDone(NOW, 3, waiting=3, again=NOW + HOUR)
    assert next_go(WAVE, page, known) == NOW + HOUR
    assert next_go(WAVE, page, replace(known, failing=True)) == NOW + timedelta(seconds=1)
    assert next_go(WAVE, page, replace(known, again=last + HOUR)) == last + AFTER
    assert next_go(WAVE, page, replace(known, stopped=True)) == NOW
    late = PageDone(last + HOUR, 3, waiting=3, failing=True)
    assert next_go(WAVE, page, late) > late.at


def test_who_leaves_the_audience_between_two_goes_has_lapsed() -> None:
    state = with_page(STATE, STATE.pages[0], PageDone(NOW, 10, Counts(sent=4), waiting=6, again=NOW + HOUR))
    (kept,) = [page for page in state.pages if page.until == "c"]
    assert (kept.counted_to, kept.selected, state.waiting, state.totals.sent) == (NOW, 10, 6, 4)
    after = with_page(state, kept, PageDone(NOW + HOUR, 9, Counts(sent=5)))
    assert after.counts == Counts(sent=9, lapsed=1)
    assert after.finished == 1


def test_a_cancelled_wave_counts_who_waited_as_lapsed() -> None:
    done = PageDone(NOW, 10, Counts(sent=4), waiting=6, stopped=True)
    state = with_end(replace(with_page(STATE, STATE.pages[0], done), cancelled=True))
    assert state.pages == ()
    assert wave_report(state).words == "Cancelled. 10 selected: 4 sent, 6 lapsed."


def test_a_page_of_which_nothing_is_known_keeps_its_counts() -> None:
    """While the wave is held it is at hand at once; else it waits a little."""
    state = with_page(STATE, STATE.pages[0], PageDone(NOW, 10, Counts(sent=4), waiting=6, failing=True))
    page = next(one for one in state.pages if one.until == "c")
    after = with_failure(state, page, NOW + HOUR)
    kept = next(one for one in after.pages if one.until == "c")
    assert (kept.counts, kept.counted_to) == (page.counts, page.counted_to)
    assert kept.at == NOW + HOUR + timedelta(seconds=2)
    held = with_failure(replace(state, paused=True), page, NOW + HOUR)
    assert next(one for one in held.pages if one.until == "c").at == NOW + HOUR


numbers = st.integers(0, 40)
goes = st.lists(st.tuples(numbers, numbers, st.booleans()), min_size=1, max_size=8)


@settings(max_examples=100)
@given(st.lists(goes, min_size=3, max_size=3))
def test_every_member_counts_once_whatever_goes_it_takes(story: list[list[tuple[int, int, bool]]]) -> None:
    """Each go settles some of those who wait; the last one settles the rest."""
    state, selected = STATE, 0
    for page, page_goes in zip(STATE.pages, story, strict=True):
        left = sum(sent + skipped for sent, skipped, _ in page_goes)
        selected += left
        on_it, current = left, page
        for number, (sent, skipped, failing) in enumerate(page_goes):
            left -= sent + skipped
            counts = Counts(sent=sent, skipped={"consent": skipped} if skipped else {}, messages=sent)
            done = PageDone(NOW + number * HOUR, on_it, counts, left, None, failing and bool(left))
            state = with_page(state, current, done)
            assert state.totals.members + state.waiting <= selected
            current = next((one for one in state.pages if one.until == page.until), current)
            if not left:
                break
    assert state.over
    assert state.counts.members == selected
    assert state.counts.lapsed == 0
    assert wave_report(state).selected == selected


def test_progress_is_told_in_words_and_to_programs() -> None:
    reasons = {"quiet hours": 6}
    done = PageDone(
        NOW, 13, Counts(sent=4, skipped={"consent": 2, "address": 1}), 6, NOW + HOUR, reasons=reasons
    )
    found = progress(with_page(STATE, STATE.pages[0], done), NOW, ("f", "i"))
    assert (found.stage, found.selected, found.complete) == ("sending", 13, False)
    words = progress_markdown(found)
    for part in (
        "13 selected so far: 4 sent, 3 skipped (2 consent, 1 address)",
        "6 wait, the next go is Tue 10 Mar 2026 13:00",
        "  - 6: quiet hours",
        "2 pages are under way",
    ):
        assert part in words
    document = progress_document(found)
    assert document["wave"] == "wave:lumi:w1"
    assert (document["next_moment"], document["skipped"]) == (
        "2026-03-10T05:00:00Z",
        {"consent": 2, "address": 1},
    )
    assert counted(Counts()) == "0 sent"
    assert counted(Counts(sent=12, instead=9)) == "12 sent (9 by another channel)"


def test_a_wave_says_where_it_stands() -> None:
    waits = replace(STATE, pages=(replace(STATE.pages[0], at=NOW + HOUR),))
    stands = {
        "waiting": (STATE, NOW - HOUR, ()),
        "sending": (STATE, NOW, ()),
        "holding": (waits, NOW, ()),
        "paused": (replace(STATE, paused=True), NOW, ()),
        "cancelled": (replace(STATE, cancelled=True), NOW, ("c",)),
        "sent": (replace(STATE, pages=()), NOW, ()),
    }
    for stage, (state, now, under_way) in stands.items():
        assert progress(state, now, under_way).stage == stage
