"""The main job in the browser: claim, judge, rule, and what stands in the way."""

import re
from datetime import timedelta

import pytest

from app.actions import reading
from app.domain.access import Actor, Grant
from tests.web.house import SCRIPT, House


def auditor() -> Actor:
    return Actor("person", "usr_x", "Auditor", person_id="usr_x", grants=(Grant("auditor"),))


def test_a_reviewer_claims_overrides_with_a_reason_and_gets_the_next_one(house: House) -> None:
    first, second = house.submit(external_id="a"), house.submit(external_id="b")
    browser = house.browser("reviewer")
    browser.post("/queue/claim")
    assert f"/reviews/{first['review']['id']}" == browser.path
    browser.post(f"{browser.path}/verdict", token=browser.token, action="override", outcome="deny",
                 reason_code="fraud", rationale="The same photograph as in October.")  # fmt: skip
    assert f"/reviews/{second['review']['id']}" == browser.path
    assert "Overridden: Deny it. Here is the next one." == browser.notice
    settled = reading.decision(house.db, auditor(), first["id"])
    assert ("final", "deny", "reviewer") == (settled["status"], settled["outcome"], settled["decided_by"])
    timeline = browser.get(f"/decisions/{first['id']}")
    assert "Overrode the AI" in timeline
    assert "The same photograph as in October." in timeline


def test_after_the_last_review_the_queue_says_that_nothing_waits(house: House) -> None:
    house.submit()
    browser = house.browser("reviewer")
    browser.post("/queue/claim")
    browser.post(f"{browser.path}/verdict", token=browser.token, action="approve", outcome="approve")
    assert "/queue" == browser.path
    assert "Approved: Approve it. There is nothing more to claim: nothing waiting." == browser.notice
    assert "Nothing is waiting" in browser.text


def test_a_blind_review_gives_nothing_of_the_proposal_away_until_the_reviewer_has_judged(house: House) -> None:
    house.submit(confidence=0.31)
    browser = house.browser("reviewer")
    queue = browser.get("/queue")
    browser.post("/queue/claim")
    blind = browser.text
    for page in (queue, blind):
        for secret in ("0.31", "seen &lt;script"):
            assert secret not in page
    browser.post(f"{browser.path}/judgement", token=browser.token, outcome="deny")
    assert "0.31" in browser.text
    assert "You differ" in browser.text
    browser.post(f"{browser.path}/verdict", token=browser.token, action="decide", outcome="deny", rationale="Sure.")
    assert "Decided: Deny it." in browser.notice


@pytest.mark.parametrize("where", ["/decisions", "/decisions/{id}"])
def test_other_pages_keep_a_blind_proposal_hidden_too(house: House, where: str) -> None:
    given = house.submit(confidence=0.31)
    page = house.browser("reviewer").get(where.format(**given))
    assert "0.31" not in page
    assert "idden" in page
    assert "0.31" in house.browser("auditor").get(where.format(**given))


def test_an_override_without_a_reason_says_so_and_keeps_what_was_typed(house: House) -> None:
    house.submit()
    browser = house.browser("reviewer")
    browser.post("/queue/claim")
    path = browser.path
    browser.post(f"{path}/verdict", token=browser.token, action="override", outcome="deny", rationale="I typed this.")
    assert 422 == browser.status
    assert "I typed this.</textarea>" in browser.text
    assert 'id="reason_code-error"' in browser.text
    assert "Choose a reason." in browser.text
    assert 'value="deny" checked' in browser.text


def test_a_verdict_under_a_lost_lease_is_409_and_what_was_typed_is_still_there(house: House) -> None:
    house.submit()
    browser = house.browser("reviewer")
    browser.post("/queue/claim")
    path, token = browser.path, browser.token
    house.db.offset = timedelta(hours=1)
    other = house.browser("other")
    other.post("/queue/claim")
    assert path == other.path
    browser = house.browser("reviewer")
    browser.post(f"{path}/verdict", token=token, action="override", outcome="deny", rationale="My long text.")
    assert 409 == browser.status
    assert "no longer hold" in browser.notice
    assert "My long text." in browser.text


def test_a_rationale_over_ten_thousand_characters_is_refused_beside_its_field(house: House) -> None:
    house.submit()
    browser = house.browser("reviewer")
    browser.post("/queue/claim")
    browser.post(f"{browser.path}/verdict", token=browser.token, action="escalate", rationale="x" * 10_001)
    assert 422 == browser.status
    assert "at most 10,000 characters" in browser.text


