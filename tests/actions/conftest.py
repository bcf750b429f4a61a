"""Owns what several tests of actions start from."""

from tests.actions.erasing import who as who
