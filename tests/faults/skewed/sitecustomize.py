"""Moves the clock of a Python process by FAULTS_CLOCK_SHIFT seconds: put this folder on its PYTHONPATH."""

import datetime
import os
import time

shift = float(os.environ.get("FAULTS_CLOCK_SHIFT", "0"))
real, real_time, real_time_ns = datetime.datetime, time.time, time.time_ns


class _SameType(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, real)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, real)


class _Shifted(real, metaclass=_SameType):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return real.now(tz) + datetime.timedelta(seconds=shift)


time.time = lambda: real_time() + shift
time.time_ns = lambda: real_time_ns() + int(shift * 1e9)
datetime.datetime = _Shifted  # type: ignore[misc]
