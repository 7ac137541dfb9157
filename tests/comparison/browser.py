"""Headless Chromium, driven over its debugging pipe: no package is needed for that."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)
SECONDS = 60.0


class Browser:
    """A page of a browser of its own.

    Attributes:
        messages: errors and warnings of the console, and exceptions that nobody caught.
        requests: addresses that were asked for; `data:` ones hold their content and are none.
    """

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        self.messages: list[str] = []
        self.requests: list[str] = []
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # Chromium reads commands from descriptor 3 and writes to 4.
        command = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", command, "chromium", CHROMIUM, "--headless", "--no-sandbox",
             "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
             "--disable-background-networking", "--disable-dev-shm-usage",
             f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self._loaded = False
        targets = self._call("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(self, file: Path) -> None:
        """Loads a file and waits until it has drawn everything."""
        self._loaded = False
        self._call("Page.navigate", url=file.absolute().as_uri())
        deadline = time.monotonic() + SECONDS
        while not self._loaded and time.monotonic() < deadline:
            self._handle(self._receive(deadline))
        self.settle()

    def settle(self) -> None:
        """Waits until the page has drawn everything."""
        deadline = time.monotonic() + SECONDS
        while self.run("document.documentElement.dataset.drawn") != "all":
            assert time.monotonic() < deadline, f"not drawn: {self.messages}"
            time.sleep(0.05)

    def run(self, expression: str) -> Any:
        """The value of an expression in the page, as JSON."""
        answer = self._call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def width(self, pixels: int, height: int = 900) -> None:
        """Makes the window, or phone, that wide."""
        self._call("Emulation.setDeviceMetricsOverride", width=pixels, height=height,
                   deviceScaleFactor=1, mobile=pixels < 600)  # fmt: skip

    def media(self, kind: str = "", **features: str) -> None:
        """Shows the page as on paper (``print``), or with such preferences of the reader."""
        wanted = [
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()
        ]
        self._call("Emulation.setEmulatedMedia", media=kind, features=wanted)

    def press_space(self) -> None:
        """Presses the space bar."""
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=" ", code="Space", text=" ",
                       windowsVirtualKeyCode=32)  # fmt: skip

    def picture(self, file: Path) -> None:
        """Saves all of the page as an image."""
        answer = self._call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self, file: Path) -> None:
        """Saves the page as it prints."""
        answer = self._call("Page.printToPDF", printBackground=False)
        file.write_bytes(base64.b64decode(answer["data"]))

    def close(self) -> None:
        """Ends the browser."""
        self._process.terminate()
        self._process.wait(timeout=10)
        os.close(self._in)
        os.close(self._out)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + SECONDS
        while True:
            answer = self._receive(deadline)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result
            self._handle(answer)

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            chunk = os.read(self._in, 1 << 20)
            assert chunk, "the browser has ended"
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def _handle(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        match event.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning"):
                self.messages.append(str(parameters["args"]))
            case "Runtime.exceptionThrown":
                self.messages.append(str(parameters["exceptionDetails"]))
            case "Log.entryAdded":
                self.messages.append(parameters["entry"]["text"])
            case "Network.requestWillBeSent":
                url = parameters["request"]["url"]
                if not url.startswith("data:"):
                    self.requests.append(url)
