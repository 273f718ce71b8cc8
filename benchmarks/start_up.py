"""Start-up: `paretune --help`, and `paretune serve` until its health says ready. Medians over runs, files warm.

python -m benchmarks.start_up
"""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import httpx

RUNS = 5
PARETUNE = str(Path(sys.executable).with_name("paretune"))


def main() -> None:
    subprocess.run([PARETUNE, "--help"], check=True, capture_output=True)
    result = {
        "help_seconds": median(help_seconds() for _ in range(RUNS)),
        "ready_seconds": median(ready_seconds() for _ in range(RUNS)),
        "runs": RUNS,
        "command": "python -m benchmarks.start_up",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, CPython {platform.python_version()}",
    }
    (Path(__file__).parent / "results" / "start_up.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def help_seconds() -> float:
    began = time.perf_counter()
    subprocess.run([PARETUNE, "--help"], check=True, capture_output=True)
    return time.perf_counter() - began


def ready_seconds() -> float:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        process = subprocess.Popen(
            [PARETUNE, "serve", "--port", str(port), "--data-dir", folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while True:
                try:
                    if httpx.get(f"http://127.0.0.1:{port}/api/v1/health").is_success:
                        return time.perf_counter() - began
                except httpx.TransportError:
                    time.sleep(0.02)
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
