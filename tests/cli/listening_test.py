# SPDX-License-Identifier: Apache-2.0
"""What artcached is told of its ports, its log and its keys, as a process: TLS, CORS, lines of
JSON, and keys and certificates that a hangup makes it read anew.

usage: listening_test.py ARTCACHED
"""

import base64
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "support")]

from artcached import Artcached, eventually  # noqa: E402

DAEMON = ""
OURS, OTHERS = "https://a.example", "https://elsewhere.example"
FILES = "/api/v1/files/"
SECRET = "Test-Password123"


def openssl(*arguments, **more):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, **more).stdout


def base64url(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class Listening(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.certificate, key = cls.folder / "c.pem", cls.folder / "k.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1", "-days", 1,
                "-out", cls.certificate, "-keyout", key)
        cls.log = cls.folder / "log"
        told = {"query.tls_certificate": cls.certificate, "query.tls_key": key,
                "element.se-01.cors_origins": f"https://b.example,{OURS}",
                "element.se-02.cors_origins": "*",
                "daemon.log_format": "json", "daemon.log_file": cls.log}
        cls.daemon = Artcached(DAEMON, *(word for name, value in told.items()
                                         for word in ("--set", f"{name}={value}")))
        cls.addClassCleanup(cls.daemon.close)
        cls.daemon.start()

    def test_with_a_certificate_a_port_speaks_tls_and_nothing_else(self):
        port = self.daemon.ports["query"]
        trusted = ssl.create_default_context(cafile=self.certificate)
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/health/live", context=trusted,
                                    timeout=60) as answer:
            self.assertEqual(json.load(answer)["status"], "ok")
        with self.assertRaises(urllib.error.URLError):  # signed by nobody that is known
            urllib.request.urlopen(f"https://127.0.0.1:{port}/health/live", timeout=60,
                                   context=ssl.create_default_context())
        with socket.create_connection(("127.0.0.1", port), timeout=60) as wire:
            wire.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            said = b""
            try:
                while piece := wire.recv(4096):
                    said += piece
            except ConnectionError:
                pass
            self.assertNotIn(b"HTTP/1.1", said)

    def test_a_certificate_that_cannot_be_used_is_named_and_nothing_is_served(self):
        wrong = self.folder / "nothing.pem"
        with tempfile.TemporaryDirectory() as data:
            done = subprocess.run(
                [DAEMON, "--demo", "--data", data, "--port-offset", "0", "--set",
                 f"query.tls_certificate={wrong}", "--set", f"query.tls_key={wrong}"],
                capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stdout, "")
        self.assertIn(str(wrong), done.stderr)

    def preflight(self, role, origin):
        return self.daemon.ask("OPTIONS", role, FILES, headers={
            "Authorization": "", "Origin": origin, "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization"})

    def test_pages_of_the_named_origins_may_call_and_no_others(self):
        status, fields, body = self.preflight("se-01", OURS)
        self.assertEqual((status, body), (204, b""))
        self.assertEqual(fields["Access-Control-Allow-Origin"], OURS)
        self.assertIn("GET", fields["Access-Control-Allow-Methods"])
        self.assertEqual(fields["Access-Control-Allow-Headers"], "authorization")
        for role, origin, allowed in (
                ("se-01", OURS, OURS), ("se-01", OTHERS, None), ("se-01", "null", None),
                ("se-01", OURS + ".evil.example", None),
                ("se-02", OTHERS, OTHERS), ("se-03", OURS, None)):
            with self.subTest(role=role, origin=origin):
                fields = self.preflight(role, origin)[1]
                self.assertEqual(fields["Access-Control-Allow-Origin"], allowed)
                self.assertEqual("Access-Control-Allow-Methods" in fields, allowed is not None)
                status, fields, _ = self.daemon.ask("GET", role, FILES, headers={"Origin": origin})
                self.assertEqual((status, fields["Access-Control-Allow-Origin"]), (200, allowed))
                if role != "se-03":
                    self.assertIn("Origin", fields.get_all("Vary"))

    def told(self):
        """The lines of the log. A reader may see a write that goes over a page by half."""
        return "".join(line for line in self.log.read_text().splitlines(True) if line[-1] == "\n")

    def test_each_line_of_its_log_is_an_object_that_tells_of_its_request(self):
        for path, request, status in ((FILES, "of-json-1", 200), (FILES + "x", "of-json-2", 422)):
            self.daemon.ask("GET", "se-01", path, headers={"X-Request-ID": request})
            self.assertTrue(eventually(lambda: request in self.told()))
            lines = [json.loads(line) for line in self.told().splitlines()]
            self.assertGreater(len(lines), 3)
            for line in lines:
                self.assertLessEqual({"level", "logger", "message", "time"}, set(line))
            [line] = [line for line in lines if line.get("request_id") == request]
            self.assertEqual((line["logger"], line["level"]), ("access", "INFO"))
            self.assertEqual(line["site"], "se-01")
            self.assertEqual(line["message"], f"GET {path} {status}")


