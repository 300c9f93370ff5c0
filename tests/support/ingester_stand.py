# SPDX-License-Identifier: Apache-2.0
"""An ingester for tests, with its elements in the same process or in others, and a client."""

import http.client
import json
import pathlib
import subprocess
import tempfile
import unittest

from artcached import elements_in_view, eventually

SECRET = "Test-Password123"
LINE = "b0undary"


def form(name, size_or_bytes, before=(), after=()):
    """The pieces of a form: head, content, tail."""
    def fields(pairs):
        text = "".join(f'--{LINE}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n'
                       f"{value}\r\n" for key, value in pairs)
        return text.encode()
    head = fields(before) + (f'--{LINE}\r\nContent-Disposition: form-data; name="file"; '
                             f'filename="{name}"\r\nContent-Type: text/plain\r\n\r\n').encode()
    return head, size_or_bytes, b"\r\n" + fields(after) + f"--{LINE}--\r\n".encode()


class Stand(unittest.TestCase):
    DAEMON = ""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data = pathlib.Path(folder.name)
        self.ports, self.tokens = {}, {}

    def spawn(self, *arguments):
        log = open(self.data / "log", "ab")
        child = subprocess.Popen([self.DAEMON, *map(str, arguments)], stdout=subprocess.PIPE,
                                 stderr=log, text=True, env={})
        log.close()
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        said = child.stdout.readline()
        self.assertTrue(said, (self.data / "log").read_text())
        self.ports.update(json.loads(said)["ports"])
        return child

    def demo(self, **settings):
        names = {name: name.replace("__", ".").replace("_se_", ".se-") for name in settings}
        more = [word for name, value in settings.items()
                for word in ("--set", f"{names[name]}={value}")]
        child = self.spawn("--demo", "--data", self.data / "demo", "--port-offset", 0, *more)
        self.wait_for_elements(3)
        return child

    def wait_for_elements(self, count):
        address = f"http://127.0.0.1:{self.ports['ingester']}"
        self.assertTrue(eventually(lambda: elements_in_view(address) >= count),
                        (self.data / "log").read_text())

    def ingester(self, elements, **settings):
        """Admin and ingester in one process, with elements elsewhere."""
        told = {"admin.port": 0, "ingester.port": 0, "admin.initial_account_secret": SECRET,
                "ingester.client_id": "admin-service", "ingester.client_secret": SECRET,
                "ingester.public_key": self.data / "roles" / "admin" / "keys",
                "ingester.elements": ",".join(elements), **settings}
        more = [word for name, value in told.items() for word in ("--set", f"{name}={value}")]
        return self.spawn("--role", "admin", "--role", "ingester", "--data", self.data / "roles",
                          *more)

    def element(self, name, port, priority, mode="edit"):
        self.ports[name] = port
        return self.spawn("--role", f"element.{name}", "--data", self.data / "elements",
                          "--set", f"element.{name}.port={port}",
                          "--set", f"element.{name}.priority={priority}",
                          "--set", f"element.{name}.mode={mode}",
                          "--set", f"element.{name}.public_key={self.data}/roles/admin/keys")

    def token(self, client="admin-service"):
        if client not in self.tokens:
            _, body = self.ask("POST", "admin", "/api/v1/auth/token", body=json.dumps(
                {"client_id": client, "client_secret": SECRET}), token="")
            self.tokens[client] = json.loads(body)["access_token"]
        return self.tokens[client]

    def ask(self, method, role, path, body=None, headers=None, token=None, chunked=False):
        headers = dict(headers or {})
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        token = self.token() if token is None else token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[role], timeout=180)
        try:
            connection.request(method, path, body=body, headers=headers, encode_chunked=chunked)
            answer = connection.getresponse()
            self.headers = answer.headers
            return answer.status, answer.read()
        finally:
            connection.close()

    def call(self, method, role, path, check, **more):
        status, body = self.ask(method, role, path, **more)
        self.assertEqual(status, check, body)
        return json.loads(body) if body else None

    def upload(self, name, content, check=201, path="/api/v1/upload", token=None, **order):
        pieces = form(name, content, **order)
        return self.call("POST", "ingester", path, check, body=b"".join(pieces), token=token,
                         headers={"Content-Type": f"multipart/form-data; boundary={LINE}"})

    def entry(self, role, file_id, check=200):
        return self.call("GET", role, f"/api/v1/files/{file_id}", check)

    def content(self, role, file_id):
        status, body = self.ask("GET", role, f"/api/v1/files/{file_id}/download")
        self.assertEqual(status, 200, body)
        return body

    def total(self, role):
        return self.call("GET", role, "/api/v1/files/", 200)["total"]

    def until(self, what, said="it does not come about"):
        self.assertTrue(eventually(what), said)
