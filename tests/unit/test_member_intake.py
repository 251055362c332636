"""Files of members: what is taken, and what is said about the rest."""

import csv
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.addresses import is_plain_email, plain_mobile
from activities.members import Enrolment
from intake import InputError, read_merchant, records, values
from intake.error_file import ErrorFile
from intake.members import BadLine, MemberFile, read_member
from intake.problems import Wrong
from models.consent import Consent
from models.member import Member
from models.merchant import Branch
from tests.requirements import requirement
from tests.world import MERCHANT

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
SHOP = replace(MERCHANT, branches=(Branch("west", "West End"),))
ADA = {"member_id": "ada", "name": "Ada"}
EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def read(path: Path, content: str | bytes) -> list[Enrolment | BadLine]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [found for _, found in MemberFile(path, SHOP, NOW)]


def taken(path: Path, content: str | bytes) -> list[Member]:
    """The members of a file in which nothing is wrong."""
    found = read(path, content)
    assert not [one for one in found if isinstance(one, BadLine)]
    return [one.member for one in found if isinstance(one, Enrolment)]


def wrong(path: Path, content: str | bytes) -> list[tuple[int, str]]:
    """The refused lines of a file, each with what is said about it."""
    found = [one for one in read(path, content) if isinstance(one, BadLine)]
    return [(one.line, "; ".join(map(str, one.problems))) for one in found]


def one(**told: Any) -> Enrolment:
    return read_member({**ADA, **told}, SHOP, NOW)


def refusal(**told: Any) -> str:
    with pytest.raises(InputError) as caught:
        one(**told)
    return str(caught.value.problems[0])


@requirement("MAAC-01", "LS-03")
def test_every_field_of_a_member_is_read(tmp_path: Path) -> None:
    """Phone numbers in E.164 form, wall times by the merchant's clock, groups each once."""
    header = (
        "member_id,name,email,phone,push,locale,zone,birth_date,branch_id,customer_id,groups,registered_at"
    )
    row = (
        "ada,Ada Lin,ada@Example.com,0912-345-678,tok,zh-TW,Asia/Tokyo,2000-02-29,west,A12,vip; taipei;vip;,"
    )
    (member,) = taken(tmp_path / "m.csv", f"{header}\n{row}2025-06-01 09:30\n")
    assert member == Member(
        "lumi",
        "ada",
        "Ada Lin",
        datetime(2025, 6, 1, 1, 30, tzinfo=UTC),
        "ada@example.com",
        "+886912345678",
        "tok",
        "zh-TW",
        "Asia/Tokyo",
        date(2000, 2, 29),
        "west",
        "A12",
        ("taipei", "vip"),
    )


@pytest.mark.parametrize(
    "content",
    [
        "member_id,name,groups\nada,Ada,vip\nbo,Bo,\n",
        "\ufeffMember_ID, name ,groups\r\nada,Ada,vip\r\n\r\nbo,Bo,\r\n,,\r\n",
        "member_id;name;groups\nada;Ada;vip\nbo;Bo;;\n",
        "member_id\tname\tgroups\nada\tAda\tvip\nbo\tBo\t",
        '[{"member_id": "ada", "name": "Ada", "groups": ["vip"]},\n {"member_id": "bo", "name": "Bo"}]',
        '\ufeff{"member_id": "ada", "name": "Ada", "groups": "vip"}\r\n\r\n'
        '{"member_id": "bo", "name": "Bo"}\r\n',
        "[]",
    ],
    ids=("plain", "marked", "semicolons", "tabs", "array", "lines", "none"),
)
def test_every_form_is_told_by_its_content(content: str, tmp_path: Path) -> None:
    """Commas, semicolons or tabs, with a byte order mark or without, a list or an object a line."""
    expected = [] if content == "[]" else [("ada", ("vip",)), ("bo", ())]
    members = taken(tmp_path / "members", content)
    assert [(member.member_id, member.groups) for member in members] == expected


