"""Owns the house that the tests of the HTML door walk through, on both databases."""

import pytest

from app.store.db import Database
from tests.web.house import House


@pytest.fixture
def house(db: Database) -> House:
    return House(db)
