"""A person at the hub, as far as a program can be one: log in by the form, start a server, run a cell."""

from __future__ import annotations

import json
import uuid
from types import TracebackType
from typing import Any, Self

import httpx
import websocket

from workbench_hub.health import wait_for


class Person:
    """A logged-in user of the hub at an address."""

    def __init__(self, url: str, name: str, password: str) -> None:
        self.url = url.rstrip("/")
        self.name = name
        self.http = httpx.Client(base_url=self.url, follow_redirects=True, timeout=60, trust_env=False)
        page = self.http.get("/hub/login")
        page.raise_for_status()
        form = {"username": name, "password": password, "_xsrf": self._cookie("_xsrf", "/hub/")}
        self.answer = self.http.post("/hub/login", params={"next": "/hub/home"}, data=form)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.http.close()

    @property
    def logged_in(self) -> bool:
        return self.answer.status_code == 200 and self.answer.url.path == "/hub/home"

    def start_server(self, seconds: float = 60, **chosen: str) -> None:
        """Start the user's server, as the button and the form do, and wait until it answers."""
        page = self.http.get(f"/hub/spawn/{self.name}").raise_for_status()
        if page.url.path == f"/hub/spawn/{self.name}" and "<form" in page.text:
            xsrf = self._cookie("_xsrf", "/hub/")
            form = {"_xsrf": xsrf, **chosen}
            self.http.post(f"/hub/spawn/{self.name}", data=form, params={"_xsrf": xsrf}).raise_for_status()

        def up() -> bool:
            page = self.http.get(f"/user/{self.name}/lab")  # by way of the hub's OAuth, as a browser goes
            return page.status_code == 200 and page.url.path.startswith(f"/user/{self.name}/lab")

        wait_for(up, seconds, f"{self.name}'s server")

    def stop_server(self, seconds: float = 60) -> None:
        """Stop the user's server, whatever it does, and wait until it is gone."""
        path = f"/hub/api/users/{self.name}"

        def gone() -> bool:
            self.http.delete(f"{path}/server", headers=self.headers())
            return not self.http.get(path, headers=self.headers()).json().get("servers")

        wait_for(gone, seconds, f"the end of {self.name}'s server")

    def start_kernel(self) -> str:
        answer = self._post(f"/user/{self.name}/api/kernels", {"name": "python3"})
        answer.raise_for_status()
        return str(answer.json()["id"])

    def run(self, kernel: str, code: str, seconds: float = 60) -> str:
        """Run a cell over the kernel's websocket; return what it prints and shows."""
        line = self._line(kernel, seconds)
        message = uuid.uuid4().hex
        try:
            line.send(json.dumps(_execute(message, code)))
            return _listen(line, message)
        finally:
            line.close()

    def leave(self, kernel: str, code: str) -> None:
        """Run a cell, and do not wait for it."""
        line = self._line(kernel, 60)
        line.send(json.dumps(_execute(uuid.uuid4().hex, code)))
        line.close()

    def interrupt(self, kernel: str) -> None:
        """Interrupt the cell that runs, as the button does."""
        self._post(f"/user/{self.name}/api/kernels/{kernel}/interrupt", {}).raise_for_status()

    def _line(self, kernel: str, seconds: float) -> websocket.WebSocket:
        cookies = "; ".join(
            f"{cookie.name}={cookie.value}"
            for cookie in self.http.cookies.jar
            if f"/user/{self.name}/".startswith(cookie.path or "/")
        )
        address = f"{self.url.replace('http', 'ws', 1)}/user/{self.name}/api/kernels/{kernel}/channels"
        return websocket.create_connection(address, cookie=cookies, timeout=seconds, origin=self.url)

    def headers(self) -> dict[str, str]:
        """What a page of the hub sends along with each request that changes something."""
        return {"X-XSRFToken": self._cookie("_xsrf", "/hub/"), "Referer": f"{self.url}/hub/token"}

    def token(self) -> str:
        """Make a token of one's own, as the hub's token page does."""
        answer = self.http.post(
            f"/hub/api/users/{self.name}/tokens",
            json={"note": "test", "expires_in": 600},
            headers=self.headers(),
        )
        answer.raise_for_status()
        return str(answer.json()["token"])

    def _post(self, path: str, content: dict[str, Any]) -> httpx.Response:
        xsrf = self._cookie("_xsrf", f"/user/{self.name}/")
        return self.http.post(path, json=content, headers={"X-XSRFToken": xsrf, "Referer": f"{self.url}/"})

    def _cookie(self, name: str, path: str) -> str:
        found = [c.value for c in self.http.cookies.jar if c.name == name and c.path == path]
        return str(found[0]) if found else ""


SLEEP = """
import time
try:
    time.sleep(60)
except KeyboardInterrupt:
    pass  # after an error a kernel answers nothing for a while
"""
"""A cell that says nothing until it is interrupted, or for a minute."""


def _execute(message: str, code: str) -> dict[str, Any]:
    return {
        "header": {
            "msg_id": message,
            "username": "",
            "session": uuid.uuid4().hex,
            "msg_type": "execute_request",
            "version": "5.3",
        },
        "parent_header": {},
        "metadata": {},
        "content": {"code": code, "silent": False, "store_history": False, "allow_stdin": False},
        "channel": "shell",
    }


def _listen(line: websocket.WebSocket, message: str) -> str:
    """Collect what a cell says until its kernel is idle again."""
    said: list[str] = []
    while True:
        answer = json.loads(line.recv())
        if answer["parent_header"].get("msg_id") != message:
            continue
        content = answer["content"]
        if answer["msg_type"] == "stream":
            said.append(content["text"])
        elif answer["msg_type"] in ("execute_result", "display_data"):
            said.append(content["data"].get("text/plain", ""))
        elif answer["msg_type"] == "error":
            raise AssertionError("\n".join(content["traceback"]))
        elif answer["msg_type"] == "status" and content["execution_state"] == "idle":
            return "".join(said)
