"""What `handrail submit` promises: a file goes in once, whole, and says what became of each row."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.store import decisions
from app.store.db import Database
from tests.cli.conftest import MAPS, ROWS, Handrail, submitted, written
from tests.factories import House


def test_a_file_is_submitted_once_however_often_it_is_sent(
    handrail: Handrail, server: str, house: House, tmp_path: Path
) -> None:
    file = written(tmp_path / "rows.csv", ROWS.replace("999999999999999999999", "12"))
    tiers = {"autonomous": 1, "review_required": 1, "human_decides": 1}
    assert (0, {**tiers, "new": 3, "known": 0, "refused": 0}) == submitted(handrail, server, house, file, *MAPS)[:2]
    assert (0, {**tiers, "new": 0, "known": 3, "refused": 0}) == submitted(handrail, server, house, file, *MAPS)[:2]
    stored = inputs(house.db)
    assert {"amount_cents": 4900, "note": 'says "hello", twice'} == stored["a"]
    assert {"amount_cents": 12900, "note": "007"} == stored["b"]
    assert {"amount_cents": 12, "note": "1e400"} == stored["c"]


def inputs(db: Database) -> dict[str, Any]:
    with db.read() as tx:
        return {
            row.external_id: json.loads(row.input)
            for row in decisions.page(tx, decisions.Filters(), after=None, limit=100)
        }


def test_a_row_that_is_refused_is_told_and_the_others_stand(
    handrail: Handrail, server: str, house: House, tmp_path: Path
) -> None:
    file = written(tmp_path / "rows.csv", ROWS)
    code, counts, err = submitted(handrail, server, house, file, *MAPS)
    assert (1, 2, 1) == (code, counts["new"], counts["refused"])
    assert "decision 3: " in err
    assert "/input/amount_cents" in err


def test_rows_without_an_external_id_are_known_again_and_equal_rows_are_not_lost(
    handrail: Handrail, server: str, house: House, tmp_path: Path
) -> None:
    row = json.dumps({"outcome": "approve", "confidence": 0.9, "amount_cents": 100})
    file = written(tmp_path / "rows.jsonl", f"{row}\n{row}\n")
    assert 2 == submitted(handrail, server, house, file, "--model", "risk@3")[1]["new"]
    assert 2 == submitted(handrail, server, house, file, "--model", "risk@3")[1]["known"]
    with house.db.read() as tx:
        models = {
            (row.model_name, row.model_version) for row in decisions.page(tx, decisions.Filters(), after=None, limit=9)
        }
    assert {("risk", "3")} == models


UNREADABLE = {
    "a cell too many": ("rows.csv", "outcome,amount_cents\napprove,1\napprove,1,2\n", "Row 2 has 3 cells"),
    "an open quote": ("rows.csv", 'outcome,amount_cents\napprove,"1\n', "not CSV"),
    "no outcome": ("rows.csv", "verdict,amount_cents\napprove,1\n", "no column outcome"),
    "a column twice": ("rows.csv", "outcome,outcome\napprove,1\n", "twice"),
    "not JSON": ("rows.jsonl", '{"outcome": "approve"}\n{"outcome"\n', "Row 2 is not strict JSON"),
    "a key twice": ("rows.jsonl", '{"outcome": "approve", "outcome": "deny"}\n', "Row 1 is not strict JSON"),
    "not an object": ("rows.jsonl", "[1]\n", "Row 1 is not a JSON object"),
    "another kind": ("rows.parquet", "PAR1", ".csv or .jsonl"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_cannot_be_read_to_its_end_sends_nothing(name: str, handrail: Handrail, tmp_path: Path) -> None:
    file, text, words = UNREADABLE[name]
    path = written(tmp_path / file, text)
    code, out, err = handrail("submit", path, "--type", "refund", "--url", "http://127.0.0.1:9", "--key", "k")
    assert (1, "") == (code, out)
    assert words in err


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nonsense", "http://[", "ftp://127.0.0.1"])
def test_a_server_that_is_not_there_is_one_sentence(url: str, handrail: Handrail, tmp_path: Path) -> None:
    file = written(tmp_path / "rows.jsonl", '{"outcome": "approve"}\n')
    code, out, err = handrail("submit", file, "--type", "refund", "--url", url, "--key", "k")
    assert (1, "") == (code, out)
    assert "Traceback" not in err


def test_a_wrong_key_is_one_sentence(handrail: Handrail, server: str, house: House, tmp_path: Path) -> None:
    file = written(tmp_path / "rows.jsonl", '{"outcome": "approve", "amount_cents": 1}\n')
    code, _, err = handrail("submit", file, "--type", "refund", "--url", server, "--key", "hr_wrong")
    assert 1 == code
    assert "401" in err
