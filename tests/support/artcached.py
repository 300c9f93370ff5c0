# SPDX-License-Identifier: Apache-2.0
"""A running artcached for tests: `--demo` on free ports in a folder of its own, and a client."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "services"))

from artcache_services.ports import Ports  # noqa: E402

# For a server that is to come back at the same one: nobody else is given it meanwhile.
free_port = Ports().choose
ACCOUNT = {"client_id": "admin-service", "client_secret": "Test-Password123"}


class Artcached:
    """Started by start(); what it says goes to the file `log`, over all its lives."""

    def __init__(self, program, *arguments):
        self.program = program
        self.arguments = arguments
        self.data = pathlib.Path(tempfile.mkdtemp(prefix="artcached-"))
        self.log = self.data / "log"
        self.child = None
        self.token = None
        self.ports = {}

    def start(self):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                [self.program, "--demo", "--data", self.data, "--port-offset", "0",
                 *self.arguments], stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.child.stdout.readline()
        if not line:
            raise AssertionError("artcached did not start: " + self.log.read_text()[-2000:])
        self.ports = json.loads(line)["ports"]
        self.token = self.fresh_token()

    def fresh_token(self):
        return self.call("POST", "admin", "/api/v1/auth/token", headers={"Authorization": ""},
                         json_body=ACCOUNT)["access_token"]

    def first_rebuild_over(self, role="se-01"):
        """A new index is compared with the files once, from the start on. Until that is over, a run
        that is asked for may be refused, and what is put beside the interface taken in by it."""
        jobs = "/api/v1/cache/jobs"
        assert eventually(lambda: all(one["status"] != "running"
                                      for one in self.call("GET", role, jobs)["jobs"]))

    def end(self, how=signal.SIGTERM):
        """The exit code, or below 0 the signal that ended it."""
        if self.child is None:
            return 0
        self.child.send_signal(how)
        try:
            return self.child.wait(timeout=180)
        finally:
            if self.child.returncode is None:
                self.child.kill()
                self.child.wait()
            self.child.stdout.close()
            self.child = None

    def close(self):
        self.end(signal.SIGKILL)
        shutil.rmtree(self.data, ignore_errors=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.close()

    def address(self, role):
        return f"http://127.0.0.1:{self.ports[role]}"

    def ask(self, method, role, path, body=None, headers=None, json_body=None):
        """Status, headers and body, whatever the answer is."""
        headers = dict(headers or {})
        if json_body is not None:
            body = json.dumps(json_body).encode()
            headers["Content-Type"] = "application/json"
        if self.token and "Authorization" not in headers:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self.address(role) + path, data=body, method=method,
                                         headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def call(self, method, role, path, check=200, **more):
        status, _, body = self.ask(method, role, path, **more)
        if status != check:
            raise AssertionError(f"{method} {path}: {status} instead of {check}: {body[:2000]!r}")
        return json.loads(body) if body else None

    def upload(self, name, content, check=201, role="se-01", **fields):
        body, headers = form(name, content, **fields)
        return self.call("POST", role, "/api/v1/files/upload", check, body=body, headers=headers)


def form(name, content, **fields):
    """Body and headers of an upload."""
    line = "b0undary"
    parts = [f'--{line}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
             for key, value in fields.items()]
    parts += [f'--{line}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
              f'Content-Type: text/plain\r\n\r\n'.encode(), content, b"\r\n",
              f"--{line}--\r\n".encode()]
    return b"".join(parts), {"Content-Type": f"multipart/form-data; boundary={line}"}


def elements_in_view(ingester, seconds=30):
    """How many storage elements the ingester at that address sees alive. Which one takes a file is
    certain from when it sees all of them: while one starts, the next is right."""
    try:
        with urllib.request.urlopen(ingester + "/metrics", timeout=seconds) as answer:
            text = answer.read().decode()
    except OSError:
        return 0
    found = re.search(r"^storage_elements_available (\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 0


def eventually(condition, seconds=180):
    """Whether it came true; asks often, since nobody tells."""
    deadline = time.monotonic() + seconds
    while not (came := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return came


def scale(name, usual):
    """How often something is done: from the environment, else the number for every day."""
    return int(os.environ.get(name, usual))
