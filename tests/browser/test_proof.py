"""A proof is checked in the page by its own script, under the strict policy; a change of anything in it is found."""

import json

import pytest
from playwright.sync_api import Locator, Page, expect

from app.actions import audit
from tests.browser.conftest import Site
from tests.browser.test_main_job import sign_in
from tests.factories import signer

pytestmark = pytest.mark.browser
CHANGE = """({name, value}) => {
  const place = document.querySelector("[data-proof]");
  const proof = JSON.parse(place.dataset.proof);
  const flip = (text) => text.replace(/[0-9a-f]/, (one) => one === "0" ? "1" : "0");
  proof[name] = value ?? (typeof proof[name] === "string" ? flip(proof[name]) : proof[name] + 1);
  place.dataset.proof = JSON.stringify(proof);
  document.dispatchEvent(new CustomEvent("htmx:afterSettle", {detail: {target: place}}));
}"""


def logged(site: Site) -> str:
    """A log that was signed twice; the id of an event in the middle."""
    site.house.app.state.signer = signer()
    told = site.house.submit()["event"]["id"]
    audit.seal(site.house.db, signer())
    for _ in range(5):
        site.house.submit()
    audit.seal(site.house.db, signer())
    return str(told)


def checked(page: Page) -> Locator:
    return page.get_by_text("Checked in this page", exact=True)


def proof_of(page: Page) -> dict[str, object]:
    found: dict[str, object] = json.loads(page.locator("[data-proof]").get_attribute("data-proof") or "")
    return found


def test_an_events_proof_is_checked_in_the_page_and_every_change_of_it_is_found(embedded_site: Site) -> None:
    told = logged(embedded_site)
    page = embedded_site.window()
    sign_in(page, "auditor")
    page.goto(f"/audit/events/{told}")
    expect(checked(page)).to_be_visible()
    expect(page.get_by_text("hashes and the signature")).to_be_visible()
    path = proof_of(page)["path"]
    assert isinstance(path, list)
    for name, value in (
        ("body", None), ("leaf", None), ("root", None), ("index", None), ("path", path[:-1]), ("path", path[::-1]),
        ("path", [*path, path[0]]), ("size", None), ("note", str(proof_of(page)["note"]).replace("audit", "audio")),
    ):  # fmt: skip
        page.reload()
        expect(checked(page)).to_be_visible()
        page.evaluate(CHANGE, {"name": name, "value": value})
        expect(page.get_by_role("alert")).to_be_visible()
        expect(checked(page)).to_be_hidden()


def test_two_checkpoints_are_compared_in_the_page_from_one_leaf_to_all(embedded_site: Site) -> None:
    logged(embedded_site)
    page = embedded_site.window()
    sign_in(page, "auditor")
    page.goto("/audit/log?from=1")
    size = proof_of(page)["newer"]["size"]  # type: ignore[index]
    for old in range(1, size + 1):
        page.goto(f"/audit/log?from={old}")
        expect(checked(page)).to_be_visible()
    page.goto(f"/audit/log?from={size - 1}")
    page.evaluate(CHANGE, {"name": "path", "value": proof_of(page)["path"][:-1]})  # type: ignore[index]
    expect(page.get_by_role("alert")).to_be_visible()


def test_an_event_is_reached_by_links_and_checked_after_a_swap(embedded_site: Site) -> None:
    logged(embedded_site)
    page = embedded_site.window()
    sign_in(page, "auditor")
    page.get_by_role("link", name="Audit trail").click()
    page.locator("summary").filter(has_text="The AI service submitted").last.click()
    page.get_by_role("link", name="Proof of").filter(visible=True).first.click()
    expect(checked(page)).to_be_visible()
    page.get_by_role("link", name="checkpoint", exact=True).click()
    expect(page.get_by_role("heading", name="Audit log")).to_be_visible()
