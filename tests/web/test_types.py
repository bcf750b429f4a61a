"""A decision type in the browser: archived and restored; a decision's page tells an auditor its replay."""

from tests.web.house import House


def test_a_type_is_archived_and_restored_on_its_page(house: House) -> None:
    browser = house.browser("policy_owner")
    assert "Archive this type" in browser.get("/types/refund")
    browser.post("/types/refund/archive")
    assert "Archived: no new decisions are taken; what waits is still decided." == browser.notice
    assert "Archive this type" not in browser.text
    browser.post("/types/refund/restore")
    assert "Restored: decisions of this type are taken again." == browser.notice


def test_who_may_not_change_types_gets_no_button_and_no_way(house: House) -> None:
    browser = house.browser("reviewer")
    assert "Archive this type" not in browser.get("/types/refund")
    browser.post("/types/refund/archive")
    assert 403 == browser.status


def test_an_auditor_reads_on_the_page_that_the_route_is_the_same_again(house: House) -> None:
    told = house.submit()
    line = "Routed again with policy version 1: the same tier, stakes, sample draw and reasons."
    assert line in house.browser("auditor").get(f"/decisions/{told['id']}")
    assert "Routed again" not in house.browser("reviewer").get(f"/decisions/{told['id']}")