def test_quoted_line_breaks_belong_to_their_value_and_are_counted(tmp_path: Path) -> None:
    """The line that is named is the one on which the record begins."""
    content = 'member_id,name,email\n"ada","Ada\nLin",\nbo,Bo,nowhere\n'
    assert wrong(tmp_path / "m.csv", content) == [
        (2, "name: 'Ada\\nLin' holds a line break or another control character: write it on one line"),
        (4, "email: 'nowhere' is no email address: An email address must have an @-sign"),
    ]


def test_a_bad_line_holds_up_no_good_one(tmp_path: Path) -> None:
    """All that is wrong with it is said at once."""
    content = 'member_id,name,phone\nada,Ada,\n???,,12\nbo,Bo\nquote,"open"x,\ncy,Cy,0912345678\n'
    found = read(tmp_path / "m.csv", content)
    assert [one.member.member_id for one in found if isinstance(one, Enrolment)] == ["ada", "cy"]
    first, second, third = (one for one in found if isinstance(one, BadLine))
    assert [problem.where for problem in first.problems] == ["member_id", "phone", "name"]
    assert "has 2 values for 3 columns" in str(second.problems[0])
    assert "close every quote" in str(third.problems[0])
    assert [one.line for one in (first, second, third)] == [3, 4, 5]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty: begin it with a line that names the columns: member_id,name,..."),
        (b"  \n\n", "is empty"),
        (b"ada,Ada\nbo,Bo\n", "has no line that names the columns"),
        (b"member_id,nmae\n", "has the column 'nmae', which is not known: did you mean 'name'?"),
        (b"member_id,email\n", "has no column 'name': add it"),
        (b"member_id,name,name\n", "has the column 'name' twice: leave one out"),
        (
            "member_id,name\nada,Ada\nbo,Björn\n".encode("latin-1"),
            "line 3: is not in UTF-8: save it as UTF-8",
        ),
        ("member_id,name\nada,Ada".encode("utf-16"), "is in UTF-16: save it as UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_whole(content: bytes, complaint: str, tmp_path: Path) -> None:
    """Before anything of it is taken."""
    with pytest.raises(InputError) as caught:
        read(tmp_path / "m.csv", content)
    assert complaint in str(caught.value)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    """And so is a folder."""
    with pytest.raises(InputError, match="there is no such file"):
        MemberFile(tmp_path / "none.csv", SHOP, NOW)
    with pytest.raises(InputError, match="cannot be read"):
        MemberFile(tmp_path, SHOP, NOW)


BO = '{"member_id": "bo", "name": "Bo"}'


@pytest.mark.parametrize(
    ("content", "refused"),
    [
        (f'{{"member_id": "ada"\n{BO}', {1: "is not JSON (Expecting ',' delimiter)"}),
        (f"{BO}\n7", {2: "7 is no object"}),
        (f'{BO}\n{{"name": "A", "name": "B"}}', {2: "name: is given twice"}),
        (f'{BO}\n{{"name": NaN}}', {2: "is not JSON (NaN is no number)"}),
        (f'{BO}\n{{"member_id": "a", "name": "A", "gropus": []}}', {2: "gropus: is not known: did you mean"}),
        (f'[{BO},\n "x",\n {{"member_id": 1, "name": "A"}}]', {2: "'x' is no object", 3: "put it in quotes"}),
        (f'[{BO}\n {{"member_id"', {1: "nothing from here on was read"}),
        (f'[{BO},\n\n {{"member_id"', {3: "nothing from here on was read"}),
        (f"[{BO}]\n[{BO}]", {2: "stands after the end of the list: put all of it into one list"}),
    ],
)
def test_json_that_breaks_off_is_told_with_its_line(
    content: str, refused: dict[int, str], tmp_path: Path
) -> None:
    """A line that is no JSON is one bad line; a list that breaks off ends there."""
    found = dict(wrong(tmp_path / "m.json", content))
    assert found.keys() == refused.keys()
    for line, words in refused.items():
        assert words in found[line]


def test_a_list_on_one_line_is_told_by_the_place_in_it(tmp_path: Path) -> None:
    """Most programs write all of it on one line: that line alone would say nothing."""
    content = f'[{BO}, {{"member_id": "cy", "name": "Cy", "email": "x"}}, 7]'
    found = [one for one in read(tmp_path / "m.json", content) if isinstance(one, BadLine)]
    assert [(one.line, one.problems[0].where) for one in found] == [(1, "[1].email"), (1, "[2]")]


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["member_id", "name", "push"]), st.text('ab[]{},"\\\n é', max_size=9), max_size=3
        ),
        max_size=6,
    ),
    st.sampled_from([None, 1]),
)
@settings(max_examples=60, deadline=None)
def test_a_list_is_read_in_pieces_as_it_would_be_whole(
    tmp_path_factory: pytest.TempPathFactory, members: list[dict[str, str]], indent: int | None
) -> None:
    """Wherever the pieces are cut."""
    path = tmp_path_factory.mktemp("pieces") / "m.json"
    path.write_text(json.dumps(members, indent=indent, ensure_ascii=False), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "BLOCK", 7)
        found = list(records.Records(path, ["member_id", "name", "push"], ["member_id"]))
    assert [record.values for record in found] == members
    assert not [record for record in found if record.problem]


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"birth_date": "2023-02-29"}, "birth_date: '2023-02-29' is no day: write it as 1990-02-28"),
        ({"birth_date": "2026-03-02"}, "is still to come"),
        ({"birth_date": "1899-12-31"}, "is of another age"),
        ({"registered_at": "2026-03-01T10:06:00+08:00"}, "registered_at: .* is still to come: write when"),
        ({"registered_at": "yesterday"}, "is no moment"),
        ({"registered_at": "9999-12-31T23:59:59-12:00"}, "is of another age"),
        ({"phone": "12"}, "phone: '12' has too few or too many digits: write it as 0912 345 678"),
        ({"zone": "Asia/Taipeh"}, "zone: .* did you mean 'Asia/Taipei'"),
        ({"locale": "tlh"}, "locale: 'tlh' is a language without texts"),
        ({"branch_id": "wets"}, "branch_id: 'wets' is no branch of the merchant: did you mean 'west'?"),
        ({"groups": ["x" * 65]}, "names a group"),
        ({"groups": 7}, "groups: 7 is no list"),
        ({"push": "a token"}, "is no push token"),
        ({"consent_promotional_sms": "maybe"}, "is neither yes nor no"),
        ({"consent_promotional_fax": "yes"}, "is not known: did you mean 'consent_promotional_"),
        ({"name": " "}, "name: is missing: write it out"),
        ({"member_id": "a b"}, "member_id: 'a b' cannot be used as an id"),
        ({"customer_id": "a\x00b"}, "NUL"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_field_and_the_mend(told: dict[str, Any], complaint: str) -> None:
    """Each with the value as it stands."""
    assert re.search(complaint.replace("?", r"\?").replace("(", r"\("), refusal(**told))


def test_moments_are_by_the_merchants_clock_unless_they_say_otherwise() -> None:
    """A day is its midnight; the day of birth may be today in the shop."""
    assert one(registered_at="2025-06-01").member.registered_at == datetime(2025, 5, 31, 16, tzinfo=UTC)
    assert one(registered_at="2025-06-01T00:00Z").member.registered_at == datetime(2025, 6, 1, tzinfo=UTC)
    assert one(birth_date="2026-03-01").member.birth_date == date(2026, 3, 1)
    undated = one(registered_at="")
    assert undated.member.registered_at == NOW
    assert "registered_at" not in undated.told


def test_consents_are_taken_with_their_moment_and_a_blank_says_nothing() -> None:
    """Without a moment of their own it is that of the import."""
    told = one(consent_promotional_sms="Yes", consent_promotional_email="", consent_loyalty_push=False)
    said = {(word.notice_class.word, word.channel): word.state for word in told.consents}
    assert said == {("promotional", "sms"): Consent.OPTED_IN, ("loyalty", "push"): Consent.OPTED_OUT}
    assert {(word.at, word.source, word.member_id) for word in told.consents} == {(NOW, "import", "ada")}
    assert not told.dated
    dated = one(consent_promotional_sms=True, consented_at="2026-02-01 12:00")
    assert dated.dated
    assert [word.at for word in dated.consents] == [datetime(2026, 2, 1, 4, tzinfo=UTC)]


@requirement("MAAC-08")
@pytest.mark.parametrize("customer_id", ["0912345678", "ada@example.com", "A123456789", "會員 7"])
def test_a_customer_id_may_be_anything_that_the_brand_binds_by(customer_id: str) -> None:
    """A mobile number, an email address, an identity card, a number; a blank is none."""
    assert one(customer_id=customer_id).member.bound
    assert not one(customer_id=" ").member.bound


DIGITS = st.text("0123456789+- ", min_size=6, max_size=15)
MOBILES = st.builds(
    "{}{}".format, st.sampled_from(["09", "+8869", "06", "+336", "07", "015", "+81 90"]), DIGITS
)


@given(MOBILES | DIGITS, st.sampled_from(["TW", "FR", "JP", "GB", "DE", "US", "IT", "RU", "HK"]))
@settings(max_examples=100)
def test_the_quick_way_reads_a_phone_number_as_the_thorough_one_does(written: str, country: str) -> None:
    """Or leaves it to it."""
    if found := plain_mobile(written, country):
        assert found == values.phone(written, country)


@given(st.from_regex(r"[a-zA-Z0-9._+-]{1,12}@[a-zA-Z0-9.-]{1,12}\.[a-z]{2,6}", fullmatch=True))
@settings(max_examples=100)
def test_the_quick_way_reads_an_email_address_as_the_thorough_one_does(written: str) -> None:
    """Or leaves it to it."""
    if is_plain_email(written):
        try:
            assert values.email(written) == written
        except Wrong as error:
            raise AssertionError(written) from error


def test_the_error_file_names_line_field_fault_mend_and_value(tmp_path: Path) -> None:
    """It is there only where something is wrong, and one of an earlier time is emptied."""
    path = tmp_path / "m.csv.errors.csv"
    with ErrorFile(path) as errors:
        pass
    assert not path.exists()
    (bad,) = (
        one for one in read(tmp_path / "m.csv", "member_id,name,phone\nada,,12\n") if isinstance(one, BadLine)
    )
    with ErrorFile(path) as errors:
        errors.add(bad.line, bad.problems)
    with path.open(encoding="utf-8-sig", newline="") as text:
        rows = list(csv.reader(text))
    assert rows[0] == ["line", "field", "what is wrong", "mend", "value"]
    assert [row[:2] for row in rows[1:]] == [["2", "phone"], ["2", "name"]]
    assert rows[1][2:] == [
        "has too few or too many digits",
        "write it as 0912 345 678 or +886912345678",
        "'12'",
    ]
    with ErrorFile(path):
        pass
    assert len(path.read_text("utf-8").splitlines()) == 1


def test_a_spreadsheet_works_nothing_out_of_the_error_file(tmp_path: Path) -> None:
    """The names in a JSON file are its writer's, and so may be a formula."""
    path, evil = tmp_path / "m.json.errors.csv", '=HYPERLINK("http://evil.example")'
    content = json.dumps({"member_id": "ada", "name": "Ada", evil: "1", "email": "=1+1"})
    (bad,) = (one for one in read(tmp_path / "m.json", content) if isinstance(one, BadLine))
    with ErrorFile(path) as errors:
        errors.add(bad.line, bad.problems)
    with path.open(encoding="utf-8-sig", newline="") as text:
        rows = list(csv.reader(text))
    assert rows[1][1] == f"'{evil}"
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_the_example_is_in_order() -> None:
    """A leap day's birthday, one who is bound, groups, three languages."""
    lumi = read_merchant(EXAMPLES / "lumi.toml")
    found = [member for _, member in MemberFile(EXAMPLES / "members.csv", lumi, NOW)]
    members = [one.member for one in found if isinstance(one, Enrolment)]
    assert len(members) == len(found) == 12
    assert {member.locale for member in members} == {"zh-Hant", "en", "fr", ""}
    assert [member.member_id for member in members if member.bound] == ["lin-yating"]
    assert date(1992, 2, 29) in {member.birth_date for member in members}
