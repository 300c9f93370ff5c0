# SPDX-License-Identifier: Apache-2.0
"""Who uploads to the stand, finds and finalizes there."""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request

from stand import ACCOUNT

# How it shows that whoever was to answer is gone.
CUT = (OSError, http.client.HTTPException)


class Client:
    def __init__(self, stand):
        self.stand = stand
        self.token = ""
        self.refusals = []  # why something was not acknowledged

    def ask(self, method, name, path, body=None, kind="application/json", seconds=180):
        """Status and body, whatever the answer is."""
        request = urllib.request.Request(
            self.stand.address(name) + path, data=body, method=method,
            headers={"Authorization": "Bearer " + self.token, "Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def told(self, method, name, path, body=None):
        """What is answered when it goes well; nothing otherwise."""
        try:
            status, answer = self.ask(method, name, path, body)
        except CUT:
            return None
        return json.loads(answer) if status == 200 else None

    def log_in(self):
        status, body = self.ask("POST", "admin", "/api/v1/auth/token", json.dumps(
            {"client_id": ACCOUNT[0], "client_secret": ACCOUNT[1]}).encode())
        assert status == 200, body
        self.token = json.loads(body)["access_token"]

    def upload(self, name, content):
        """The answer to an upload that was acknowledged, or nothing."""
        body = (b'--b\r\nContent-Disposition: form-data; name="retention_days"\r\n\r\n30\r\n'
                b'--b\r\nContent-Disposition: form-data; name="file"; filename="' +
                name.encode() + b'"\r\n\r\n' + content + b"\r\n--b--\r\n")
        try:
            status, answer = self.ask("POST", "ingester", "/api/v1/files/upload", body,
                                      "multipart/form-data; boundary=b")
        except CUT as error:
            return self.refused(name, error)
        return json.loads(answer) if status == 201 else self.refused(name, status, answer)

    def refused(self, *why):
        self.refusals.append(why)

    def finalize(self, file_id):
        """Where the file is permanent now, or nothing when that is not known."""
        try:
            status, answer = self.ask("POST", "ingester", f"/api/v1/finalize/{file_id}", b"{}",
                                      seconds=300)
        except CUT as error:
            return self.refused(file_id, error)
        told = json.loads(answer) if status == 202 else {}
        if told.get("status") != "completed":
            return self.refused(file_id, status, answer)
        return told["target_storage_element_id"]

    def found(self, query):
        told = self.told("GET", "query", "/api/v1/files/search?query=" + urllib.parse.quote(query))
        return told["items"] if told else []

    def download(self, file_id):
        status, body = self.ask("GET", "query", f"/api/v1/files/{file_id}/download")
        assert status == 200, (status, body[:300])
        return body
