"""Erasure, holds and forgotten people in the browser."""

from app.actions import erasure, people
from app.domain.access import SYSTEM, Grant
from tests.web.house import House

SUBJECT = "customer-5512"


def second_admin(house: House) -> None:
    people.grant(house.db, SYSTEM, house.ids["lead"], "admin")


def test_one_administrator_asks_and_another_approves(house: House) -> None:
    second_admin(house)
    told = house.submit(amount=100, subject=SUBJECT)
    admin, other = house.browser("admin"), house.browser("lead")
    admin.get("/erasures")
    admin.post("/erasures", subject=SUBJECT, cause="objection")
    assert "another administrator must approve" in admin.notice
    assert "Approve and erase" not in admin.get("/erasures")
    assert "Approve and erase" in other.get("/erasures")
    (asked,) = erasure.requests(house.db, SYSTEM)
    admin.post(f"/erasures/{asked['id']}/approve")
    assert "You asked for this yourself" in admin.text
    other.post(f"/erasures/{asked['id']}/approve")
    assert "Erased. Decisions: 1." == other.notice
    assert SUBJECT not in other.get("/erasures")
    page = house.browser("auditor").get(f"/decisions/{told['id']}")
    assert "The data was erased" in page
    assert "Lead</bdi> under a request for erasure" in page
    assert SUBJECT not in page
    assert "What the AI was given" not in page


def test_a_request_that_meets_a_later_hold_says_so(house: House) -> None:
    told = [house.submit(amount=100 + n, subject=SUBJECT) for n in range(2)]
    admin = house.browser("admin")
    erasure._ask_and_approve(house.db, SUBJECT, "objection")
    erasure.hold(house.db, SYSTEM, told[1]["id"], "litigation")
    erasure.finish_all(house.db)
    page = admin.get("/erasures")
    assert "Approved, and not over" in page
    assert ("Under legal hold" in page, "Litigation" in page, SUBJECT in page) == (True, True, True)
    erasure.release_hold(house.db, SYSTEM, told[1]["id"])
    erasure.finish_all(house.db)
    page = admin.get("/erasures")
    assert ("Approved, and not over" in page, SUBJECT in page) == (False, False)


def test_what_cannot_be_erased_is_said_beside_the_subject(house: House) -> None:
    house.submit(subject=SUBJECT)
    admin = house.browser("admin")
    admin.get("/erasures")
    admin.post("/erasures", subject="nobody", cause="objection")
    assert (404, True) == (admin.status, 'id="subject-error"' in admin.text)
    admin.post("/erasures", subject=SUBJECT, cause="objection")
    assert (409, True) == (admin.status, "still pending" in admin.text)
    admin.post("/erasures", subject=SUBJECT, cause="because")
    assert (422, True) == (admin.status, 'id="cause-error"' in admin.text)
    assert f'value="{SUBJECT}"' in admin.text


def test_a_request_is_taken_back(house: House) -> None:
    house.submit(amount=100, subject=SUBJECT)
    admin = house.browser("admin")
    admin.get("/erasures")
    admin.post("/erasures", subject=SUBJECT, cause="objection")
    (asked,) = erasure.requests(house.db, SYSTEM)
    assert "Take back" in admin.get("/erasures")
    admin.post(f"/erasures/{asked['id']}/decline")
    assert "Declined" in admin.text


def test_a_decision_is_held_and_released_on_its_page(house: House) -> None:
    told = house.submit(amount=100, subject=SUBJECT)
    admin = house.browser("admin")
    url = f"/decisions/{told['id']}"
    assert "Put under legal hold" in admin.get(url)
    admin.post(f"{url}/hold", cause="regulator")
    assert "Regulator" in admin.text
    admin.get("/erasures")
    admin.post("/erasures", subject=SUBJECT, cause="objection")
    assert "under legal hold" in admin.text
    admin.get(url)
    admin.post(f"{url}/release")
    assert "Released from legal hold." == admin.notice
    assert "Put under legal hold" not in house.browser("auditor").get(url)


def test_only_administrators_see_the_page(house: House) -> None:
    for who in ("auditor", "reviewer", "policy_owner"):
        browser = house.browser(who)
        browser.get("/erasures")
        assert 403 == browser.status
        assert 'href="/erasures"' not in browser.text


def test_somebody_who_left_is_erased_on_their_page(house: House) -> None:
    left = people.add(house.db, SYSTEM, "grace@example.org", "Grace Hopper", None, [Grant("reviewer")])["id"]
    admin = house.browser("admin")
    assert "Erase this person" in admin.get(f"/people/{left}")
    admin.post(f"/people/{left}/erase")
    assert "Erased: the id stays." == admin.notice
    page = admin.get(f"/people/{left}")
    assert "Grace" not in page
    assert "Erase this person" not in page
    assert "Grace" not in admin.get("/people")


def test_a_review_whose_data_was_erased_says_so(house: House) -> None:
    second_admin(house)
    told = house.submit(confidence=0.85, subject=SUBJECT)
    reviewer = house.browser("reviewer")
    review = f"/reviews/{told['review']['id']}"
    reviewer.get(review)
    reviewer.post(f"{review}/claim")
    token = reviewer.text.split('name="token" value="')[1].split('"')[0]
    reviewer.post(f"{review}/verdict", token=token, action="approve", outcome="", reason_code="", rationale="for Ada")
    erasure.erase_subject(house.db, SUBJECT, "objection")
    page = reviewer.get(review)
    assert (200, True, False) == (reviewer.status, "The data was erased" in page, "for Ada" in page)
