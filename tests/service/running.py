"""A running service, and how to wait for what it is to do."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

for name in ("aiohttp", "prometheus_client"):
    pytest.importorskip(name, reason="the extra live is not installed")
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "service"
PATIENCE = 120.0
"""s until something that is to happen counts as not happening, on a machine that does other things too."""


def wait_for[T](found: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """The first answer that is true; fails when none comes."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        answer = found()
        if answer:
            return answer
        time.sleep(0.05)
    pytest.fail(f"waited {patience:.0f} s in vain for {what}")


class Running:
    """One process of the service."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self._out = (folder / "service.log").open("a+")
        self._begin = self._out.seek(0, os.SEEK_END)
        path = os.pathsep.join([str(EXAMPLE), str(ROOT)])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "twin_service", "--config", "service.toml"],
            cwd=folder,
            stderr=self._out,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, **environment},
        )

    @property
    def records(self) -> list[dict]:
        """What it has logged; a traceback is no record."""
        text = (self.folder / "service.log").read_text()[self._begin :]
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    @property
    def text(self) -> str:
        return (self.folder / "service.log").read_text()[self._begin :]

    def events(self, code: str) -> list[dict]:
        return [record for record in self.records if record["event"] == code]

    def wait(self, code: str, n: int = 1) -> dict:
        """The n-th record of a code."""

        def found() -> list[dict]:
            if self.process.poll() is not None and len(self.events(code)) < n:
                pytest.fail(f"the service ended with {self.process.returncode}:\n{self.text}")
            return self.events(code) if len(self.events(code)) >= n else []

        return wait_for(found, f"{code} in\n{self.text}")[n - 1]

    @property
    def port(self) -> int:
        return int(self.wait("started")["message"].rpartition(" ")[2])

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """Status and body; 0 where nobody answers."""
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers or {})
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def state(self, asset: str) -> dict:
        status, body = self.get(f"/assets/{asset}/state")
        return json.loads(body) if status == 200 else {}

    def counted(self, asset: str) -> int:
        """Samples that the twin has taken in."""
        return self.state(asset).get("counts", {}).get("samples", 0)

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self._out.close()


type Starter = Callable[..., Running]
