"""Policies in the browser: check, draft, propose, activate, compare, roll back."""

from app.actions import types
from app.domain.access import SYSTEM
from tests.web.house import POLICY, REFUND, House

LOOSER = POLICY.replace("autonomous: 0.9,", "autonomous: 0.85,")


def test_a_policy_is_checked_drafted_compared_activated_and_rolled_back(house: House) -> None:
    browser = house.browser("policy_owner")
    browser.get("/policies/refund")
    browser.post("/policies/refund/validate", source=LOOSER)
    assert "The document is sound." in browser.text
    browser.post("/policies/refund", source=LOOSER, note="more alone")
    assert "/policies/refund/2" == browser.path
    assert "Version 2 is kept as a draft." == browser.notice
    diff = browser.get("/policies/refund/diff?from=1&to=2")
    assert "More goes alone" in diff
    assert "falls from 0.90 to 0.85" in diff
    browser.post("/policies/refund/2/propose")
    browser.post("/policies/refund/2/activate")
    assert "Version 2 is active from the next decision on." == browser.notice
    assert "autonomous" == house.submit(amount=100, confidence=0.86)["tier"]
    assert "Roll back to this" in browser.get("/policies/refund/1")
    browser.post("/policies/refund/1/activate")
    assert "review_required" == house.submit(amount=100, confidence=0.86)["tier"]


def test_a_broken_policy_is_told_every_fault_and_stays_in_the_editor(house: House) -> None:
    browser = house.browser("policy_owner")
    browser.get("/policies/refund")
    broken = POLICY.replace("review: 0.5", "review: 0.95").replace("sample:", "smaple:")
    for path in ("/policies/refund", "/policies/refund/validate"):
        browser.post(path, source=broken)
        assert 422 == browser.status
        assert "<code>/smaple</code>" in browser.text
        assert "<code>/thresholds/low" in browser.text
        assert "smaple: {rate: 0}" in browser.text
    assert "Version 2" not in browser.get("/policies/refund")


def test_the_lines_of_a_comparison_are_those_that_changed(house: House) -> None:
    browser = house.browser("policy_owner")
    browser.get("/policies/refund")
    browser.post("/policies/refund", source=LOOSER)
    diff = browser.get("/policies/refund/diff?from=1&to=2")
    assert '<span class="del">-   low: {autonomous: 0.9, review: 0.5}' in diff
    assert '<span class="add">+   low: {autonomous: 0.85, review: 0.5}' in diff


def test_the_same_version_twice_says_that_nothing_changes(house: House) -> None:
    assert "the two say the same" in house.browser("policy_owner").get("/policies/refund/diff?from=1&to=1")


def test_a_misspelt_input_is_a_warning_and_not_a_refusal(house: House) -> None:
    closed = {**REFUND["input_schema"], "additionalProperties": False}
    types.apply(house.db, SYSTEM, {**REFUND, "input_schema": closed})
    browser = house.browser("policy_owner")
    browser.get("/policies/refund")
    misspelt = POLICY.replace("input.amount_cents", "input.amout_cents")
    browser.post("/policies/refund/validate", source=misspelt)
    assert "The document is sound." in browser.text
    assert "perhaps amount_cents is meant" in browser.text
    browser.post("/policies/refund", source=misspelt)
    assert "/policies/refund/2" == browser.path
    assert "Warning: /stakes/rules/0/when asks for input.amout_cents" in browser.notice
