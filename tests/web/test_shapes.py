"""The pure parts of the door: fields, questions, filters, guidance."""

from datetime import UTC, datetime, timedelta

import pytest

from app.web import filters
from app.web.fields import MAX_FIELDS, laid_out, money
from app.web.guidance import guidance_html
from app.web.questions import question

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_fields_follow_the_schema_and_then_what_it_does_not_name() -> None:
    schema = {
        "properties": {
            "amount_cents": {"title": "To pay back", "description": "In hundredths"},
            "who": {"$ref": "#/$defs/who"},
        },
        "$defs": {"who": {"properties": {"since": {"title": "Member since", "format": "date"}}}},
    }
    value = {"extra_note": "x", "who": {"since": "2019-03-11"}, "amount_cents": -123456, "currency": "EUR"}
    found = [(one.label, one.path, one.value, one.kind, one.depth) for one in laid_out(schema, value)]
    assert [
        ("To pay back", "/amount_cents", "-1,234.56 EUR", "money", 0),
        ("Who", "/who", None, "object", 0),
        ("Member since", "/who/since", "2019-03-11", "date", 1),
        ("Extra note", "/extra_note", "x", "text", 0),
        ("Currency", "/currency", "EUR", "text", 0),
    ] == found


@pytest.mark.parametrize(
    ("value", "kind"),
    [(True, "bool"), (3, "number"), (0.5, "number"), ("x", "text"), ("https://a.example/b", "url"), (None, "text"),
     (["a", 1], "list"), ([], "list"), ({}, "object"), ("2026-11-24T12:00:00Z", "date"), ([{"a": 1}], "list")],
)  # fmt: skip
def test_each_value_has_its_kind(value: object, kind: str) -> None:
    assert kind == laid_out({}, {"it": value})[0].kind


@pytest.mark.parametrize("schema", [True, {"properties": 3}, {"properties": {"it": {"$ref": "#/properties/it"}}}, {}])
def test_a_schema_that_says_nothing_useful_still_lays_out(schema: object) -> None:
    found = laid_out(schema if isinstance(schema, dict) else {}, {"it": {"deep": [[1], 2]}})
    assert ["/it", "/it/deep", "/it/deep/0", "/it/deep/1"] == [one.path for one in found]


def test_an_input_of_many_fields_says_that_there_are_more() -> None:
    found = laid_out({}, {str(number): number for number in range(MAX_FIELDS + 5)})
    assert (MAX_FIELDS + 1, "More") == (len(found), found[-1].label)


def test_money_is_never_a_float() -> None:
    assert ["0.05", "-0.05 EUR", "1,000,000.00"] == [money(5), money(-5, "EUR"), money(100_000_000)]


@pytest.mark.parametrize(
    ("subject", "value", "asked"),
    [
        ("customer 7", {"amount_cents": 8_400, "currency": "EUR"}, "Refund 84.00 EUR for customer 7?"),
        (None, {"amount_cents": 8_400}, "Refund 84.00?"),
        ("customer 7", {}, "Refund for customer 7?"),
        (None, {"text": "a post that is long enough"}, "Refund: “a post that is long enough”"),
        (None, {"text": "short"}, "Refund: Approve or Deny?"),
        (None, ["no", "object"], "Refund: Approve or Deny?"),
    ],
)
def test_the_question_is_made_of_type_amount_subject_or_text(subject: str | None, value: object, asked: str) -> None:
    assert asked == question("Refund", ["Approve", "Deny"], subject, value)


@pytest.mark.parametrize(
    ("ratio", "text"), [(0.99996, "0.999"), (1, "1.00"), (0, "0.00"), (0.9, "0.90"), (0.8312, "0.831"), (None, "-")]
)
def test_confidence_is_rounded_down(ratio: float | None, text: str) -> None:
    assert text == filters.confidence(ratio)


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0, "0 %"), (1, "100 %"), (0.0004, "0.1 %"), (0.004, "0.4 %"), (0.93, "93 %"), (0.9999, "99.9 %")],
)
def test_a_share_is_never_all_or_nothing_when_it_is_not(ratio: float, text: str) -> None:
    assert text == filters.pct(ratio)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "just now"), (30, "in less than 1 min"), (-179, "2 min ago"), (7_300, "in 2 h"), (-2_678_400, "24 Oct 2026")],
)
def test_times_are_relative_and_rounded_down(seconds: int, text: str) -> None:
    assert text == filters.relative(NOW + timedelta(seconds=seconds), NOW)


def test_times_stand_in_the_zone_of_the_person_with_the_machine_time_beside() -> None:
    element = filters.moment("2026-11-24T12:00:00.000000Z", "Europe/Vienna")
    assert (
        '<time datetime="2026-11-24T12:00:00Z" title="24 Nov 2026, 13:00:00 CET">24 Nov 2026, 13:00:00</time>'
        == element
    )
    assert "24 Nov 2026, 12:00:00" in filters.moment(NOW, "Nowhere/At_all")


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (900, "15 min"), (14_400, "4 h"), (183_600, "2 d 3 h")])
def test_durations_have_two_units_at_most(seconds: int, text: str) -> None:
    assert text == filters.duration(seconds)


def test_guidance_is_markdown_without_html_scripts_or_images() -> None:
    html = guidance_html(
        "# Head\n\n**bold** <b onclick=x>raw</b> [ok](https://a.example) [bad](javascript:alert(1)) ![i](https://a.example/x.png)"
    )
    assert "<h3>Head</h3>" in html
    assert "<strong>bold</strong>" in html
    assert '<a href="https://a.example" rel="noopener noreferrer">ok</a>' in html
    for bad in ("<b", "<img", 'href="javascript', "<script"):
        assert bad not in html
