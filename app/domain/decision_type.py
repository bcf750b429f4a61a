"""Owns the decision type's document: outcomes, reasons, input schema, guidance; and checking an input against it.

Must not fetch anything: schemas are self-contained.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs

from app.domain.canonical import canonical, digest, is_json_like
from app.domain.document_text import read_document
from app.domain.documents import SLUG, SLUG_WORDS, Section, escape, fractions_as_text, refuse, seconds_of
from app.domain.errors import Fault
from app.domain.schema_words import schema_faults

OUTCOME_KEY: Final = re.compile(r"[A-Za-z0-9_.:<>=+-]{1,64}")
OUTCOME_WORDS: Final = "1 to 64 letters, digits or any of _ . : < > = + -"
MAX_INPUT_FAULTS: Final = 20
INVALID: Final = "type_invalid"
RETENTION_FLOOR: Final = 183  # days: six months, which EU AI Act articles 19 and 26(6) ask for at least
RETENTION_MOST: Final = 36_500

_UNCHECKABLE: Final = Fault("/input", "cannot be checked against the schema.")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way a decision can end. `approving` outcomes let something happen; a timeout never gives one."""

    key: str
    title: str
    approving: bool


@dataclass(frozen=True, slots=True)
class ReasonCode:
    """Why a reviewer overrode or decided, as a key that can be counted and a title that can be read."""

    key: str
    title: str


@dataclass(frozen=True, slots=True, eq=False)
class DecisionType:
    """A decision type, read. `document` has every default made explicit; `digest` names it (sha256:hex)."""

    slug: str
    title: str
    owner: str | None
    outcomes: tuple[Outcome, ...]
    reason_codes: tuple[ReasonCode, ...]
    input_schema: Mapping[str, Any]
    guidance: str
    queue: str
    on_invalid_input: str
    rationale: str
    lease_seconds: int
    retention_days: int | None
    legal_hold: bool
    document: Mapping[str, Any]
    digest: str
    validator: Any

    @property
    def outcome_keys(self) -> tuple[str, ...]:
        return tuple(outcome.key for outcome in self.outcomes)

    @property
    def reason_keys(self) -> tuple[str, ...]:
        return tuple(reason.key for reason in self.reason_codes)

    def title_of(self, outcome: str) -> str:
        """The outcome's title; the key itself when the type no longer has it."""
        return next((known.title for known in self.outcomes if known.key == outcome), outcome)

    def approves(self, outcome: str) -> bool:
        """Whether the outcome lets something happen; an outcome that the type does not have does not."""
        return any(known.approving for known in self.outcomes if known.key == outcome)


def parse_decision_type(source: str | Mapping[str, Any]) -> DecisionType:
    """Read a decision type from YAML or JSON text or a mapping. Raises Invalid (type_invalid) with every fault."""
    faults: list[Fault] = []
    root = Section(read_document(source, code=INVALID), "", faults)
    slug = root.text("slug", pattern=SLUG, words=SLUG_WORDS)
    title = root.text("title")
    owner = root.text("owner", "") or None
    outcomes = _outcomes(root)
    reason_codes = _reason_codes(root)
    schema = _schema(root)
    validator = _validator(schema, root.at("input_schema"), faults)
    guidance = _guidance(root)
    queue = root.text("queue", slug, pattern=SLUG, words=SLUG_WORDS)
    on_invalid_input = root.choice("on_invalid_input", ("reject", "human_decides"), "reject")
    rationale = root.choice("rationale", ("never", "override", "always"), "override")
    lease = root.duration("lease", "15m") or "15m"
    retention = _retention(root)
    legal_hold = _flag(root, "legal_hold")
    root.close()
    refuse(faults, INVALID)
    document: dict[str, Any] = {
        "slug": slug, "title": title, "owner": owner,
        "outcomes": [{"key": one.key, "title": one.title, "approving": one.approving} for one in outcomes],
        "reason_codes": [{"key": one.key, "title": one.title} for one in reason_codes],
        "input_schema": schema, "guidance": guidance, "queue": queue,
        "on_invalid_input": on_invalid_input, "rationale": rationale, "lease": lease,
    }  # fmt: skip
    # Only where they are said, so that the digests of documents from before stay what they were.
    document |= {"retention": {"days": retention}} if retention else {}
    document |= {"legal_hold": True} if legal_hold else {}
    return DecisionType(
        slug, title, owner, outcomes, reason_codes, schema, guidance, queue, on_invalid_input, rationale,
        seconds_of(lease) or 0, retention, legal_hold, document, digest(canonical(fractions_as_text(document))),
        validator,
    )  # fmt: skip


