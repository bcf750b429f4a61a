"""People and keys in the browser."""

from tests.web.house import House


def test_a_new_person_gets_a_password_shown_once_and_can_sign_in_with_it(house: House) -> None:
    admin = house.browser("admin")
    admin.get("/people")
    admin.post("/people", name="Eva Ek", email="Eva@example.org", role="reviewer", decision_type="refund")
    password = admin.text.split('<output class="mono">')[1].split("</output>")[0]
    assert password not in admin.get("/people")
    newcomer = house.browser()
    newcomer.get("/sign-in")
    newcomer.post("/sign-in", email="eva@example.org", password=password)
    assert "/queue" == newcomer.path


def test_a_taken_email_is_said_beside_the_field_and_nothing_typed_is_lost(house: House) -> None:
    admin = house.browser("admin")
    admin.get("/people")
    admin.post("/people", name="Eva Ek", email="other@example.org", role="lead", decision_type="*")
    assert 409 == admin.status
    assert 'id="email-error"' in admin.text
    assert 'value="Eva Ek"' in admin.text


def test_disabling_ends_sessions_and_enabling_lets_in_again(house: House) -> None:
    admin, browser = house.browser("admin"), house.browser("reviewer")
    path = f"/people/{house.ids['reviewer']}"
    admin.get(path)
    admin.post(f"{path}/disable")
    assert "Disabled" in admin.text
    browser.get("/queue")
    assert browser.path.startswith("/sign-in")
    admin.post(f"{path}/enable")
    back = house.browser("reviewer")
    back.get("/queue")
    assert "/queue" == back.path


def test_roles_are_given_and_taken_away_at_once(house: House) -> None:
    admin, browser = house.browser("admin"), house.browser("reviewer")
    path = f"/people/{house.ids['reviewer']}"
    admin.get(path)
    admin.post(f"{path}/grants", role="auditor", decision_type="*")
    assert "The role is given." == admin.notice
    browser.get("/audit")
    assert 200 == browser.status
    admin.post(f"{path}/grants/revoke", role="auditor", decision_type="*")
    browser.get("/audit")
    assert 403 == browser.status


def test_the_last_administrator_stays(house: House) -> None:
    admin = house.browser("admin")
    path = f"/people/{house.ids['admin']}"
    admin.get(path)
    admin.post(f"{path}/grants/revoke", role="admin", decision_type="*")
    assert 409 == admin.status
    assert "nobody to manage people" in admin.notice


def test_a_key_is_shown_once_and_stops_when_it_is_revoked(house: House) -> None:
    admin = house.browser("admin")
    admin.get("/keys")
    admin.post("/keys", name="bot", scope=["decisions:write", "decisions:read"], person_id="", expires_on="2999-01-01")
    key = admin.text.split('<output class="mono">')[1].split("</output>")[0]
    assert key.startswith("hr_")
    assert key not in admin.get("/keys")
    house.key, public = key, key.split("_")[1]
    assert house.submit()["id"].startswith("dec_")
    key_id = admin.text.split(f"hr_{public}")[0].rsplit('id="key_', 1)[1].split('"')[0]
    admin.post(f"/keys/key_{key_id}/revoke")
    assert "it stops working at once" in admin.notice


def test_a_wrong_key_form_keeps_what_was_chosen(house: House) -> None:
    admin = house.browser("admin")
    admin.get("/keys")
    admin.post("/keys", name="bot", scope=["reviews:write"], person_id="", expires_on="")
    assert 422 == admin.status
    assert 'value="reviews:write" checked' in admin.text
    assert "needs a person to act as" in admin.text


def test_changing_the_password_needs_the_old_one_and_ends_other_sessions(house: House) -> None:
    here, there = house.browser("reviewer"), house.browser("reviewer")
    here.get("/account")
    fields = {"current": "wrong", "new": "a new long password", "again": "a new long password"}
    here.post("/account/password", **fields)
    assert 'id="current-error"' in here.text
    here.post("/account/password", **fields | {"current": "correct horse battery", "again": "another"})
    assert 'id="again-error"' in here.text
    here.post("/account/password", **fields | {"current": "correct horse battery", "new": "short", "again": "short"})
    assert 'id="new-error"' in here.text
    here.post("/account/password", **fields | {"current": "correct horse battery"})
    assert "Your password is changed" in here.notice
    there.get("/queue")
    assert (True, 200) == (there.path.startswith("/sign-in"), here.status)
