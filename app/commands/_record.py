"""Owns what makes a line of an export sound: strict JSON, whole, and in agreement with itself. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from app.domain.canonical import parse_strict
from app.domain.errors import HandrailError
from app.domain.policy import Tier
from app.domain.review import RULINGS

STATUSES: Final = ("pending", "final", "cancelled")
TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "id": (str,), "decision_type": (str,), "service": (str,), "external_id": (str, type(None)), "model": (dict,),
    "proposal": (dict, type(None)), "proposal_hidden": (bool,),
    "input": (dict, type(None)), "metadata": (dict, type(None)),
    "stakes": (str,), "tier": (str,), "status": (str,), "outcome": (str, type(None)),
    "decided_by": (str, type(None)), "reasons": (list,), "policy": (dict, type(None)), "sampled": (bool,),
    "created_at": (str,), "final_at": (str, type(None)), "reviews": (list,),
}  # fmt: skip


def faults(lines: Iterable[bytes]) -> Iterator[list[str]]:
    """For each line of an export, in order, what is wrong with it as sentences; none when it is sound."""
    seen: set[str] = set()
    services: set[tuple[str, str]] = set()
    for line in lines:
        row, found = _read(line)
        if row is not None:
            found += _repeats(row, seen, services) + list(_contradictions(row))
        yield found


def _read(line: bytes) -> tuple[dict[str, Any] | None, list[str]]:
    """The decision, unless it cannot be read, and why."""
    if not line.endswith(b"\n"):
        return None, ["the line does not end: the file was cut off."]
    try:
        row = parse_strict(line)
    except HandrailError as error:
        return None, [f"not strict JSON: {error.detail}"]
    if not isinstance(row, dict):
        return None, ["not a decision: an export holds one JSON object a line."]
    wrong = [name for name, kinds in TYPES.items() if name not in row or not isinstance(row[name], kinds)]
    wrong += [] if wrong or all(_is_review(one) for one in row["reviews"]) else ["reviews"]
    return (None, [f"missing or of the wrong kind: {', '.join(wrong)}."]) if wrong else (row, [])


def _is_review(value: Any) -> bool:
    if not isinstance(value, dict) or not {"id", "kind", "state", "decision_id"} <= value.keys():
        return False
    said = [value.get("verdicts"), value.get("judgements")]
    return all(isinstance(part, list) and all(isinstance(one, dict) for one in part) for part in said)


def _repeats(row: Mapping[str, Any], seen: set[str], services: set[tuple[str, str]]) -> list[str]:
    found = ["this decision is in the file twice."] if row["id"] in seen else []
    seen.add(row["id"])
    if row["external_id"] is None:
        return found
    name = (row["service"], row["external_id"])
    if name in services and not found:
        found.append("another decision of this service has the same external_id.")
    services.add(name)
    return found


def _contradictions(row: Mapping[str, Any]) -> Iterator[str]:
    if row["status"] not in STATUSES or row["tier"] not in tuple(Tier):
        yield "the status or the tier is none that Handrail knows."
        return
    ended = row["status"] != "pending"
    if (row["final_at"] is not None) != ended:
        yield f"the decision is {row['status']}, which does not fit its final_at."
    if ended and str(row["final_at"]) < row["created_at"]:
        yield "the decision ended before it began."
    for review in row["reviews"]:
        yield from _of_review(row, review)
    if not row["proposal_hidden"]:
        yield from _of_outcome(row)


def _of_review(row: Mapping[str, Any], review: Mapping[str, Any]) -> Iterator[str]:
    if review["decision_id"] != row["id"]:
        yield "a review belongs to another decision."
    if any(one.get("review_id") != review["id"] for one in review["verdicts"]):
        yield "a verdict belongs to another review."
    if any(one.get("action") in RULINGS and not one.get("outcome") for one in review["verdicts"]):
        yield "a verdict that rules has no outcome."


def _of_outcome(row: Mapping[str, Any]) -> Iterator[str]:
    outcome, by = row["outcome"], row["decided_by"]
    if (row["status"] == "final") != (outcome is not None):
        yield f"the decision is {row['status']}, which does not fit its outcome."
        return
    if outcome is None:
        return
    if (row["tier"] == Tier.AUTONOMOUS) != (by == "policy"):
        yield f"the decision is {row['tier']}, which does not fit who decided it."
    if by == "policy" and outcome != (row["proposal"] or {}).get("outcome"):
        yield "the decision went through alone with an outcome that the AI did not propose."
    if by == "reviewer" and outcome not in _ruled(row):
        yield "the decision has an outcome that no reviewer gave."


def _ruled(row: Mapping[str, Any]) -> set[str]:
    gates = [review for review in row["reviews"] if review["kind"] == "gate"]
    return {one["outcome"] for review in gates for one in review["verdicts"] if one.get("outcome")}
