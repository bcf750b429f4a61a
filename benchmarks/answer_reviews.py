"""Answers waiting reviews through the API with what people said of the same cases, from a CSV; prints how many agreed.

For real input: submit a file with `handrail submit`, then let this stand in for the reviewers. Needs a key that acts as
a person (`handrail key create NAME --scope reviews:write --scope decisions:read --user EMAIL`).
"""

import argparse
import csv
import time
from collections import Counter
from typing import Any

import httpx


def main() -> None:
    """Claim, answer, repeat, until enough are answered or nothing waits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="the CSV whose rows were submitted")
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--id", default="id", help="the column that was mapped to external_id")
    parser.add_argument("--answer", default="human_review_1", help="the column with the person's answer")
    parser.add_argument("--reason", help="the reason code to give, where the type has reason codes")
    parser.add_argument("--most", type=int, default=300)
    asked = parser.parse_args()
    with open(asked.file, encoding="utf-8-sig", newline="") as lines:
        answers = {row[asked.id]: row[asked.answer] for row in csv.DictReader(lines)}
    headers = {"Authorization": f"Bearer {asked.key}"}
    with httpx.Client(base_url=asked.url, headers=headers, timeout=30) as client:
        said, seconds = answer_all(client, answers, asked.most, asked.reason)
    count = sum(said.values())
    print(f"{count} reviews answered in {seconds:.1f} s ({count / max(seconds, 0.001):.0f}/s): {dict(said)}")


def answer_all(
    client: httpx.Client, answers: dict[str, str], most: int, reason: str | None
) -> tuple[Counter[str], float]:
    """How many were answered with which action, and the seconds that it took."""
    said: Counter[str] = Counter()
    started = time.perf_counter()
    while sum(said.values()) < most:
        claim = client.post("/api/v1/claims", json={})
        if claim.status_code == 204:
            print(claim.headers.get("Handrail-Queue-Status", "Nothing waits."))
            break
        review = claim.raise_for_status().json()
        said[answer(client, review, answers[review["decision"]["external_id"]], reason)] += 1
    return said, time.perf_counter() - started


def answer(client: httpx.Client, review: dict[str, Any], outcome: str, reason: str | None) -> str:
    """Rule on a claimed review; a blind one takes the judgement first, then the ruling. Returns the action."""
    proposal = review["decision"]["proposal"]
    if proposal is None or review["tier"] == "human_decides":
        action = "decide"
    else:
        action = "approve" if outcome == proposal["outcome"] else "override"
    body: dict[str, Any] = {"token": review["lease"]["token"], "action": action, "rationale": "From the file."}
    body |= {} if action == "approve" else {"outcome": outcome}
    body |= {"reason_code": reason} if reason else {}
    path = f"/api/v1/reviews/{review['id']}/verdict"
    given = client.post(path, json=body).raise_for_status()
    if given.status_code == 202:
        if review["tier"] != "human_decides":
            proposed = given.json()["proposal"]["outcome"]
            body["action"] = "approve" if outcome == proposed else "override"
        client.post(path, json=body).raise_for_status()
    return str(body["action"])


if __name__ == "__main__":
    main()
