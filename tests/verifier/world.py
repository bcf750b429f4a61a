"""A small log of made-up decisions, and bundles of it: as they should be, or as a forger would have them."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.domain.bundle import Proofs, Zip, event_line, json_bytes
from app.domain.canonical import canonical
from app.domain.merkle import consistency, leaf_hash, root
from app.domain.notes import Checkpoint, Key, Signer, SigningKey
from app.verifier.verify import COLUMNS, csv_line

ORIGIN = "log.example.org"
POLICY, TYPE = b'{"policy":1}', b'{"type":1}'
DIGESTS = ["sha256:" + hashlib.sha256(one).hexdigest() for one in (POLICY, TYPE)]
Edit = Callable[["Parts"], None]


def signer(seed: int = 1) -> Signer:
    private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return Signer(ORIGIN, (SigningKey(Key(ORIGIN, 1, private.public_key().public_bytes_raw()), private.sign),))


class Nodes:
    """Nodes of a tree by level and index, each hashed once."""

    def __init__(self, bodies: Iterable[bytes]) -> None:
        self.levels = [[leaf_hash(one) for one in bodies]]
        while len(self.levels[-1]) > 1:
            row = self.levels[-1]
            pairs = zip(row[::2], row[1::2], strict=False)
            self.levels.append([hashlib.sha256(b"\1" + left + right).digest() for left, right in pairs])

    def __call__(self, level: int, index: int) -> bytes:
        return self.levels[level][index]


@dataclass
class Parts:
    """What a bundle is made of, before it is written."""

    members: dict[str, bytes]
    manifest: dict[str, Any]
    checkpoint: str
    key: Signer | None
    order: list[str] = field(default_factory=list)


class World:
    """Appends events as Handrail would; `lines` has the record of each decision."""

    def __init__(self, seed: int = 0) -> None:
        self.random, self.clock, self.ids = Random(seed), 0, 0
        self.bodies: list[bytes] = []
        self.of: dict[str | None, list[int]] = {None: []}
        self.lines: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, int] = {}
        self.people: list[str] = []
        for number in range(2):
            self.tell("person.granted", f"usr_{number}", None, after={"role": "reviewer", "decision_type": "*"})
            self.people.append(f"usr_{number},reviewer,*,{self.at},")

    @property
    def at(self) -> str:
        return f"2026-11-24T10:{self.clock // 1000 % 60:02}:{self.clock // 60000 % 60:02}.{self.clock % 1000:06}Z"

    def id(self, prefix: str) -> str:
        self.ids += 1
        return f"{prefix}_{self.ids:012}"

    def tell(
        self, type: str, object_id: str, decision: str | None, *, before: Any = None, after: Any = None,
        data: Any = None, person: str | None = None, commitments: Any = None,
    ) -> dict[str, Any]:  # fmt: skip
        self.clock += 1
        kind = type.split(".")[0]
        version = None
        if kind in ("decision", "review") and not type.endswith("viewed"):
            self.versions[object_id] = version = self.versions.get(object_id, 0) + 1
        body = {
            "actor": {"id": person or "system", "key": None, "kind": "person", "person": person},
            "after": after, "before": before, "commitments": commitments or {}, "data": data or {},
            "decision": decision,
            "decision_type": "refund" if decision else None, "id": self.id("evt"), "nonce": f"{self.ids:032x}",
            "object": {"id": object_id, "type": kind, "version": version},
            "policy": {"digest": DIGESTS[0], "version": 1} if type.startswith("decision.") and decision else None,
            "request_id": None, "time": self.at, "type": type, "v": 2,
        }  # fmt: skip
        self.of.setdefault(decision, []).append(len(self.bodies))
        self.bodies.append(canonical(body))
        return body

    def commit(self, **texts: str) -> tuple[dict[str, Any], dict[str, str]]:
        salts = {label: self.random.randbytes(16) for label in texts}
        macs = {
            label: hmac.new(salts[label], label.encode() + text.encode(), "sha256").hexdigest()
            for label, text in texts.items()
        }
        return {label: {"text": texts[label], "salt": salts[label].hex()} for label in texts}, macs

    def submit(self, tier: str = "autonomous", kind: str | None = None, required: int = 1) -> dict[str, Any]:
        id, alone = self.id("dec"), tier == "autonomous"
        kind = kind or (None if alone else "gate")
        asked = {"kind": kind, "queue": "refunds", "blind": kind == "sample", "required": required}
        review = {"id": self.id("rev"), **asked} if kind else None
        proposal = {"outcome": "approve", "confidence": 0.97}
        committed, macs = self.commit(
            input=json.dumps({"amount": self.random.randrange(10**6), "note": '"=1+1", über'}, ensure_ascii=False),
            proposal=json.dumps(proposal), metadata="{}", subject=f"customer-{self.ids}",
        )  # fmt: skip
        line = {
            "id": id, "decision_type": "refund", "service": "bot", "external_id": f"=x{self.ids}",
            "model": {"name": "m", "version": None}, "proposal_outcome": "approve", "confidence": "0.97",
            "stakes": "low", "declared_stakes": None, "tier": tier,
            "reasons": [{"code": "sure", "text": "It is sure."}],
            "policy": {"version": 1, "digest": DIGESTS[0]}, "type_digest": DIGESTS[1], "sampled": kind == "sample",
            "inclusion_probability": "0.05", "status": "final" if alone else "pending",
            "outcome": "approve" if alone else None, "decided_by": "policy" if alone else None, "overturned": None,
            "final_at": None, "erased": None, "committed": committed, "reviews": [],
        }  # fmt: skip
        data = {name: line[name] for name in ("type_digest", "inclusion_probability", "model", "confidence", "service")}
        after = {name: line[name] for name in ("status", "tier", "stakes", "outcome", "sampled")}
        data |= {"reasons": ["sure"], "review": review}
        told = self.tell("decision.submitted", id, id, after=after, data=data, commitments=macs)
        line["created_at"], line["final_at"] = told["time"], told["time"] if alone else None
        if review:
            ended = {"state": "open", "level": 0, "outcome": None, "settled_at": None, "escalated": []}
            ended["created_at"] = told["time"]
            line["reviews"] = [review | ended | {"verdicts": [], "judgements": [], "token": 0, "holder": None}]
        self.lines[id] = line
        return line

    def claim(self, line: dict[str, Any], person: str = "usr_0") -> None:
        review = line["reviews"][0]
        before = {"holder": review["holder"], "token": review["token"]}
        review |= {"holder": person, "token": review["token"] + 1}
        after = {"holder": person, "token": review["token"], "until": f"until {review['token']}"}
        told = self.tell("review.claimed", review["id"], line["id"], before=before, after=after, person=person)
        review["claimed"] = told["time"]

    def release(self, line: dict[str, Any]) -> None:
        review = line["reviews"][0]
        before = {"holder": review["holder"], "token": review["token"]}
        self.tell(
            "review.released", review["id"], line["id"], before=before, after={"holder": None}, person=review["holder"]
        )
        review |= {"holder": None, "token": review["token"] + 1}

    def judge(self, line: dict[str, Any], outcome: str = "deny") -> None:
        review = line["reviews"][0]
        committed, macs = self.commit(shown="what was shown")
        data = {"outcome": outcome, "reason_code": "seen", "token": review["token"], "proposal_shown": True}
        told = self.tell(
            "review.judged", review["id"], line["id"], data=data, person=review["holder"], commitments=macs
        )  # fmt: skip
        judged = {"person": review["holder"], "outcome": outcome, "reason_code": "seen", "at": told["time"]}
        review["judgements"].append(judged | {"committed": committed})

    def rule(self, line: dict[str, Any], action: str = "approve", outcome: str | None = "approve") -> None:
        review = line["reviews"][0]
        committed, macs = self.commit(rationale="because, as \u00fc said\nso", shown="what was shown")
        data = {"verdict": self.id("ver"), "action": action, "reason_code": None, "token": review["token"]}
        type = "review.abstained" if action == "abstain" else "review.verdict_given"
        told = self.tell(
            type, review["id"], line["id"], after={"outcome": outcome}, data=data, person=review["holder"],
            commitments=macs,
        )  # fmt: skip
        said = {"id": data["verdict"], "person": review["holder"], "key": None, "action": action, "outcome": outcome}
        said |= {"reason_code": None, "claimed_at": review["claimed"], "at": told["time"], "committed": committed}
        judged = [one["at"] for one in review["judgements"] if one["person"] == review["holder"]]
        said["proposal_shown_at"] = (judged or [None])[0] if review["blind"] else review["claimed"]
        review["verdicts"].append(said)
        review["holder"] = None

    def settle(self, line: dict[str, Any], outcome: str = "approve", by: str = "reviewer") -> None:
        review, state = line["reviews"][0], "settled" if by == "reviewer" else "expired"
        after = {"state": state, "outcome": outcome}
        told = self.tell(f"review.{state}", review["id"], line["id"], after=after, person="usr_0")
        review |= {"state": state, "outcome": outcome, "settled_at": told["time"], "holder": None}
        if review["kind"] == "gate":
            after = {"status": "final", "outcome": outcome, "decided_by": by}
            told = self.tell(
                "decision.finalised", line["id"], line["id"], before={"status": "pending"}, after=after,
                data={"review": review["id"], "agreed_with_ai": True},
            )  # fmt: skip
            line |= {"status": "final", "outcome": outcome, "decided_by": by, "final_at": told["time"]}
        elif outcome != line["outcome"]:
            told = self.tell(
                "decision.overturned", line["id"], line["id"], before={"outcome": line["outcome"]},
                after={"overturned_outcome": outcome}, data={"review": review["id"]},
            )  # fmt: skip
            line["overturned"] = {"outcome": outcome, "at": told["time"]}

    def escalate(self, line: dict[str, Any], why: str = "reviewer") -> None:
        review = line["reviews"][0]
        told = {"before": {"level": review["level"]}, "after": {"level": 1}, "data": {"why": why}}
        at = self.tell("review.escalated", review["id"], line["id"], **told)["time"]
        review |= {"level": 1, "holder": None, "escalated": [*review["escalated"], {"at": at, "why": why}]}

    def cancel(self, line: dict[str, Any]) -> None:
        after = {"status": "cancelled"}
        told = self.tell("decision.cancelled", line["id"], line["id"], before={"status": "pending"}, after=after)
        line |= {"status": "cancelled", "final_at": told["time"]}
        for review in line["reviews"]:
            after = {"state": "cancelled"}
            told = self.tell("review.cancelled", review["id"], line["id"], after=after)
            review |= {"state": "cancelled", "settled_at": told["time"], "holder": None}

    def erase(self, line: dict[str, Any], *, tell: bool = True) -> None:
        places = [line, *(one for review in line["reviews"] for one in review["verdicts"] + review["judgements"])]
        gone = {}
        for index in self.of[line["id"]]:
            body = json.loads(self.bodies[index])
            gone |= {f"{body['id']} {label}": one for label, one in body["commitments"].items()}
        for one in places:
            one["committed"] = {}
        if tell:
            data = {"commitments": gone, "under": "request"}
            told = self.tell("decision.erased", line["id"], line["id"], data=data, person="usr_1")
            line["erased"] = {"at": told["time"], "by": "usr_1", "event": told["id"], "under": "request"}

    def some(self, rounds: int = 1) -> "World":
        """Decisions of every kind."""
        for _ in range(rounds):
            for _ in range(4):
                self.submit()
            gate, sample, split, passed = (
                self.submit("review_required"), self.submit(kind="sample"),
                self.submit("review_required", required=2), self.submit("human_decides"),
            )  # fmt: skip
            late, gone, waiting = (
                self.submit("review_required"),
                self.submit("human_decides"),
                self.submit("human_decides"),
            )
            self.tell("person.signed_in", "usr_0", None, person="usr_0")
            self.claim(gate)
            self.release(gate)
            self.claim(gate, "usr_1")
            self.tell("decision.viewed", gate["id"], gate["id"], person="usr_1")
            self.rule(gate)
            self.settle(gate)
            self.claim(sample)
            self.judge(sample)
            self.rule(sample, "override", "deny")
            self.settle(sample, "deny")
            for person, outcome in (("usr_0", "approve"), ("usr_1", "deny")):
                self.claim(split, person)
                self.rule(split, "approve" if outcome == "approve" else "override", outcome)
            self.escalate(split, "split")
            self.claim(split, "usr_2")
            self.rule(split, "override", "deny")
            self.settle(split, "deny")
            self.claim(passed)
            self.rule(passed, "escalate", None)
            self.escalate(passed)
            self.claim(passed, "usr_1")
            self.rule(passed, "abstain", None)
            self.settle(late, "deny", "timeout")
            self.cancel(gone)
            self.claim(waiting)
        return self

    def parts(
        self, key: Signer | None = None, since: Iterable[int] = (), only: Callable[[str], bool] | None = None
    ) -> Parts:
        """A bundle's contents; `only` leaves decisions out, as a filter does."""
        lines = {id: line for id, line in sorted(self.lines.items()) if only is None or only(id)}
        nodes, size = Nodes(self.bodies), len(self.bodies)
        top, proofs = root(nodes.levels[0]), Proofs(size)
        places = [index for id in (None, *lines) for index in self.of[id]]
        told = b"".join(event_line(index, self.bodies[index], proofs.next(nodes, index)) for index in places)
        said = [one for line in lines.values() for review in line["reviews"] for one in review["verdicts"]]
        text = Checkpoint(ORIGIN, size, top).text
        members = {
            "decisions.jsonl": b"".join(json_bytes(line) + b"\n" for line in lines.values()),
            "decisions.csv": (",".join(COLUMNS) + "\r\n" + "".join(map(csv_line, lines.values()))).encode(),
            "events.jsonl": told,
            "policies/refund-v1.json": POLICY,
            f"types/refund-{DIGESTS[1][7:]}.json": TYPE,
            "people.csv": "".join(
                f"{row}\n" for row in ["person,role,decision_type,from,until", *self.people]
            ).encode(),
            "consistency.json": json_bytes({n: [one.hex() for one in consistency(nodes, n, size)] for n in since}),
            "VERIFY.md": b"How to verify.\n",
            "verify.py": b"print('verify')\n",
        }
        counts = {"decisions": len(lines), "events": len(places), "verdicts": len(said), "people": 2, "policies": 1}
        counts["reviews"] = sum(len(line["reviews"]) for line in lines.values())
        manifest = {
            "format": "handrail-bundle/1", "origin": ORIGIN, "vkeys": list(key.vkeys) if key else [],
            "scope": {"from": None, "to": None, "decision_type": None}, "asked_by": "usr_0", "asked_at": self.at,
            "schema": 7, "counts": counts, "whole_log": only is None, "checkpoint": {"size": size, "root": top.hex()},
        }  # fmt: skip
        return Parts(members, manifest, key.note(text) if key else text + "\n", key)

    def bundle(self, key: Signer | None = None, edit: Edit = lambda parts: None, **how: Any) -> bytes:
        """The zip; `edit` changes its contents before the manifest is made."""
        parts = self.parts(key, **how)
        edit(parts)
        return written(parts)


def written(parts: Parts) -> bytes:
    archive, out = Zip(), b""
    members = dict(parts.members)
    late = {name: members.pop(name) for name in ("VERIFY.md", "verify.py") if name in members}
    for name, content in (members | {"checkpoint.txt": parts.checkpoint.encode()} | late).items():
        out += b"".join(archive.deflated(name, [content]))
    files = {
        name: {"bytes": one.bytes, "sha256": one.sha256, "packed_sha256": one.packed_sha256}
        for name, one in archive.files.items()
    }
    manifest = json_bytes(parts.manifest | {"files": files})
    out += archive.stored("manifest.json", manifest)
    if parts.key:
        digest = base64.b64encode(hashlib.sha256(manifest).digest()).decode()
        out += archive.stored("manifest.sig", parts.key.note(f"{ORIGIN}/bundle\n{digest}\n").encode())
    return out + archive.ended()
