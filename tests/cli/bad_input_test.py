# SPDX-License-Identifier: Apache-2.0
"""[G12] Nonsense over the wire: the right status, the documented body, a log line, and no harm to
the process or to what is stored."""

import base64
import contextlib
import hmac
import json
import pathlib
import select
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import uuid

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "support")]

from artcached import Artcached, eventually, form  # noqa: E402

DAEMON = ""
UPLOAD = "/api/v1/files/upload"
WORKERS = 4
MOST = 1000  # bytes of a file of se-03
IMPATIENT = [word for said in (
    f"daemon.workers={WORKERS}", "element.se-02.header_timeout=1s",
    "element.se-02.body_timeout=5s", "element.se-02.body_rate=50000",
    "element.se-02.write_timeout=1s", "element.se-01.write_timeout=1h",
    f"element.se-03.upload_max_size={MOST}") for word in ("--set", said)]


def base64url(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Artcached(DAEMON, *IMPATIENT)
        cls.addClassCleanup(cls.daemon.close)
        cls.daemon.start()
        cls.sent = cls.daemon.upload("good.txt", b"good")

    def tearDown(self):
        """Nobody was harmed."""
        self.assertIsNone(self.daemon.child.poll())
        path = f"/api/v1/files/{self.sent['file_id']}/download"
        self.assertEqual(self.daemon.ask("GET", "se-01", path)[::2], (200, b"good"))

    def wire(self, raw, role="se-01", more_may_come=False):
        """Status and body of what is sent as it stands, until the other side has said all."""
        with socket.create_connection(("127.0.0.1", self.daemon.ports[role]), timeout=100) as one:
            try:
                one.sendall(raw)
                if not more_may_come:
                    one.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # answered and closed before all was sent
            said = b""
            try:
                while piece := one.recv(65536):
                    said += piece
            except ConnectionError:
                pass
        head, _, body = said.partition(b"\r\n\r\n")
        return int(head.split()[1]) if head else 0, body

    def head(self, method, path, *more):
        lines = [f"{method} {path} HTTP/1.1", "Host: x",
                 f"Authorization: Bearer {self.daemon.token}", *more]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    def public_key(self):
        """As it lies about for everybody; the one that signs."""
        [public] = [path.read_bytes() for path in (self.daemon.data / "admin/keys").glob("*.pem")
                    if b"PUBLIC" in path.read_bytes()]
        return public

    def minted(self, key=None, head=None, **changed):
        """The daemon's token with other claims, signed with its key or that of another."""
        said, body, _ = self.daemon.token.split(".")
        if head:
            said = base64url(json.dumps({**decoded(said), **head}).encode())
        claims = {**decoded(body), **changed}
        said += "." + base64url(json.dumps(claims).encode())
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as own:
            own.write("" if key else self.key())
            own.flush()
            sign = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key or own.name],
                                  input=said.encode(), stdout=subprocess.PIPE, check=True)
        return said + "." + base64url(sign.stdout)

    def key(self):
        where = f"file:{self.daemon.data / 'admin/admin.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(where, uri=True)) as tables:
            return tables.execute("SELECT private_key FROM jwt_keys WHERE is_active").fetchone()[0]

    def logged(self, word):
        return [line for line in self.daemon.log.read_text().splitlines() if word in line]

    def refusals(self, role):
        return [line for line in self.logged(f"site={role}")
                if "logger=access" in line and "reason=" in line]

    def ask(self, check, *arguments, **more):
        status, _, body = self.daemon.ask(*arguments, **more)
        self.assertEqual(status, check, body)
        detail = json.loads(body)["detail"]
        self.assertTrue(detail)
        return detail

    def test_json_that_is_none_or_of_the_wrong_kind(self):
        path = f"/api/v1/files/{self.sent['file_id']}"
        kind = {"Content-Type": "application/json"}
        for body in (b"{", b"[]", b"", b"\xff\xfe", b'{"description": 1}', b'{"description": {}}',
                     b"[" * 100_000, b'{"a":' * 50_000):
            with self.subTest(body=body[:30]):
                detail = self.ask(422, "PATCH", "se-01", path, body=body, headers=kind)
                self.assertEqual(set(detail[0]) & {"loc", "msg", "type"}, {"loc", "msg", "type"})
        for body in (b"{", b'{"client_id": 1, "client_secret": []}', b"null"):
            with self.subTest(token=body):
                self.ask(422, "POST", "admin", "/api/v1/auth/token", body=body, headers=kind)

    def test_forms_that_lack_something(self):
        body, headers = form("a", b"x")
        without = body.replace(b'name="file"', b'name="f"')
        attached = body.replace(b"form-data", b"attachment")
        for wrong in (b"", b"--b0undary--\r\n", body[:-20], without, attached, b"\r\n" * 1000):
            with self.subTest(body=wrong[:40]):
                status, _, said = self.daemon.ask("POST", "se-01", UPLOAD, body=wrong,
                                                  headers=headers)
                self.assertIn(status, (400, 422), said)
                self.assertTrue(json.loads(said)["detail"])
        self.ask(422, "POST", "se-01", UPLOAD, body=body, headers={"Content-Type": "text/plain"})

    def test_names_that_would_lead_elsewhere_stay_names(self):
        for name in ("../../../etc/passwd", "..", "/etc/passwd", "a\\..\\b", ".attr.json",
                     "a\x01b", "a\x00b", "a\r\nSet-Cookie: b", "a\nb", "x" * 300,
                     "con.attr.json"):
            with self.subTest(name=name):
                body, headers = form(name, b"name")
                status, _, said = self.daemon.ask("POST", "se-01", UPLOAD, body=body,
                                                  headers=headers)
                self.assertIn(status, (201, 400, 422), said)
                if status == 201:
                    path = f"/api/v1/files/{json.loads(said)['file_id']}"
                    self.assertEqual(self.daemon.ask("GET", "se-01", path + "/download")[2],
                                     b"name")
                    self.daemon.call("DELETE", "se-01", path, 204)
        outside = [path for path in self.daemon.data.rglob("*passwd*")
                   if self.daemon.data / "se-01/files" not in path.parents]
        self.assertEqual(outside, [])
        report = self.daemon.call("GET", "se-01", "/api/v1/cache/consistency")
        self.assertEqual((report["is_consistent"], report["orphan_data_count"]), (True, 0))

    def test_ids_that_are_none_and_ids_of_nothing(self):
        for wrong in ("x", "1", "%00", "a" * 5000, "%2e%2e", self.sent["file_id"] + "0"):
            with self.subTest(id=wrong[:40]):
                status, _, _ = self.daemon.ask("GET", "se-01", f"/api/v1/files/{wrong}")
                self.assertIn(status, (400, 404, 422))
        self.ask(422, "GET", "se-01", "/api/v1/files/not-a-uuid")
        for method in ("GET", "PATCH", "DELETE"):
            self.ask(404, method, "se-01", f"/api/v1/files/{uuid.uuid4()}",
                     **({"json_body": {"description": "x"}} if method == "PATCH" else {}))
        self.ask(404, "GET", "se-01", "/api/v1/no/such/thing")
        self.ask(405, "PUT", "se-01", "/api/v1/cache/rebuild")

    def test_pages_that_are_none(self):
        for query in ("page=0", "page=x", "page_size=-1", "page_size=99999999999999999999",
                      "limit=0", "skip=-1", "offset=1e3"):
            with self.subTest(query=query):
                self.ask(422, "GET", "se-01", f"/api/v1/files/?{query}")

    def test_lengths_and_chunks_that_contradict(self):
        body, headers = form("a", b"x" * 1000)
        kind = f"Content-Type: {headers['Content-Type']}"
        chunked = "Transfer-Encoding: chunked"
        size = len(body)
        for name, lines, sent, allowed in (
                ("two lengths", [f"Content-Length: {size}", "Content-Length: 5"], body, {400}),
                ("length and chunks", [f"Content-Length: {size}", chunked], body, {400}),
                ("shorter than said", [f"Content-Length: {size + 99}"], body, {499}),
                ("negative", ["Content-Length: -1"], body, {400}),
                ("no number", ["Content-Length: x"], body, {400}),
                ("too much", ["Content-Length: 99999999999999999999999"], body, {400, 413}),
                ("no chunk size", [chunked], b"zz\r\n", {400}),
                ("chunk without its end", [chunked], b"5\r\nhelloworld\r\n0\r\n\r\n", {400}),
                ("other coding", ["Transfer-Encoding: gzip"], body, {400, 501})):
            with self.subTest(name):
                status, said = self.wire(self.head("POST", UPLOAD, kind, *lines) + sent)
                self.assertIn(status, allowed, said[:200])
        self.assertEqual(self.daemon.call("GET", "se-01", "/api/v1/files/")["total"], 1)

    def test_a_body_that_ends_early_is_noticed_at_once_however_often(self):
        body, headers = form("a", b"x" * 1000)
        raw = self.head("POST", UPLOAD, f"Content-Type: {headers['Content-Type']}",
                        f"Content-Length: {len(body) + 99}") + body
        # One that waited for body_timeout, a minute, would end the test.
        seen = []
        threads = [threading.Thread(target=lambda: seen.extend(self.wire(raw) for _ in range(25)))
                   for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(50)
        self.assertEqual(len(seen), 100)
        self.assertEqual({status for status, _ in seen}, {499})
        self.assertEqual({said for _, said in seen},
                         {b'{"detail":"body: the client went away"}'})

    def test_slow_headers_and_slow_bodies_are_cut_off(self):
        body, headers = form("a", b"x" * 1000)
        upload = self.head("POST", UPLOAD, f"Content-Type: {headers['Content-Type']}",
                           f"Content-Length: {len(body)}", "X-Request-ID: slow-body-1")
        for name, sent, rest in (("header", b"GET /health/live HTTP/1.1\r\n", b"X: y\r\n"),
                                 ("body", upload + body[:100], b"")):
            with self.subTest(name), socket.create_connection(
                    ("127.0.0.1", self.daemon.ports["se-02"]), timeout=50) as one:
                one.sendall(sent)
                one.settimeout(0.1)
                said = b""
                for _ in range(400):
                    try:
                        piece = one.recv(65536)
                        said += piece
                        if not piece:
                            break
                    except TimeoutError:
                        if not said:
                            one.sendall(rest)  # a drop at a time does not help
                    except ConnectionError:
                        break
                self.assertIn(b" 408 ", said.split(b"\r\n")[0])
                self.assertTrue(json.loads(said.split(b"\r\n\r\n")[1])["detail"])
        self.assertTrue(any("408" in line for line in self.logged("slow-body-1")))
        self.assertEqual(self.daemon.call("GET", "se-02", "/api/v1/files/")["total"], 0)

    def test_more_slow_bodies_than_workers_keep_nobody_waiting(self):
        body = json.dumps({"description": "slow"}).encode()
        head = self.head("PATCH", f"/api/v1/files/{self.sent['file_id']}",
                         "Content-Type: application/json", f"Content-Length: {len(body)}")
        upload, headers = form("slow.txt", b"x" * 1000)
        upload_head = self.head("POST", UPLOAD, f"Content-Type: {headers['Content-Type']}",
                                f"Content-Length: {len(upload)}")
        with contextlib.ExitStack() as stack:
            slow = []
            for sent in [head + body[:-1]] * (WORKERS + 1) + [upload_head + upload[:-1]]:
                slow.append(stack.enter_context(socket.create_connection(
                    ("127.0.0.1", self.daemon.ports["se-01"]), timeout=100)))
                slow[-1].sendall(sent)
            other = self.daemon.upload("meanwhile.txt", b"meanwhile")
            self.daemon.call("DELETE", "se-01", f"/api/v1/files/{other['file_id']}", 204)
            # None of them has been answered so far.
            self.assertEqual(select.select(slow, [], [], 0)[0], [])
            for one in slow:
                one.sendall(b"}" if one is not slow[-1] else upload[-1:])
            said = [one.recv(65536) for one in slow]
        self.assertEqual({answer.split()[1] for answer in said[:-1]}, {b"200"})
        self.assertEqual(said[-1].split()[1], b"201")
        made = json.loads(said[-1].split(b"\r\n\r\n")[1])["file_id"]
        self.daemon.call("DELETE", "se-01", f"/api/v1/files/{made}", 204)

    def test_a_trickled_upload_is_cut_and_leaves_nothing(self):
        """As much of it at first as brings it to its handler, and then a byte at a time."""
        files = self.daemon.data / "se-02"

        def stored():
            return {path for path in (files / "files").rglob("*") if path.is_file()}

        before = stored()
        body, headers = form("slow.txt", b"x" * 2_000_000)
        head = self.head("POST", UPLOAD, f"Content-Type: {headers['Content-Type']}",
                         f"Content-Length: {len(body)}", "X-Request-ID: trickle-1")
        with socket.create_connection(("127.0.0.1", self.daemon.ports["se-02"]),
                                      timeout=100) as one:
            one.sendall(head + body[:500_000])
            self.assertTrue(eventually(lambda: stored() != before))
            one.settimeout(0.02)
            said = b""
            for byte in body[500_000:]:
                try:
                    said = one.recv(65536)
                    break
                except TimeoutError:
                    one.sendall(bytes([byte]))
            self.assertEqual(said.split()[1], b"408")
            self.assertIn(b"slower than 50000 bytes a second", said)
        self.assertTrue(eventually(lambda: self.logged("trickle-1")))
        [line] = self.logged("trickle-1")
        self.assertIn(f"POST {UPLOAD} 408", line)
        self.assertIn("slower than 50000 bytes a second", line)
        self.assertIn("127.0.0.1", line)
        self.assertEqual(stored(), before)
        self.assertEqual(self.daemon.call("GET", "se-02", "/api/v1/files/")["total"], 0)
        report = self.daemon.call("GET", "se-02", "/api/v1/cache/consistency")
        self.assertEqual((report["is_consistent"], report["orphan_data_count"]), (True, 0))

    def test_who_does_not_take_an_answer_is_cut_after_the_time_that_is_told(self):
        """Of two the first may take an hour for it: it is still there when the other is cut."""
        content = b"x" * (32 << 20)  # more than the system takes in
        with contextlib.ExitStack() as stack:
            slow = {}
            for role in ("se-01", "se-02"):
                file_id = self.daemon.upload("large.bin", content, role=role)["file_id"]
                path = f"/api/v1/files/{file_id}/download"
                slow[role] = stack.enter_context(socket.create_connection(
                    ("127.0.0.1", self.daemon.ports[role]), timeout=100))
                slow[role].sendall(self.head("GET", path, f"X-Request-ID: slow-{role}",
                                             "Connection: close"))
                # Removed at the end: others count what is there.
                stack.callback(self.daemon.ask, "DELETE", role, f"/api/v1/files/{file_id}")
            self.assertTrue(eventually(lambda: self.logged("slow-se-02")))
            self.assertFalse(self.logged("slow-se-01"))
            self.assertLess(len(self.rest_of(slow["se-02"])), len(content))
            self.assertTrue(self.rest_of(slow["se-01"]).endswith(b"\r\n\r\n" + content))

    @staticmethod
    def rest_of(one):
        """What still comes, to the end or to where it is cut."""
        said = bytearray()
        with contextlib.suppress(ConnectionError):
            while piece := one.recv(1 << 20):
                said += piece
        return said

    def test_a_file_that_is_longer_than_its_element_is_told_is_refused(self):
        """Also where its length is not announced, and at once where it is announced to be long."""
        form_most = MOST + (1 << 20)
        told = len(self.refusals("se-03")) + 4
        for size, refusal in ((MOST, None), (MOST + 1, MOST), (form_most + 1, form_most)):
            body, headers = form("large.bin", b"x" * size)
            for sent in (body, iter([body])):
                with self.subTest(size=size, sent=type(sent)):
                    got, _, said = self.daemon.ask("POST", "se-03", UPLOAD, body=sent,
                                                   headers=headers)
                    self.assertEqual(got, 413 if refusal else 201, said)
                    if refusal and isinstance(sent, bytes):
                        self.assertIn(f" {refusal} bytes", json.loads(said)["detail"])
        total = self.daemon.call("GET", "se-03", "/api/v1/files/")["total"]
        self.assertEqual(total, 2)
        # They stand in the log behind the answer, and another test counts what stands there.
        self.assertTrue(eventually(lambda: len(self.refusals("se-03")) == told))

    def test_tokens_that_do_not_count(self):
        path = f"/api/v1/files/{self.sent['file_id']}"
        now = int(time.time())
        head, claims, sign = self.daemon.token.split(".")
        with tempfile.NamedTemporaryFile(suffix=".pem") as other:
            subprocess.run(["openssl", "genrsa", "-out", other.name, "2048"], check=True,
                           stderr=subprocess.DEVNULL)
            foreign = self.minted(key=other.name)
        none = base64url(b'{"alg":"none","typ":"JWT"}')
        public = self.public_key()
        secret = base64url(json.dumps({**decoded(head), "alg": "HS256"}).encode()) + "." + claims
        secret += "." + base64url(hmac.digest(public, secret.encode(), "sha256"))
        self.assertEqual(self.daemon.ask("GET", "se-01", path, headers={
            "Authorization": f"Bearer {self.minted()}"})[0], 200)
        for name, token in (
                ("expired", self.minted(exp=now - 600, iat=now - 1200, nbf=now - 1200)),
                ("not yet", self.minted(nbf=now + 600)),
                ("key of another", foreign),
                ("no algorithm", f"{none}.{claims}."),
                ("no algorithm, with a signature", f"{none}.{claims}.{sign}"),
                ("the public key taken for a secret", secret),
                ("a key that nobody knows", self.minted(head={"kid": "nobody-knows"})),
                ("claims of another", f"{head}.{base64url(b'{}')}.{sign}"),
                ("cut", self.daemon.token[:-10]), ("bits", f"{head}.{claims}.{sign[::-1]}"),
                ("no token", "x"), ("dots", "..."), ("long", "a" * 9000)):
            with self.subTest(name):
                status, fields, said = self.daemon.ask("GET", "se-01", path, headers={
                    "Authorization": f"Bearer {token}", "X-Request-ID": "bad-token"})
                self.assertEqual((status, fields["WWW-Authenticate"]), (401, "Bearer"))
                self.assertEqual(list(json.loads(said)), ["detail"])
        self.assertTrue(any("401" in line for line in self.logged("bad-token")))

    def test_a_role_that_may_not_is_refused_before_it_learns_what_exists(self):
        for role in ("readonly", "nobody-knows"):
            token = {"Authorization": f"Bearer {self.minted(role=role)}"}
            for file_id in (self.sent["file_id"], uuid.uuid4()):
                self.ask(403, "DELETE", "se-01", f"/api/v1/files/{file_id}", headers=token)

    def test_who_only_reads_puts_changes_and_finalizes_nothing(self):
        body, kind = form("a", b"x")
        file = self.sent["file_id"]
        writes = [("POST", "se-01", UPLOAD), ("POST", "ingester", UPLOAD),
                  ("POST", "ingester", "/api/v1/upload"),
                  ("PATCH", "se-01", f"/api/v1/files/{file}"),
                  ("POST", "ingester", f"/api/v1/finalize/{file}")]
        for role in ("readonly", "auditor"):
            token = {"Authorization": f"Bearer {self.minted(role=role)}"}
            self.daemon.call("GET", "se-01", f"/api/v1/files/{file}", headers=token)
            for method, where, path in writes:
                with self.subTest(role=role, path=path, where=where):
                    said = self.ask(403, method, where, path, body=body, headers={**kind, **token})
                    self.assertIn("Required role", said)
        self.ask(404, "GET", "ingester", f"/api/v1/finalize/{uuid.uuid4()}/status", headers=token)

    def test_headers_without_end_or_sense(self):
        many = "\r\n".join(f"X-{i}: y" for i in range(10_000))
        self.assertEqual(self.wire(self.head("GET", "/health/live", many))[0], 431)
        self.assertEqual(self.wire(self.head("GET", "/health/live", "X: " + "y" * 100_000))[0], 431)
        for raw in (b"GET\r\n\r\n", b"\x00\x01\x02\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                    b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
                    b"GET /a\x00b HTTP/1.1\r\nHost: x\r\n\r\n",
                    b"GET / HTTP/1.1\r\nHost x\r\n\r\n"):
            with self.subTest(raw=raw[:30]):
                self.assertIn(self.wire(raw)[0], (400, 505))

    def test_each_refusal_leaves_one_line_with_status_peer_and_reason(self):
        body, headers = form("a", b"x" * 1000)
        kind, last = f"Content-Type: {headers['Content-Type']}", "Connection: close"
        size, chunked = f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"
        file = f"/api/v1/files/{uuid.uuid4()}"
        post = f"POST {UPLOAD}"
        cases = [  # what is sent, status, what was asked, the reason
            (self.head("POST", UPLOAD, last, kind, size, size) + body, 400, post, ""),
            (self.head("POST", UPLOAD, last, kind, size, chunked) + body, 400, post, ""),
            (self.head("POST", UPLOAD, last, kind, size + "9") + body, 499, post, "went away"),
            (self.head("POST", UPLOAD, last, kind, "Content-Length: x") + body, 400, post, ""),
            (self.head("POST", UPLOAD, last, kind, chunked) + b"zz\r\n", 400, post, "body: "),
            (self.head("POST", UPLOAD, last, "Transfer-Encoding: gzip"), 501, post, "chunked"),
            (self.head("POST", UPLOAD, last, size) + body, 422, post, ""),
            (self.head("PATCH", file, last, size) + body, 422, f"PATCH {file}", "body"),
            (self.head("GET", file, last), 404, f"GET {file}", "not found"),
            (self.head("GET", "/api/v1/files/x", last), 422, "GET /api/v1/files/x", "valid UUID"),
            (self.head("GET", "/nowhere", last), 404, "GET /nowhere", "Not Found"),
            (self.head("PUT", file, last), 405, f"PUT {file}", "Method Not Allowed"),
            (self.head("GET", "/a/../b", last), 400, "GET /a/../b", ".."),
            (self.head("GET", "/%zz", last), 400, "GET /%zz", "hexadecimal"),
            (self.head("BREW", file, last), 501, f"BREW {file}", "Not Implemented"),
            (self.head("GET", "/", last, *(f"X-{i}: y" for i in range(10_000))), 431, "GET /", ""),
            (self.head("GET", "/", last, "X: " + "y" * 100_000), 431, "", "header is too long"),
            (b"GET /\r\n\r\n", 400, "", ""),
            (b"\x00\x01\x02\r\n\r\n", 400, "- -", ""),
            (b"GET / HTTP/9.9\r\n\r\n", 505, "", "HTTP/1"),
            (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400, "GET /", ""),
            (f"GET {file} HTTP/1.1\r\nHost: x\r\n{last}\r\n\r\n".encode(), 401, f"GET {file}", "")]

        before = len(self.refusals("se-03"))

        def told():
            return self.refusals("se-03")[before:]

        for count, (raw, status, asked, reason) in enumerate(cases):
            with self.subTest(raw=raw[:60], status=status):
                self.assertEqual(len(told()), count)
                got, said = self.wire(raw, "se-03", more_may_come=status != 499)
                self.assertEqual(got, status, said[:300])
                self.assertTrue(json.loads(said)["detail"])
                self.assertTrue(eventually(lambda: len(told()) > count))  # behind the answer
                line = told()[count]
                self.assertTrue(line.startswith(f"INFO: {asked}"), line)
                self.assertRegex(line, f" {status} \\| .*peer=127.0.0.1 .*reason=.*{reason}")
        self.assertEqual(len(told()), len(cases))
        numbers = self.daemon.ask("GET", "se-03", "/metrics")[2].decode()
        self.assertIn('site="se-03",method="other",route="none",status="501"', numbers)

    def test_a_refusal_stands_in_the_log_with_its_request(self):
        self.daemon.ask("GET", "se-01", "/api/v1/files/not-a-uuid",
                        headers={"X-Request-ID": "bad-input-1"})
        # The line may be written after the answer.
        self.assertTrue(eventually(lambda: any(
            "bad-input-1" in line and "422" in line
            for line in self.daemon.log.read_text().splitlines())), self.daemon.log.read_text())


if __name__ == "__main__":
    DAEMON = sys.argv.pop(1)
    unittest.main(verbosity=1)
