"""The main job in a real browser: strict policy, no console error, and no accessibility fault on any page."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site
from tests.web.house import PASSWORD, POLICY

pytestmark = pytest.mark.browser
AXE = (Path(__file__).parents[1] / "vendor" / "axe-core-4.14.1" / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OTHERS = [".swagger-ui"]  # drawn by swagger-ui-dist, whose faults (contrast, nested buttons) are not ours to mend
PAGES = {
    None: ("/sign-in", "/nope", "/api/docs"),
    "lead": ("/queue", "/decisions", "/flow", "/policies", "/policies/refund/1", "/types", "/types/refund", "/account",
             "/nope"),
    "policy_owner": ("/policies/refund", "/policies/refund/diff?from=1&to=2", "/policies/refund/2"),
    "auditor": ("/audit", "/audit/log", "/exports", "/decisions?status=overturned"),
    "admin": ("/people", "/keys", "/operations"),
}  # fmt: skip


def sign_in(page: Page, who: str) -> None:
    page.goto("/")
    page.get_by_label("E-mail").fill(f"{who}@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile(r"/(queue|decisions|people)$"))


def test_a_reviewer_signs_in_claims_overrides_with_a_reason_and_sees_the_next_one_and_the_timeline(site: Site) -> None:
    site.house.submit(external_id="order-1", subject="customer 1")
    site.house.submit(external_id="order-2", subject="customer 2")
    page = site.window()
    sign_in(page, "reviewer")
    page.get_by_role("button", name="Claim next").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Refund 84.00 EUR for customer 1?")
    expect(page.get_by_text("With high stakes no decision goes through alone.")).to_be_visible()
    page.get_by_text("Override…").click()
    page.get_by_label("Deny it").check()
    page.get_by_label("Looks like fraud").check()
    page.get_by_label("Why, in your words").fill("The same photograph as in October.")
    page.get_by_role("button", name="Override the AI").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Refund 84.00 EUR for customer 2?")
    expect(page.get_by_role("status")).to_contain_text("Overridden: Deny it. Here is the next one.")
    page.get_by_role("link", name="Decisions", exact=True).click()
    page.get_by_role("link", name="order-1").click()
    timeline = page.get_by_role("region", name="What happened")
    expect(timeline).to_contain_text("Overrode the AI")
    expect(timeline).to_contain_text("The same photograph as in October.")


def test_the_keyboard_alone_does_the_job(site: Site) -> None:
    for number in (1, 2):
        site.house.submit(subject=f"customer {number}")
    page = site.window()
    sign_in(page, "reviewer")
    page.keyboard.press("n")
    expect(page.get_by_role("heading", level=1)).to_contain_text("customer 1")
    page.keyboard.press("o")
    page.keyboard.press("1")
    page.get_by_label("Why, in your words").fill("Not this one.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("customer 2")
    page.keyboard.press("a")
    expect(page.get_by_role("status")).to_contain_text("Approved: Approve it.")
    expect(page.get_by_role("heading", level=1)).to_have_text("Queue")


def test_rows_of_lists_that_renew_themselves_open_what_they_name(site: Site) -> None:
    site.house.submit(subject="customer 1")
    page = site.window()
    sign_in(page, "reviewer")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Claim this review")).to_be_visible()
    page.get_by_role("link", name="How decisions flow").click()
    page.get_by_role("link", name="Policy version 1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Version 1")


def test_a_list_renews_itself_while_it_is_looked_at(site: Site) -> None:
    page = site.window()
    page.clock.install()
    sign_in(page, "reviewer")
    expect(page.get_by_text("Nothing is waiting")).to_be_visible()
    site.house.submit(subject="customer 1")
    page.clock.run_for(16_000)
    page.get_by_role("link", name="customer 1").click()
    expect(page.get_by_role("button", name="Claim this review")).to_be_visible()


def test_a_blind_review_shows_the_proposal_only_after_the_judgement(site: Site) -> None:
    site.house.submit(confidence=0.31)
    page = site.window()
    sign_in(page, "reviewer")
    page.get_by_role("button", name="Claim next").click()
    expect(page.get_by_text("Hidden until you have given your own judgement")).to_be_visible()
    assert "0.31" not in page.content()
    page.get_by_label("Deny it").check()
    page.get_by_role("button", name="Record and see").click()
    expect(page.get_by_text("You differ")).to_be_visible()
    expect(page.get_by_text("confidence 0.31 of 1")).to_be_visible()


def test_the_main_job_works_without_scripts(site: Site) -> None:
    site.house.submit()
    page = site.window(java_script_enabled=False)
    sign_in(page, "reviewer")
    page.get_by_role("button", name="Claim next").click()
    page.get_by_text("Override…").click()
    page.get_by_label("Deny it").check()
    page.get_by_label("Looks like fraud").check()
    page.get_by_label("Why, in your words").fill("No scripts were needed.")
    page.get_by_role("button", name="Override the AI").click()
    expect(page.get_by_role("status").first).to_contain_text("Overridden: Deny it.")


def test_what_a_payload_holds_never_runs(site: Site) -> None:
    given = site.house.submit(subject="<img src=x onerror=alert(1)>")
    page = site.window()
    page.on("dialog", lambda dialog: site.complaints.append(dialog.message))
    sign_in(page, "lead")
    for path in ("/queue", "/decisions", f"/decisions/{given['id']}", f"/reviews/{given['review']['id']}"):
        page.goto(path)
    assert 0 == page.locator("img[src=x]").count()


def test_a_snooze_is_taken_back_with_one_key(site: Site) -> None:
    site.house.submit(subject="customer 1")
    page = site.window()
    sign_in(page, "reviewer")
    page.keyboard.press("n")
    expect(page.get_by_role("heading", level=1)).to_contain_text("customer 1")
    page.keyboard.press("h")
    page.get_by_role("button", name="Snooze", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Snoozed until")
    page.keyboard.press("z")
    expect(page.get_by_role("status")).to_contain_text("Taken back: you hold the review again.")
    expect(page.get_by_role("heading", level=1)).to_contain_text("customer 1")


def test_a_mistake_in_a_form_leaves_the_form_open_and_the_address_a_page(site: Site) -> None:
    site.house.submit(subject="customer 1")
    page = site.window()
    sign_in(page, "reviewer")
    page.keyboard.press("n")
    page.get_by_text("Override…").click()
    address = page.url
    page.get_by_label("Why, in your words").fill("I typed this.")
    for form in page.locator("form").all():
        form.evaluate("form => { form.noValidate = true; }")
    page.get_by_role("button", name="Override the AI").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was saved")
    expect(page.get_by_label("Why, in your words")).to_be_visible()
    expect(page.get_by_label("Why, in your words")).to_have_value("I typed this.")
    assert address == page.url
    site.complaints = [one for one in site.complaints if "422" not in one]  # the answer that we asked for


def test_what_was_written_outlives_the_session(site: Site) -> None:
    given = site.house.submit()
    page = site.window()
    sign_in(page, "reviewer")
    page.keyboard.press("n")
    page.get_by_text("Override…").click()
    page.get_by_label("Deny it").check()
    page.get_by_label("Looks like fraud").check()
    page.get_by_label("Why, in your words").fill("It took me ten minutes to write this.")
    page.context.clear_cookies()
    page.get_by_role("button", name="Override the AI").click()
    page.get_by_label("E-mail").fill("reviewer@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**/reviews/{given['review']['id']}")
    expect(page.get_by_label("Why, in your words")).to_have_value("It took me ten minutes to write this.")


def test_the_theme_is_the_persons_choice(embedded_site: Site) -> None:
    page = embedded_site.window(color_scheme="light", java_script_enabled=False)
    sign_in(page, "reviewer")
    page.goto("/account")
    expect(page.locator("html")).to_have_css("color-scheme", "light dark")
    page.get_by_label("Theme").select_option("Dark")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("html")).to_have_css("color-scheme", "dark")
    page.get_by_label("Theme").select_option("As the system has it")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("html")).to_have_css("color-scheme", "light dark")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_no_page_has_an_accessibility_fault_or_overflows(embedded_site: Site, scheme: Any, width: int) -> None:
    site = embedded_site
    given = _lived_in(site)
    found = []
    for who, paths in PAGES.items():
        page = site.window(color_scheme=scheme, viewport={"width": width, "height": 900}, reduced_motion="reduce")
        if who:
            sign_in(page, who)
        more = (f"/decisions/{given['id']}", f"/reviews/{given['review']['id']}") if who == "lead" else ()
        if who == "admin":
            more = (f"/people/{site.house.ids['other']}",)
        for path in (*paths, *more):
            page.goto(path)
            found += faults(page, path)
    site.complaints = [one for one in site.complaints if "/nope" not in one]  # its 404 is what we asked for
    assert [] == found


def _lived_in(site: Site) -> dict[str, Any]:
    """A house where something has happened: a second policy, an open blind review that the lead holds."""
    owner = site.house.browser("policy_owner")
    owner.get("/policies/refund")
    owner.post("/policies/refund", source=POLICY.replace("0.9,", "0.95,"), note="a little more to people")
    site.house.submit(amount=100)
    given = site.house.submit(confidence=0.31, subject="customer 7", external_id="order-7")
    lead = site.house.browser("lead")
    lead.post(f"/reviews/{given['review']['id']}/claim")
    return given


def faults(page: Page, path: str) -> list[str]:
    if path == "/api/docs":
        page.wait_for_selector(".opblock")
    page.evaluate(AXE)
    broken = page.evaluate("([not, rules]) => axe.run({exclude: not}, {runOnly: rules})", [OTHERS, RULES])["violations"]
    found = [f"{path}: {one['id']}: {one['nodes'][0]['html'][:160]}" for one in broken]
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [*found, f"{path}: is {over} px too wide"] if over > 0 else found
