"""Every page, at both sizes, and every odd request: a page, never a 5xx."""

import io
import json
import zipfile

import pytest

from app.actions import audit
from tests.factories import signer
from tests.web.house import House

PAGES = {
    "reviewer": ("/queue", "/queue?queue=refunds", "/decisions", "/flow", "/policies", "/policies/refund",
                 "/policies/refund/1", "/policies/refund/diff?from=1&to=1", "/types", "/types/refund", "/account"),
    "admin": ("/people", "/keys", "/audit", "/exports", "/policies/refund", "/flow", "/types"),
    "auditor": ("/audit", "/audit/log", "/exports",
                "/audit?event=review.claimed&actor=Reviewer&from=2020-01-01&to=2999-01-01"),
}  # fmt: skip


@pytest.mark.parametrize("who", sorted(PAGES))
def test_every_page_comes_whole_and_as_a_part_with_the_same_heading(house: House, who: str) -> None:
    house.submit()
    house.submit(amount=100)
    browser = house.browser(who)
    for path in PAGES[who]:
        whole = browser.get(path)
        assert (200, path) == (browser.status, path)
        assert whole.startswith("<!doctype html>")
        part = browser.get(path, **{"HX-Request": "true"})
        assert part.startswith("<title>")
        assert "<!doctype" not in part
        assert whole.count("<h1") == part.count("<h1") == 1


def test_pages_carry_the_strict_headers_and_are_never_stored(house: House) -> None:
    answer = house.browser("reviewer").client.get("/queue")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert ("nosniff", "same-origin", "no-store") == tuple(
        answer.headers[name] for name in ("x-content-type-options", "referrer-policy", "cache-control")
    )


def test_no_page_holds_inline_script_or_style(house: House) -> None:
    house.submit()
    browser = house.browser("reviewer")
    for path in PAGES["reviewer"]:
        page = browser.get(path)
        assert " style=" not in page
        assert "<style" not in page
        assert "<script>" not in page
        assert " onclick" not in page


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nope", 404),
        ("/reviews/nope", 404),
        ("/decisions/nope", 404),
        ("/decisions/%00", 422),
        ("/decisions/%ff", 404),
        ("/queue?queue=%00", 422),
        ("/queue?queue=nope", 200),
        ("/decisions?from=yesterday", 422),
        ("/decisions?from=0001-01-01&to=9999-12-31", 422),
        ("/decisions?cursor=!!!", 422),
        ("/decisions?cursor=AAAA", 422),
        ("/decisions?tier=nope&status=nope&type=nope", 200),
        ("/policies/nope", 404),
        ("/policies/refund/0", 404),
        ("/policies/refund/99", 404),
        ("/policies/refund/99999999999999999999", 404),
        ("/policies/refund/one", 404),
        ("/policies/refund/diff?from=1", 422),
        ("/policies/refund/diff?from=²&to=1", 422),
        ("/types/nope", 404),
    ],
)
def test_odd_addresses_get_a_page_that_says_what_is_wrong(house: House, path: str, status: int) -> None:
    browser = house.browser("reviewer")
    page = browser.get(path)
    assert status == browser.status
    assert "<h1" in page
    assert 'href="/account"' in page  # still signed in, with the navigation


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"zone=%00", "application/x-www-form-urlencoded", 422),
        (b"zone=%ff", "application/x-www-form-urlencoded", 422),
        (b"zone=\xff", "application/x-www-form-urlencoded", 422),
        (b"zone=" + b"x" * 2_000_000, "application/x-www-form-urlencoded", 413),
        (b"&".join(b"a=1" for _ in range(500)), "application/x-www-form-urlencoded", 413),
        (b'{"zone": "UTC"}', "application/json", 415),
        (b"--x\r\n", "multipart/form-data; boundary=x", 415),
        (b"", "application/x-www-form-urlencoded", 403),
    ],
)
def test_odd_forms_are_refused_with_a_page(house: House, body: bytes, kind: str, status: int) -> None:
    browser = house.browser("reviewer")
    answer = browser.client.post("/account/preferences", content=body, headers={"content-type": kind})
    assert status == answer.status_code
    assert "<h1" in answer.text


@pytest.mark.parametrize("token", ["", "-1", "x", "9" * 30, "1.0", "٣"])
def test_odd_lease_tokens_change_nothing(house: House, token: str) -> None:
    house.submit()
    browser = house.browser("reviewer")
    browser.post("/queue/claim")
    browser.post(f"{browser.path}/verdict", token=token, action="approve", outcome="approve")
    assert browser.status in (409, 422)


