"""How long an SMS is, and how it stays short."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.sms_text import BASIC, EXTENDED, is_gsm7, pieces, plain, segments, septets

gsm7 = st.text(st.sampled_from(sorted(BASIC | EXTENDED)), max_size=500)
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
typographic = st.text(st.sampled_from("abc …–—‘’“”\u202f\u00a0é€中！「」😀"), max_size=300)


@pytest.mark.parametrize(
    ("text", "encoding", "units", "count"),
    [
        ("", "GSM-7", 0, 0),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        # 152 and a half: the escape and its character move together to the second segment.
        ("a" * 152 + "€" + "a" * 151, "GSM-7", 305, 2),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3),
        ("中" * 70, "UCS-2", 70, 1),
        ("中" * 71, "UCS-2", 71, 2),
        ("中" * 134, "UCS-2", 134, 2),
        ("中" * 135, "UCS-2", 135, 3),
        ("😀" * 35, "UCS-2", 70, 1),
        ("中" * 66 + "😀" + "中" * 65, "UCS-2", 133, 2),
        ("中" * 66 + "😀" + "中" * 66, "UCS-2", 134, 3),
        ("ç", "UCS-2", 1, 1),
        ("Ç à é è ù", "GSM-7", 9, 1),
    ],
)
def test_a_text_is_cut_where_the_standard_cuts_it(text: str, encoding: str, units: int, count: int) -> None:
    """160 or 153 septets, 70 or 67 UTF-16 units, and nothing that takes two units is cut in half."""
    assert (segments(text).encoding, segments(text).units, segments(text).segments) == (
        encoding,
        units,
        count,
    )


@pytest.mark.parametrize(
    ("text", "plainer"),
    [
        ("See you at 3:00\u202fPM", "See you at 3:00 PM"),
        ("It’s “tomorrow” – 15\u00a0h…", 'It\'s "tomorrow" - 15 h...'),
        ("cafe\u0301", "café"),
        ("10% off\u200b now", "10% off now"),
        # Seventy dots in one segment are dearer as two hundred and ten.
        ("…" * 70, "…" * 70),
        # Chinese, and French letters outside GSM-7, stay UCS-2 whatever one does: nothing is touched.
        ("親愛的「小明」，明天見！…", "親愛的「小明」，明天見！…"),
        ("Bientôt la fête : c’est à 15\u202fh", "Bientôt la fête : c’est à 15\u202fh"),
    ],
)
def test_typography_gives_way_only_where_that_makes_the_text_gsm7(text: str, plainer: str) -> None:
    """Plain characters replace typographic ones where the whole text becomes GSM-7 by it, else nothing."""
    assert plain(text) == plainer


@given(gsm7)
def test_a_gsm7_text_is_left_alone(text: str) -> None:
    """What is GSM-7 already is not rewritten."""
    assert plain(text) == text


@given(any_text | typographic)
def test_plain_text_never_costs_more(text: str) -> None:
    """Points are paid by the segment: the plain text has no more of them, and is plain for good."""
    assert segments(plain(text)).segments <= segments(text).segments
    assert plain(plain(text)) == plain(text)
    assert plain(text) == text or is_gsm7(plain(text))


@given(any_text | typographic | gsm7)
def test_the_segments_hold_the_text_and_waste_less_than_a_character_each(text: str) -> None:
    """No segment is over-full, and none is opened while the character still fits."""
    length = segments(text)
    single, joined = (160, 153) if length.encoding == "GSM-7" else (70, 67)
    if length.units <= single:
        assert length.segments == (1 if text else 0)
    else:
        assert (length.segments - 1) * (joined - 1) < length.units <= length.segments * joined


@given(any_text)
def test_units_are_those_of_the_encoding(text: str) -> None:
    """UCS-2 units are UTF-16 code units."""
    if segments(text).encoding == "UCS-2":
        assert segments(text).units == len(text.encode("utf-16-le")) // 2


@given(any_text | typographic | gsm7)
def test_the_pieces_are_the_text_and_each_fits_its_segment(text: str) -> None:
    """Joined they are the text again; none is longer than a segment that shares room with a header."""
    cut = pieces(text)
    assert "".join(cut) == text
    assert len(cut) == segments(text).segments
    if len(cut) > 1:
        assert all(0 < segments(piece).units <= (153 if is_gsm7(text) else 67) for piece in cut)


@given(gsm7)
def test_the_septets_are_as_many_as_the_units(text: str) -> None:
    """What is counted is what is sent."""
    assert len(septets(text)) == segments(text).units


def test_every_character_of_the_alphabet_has_the_septet_of_the_standard() -> None:
    """The corners of the table of GSM 03.38, and the extension behind its escape."""
    assert septets("@£ÇΞÆ é¡AZÄÜ§¿azàñ") == bytes.fromhex("0001091a1c2005 4041 5a5b5e5f60617a7f7d")
    assert septets("€[|") == bytes.fromhex("1b651b3c1b40")
    assert len({septets(c) for c in BASIC | EXTENDED}) == 127 + 10
