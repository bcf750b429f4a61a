"""Who may ask for what, and which forms are taken."""

from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute

from app.domain.access import PUBLIC, ROLES, SIGNED_IN, Permission
from app.web import PAGES
from tests.web.house import House

ROUTES = [route for router in PAGES for route in router.routes if isinstance(route, APIRoute)]


def filled(path: str) -> str:
    for name in ("review_id", "decision_id", "person_id", "key_id"):
        path = path.replace(f"{{{name}}}", "nobody")
    return path.replace("{slug}", "refund").replace("{version}", "1")


def forbidden(role: str) -> Iterator[APIRoute]:
    for route in ROUTES:
        needed = route.endpoint.__permission__
        if needed not in (PUBLIC, SIGNED_IN) and needed not in ROLES[role]:
            yield route


def test_every_page_says_what_it_needs() -> None:
    unsaid = [route.path for route in ROUTES if not hasattr(route.endpoint, "__permission__")]
    assert [] == unsaid
    known = {PUBLIC, SIGNED_IN, *Permission}
    assert set() == {route.endpoint.__permission__ for route in ROUTES} - known


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_role_gets_none_of_the_pages_that_it_may_not_see(house: House, role: str) -> None:
    browser = house.browser(role)
    browser.get("/account")
    token, wrong = browser.csrf, []
    for route in forbidden(role):
        method = next(iter(route.methods))
        data = {"csrf": token} if method == "POST" else None
        answer = browser.client.request(method, filled(route.path), data=data, follow_redirects=False)
        if answer.status_code != 403:
            wrong.append((method, route.path, answer.status_code))
    assert [] == wrong


def test_nobody_signed_out_gets_anything_but_the_sign_in_page(house: House) -> None:
    client, wrong = house.browser().client, []
    for route in ROUTES:
        if route.endpoint.__permission__ == PUBLIC:
            continue
        method = next(iter(route.methods))
        answer = client.request(method, filled(route.path), follow_redirects=False)
        if answer.status_code != 303 or not answer.headers["location"].startswith("/sign-in"):
            wrong.append((method, route.path, answer.status_code))
    assert [] == wrong


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_form_from_another_site_changes_nothing_even_with_the_token(house: House, headers: dict[str, str]) -> None:
    browser = house.browser("reviewer")
    browser.get("/account")
    data = {"csrf": browser.csrf, "zone": "Europe/Vienna"}
    answer = browser.client.post("/account/preferences", data=data, headers=headers)
    assert 403 == answer.status_code
    assert "another site" in answer.text
    assert "Europe/Vienna</option>" in browser.get("/account")
    assert "<option selected>UTC" in browser.text


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://testserver"}])
def test_a_form_of_ours_is_taken(house: House, headers: dict[str, str]) -> None:
    browser = house.browser("reviewer")
    browser.get("/account")
    data = {"csrf": browser.csrf, "zone": "Europe/Vienna"}
    browser.client.post("/account/preferences", data=data, headers=headers)
    assert "<option selected>Europe/Vienna" in browser.get("/account")


def test_the_token_of_another_session_is_refused(house: House) -> None:
    mine, theirs = house.browser("reviewer"), house.browser("other")
    mine.get("/account")
    theirs.get("/account")
    answer = mine.client.post("/account/preferences", data={"csrf": theirs.csrf, "zone": "Europe/Vienna"})
    assert 403 == answer.status_code
    assert "out of date" in answer.text


def test_a_poll_uses_up_no_notice(house: House) -> None:
    browser = house.browser("reviewer")
    browser.get("/account")
    data = {"csrf": browser.csrf, "zone": "Europe/Vienna"}
    browser.client.post("/account/preferences", data=data, follow_redirects=False)
    polled = browser.get("/queue", **{"Handrail-Poll": "1"})
    assert "Saved." not in polled
    browser.get("/queue")
    assert "Saved." == browser.notice
    browser.get("/queue")
    assert "" == browser.notice


def test_a_notice_that_we_did_not_sign_is_not_shown(house: House) -> None:
    browser = house.browser("reviewer")
    browser.client.cookies.set("handrail_notice", "eyJraW5kIjoib2siLCJ0ZXh0IjoiUGF5IG1lIn0=.0000")
    browser.get("/queue")
    assert (200, "") == (browser.status, browser.notice)