def test_two_reviewers_never_get_the_same_review(house: House) -> None:
    house.submit(external_id="a")
    house.submit(external_id="b")
    one, other = house.browser("reviewer"), house.browser("other")
    one.post("/queue/claim")
    other.post("/queue/claim")
    assert one.path.startswith("/reviews/")
    assert other.path.startswith("/reviews/")
    assert one.path != other.path
    assert "Held by Reviewer" in other.get(one.path)


def test_an_escalated_review_is_for_leads_and_carries_the_note(house: House) -> None:
    given = house.submit()
    browser = house.browser("reviewer")
    browser.post("/queue/claim")
    browser.post(f"{browser.path}/verdict", token=browser.token, action="escalate", rationale="A promise by phone?")
    assert "/queue" == browser.path
    assert "1 that you may not take" in browser.notice
    page = house.browser("lead").get(f"/reviews/{given['review']['id']}")
    assert "A promise by phone?" in page
    assert "Claim this review" in page


def test_what_is_skipped_is_for_somebody_else(house: House) -> None:
    given = house.submit()
    browser = house.browser("reviewer")
    browser.post("/queue/claim")
    browser.post(f"{browser.path}/verdict", token=browser.token, action="abstain", rationale="I know them.")
    page = browser.get(f"/reviews/{given['review']['id']}")
    assert "You may not take it" in page
    assert "Claim this review" in house.browser("other").get(f"/reviews/{given['review']['id']}")


def test_snoozed_released_and_taken_away_reviews_go_back(house: House) -> None:
    given = house.submit()
    path = f"/reviews/{given['review']['id']}"
    browser, lead = house.browser("reviewer"), house.browser("lead")
    browser.post(f"{path}/claim")
    browser.post(f"{path}/renew", token=browser.token)
    assert "It stays yours for longer." == browser.notice
    browser.post(f"{path}/release", token=browser.token)
    assert "The review is back in the queue." == browser.notice
    browser.post(f"{path}/claim")
    lead.get(path)
    lead.post(f"{path}/release", token="")
    assert "The review is back in the queue." == lead.notice
    browser.get(path)
    browser.post(f"{path}/claim")
    browser.post(f"{path}/snooze", token=browser.token, minutes="60")
    assert re.fullmatch(r"Snoozed until .*\d\d:\d\d\.", browser.notice)
    assert "1 snoozed" in browser.text
    assert "Snoozed: it is back in the queue" in browser.get(path)


@pytest.mark.parametrize("act", ["snooze", "release"])
def test_a_snooze_and_a_release_can_be_undone_from_the_notice_until_somebody_takes_the_review(
    house: House, act: str
) -> None:
    path = f"/reviews/{house.submit()['review']['id']}"
    browser, other = house.browser("reviewer"), house.browser("other")
    browser.post(f"{path}/claim")
    browser.post(f"{path}/{act}", token=browser.token, minutes="60")
    assert f'action="{path}/undo"' in browser.text
    browser.post(f"{path}/undo")
    assert (path, "Taken back: you hold the review again.") == (browser.path, browser.notice)
    browser.post(f"{path}/{act}", token=browser.token, minutes="60")
    other.post(f"{path}/claim")
    browser.post(f"{path}/undo")
    assert (409, "Somebody else has taken this review, so you cannot take it back.") == (browser.status, browser.notice)


def test_no_undo_is_offered_for_a_verdict_nor_to_a_lead_for_what_they_took_away(house: House) -> None:
    path = f"/reviews/{house.submit()['review']['id']}"
    browser, lead = house.browser("reviewer"), house.browser("lead")
    browser.post(f"{path}/claim")
    lead.get(path)
    lead.post(f"{path}/release", token="")
    assert "/undo" not in lead.text
    browser.get(path)
    browser.post(f"{path}/claim")
    browser.post(f"{path}/verdict", token=browser.token, action="approve", outcome="approve")
    assert "/undo" not in browser.text
    browser.post(f"{path}/undo")
    assert (409, "This review is settled.") == (browser.status, browser.notice)


def test_payload_is_text_never_markup(house: House) -> None:
    given = house.submit(subject=SCRIPT, external_id=SCRIPT)
    browser = house.browser("reviewer")
    for path in ("/queue", "/decisions", f"/decisions/{given['id']}", f"/reviews/{given['review']['id']}"):
        assert SCRIPT not in browser.get(path)
        assert "&lt;script&gt;" in browser.text


def test_what_is_claimed_and_said_in_the_browser_counts_in_the_metrics(house: House) -> None:
    house.submit()
    browser = house.browser("reviewer")
    browser.post("/queue/claim")
    browser.post(f"{browser.path}/verdict", token=browser.token, action="approve", outcome="approve")
    metrics = browser.client.get("/metrics").text
    assert 'handrail_verdicts_total{action="approve"} 1.0' in metrics
    assert "handrail_claim_seconds_count 2.0" in metrics