@lru_cache(maxsize=256)
def cached_type(document_json: str) -> DecisionType:
    """The type of a stored document, compiled once per text."""
    return parse_decision_type(json.loads(document_json))


def input_faults(decision_type: DecisionType, value: Any) -> tuple[Fault, ...]:
    """What in `value` does not match the type's schema: pointers under /input, at most 20, no value echoed."""
    if not is_json_like(value):
        return (_UNCHECKABLE,)
    faults: dict[Fault, None] = {}
    try:
        if decision_type.validator.is_valid(value):
            return ()
        for error in decision_type.validator.iter_errors(value):
            faults |= dict.fromkeys(schema_faults(error))
            if len(faults) >= MAX_INPUT_FAULTS:
                break
    except Exception:  # whatever the engine cannot read has no place in an input
        return (_UNCHECKABLE,)
    return tuple(faults)[:MAX_INPUT_FAULTS] or (Fault("/input", "does not match the schema."),)


def _outcomes(root: Section) -> tuple[Outcome, ...]:
    found: list[tuple[str, str, bool | None]] = []
    for section in root.sections("outcomes", least=2, most=20):
        key = section.text("key", pattern=OUTCOME_KEY, words=OUTCOME_WORDS)
        title = section.text("title", key or "?")
        approving = section.get("approving")
        if approving is not None and not isinstance(approving, bool):
            section.fault("approving", "must be true or false.")
        _unique(section, key, [known for known, _, _ in found])
        found.append((key, title, approving if isinstance(approving, bool) else None))
    unsaid = all(approving is None for _, _, approving in found)
    return tuple(
        Outcome(key, title, key == "approve" if unsaid else bool(approving)) for key, title, approving in found
    )


def _reason_codes(root: Section) -> tuple[ReasonCode, ...]:
    found: list[ReasonCode] = []
    for section in root.sections("reason_codes"):
        key = section.text("key", pattern=OUTCOME_KEY, words=OUTCOME_WORDS)
        _unique(section, key, [known.key for known in found])
        found.append(ReasonCode(key, section.text("title", key or "?")))
    return tuple(found)


def _unique(section: Section, key: str, known: list[str]) -> None:
    if key and key in known:
        section.fault("key", "is taken by an earlier entry: keys must be unique.")


def _retention(root: Section) -> int | None:
    if root.get("retention") is None:
        return None
    section = root.section("retention")
    days = section.get("days")
    section.close()
    if isinstance(days, int) and not isinstance(days, bool) and RETENTION_FLOOR <= days <= RETENTION_MOST:
        return days
    section.fault("days", f"must be a whole number of days from {RETENTION_FLOOR} (six months) to {RETENTION_MOST:,}.")
    return None


def _flag(root: Section, name: str) -> bool:
    value = root.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    root.fault(name, "must be true or false.")
    return False


def _guidance(root: Section) -> str:
    value = root.get("guidance")
    if value is None:
        return ""
    if isinstance(value, str) and len(value) <= 20_000:
        return value
    root.fault("guidance", "must be Markdown text of at most 20,000 characters.")
    return ""


def _schema(root: Section) -> dict[str, Any]:
    value = root.get("input_schema")
    if value is None:
        return {"type": "object"}
    if isinstance(value, Mapping):
        return dict(value)
    root.fault("input_schema", "must be a JSON Schema, as a mapping.")
    return {"type": "object"}


def _validator(schema: dict[str, Any], pointer: str, faults: list[Fault]) -> Any:
    remote = [at for at, ref in _references(schema, pointer) if not ref.startswith("#")]
    if remote:
        faults.extend(Fault(at, "must point inside this schema (#/...): nothing is fetched.") for at in remote)
        return None
    try:
        return jsonschema_rs.validator_for(schema, offline=True)
    except jsonschema_rs.ValidationError as error:
        at = "".join(f"/{escape(str(step))}" for step in error.instance_path)
        faults.append(Fault(pointer + at, "is not valid JSON Schema here."))
    except (ValueError, TypeError, OverflowError, RecursionError, jsonschema_rs.ReferencingError):
        faults.append(Fault(pointer, "is not a JSON Schema that can be used: check $schema, $ref and patterns."))
    return None


def _references(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            at = f"{pointer}/{escape(str(key))}"
            if key in ("$ref", "$dynamicRef", "$recursiveRef") and isinstance(item, str):
                yield at, item
            else:
                yield from _references(item, at)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _references(item, f"{pointer}/{index}")
