"""Whatever is changed in a bundle is found: any bit of the file, any event, and what a forger rewrites with care."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from app.domain.canonical import canonical
from app.domain.merkle import consistency, leaf_hash, root
from app.domain.notes import Checkpoint
from tests.verifier.conftest import Verify
from tests.verifier.world import ORIGIN, Nodes, Parts, World, signer, written

KEY = signer()


def test_every_flipped_bit_is_found(verify: Verify) -> None:
    raw, random = World().some().bundle(KEY), Random(1)
    for _ in range(1500):
        changed = bytearray(raw)
        changed[random.randrange(len(raw))] ^= 1 << random.randrange(8)
        code, said = verify(bytes(changed))
        assert (1, True) == (code, bool(said.strip()))


def test_every_byte_of_the_headers_counts_even_without_a_key(verify: Verify) -> None:
    world = World()
    world.submit()
    raw = world.bundle(None)
    for place in [*range(60), *range(len(raw) - 400, len(raw))]:
        changed = bytearray(raw)
        changed[place] ^= 0x10
        assert 1 == verify(bytes(changed))[0], place


@pytest.mark.parametrize("cut", ["front", "back", "both"])
def test_a_file_that_was_cut_or_lengthened_is_found(verify: Verify, cut: str) -> None:
    raw, random = World().some().bundle(KEY), Random(2)
    for _ in range(100):
        n = random.randrange(1, len(raw))
        changed = {"front": raw[n:], "back": raw[:-n], "both": bytes(n % 9 + 1) + raw}[cut]
        assert 1 == verify(changed)[0]


Change = Callable[[list[Any], Random], list[Any]]


def drop(lines: list[Any], random: Random) -> list[Any]:
    at = random.randrange(len(lines))
    return lines[:at] + lines[at + 1 :]


def twice(lines: list[Any], random: Random) -> list[Any]:
    at = random.randrange(len(lines))
    return [*lines[: at + 1], *lines[at:]]


def swapped(lines: list[Any], random: Random) -> list[Any]:
    a, b = random.sample(range(len(lines)), 2)
    lines[a], lines[b] = lines[b], lines[a]
    return lines


def cut(lines: list[Any], random: Random) -> list[Any]:
    return lines[: random.randrange(len(lines))]


@pytest.mark.parametrize("name", ["events.jsonl", "decisions.jsonl", "decisions.csv"])
@pytest.mark.parametrize("change", [drop, twice, swapped, cut])
def test_lines_that_the_operator_leaves_out_or_moves_are_found_though_all_is_signed_again(
    verify: Verify, change: Change, name: str
) -> None:
    world, random = World().some(2), Random(3)
    for _ in range(60):

        def edit(parts: Parts) -> None:
            lines = parts.members[name].splitlines(keepends=True)
            parts.members[name] = b"".join(change(lines, random))

        code, _ = verify(world.bundle(KEY, edit))
        assert 1 == code


def test_any_field_of_the_record_that_no_longer_says_what_the_events_say_is_found(verify: Verify) -> None:
    """Signed again, by who has the key, after one value in decisions.jsonl (and the CSV with it) was changed."""
    world, random = World().some(), Random(4)
    names = [
        "status", "tier", "stakes", "outcome", "policy", "reasons", "sampled", "inclusion_probability", "confidence",
        "decided_by", "overturned", "created_at", "final_at", "model", "service", "proposal_outcome", "type_digest",
        "decision_type", "reviews", "committed", "erased",
    ]  # fmt: skip
    for name in names * 5:
        id = random.choice(list(world.lines))
        value, other = world.lines[id][name], {"service": "x", "reasons": [], "reviews": [{}], "committed": {}}
        world.lines[id][name] = other.get(name, "changed" if value != "changed" else None)
        if name in ("model", "policy", "overturned", "erased"):
            world.lines[id][name] = {"outcome": "x", "at": "x"} if not value else None
        if name == "reviews":
            world.lines[id][name] = value[:-1] if value else [{"id": "rev_x", "verdicts": [], "judgements": []}]
        code, said = verify(world.bundle(KEY))
        assert (1, True) == (code, id in said), name
        world.lines[id][name] = value


def test_any_change_of_what_reviewers_said_is_found(verify: Verify) -> None:
    world = World().some()
    said = [v for line in world.lines.values() for review in line["reviews"] for v in review["verdicts"]]
    judged = [j for line in world.lines.values() for review in line["reviews"] for j in review["judgements"]]
    found = 0
    for one in said + judged:
        for name, value in list(one.items()):
            one[name] = {} if name == "committed" else "changed"
            found += verify(world.bundle(KEY))[0]
            one[name] = value
        for label in one["committed"]:
            text = one["committed"][label]["text"]
            one["committed"][label]["text"] = text + " "
            found += verify(world.bundle(KEY))[0]
            one["committed"][label]["text"] = text
    assert sum(len(one) + len(one["committed"]) for one in said + judged) == found


def test_any_change_of_a_review_is_found(verify: Verify) -> None:
    """Of those in whose place the events have something: due times and priorities have the manifest's signature."""
    world, places = World().some(), "kind queue blind required state level outcome settled_at escalated created_at"
    reviews = [review for line in world.lines.values() for review in line["reviews"]]
    found = 0
    for one in reviews:
        for name in places.split():
            value, one[name] = one[name], "changed"
            found += verify(world.bundle(KEY))[0]
            one[name] = value
    assert len(reviews) * len(places.split()) == found


