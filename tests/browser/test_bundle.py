"""A bundle is made in the page: it is seen coming, saved when it is whole, and never when it is not."""

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Download, Page, expect
from structlog.testing import capture_logs

from app.actions import audit, bundles, people
from app.domain.access import SYSTEM
from app.verifier import verify
from app.web import exports
from tests.browser.conftest import Site
from tests.browser.test_main_job import faults, sign_in
from tests.factories import signer

pytestmark = pytest.mark.browser
Change = Callable[[bytes], Iterator[bytes]]


def opened(site: Site) -> Page:
    """The export page of a signed log, before an auditor."""
    site.house.app.state.signer = signer()
    for number in range(40):
        site.house.submit(external_id=f"order-{number}")
    audit.seal(site.house.db, signer())
    page = site.window()
    sign_in(page, "auditor")
    page.get_by_role("navigation").get_by_role("link", name="Export").click()
    return page


def made(page: Page) -> None:
    page.get_by_role("button", name="Make bundle").click()


def forgive(site: Site, *words: str) -> None:
    """Take out the complaints that the test asked for."""
    site.complaints = [one for one in site.complaints if not any(word in one for word in words)]


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Change], None]:
    """Sends what a change makes of a bundle's bytes."""
    real = bundles.bundle

    def put(change: Change) -> None:
        def bundle(*args: Any, **named: Any) -> Iterator[bytes]:
            return change(b"".join(real(*args, **named)))

        monkeypatch.setattr(exports.bundles, "bundle", bundle)

    return put


@pytest.fixture
def gate(changed: Callable[[Change], None]) -> Iterator[threading.Event]:
    """The second half of a bundle waits for it."""
    gate = threading.Event()

    def halved(whole: bytes) -> Iterator[bytes]:
        yield whole[: len(whole) // 2]
        gate.wait(60)
        yield whole[len(whole) // 2 :]

    changed(halved)
    yield gate
    gate.set()


def test_a_bundle_is_seen_coming_and_what_is_saved_verifies(site: Site, gate: threading.Event, tmp_path: Path) -> None:
    page = opened(site)
    made(page)
    bar = page.get_by_role("progressbar", name="Making the bundle")
    expect(bar).to_have_attribute("value", re.compile(r"0\.[4-7]"))
    expect(page.get_by_text(re.compile(r"^[\d.]+ kB of about [\d.]+ kB$"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"^about \d+ events, 0:\d\d"))).to_be_visible()
    heard = page.get_by_role("status").filter(has_text="of the bundle is here")
    expect(heard).to_have_text(re.compile("About (25|50) %"))
    expect(page.get_by_role("button", name="Make bundle")).to_be_disabled()
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    assert [] == faults(page, "while it comes")
    with page.expect_download() as download:
        gate.set()
    assert "handrail-bundle.zip" == download.value.suggested_filename
    file = tmp_path / "bundle.zip"
    download.value.save_as(file)
    expect(page.get_by_role("status").filter(has_text="Saved: handrail-bundle.zip")).to_be_visible()
    expect(bar).to_be_hidden()
    expect(page.get_by_role("button", name="Make bundle")).to_be_focused()
    assert [] == faults(page, "when it is saved")
    assert 0 == verify.main([str(file)])
    with page.expect_download() as again:
        page.get_by_role("link", name="Save it again").click()
    assert file.read_bytes() == Path(again.value.path()).read_bytes()


def test_a_bundle_goes_on_while_other_pages_are_looked_at(embedded_site: Site, gate: threading.Event) -> None:
    page = opened(embedded_site)
    made(page)
    page.get_by_role("link", name="Audit trail").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Audit trail")
    page.get_by_role("navigation").get_by_role("link", name="Export").click()
    expect(page.get_by_role("progressbar", name="Making the bundle")).to_be_visible()
    with page.expect_download():
        gate.set()
    expect(page.locator("[data-ended=saved]")).to_contain_text("Saved: handrail-bundle.zip")


def test_a_bundle_that_is_cancelled_is_not_saved(embedded_site: Site, gate: threading.Event) -> None:
    page, saved = opened(embedded_site), list[Download]()
    page.on("download", lambda one: saved.append(one))
    made(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status").filter(has_text="Cancelled: nothing was saved.")).to_be_visible()
    expect(page.get_by_role("button", name="Make bundle")).to_be_focused()
    gate.set()
    with page.expect_download():
        made(page)
    expect(page.locator("[data-ended=saved]")).to_contain_text("Saved: handrail-bundle.zip")
    assert 1 == len(saved)


def broken(whole: bytes) -> Iterator[bytes]:
    yield whole[: len(whole) // 2]
    raise RuntimeError("the server falls over")


def cut(whole: bytes) -> Iterator[bytes]:
    yield whole[:-30]


@pytest.mark.parametrize("change", [broken, cut])
def test_a_stream_that_breaks_off_is_never_saved(
    embedded_site: Site, changed: Callable[[Change], None], change: Change
) -> None:
    page, saved = opened(embedded_site), list[Download]()
    page.on("download", lambda one: saved.append(one))
    changed(change)
    with capture_logs():  # without it the traceback is painted with all locals, which takes seconds
        _sees_it_break(page)
    assert [] == saved
    forgive(embedded_site, "ERR_INCOMPLETE_CHUNKED_ENCODING")


def _sees_it_break(page: Page) -> None:
    made(page)
    alert = page.get_by_role("alert").filter(has_text="It is not whole, so nothing was saved.")
    expect(alert).to_contain_text(re.compile(r"broke off after [\d.]+ kB"))


def test_a_bundle_that_would_show_a_blind_proposal_is_refused_in_a_sentence(site: Site) -> None:
    site.house.submit(confidence=0.31)
    people.grant(site.house.db, SYSTEM, site.house.ids["auditor"], "reviewer")
    page = opened(site)
    made(page)
    alert = page.get_by_role("alert").filter(has_text="Things have moved on")
    expect(alert).to_contain_text("A review is open that hides its proposal from you")
    expect(alert).to_contain_text("or wait until it is settled.")
    expect(page.get_by_role("heading", level=1)).to_have_text("Export")
    forgive(site, "409")


def test_a_session_that_ended_and_a_server_that_is_away_are_said(embedded_site: Site) -> None:
    page = opened(embedded_site)
    cookies = page.context.cookies()
    page.context.clear_cookies()
    made(page)
    expect(page.get_by_role("alert").filter(has_text="Your session has ended, so nothing was saved.")).to_be_visible()
    page.context.add_cookies(cookies)  # type: ignore[arg-type]
    page.context.set_offline(True)
    made(page)
    expect(page.get_by_role("alert").filter(has_text="Handrail does not answer, so nothing was saved.")).to_be_visible()
    page.context.set_offline(False)
    forgive(embedded_site, "ERR_INTERNET_DISCONNECTED")


def test_a_very_large_bundle_is_left_to_the_browsers_own_download(
    embedded_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PACKED", 10_000_000)
    page = opened(embedded_site)
    with page.expect_download() as download:
        made(page)
    assert download.value.url.startswith(embedded_site.url)
    expect(
        page.locator("[data-ended=left]").get_by_text("Your browser downloads it by itself, and shows how far it is.")
    ).to_be_visible()


def test_without_scripts_the_button_downloads(embedded_site: Site) -> None:
    opened(embedded_site)
    page = embedded_site.window(java_script_enabled=False)
    sign_in(page, "auditor")
    page.goto("/exports")
    with page.expect_download() as download:
        made(page)
    assert 0 == verify.main([str(download.value.path())])