NASTY = (
    "",
    "x" * 9_999,
    "'; DROP TABLE person;--",
    "\U0001f600",
    "\ufffe",
    "{{ 7*7 }}",
    "-1",
    "../../etc",
    "{",
    "[" * 999,
)


@pytest.mark.parametrize("nasty", NASTY, ids=range(len(NASTY)))
def test_no_form_field_brings_a_page_down(house: House, nasty: str) -> None:
    given = house.submit()
    admin, owner, lead = (house.browser(who) for who in ("admin", "policy_owner", "lead"))
    review, person = f"/reviews/{given['review']['id']}", f"/people/{house.ids['other']}"
    lead.post(f"{review}/claim")
    attempts = (
        (admin, "/people", ("name", "email", "role", "decision_type")),
        (admin, f"{person}/grants", ("role", "decision_type")),
        (admin, f"{person}/grants/revoke", ("role", "decision_type")),
        (admin, "/keys", ("name", "scope", "person_id", "expires_on")),
        (owner, "/policies/refund", ("source", "note")),
        (owner, "/policies/refund/validate", ("source",)),
        (lead, "/account/preferences", ("zone", "shortcuts")),
        (lead, "/account/password", ("current", "new", "again")),
        (lead, "/queue/claim", ("queue",)),
        (lead, f"{review}/snooze", ("token", "minutes")),
        (lead, f"{review}/verdict", ("token", "action", "outcome", "reason_code", "rationale")),
        (lead, f"{review}/judgement", ("token", "outcome")),
    )
    for browser, path, names in attempts:
        browser.get("/account")
        browser.post(path, **dict.fromkeys(names, nasty))
        assert browser.status < 500, path
        assert "<h1" in browser.text


def test_the_wrong_method_gets_a_page_with_the_methods_that_would_do(house: House) -> None:
    answer = house.browser("reviewer").client.get("/queue/claim")
    assert 405 == answer.status_code
    assert "POST" in answer.headers["allow"]
    assert "<h1" in answer.text


def test_an_export_is_streamed_as_a_file_and_stands_in_the_trail(house: House) -> None:
    given = house.submit()
    browser = house.browser("auditor")
    answer = browser.client.get("/exports/decisions.jsonl?type=refund")
    assert [given["id"]] == [json.loads(line)["id"] for line in answer.text.splitlines()]
    assert 'attachment; filename="decisions.jsonl"' == answer.headers["content-disposition"]
    rows = browser.client.get("/exports/decisions.csv").text.splitlines()
    assert 2 == len(rows)
    assert "decisions, CSV" in browser.get("/exports")
    assert "Exported records" in browser.get("/audit")
    with zipfile.ZipFile(io.BytesIO(browser.client.get("/exports/bundle.zip").content)) as archive:
        assert "verify.py" in archive.namelist()
    assert "a bundle that proves itself" in browser.get("/exports")
    browser.get("/exports/decisions.csv?from=soon")
    assert 422 == browser.status
    assert 'id="from-error"' in browser.text


def test_how_large_a_bundle_gets_is_told_before_it_is_made(house: House) -> None:
    for _ in range(60):
        house.submit(amount=100)
    size = audit.seal(house.db, signer())
    browser = house.browser("auditor")
    for query, share in (("", 1), ("?type=refund&tier=autonomous", 1), ("?to=2020-01-01", 0), ("?type=other", 0)):
        told = browser.client.get(f"/exports/bundle-size{query}").json()
        assert size * share == told["events"], query
    about = browser.client.get("/exports/bundle-size").json()["bytes"]
    made = len(browser.client.get("/exports/bundle.zip").content)
    assert 0.7 < about / made < 1.4
    browser.get("/exports/bundle-size?from=soon")
    assert 422 == browser.status


def test_the_list_of_decisions_goes_on_where_the_page_before_ended(house: House) -> None:
    ids = {house.submit(external_id=f"n{number}", amount=100)["id"] for number in range(60)}
    browser = house.browser("auditor")
    first = browser.get("/decisions?type=refund")
    more = first.split('class="more"><a class="button" href="')[1].split('"')[0].replace("&amp;", "&")
    second = browser.get(more)
    found = [one for one in ids if f'href="/decisions/{one}"' in first]
    assert 50 == len(found)
    assert ids - set(found) == {one for one in ids if f'href="/decisions/{one}"' in second}


def test_the_flow_page_counts_what_happened(house: House) -> None:
    house.submit(amount=100)
    house.submit()
    flow = house.browser("reviewer").get("/flow")
    assert "last 24 hours" in flow
    assert "<strong>1</strong> waiting now" in flow
    assert "50 %" in flow