def certify(folder, name):
    """A certificate for this machine, and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-days", 1,
            "-out", certificate, "-keyout", key)
    return certificate, key


def other_end(pipe):
    """Once somebody waits to read it, who then waits for what is written; else nothing."""
    try:
        return open(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "wb")
    except OSError:
        return None


def is_taken(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except OSError:
        return False
    return True


class Certificates(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    @staticmethod
    def shown(port):
        return ssl.get_server_certificate(("127.0.0.1", port), timeout=60)

    def test_a_hangup_makes_ports_show_certificates_that_were_renewed(self):
        (old, _), (new, new_key) = (certify(self.folder, name) for name in ("old", "new"))
        used, used_key = self.folder / "c.pem", self.folder / "k.pem"
        shutil.copy(old, used)
        shutil.copy(self.folder / "old.key", used_key)
        ca = self.folder / "ca.pem"
        shutil.copy(old, ca)
        daemon = Artcached(DAEMON, "--set", f"query.tls_certificate={used}",
                           "--set", f"query.tls_key={used_key}", "--set", f"ingester.ca={ca}")
        self.addCleanup(daemon.close)
        daemon.start()
        port = daemon.ports["query"]
        trusted = ssl.create_default_context(cafile=old)
        with socket.create_connection(("127.0.0.1", port), timeout=60) as plain, \
                trusted.wrap_socket(plain, server_hostname="127.0.0.1") as open_before:
            def hang_up(words):
                before = daemon.log.read_text().count(words)
                daemon.child.send_signal(signal.SIGHUP)
                self.assertTrue(eventually(lambda: daemon.log.read_text().count(words) > before),
                                daemon.log.read_text())

            # Of a pair only the first is there yet.
            shutil.copy(new, used)
            hang_up("ERROR: query: ")
            self.assertIn(f"tls: '{used_key}'", daemon.log.read_text())
            self.assertEqual(self.shown(port), old.read_text())
            shutil.copy(new_key, used_key)
            hang_up("query was read anew")
            self.assertEqual(self.shown(port), new.read_text())
            # What was open goes on.
            open_before.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertIn(b"200 OK", open_before.recv(4096))
            used.unlink()
            ca.write_text("no certificate\n")
            hang_up("ERROR: query: ")
            refused = f"ca: '{ca}' is no list of certificates in PEM"
            self.assertTrue(eventually(lambda: refused in daemon.log.read_text()))
            self.assertEqual(self.shown(port), new.read_text())

    def test_who_is_told_to_end_hears_it_while_a_certificate_hangs(self):
        for times, code in ((1, 0), (2, 128 + signal.SIGTERM)):
            with self.subTest(times=times):
                used, used_key = certify(self.folder, f"c{times}")
                daemon = Artcached(DAEMON, "--set", f"query.tls_certificate={used}", "--set",
                                   f"query.tls_key={used_key}", "--set", "daemon.grace=1s")
                self.addCleanup(daemon.close)
                daemon.start()
                used.unlink()
                os.mkfifo(used)  # who opens it waits until somebody writes
                daemon.child.send_signal(signal.SIGHUP)
                with eventually(lambda: other_end(used)):
                    daemon.child.send_signal(signal.SIGTERM)
                    self.assertTrue(eventually(lambda: not is_taken(daemon.ports["admin"])))
                    if times == 2:
                        daemon.child.send_signal(signal.SIGTERM)
                        self.assertEqual(daemon.child.wait(timeout=180), code)
                self.assertEqual(daemon.child.wait(timeout=180), code)

    def test_all_roles_trust_the_authorities_that_they_are_told(self):
        certificate, key = certify(self.folder, "ours")
        roles = ("admin", "element.se-01", "ingester", "query")
        told = {f"{role}.{name}": value for role in roles
                for name, value in (("port", 0), ("tls_certificate", certificate),
                                    ("tls_key", key), ("ca", certificate))}
        told["admin.initial_account_secret"] = SECRET
        told |= {"element.se-01.report_interval": "200ms", "ingester.poll_interval": "200ms",
                 "query.elements": "se-01"}
        for role in roles[1:]:
            told |= {f"{role}.client_id": "admin-service", f"{role}.client_secret": SECRET,
                     f"{role}.public_key": self.folder / "data/admin/keys"}
        with open(self.folder / "log", "wb") as log:
            child = subprocess.Popen(
                [DAEMON, "--data", self.folder / "data",
                 *(word for role in roles for word in ("--role", role)),
                 *(word for name, value in told.items() for word in ("--set", f"{name}={value}"))],
                stdout=subprocess.PIPE, stderr=log, text=True)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        line = child.stdout.readline()
        self.assertTrue(line, (self.folder / "log").read_text())
        ports = json.loads(line)["ports"]
        trusted = ssl.create_default_context(cafile=certificate)

        def ask(role, path, body=None, token=""):
            request = urllib.request.Request(f"https://127.0.0.1:{ports[role]}{path}", data=body)
            request.add_header("Content-Type", "application/json")
            if token:
                request.add_header("Authorization", f"Bearer {token}")
            with urllib.request.urlopen(request, context=trusted, timeout=60) as answer:
                return json.load(answer)

        token = ask("admin", "/api/v1/auth/token", json.dumps(
            {"client_id": "admin-service", "client_secret": SECRET}).encode())["access_token"]

        def comes(condition):
            self.assertTrue(eventually(condition), (self.folder / "log").read_text())

        # The element has registered, the ingester has heard of it there, search follows it.
        comes(lambda: "se-01" in json.dumps(ask(
            "admin", "/api/v1/internal/storage-elements/available", token=token)))
        comes(lambda: "storage_elements_available 1" in self.metrics(ports, trusted, "ingester"))

        def followed():
            status = ask("query", "/api/v1/admin/sync/status", token=token)
            return len(status["elements"]) == 1 and status["in_step"]
        comes(followed)

    @staticmethod
    def metrics(ports, trusted, role):
        with urllib.request.urlopen(f"https://127.0.0.1:{ports[role]}/metrics", context=trusted,
                                    timeout=60) as answer:
            return answer.read().decode()


class Keys(unittest.TestCase):
    def test_a_hangup_makes_it_read_the_keys_anew(self):
        with tempfile.TemporaryDirectory() as folder:
            keys = pathlib.Path(folder) / "keys"
            daemon, old, new, status = self.element_of_two_keys(folder)

            def hang_up():
                before = daemon.log.read_text().count("se-02 was read anew")
                daemon.child.send_signal(signal.SIGHUP)
                self.assertTrue(eventually(
                    lambda: daemon.log.read_text().count("se-02 was read anew") > before))

            self.assertEqual((status(old), status(new)), (200, 401))
            (keys / "old.pem").unlink()
            self.publish(folder, "new")
            hang_up()
            self.assertEqual((status(old), status(new)), (401, 200))
            # What cannot be read leaves the keys as they were, and says so.
            (keys / "new.pem").write_text("no key\n")
            daemon.child.send_signal(signal.SIGHUP)
            self.assertTrue(eventually(lambda: "ERROR: se-02: " in daemon.log.read_text()))
            self.assertEqual(status(new), 200)
            self.assertEqual(daemon.ask("GET", "se-01", FILES)[0], 200)

    def test_nothing_but_the_keys_waits_where_their_folder_hangs(self):
        with tempfile.TemporaryDirectory() as folder:
            keys = pathlib.Path(folder) / "keys"
            # One thread serves all that comes: if it waited, nothing would be answered.
            daemon, old, new, status = self.element_of_two_keys(
                folder, "--set", "daemon.io_threads=1")
            self.assertEqual(status(old), 200)
            self.publish(folder, "new")
            pipe = keys / "z.pem"
            os.mkfifo(pipe)  # who opens it waits until somebody writes
            for _ in range(5):
                self.assertEqual(status(new), 401)
                self.assertEqual(status(old), 200)
            self.assertEqual(daemon.ask("GET", "se-02", "/health/live")[0], 200)
            # A slow disk is no fault of the keys.
            self.assertNotIn("keys: ", daemon.log.read_text())
            # Whoever waits in it gets what is no key, and then reads what is there.
            other_end = os.open(pipe, os.O_WRONLY)
            pipe.unlink()
            os.close(other_end)
            self.assertTrue(eventually(lambda: status(new) == 200))

    def test_a_process_starts_heeds_signals_and_ends_where_the_folder_of_keys_hangs(self):
        for hangs in ("from the start", "later"):
            with self.subTest(hangs), tempfile.TemporaryDirectory() as folder:
                pipe = pathlib.Path(folder) / "keys" / "z.pem"
                settings = ("--set", "daemon.grace=1s")
                if hangs == "later":
                    daemon, old, _, status = self.element_of_two_keys(folder, *settings)
                    self.assertEqual(status(old), 200)
                    os.mkfifo(pipe)
                else:
                    pipe.parent.mkdir()
                    os.mkfifo(pipe)
                    daemon = Artcached(DAEMON, "--set", f"element.se-02.public_key={pipe.parent}",
                                       *settings)
                    self.addCleanup(daemon.close)
                    daemon.start()
                    self.assertEqual(daemon.ask("GET", "se-02", FILES)[0], 401)
                for _ in range(2):
                    before = daemon.log.read_text().count("se-03 was read anew")
                    daemon.child.send_signal(signal.SIGHUP)
                    self.assertTrue(eventually(lambda: daemon.log.read_text().count(
                        "se-03 was read anew") > before))
                told = f"keys: '{pipe.parent}' does not answer in time"
                lines = [line for line in daemon.log.read_text().splitlines() if told in line]
                self.assertEqual([line.startswith("ERROR: se-02: ") for line in lines],
                                 [True] * 2 if hangs == "later" else [False, True, True], lines)
                self.assertNotIn("The keys stay as they were", daemon.log.read_text())
                self.assertEqual(daemon.end(), 0)

    def element_of_two_keys(self, folder, *settings):
        """A daemon whose se-02 knows the first of two keys, a token of each, and what a request
        with a token is answered."""
        keys = pathlib.Path(folder) / "keys"
        keys.mkdir()
        daemon = Artcached(DAEMON, "--set", f"element.se-02.public_key={keys}", *settings)
        self.addCleanup(daemon.close)
        for name in ("old", "new"):
            openssl("genrsa", "-out", pathlib.Path(folder) / name, 2048)
        self.publish(folder, "old")
        daemon.start()

        def status(token):
            return daemon.ask("GET", "se-02", FILES,
                              headers={"Authorization": f"Bearer {token}"})[0]

        return daemon, *(self.token(folder, name, daemon.token) for name in ("old", "new")), status

    @staticmethod
    def publish(folder, name):
        private = pathlib.Path(folder) / name
        openssl("rsa", "-in", private, "-pubout", "-out", private.parent / "keys" / f"{name}.pem")

    @staticmethod
    def token(folder, name, like):
        """The claims of that token, signed with another key, whose id is its thumbprint."""
        private = pathlib.Path(folder) / name
        number = int(openssl("rsa", "-in", private, "-noout", "-modulus").split(b"=")[1], 16)
        thumb = json.dumps({"e": "AQAB", "kty": "RSA", "n": base64url(
            number.to_bytes(256, "big"))}, separators=(",", ":")).encode()
        kid = base64url(openssl("dgst", "-sha256", "-binary", input=thumb))
        head = {"alg": "RS256", "typ": "JWT", "kid": kid}
        said = base64url(json.dumps(head).encode()) + "." + like.split(".")[1]
        sign = openssl("dgst", "-sha256", "-sign", private, input=said.encode())
        return said + "." + base64url(sign)


if __name__ == "__main__":
    DAEMON = sys.argv.pop(1)
    unittest.main(verbosity=1)
