"""Many that begin together have one limit of time, and each its own end."""

import asyncio
from datetime import timedelta

import pytest

from activities.one_limit import Together, one_limit

SHORT, LONG = timedelta(seconds=0.01), timedelta(seconds=60)


async def _answer(word: str) -> str:
    await asyncio.sleep(0)
    return word


async def _never() -> str:
    await asyncio.Event().wait()
    return "never"


async def test_whoever_is_not_done_in_time_is_told_so_and_the_others_have_their_answers() -> None:
    """One that hangs costs the others nothing."""
    with one_limit(SHORT) as together:
        ways = (together.wait_for(work) for work in (_answer("a"), _never(), _answer("b"), _never()))
        first, hangs, second, too = await asyncio.gather(*ways, return_exceptions=True)
    assert (first, second) == ("a", "b")
    assert isinstance(hangs, TimeoutError)
    assert isinstance(too, TimeoutError)


async def test_whoever_is_told_goes_on_as_before() -> None:
    """The task is not cancelled: it may wait for something else."""
    with one_limit(SHORT) as together:
        with pytest.raises(TimeoutError):
            await together.wait_for(_never())
        assert await _answer("still here") == "still here"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_who_is_done_is_left_alone_when_the_time_is_over() -> None:
    """Only what is waited for within the limit is cut off."""
    together = Together()
    assert await together.wait_for(_answer("a")) == "a"
    together.end()
    assert await _answer("b") == "b"


async def test_nothing_begins_once_the_time_is_over() -> None:
    """It would have no limit at all."""
    together = Together()
    together.end()
    work = _answer("too late")
    with pytest.raises(TimeoutError):
        await together.wait_for(work)
    work.close()


@pytest.mark.parametrize("ends_first", [True, False])
async def test_whoever_is_cancelled_by_others_is_cancelled(ends_first: bool) -> None:
    """A limit that is over at the same moment hides no cancellation."""
    together = Together()
    task = asyncio.create_task(together.wait_for(_never()))
    await asyncio.sleep(0)
    for do in (together.end, task.cancel) if ends_first else (task.cancel, together.end):
        do()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_passes_as_it_is() -> None:
    """What is waited for says what is wrong, in time or not."""

    async def fails() -> None:
        raise ValueError("no")

    with one_limit(LONG) as together, pytest.raises(ValueError, match="no"):
        await together.wait_for(fails())


async def test_who_answers_a_cut_with_something_else_has_a_new_limit_as_whole_as_the_first() -> None:
    """What the first limit asked of the task is taken back: the second one is told from a cancellation."""

    async def grumbles() -> str:
        try:
            return await _never()
        except asyncio.CancelledError:
            raise ValueError("not now") from None

    async def swallows() -> str:
        try:
            return await _never()
        except asyncio.CancelledError:
            return "all the same"

    with one_limit(SHORT) as first, pytest.raises(ValueError, match="not now"):
        await first.wait_for(grumbles())
    with one_limit(SHORT) as second:
        assert await second.wait_for(swallows()) == "all the same"
    with one_limit(SHORT) as third, pytest.raises(TimeoutError):
        await third.wait_for(_never())
