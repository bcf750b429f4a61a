"""Signing in and out."""

import pytest

from app.store.db import Database
from tests.web.house import PASSWORD, House


@pytest.mark.parametrize(
    ("who", "first"), [("reviewer", "/queue"), ("policy_owner", "/decisions"), ("auditor", "/decisions")]
)
def test_each_person_lands_on_the_first_page_that_they_may_see(house: House, who: str, first: str) -> None:
    browser = house.browser()
    browser.get("/sign-in")
    browser.post("/sign-in", email=f"{who}@example.org", password=PASSWORD)
    assert (200, first) == (browser.status, browser.path)
    browser.get("/")
    assert (200, first) == (browser.status, browser.path)


def test_signing_in_leads_back_to_where_the_person_wanted_to_go(house: House) -> None:
    browser = house.browser()
    browser.get("/decisions?tier=autonomous")
    assert "/sign-in?next=%2Fdecisions%3Ftier%3Dautonomous" == browser.path
    browser.post("/sign-in", email="reviewer@example.org", password=PASSWORD, next="/decisions?tier=autonomous")
    assert "/decisions?tier=autonomous" == browser.path


@pytest.mark.parametrize("wanted", ["https://evil.example", "//evil.example", "/\\evil.example", "evil"])
def test_signing_in_never_leads_to_another_site(house: House, wanted: str) -> None:
    browser = house.browser()
    browser.get("/sign-in")
    browser.post("/sign-in", email="reviewer@example.org", password=PASSWORD, next=wanted)
    assert (200, "/queue") == (browser.status, browser.path)


def test_a_wrong_password_and_an_unknown_person_get_the_same_sentence_and_the_email_stays(house: House) -> None:
    browser, said = house.browser(), []
    for email in ("reviewer@example.org", "nobody@example.org"):
        browser.get("/sign-in")
        browser.post("/sign-in", email=email, password="wrong wrong wrong")
        said.append(browser.notice)
        assert 401 == browser.status
        assert f'value="{email}"' in browser.text
        assert "wrong wrong" not in browser.text
    assert said[0] == said[1] != ""


def test_too_many_tries_are_told_when_to_come_back(house: House) -> None:
    browser = house.browser()
    for _ in range(8):
        browser.get("/sign-in")
        browser.post("/sign-in", email="reviewer@example.org", password="wrong wrong wrong")
    assert 429 == browser.status
    assert "try again in" in browser.notice


def test_signing_out_ends_the_session_for_good(house: House) -> None:
    browser = house.browser("reviewer")
    cookie = browser.client.cookies["handrail_session"]
    browser.post("/sign-out")
    browser.client.cookies.set("handrail_session", cookie)
    browser.get("/queue")
    assert browser.path.startswith("/sign-in")


def test_cookies_are_out_of_reach_of_scripts_and_bound_to_https_where_there_is_https(db: Database) -> None:
    browser = House(db, public_url="https://handrail.example").browser()
    browser.get("/sign-in")
    visit = browser.client.cookies["handrail_visit"]
    answer = browser.client.post(
        "/sign-in",
        data={"email": "reviewer@example.org", "password": PASSWORD, "csrf": browser.csrf},
        headers={"cookie": f"handrail_visit={visit}"},
        follow_redirects=False,
    )
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("__Host-handrail="))
    for said in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
        assert said in cookie
    assert "Domain" not in cookie


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({"referer": "http://testserver/reviews/rev_1?x=1"}, "/sign-in?next=%2Freviews%2Frev_1%3Fx%3D1"),
        ({"hx-current-url": "http://testserver/reviews/rev_1#top"}, "/sign-in?next=%2Freviews%2Frev_1"),
        ({"referer": "https://evil.example//evil.example"}, "/sign-in"),
        ({"referer": "http://[broken"}, "/sign-in"),
        ({}, "/sign-in"),
    ],
)
def test_a_form_of_an_ended_session_leads_back_to_the_page_that_it_stood_on(
    house: House, headers: dict[str, str], wanted: str
) -> None:
    client = house.browser().client
    client.cookies.set("handrail_session", "ended")
    answer = client.post("/reviews/rev_1/verdict", data={"rationale": "x"}, headers=headers, follow_redirects=False)
    assert (303, wanted) == (answer.status_code, answer.headers["location"])
    assert "Your session has ended." in client.get(wanted).text


def test_a_page_that_htmx_asks_for_moves_the_window_to_the_sign_in_page(house: House) -> None:
    answer = house.browser().client.get("/queue", headers={"HX-Request": "true"}, follow_redirects=False)
    assert "/sign-in?next=%2Fqueue" == answer.headers["HX-Redirect"]