def test_a_forger_without_the_key_can_rewrite_nothing(verify: Verify) -> None:
    forged = World().some()
    forged.lines["dec_000000000003"]["outcome"] = "deny"
    raw = forged.bundle(signer(9))
    assert 1 == verify(raw, "--key", KEY.vkeys[0])[0]
    parts = World().some().parts(KEY)
    parts.members["VERIFY.md"] += b"Trust us.\n"
    parts.key = None
    assert 1 == verify(written(parts), "--key", KEY.vkeys[0])[0]


def test_a_log_that_was_rewritten_does_not_go_on_from_an_older_checkpoint(verify: Verify) -> None:
    world, random = World().some(2), Random(5)
    honest = list(world.bodies)
    for _ in range(150):
        size = random.randrange(1, len(honest))
        note = KEY.note(Checkpoint(ORIGIN, size, root(map(leaf_hash, honest[:size]))).text)
        place = random.randrange(size)
        world.bodies = list(honest)
        world.bodies[place] = world.bodies[place].replace(b'"nonce":"0', b'"nonce":"f')
        code, said = verify(world.bundle(KEY, since=range(1, len(honest))), since=note)
        assert (1, True) == (code, "rewritten" in said)


def test_a_log_that_went_back_or_another_one_is_found(verify: Verify) -> None:
    world = World().some()
    bundle, size = world.bundle(KEY), len(world.bodies)
    later = World().some(2)
    note = KEY.note(Checkpoint(ORIGIN, size + 1, root(map(leaf_hash, later.bodies[: size + 1]))).text)
    assert "went back" in verify(bundle, since=note)[1]
    other = KEY.note(Checkpoint(f"{ORIGIN}/other", 1, bytes(32)).text)
    assert "another log" in verify(bundle, since=other)[1]
    fork = KEY.note(Checkpoint(ORIGIN, size, bytes(32)).text)
    assert "rewritten" in verify(bundle, since=fork)[1]
    nodes = Nodes(world.bodies)

    def lie(parts: Parts) -> None:
        proof = [bytes(32) for _ in consistency(nodes, 5, size)]
        parts.members["consistency.json"] = json.dumps({"5": [one.hex() for one in proof]}).encode()

    note = KEY.note(Checkpoint(ORIGIN, 5, root(map(leaf_hash, world.bodies[:5]))).text)
    assert 1 == verify(world.bundle(KEY, lie), since=note)[0]


IMPOSSIBLE: list[tuple[str, Callable[[World, dict[str, Any]], None]]] = [
    ("somebody else still held", lambda world, line: world.claim(line, "usr_1")),
    ("did not hold the review", lambda world, line: (line["reviews"][0].update(holder="usr_1"), world.rule(line))),  # type: ignore[list-item]
    ("no reviewer had just ruled so", lambda world, line: world.settle(line, "deny")),
    ("had not disagreed", lambda world, line: world.escalate(line, "split")),
    ("no reviewer had passed it on", lambda world, line: world.escalate(line, "reviewer")),
    ("was settled already", lambda world, line: (world.rule(line), world.settle(line), world.settle(line))),  # type: ignore[list-item]
]  # fmt: skip


@pytest.mark.parametrize(("words", "happens"), IMPOSSIBLE, ids=[words for words, _ in IMPOSSIBLE])
def test_the_first_impossible_step_is_named(
    verify: Verify, words: str, happens: Callable[[World, dict[str, Any]], None]
) -> None:
    world = World()
    line = world.submit("review_required")
    world.claim(line)
    happens(world, line)
    code, said = verify(world.bundle(KEY))
    assert (1, True) == (code, words in said), said


def test_an_event_that_is_missing_within_a_decision_is_named_by_its_version(verify: Verify) -> None:
    world = World()
    line = world.submit("review_required")
    world.claim(line)
    world.versions[line["reviews"][0]["id"]] += 1
    world.rule(line)
    code, said = verify(world.bundle(KEY))
    assert (1, True) == (code, f"version 2 of {line['reviews'][0]['id']} is missing" in said)


def test_another_policy_text_is_found(verify: Verify) -> None:
    world = World().some()

    def change(parts: Parts) -> None:
        parts.members["policies/refund-v1.json"] = b'{"policy":2}'

    def leave_out(parts: Parts) -> None:
        del parts.members["policies/refund-v1.json"]

    assert "name by its digest" in verify(world.bundle(KEY, change))[1]
    assert "is missing, though a decision was made under it" in verify(world.bundle(KEY, leave_out))[1]


def test_an_event_from_before_versions_beside_a_numbered_submission_is_refused(verify: Verify) -> None:
    """Else one such event would switch off the replay of a decision."""
    world = World().some()
    line = world.submit("review_required")
    told = world.tell("review.overdue", line["reviews"][0]["id"], line["id"])
    del told["object"]["version"]
    world.bodies[-1] = canonical(told | {"v": 1, "data": {"digests": {}}})
    code, said = verify(world.bundle(KEY))
    assert (1, True) == (code, "it was submitted with numbered events" in said)
