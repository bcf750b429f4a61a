"""One key is one decision, whoever asks at once, and wherever the reply is lost."""

import threading
import time
from typing import Any

from tests.faults import history
from tests.faults.clients import Answer, Call, Door, submission, verdict
from tests.faults.conftest import Amount, Report
from tests.faults.proxy import Proxy
from tests.faults.site import Site


def test_a_hundred_threads_with_one_key_make_one_decision(site: Site, amount: Amount, report: Report) -> None:
    (port,) = site.serve()
    doors = [site.door(port, "service") for _ in range(amount.twins)]
    answers = _at_once(doors, submission("twin", external=False), Idempotency_Key="the-same")
    report("threads with one key", threads=len(answers), answers=len({a.text for a in answers}), faults=0)
    assert ([201] * amount.twins, 1) == ([a.status for a in answers], len({a.text for a in answers}))
    assert 1 == len(history.read(site.db).decisions)


def _at_once(doors: list[Door], body: Any, **headers: str) -> list[Answer]:
    gate, answers = threading.Barrier(len(doors)), []

    def ask(door: Door) -> None:
        gate.wait()
        answers.append(door.ask("POST", "/decisions", body, **headers))

    threads = [threading.Thread(target=ask, args=(door,)) for door in doors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_a_reply_that_is_lost_after_the_commit_is_found_again(site: Site, amount: Amount, report: Report) -> None:
    (port,) = site.serve()
    lost = 0
    with Proxy(("127.0.0.1", port)) as proxy:
        for number in range(amount.cuts):
            proxy.reply_limit = number * 7  # within the status line, the headers, the body
            lost += _submit_twice(site, proxy, port, number) + _rule_twice(site, proxy, port, number)
    broken = site.faults()
    report("replies lost after the commit", lost=lost, found_again=lost, faults=len(broken))
    assert (amount.cuts * 2, []) == (lost, broken)


def _submit_twice(site: Site, proxy: Proxy, port: int, number: int) -> bool:
    body = submission(f"cut-{number}", external=number % 2 == 0)
    headers = {} if number % 2 == 0 else {"Idempotency_Key": f"cut-{number}"}
    return _twice(
        site, proxy, port, Call("submit", "service", body, 0, 0, Answer(0, "")), "/decisions", body, **headers
    )


def _rule_twice(site: Site, proxy: Proxy, port: int, number: int) -> bool:
    one, claim = site.claim_next(port, site.reviewers[number % len(site.reviewers)])
    review, token = claim.answer.json["id"], claim.answer.json["lease"]["token"]
    asked = {"review": review, "token": token, "outcome": "deny"}
    call = Call("verdict", one.name, asked, 0, 0, Answer(0, ""))
    said = verdict(token, "deny")
    return _twice(site, proxy, port, call, f"/reviews/{review}/verdict", said, Idempotency_Key=f"v-{number}")


def _twice(site: Site, proxy: Proxy, port: int, call: Call, path: str, body: Any, **headers: str) -> bool:
    """Ask through the proxy, which loses a reply (so there was one), then without it; whether that found the first."""
    call.start = time.monotonic()
    first = site.door(proxy.port, call.who, patience=10).ask("POST", path, body, **headers)
    call.answer = site.door(port, call.who).ask("POST", path, body, **headers)
    call.end = time.monotonic()
    site.record.keep(call)
    return first.status == 0 and "idempotent-replayed" in call.answer.headers
