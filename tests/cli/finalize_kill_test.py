# SPDX-License-Identifier: Apache-2.0
"""A finalize whose ingester is killed in front of each request that it makes of an element, and
behind each, so at every state that it leaves on the disk; and one whose elements are killed there.
It goes on, and in the end there is one copy, permanent and whole."""

import contextlib
import http.client
import http.server
import json
import pathlib
import re
import shutil
import sqlite3
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))

from artcached import free_port  # noqa: E402
from ingester_stand import LINE, Stand, form  # noqa: E402

CONTENT = b"0123456789" * 5_000
POLLED = "/api/v1/info"  # asked all the time, and of no finalize


class Wire(http.server.ThreadingHTTPServer):
    """Stands before an element and passes on what it is asked; `seen` is called in front of each
    request and behind it."""
    daemon_threads = True

    def __init__(self, port, seen):
        super().__init__(("127.0.0.1", 0), Passing)
        self.port, self.seen = port, seen
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_):
        """One of both sides was killed, which is what this is for."""


class Passing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def pass_on(self):
        body = self.body()
        counts = self.path != POLLED
        if counts:
            self.server.seen(f"before {self.command}", self.path)
        onward = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=180)
        with contextlib.closing(onward):
            kept = {key: value for key, value in self.headers.items()
                    if key in ("Authorization", "Content-Type", "If-Match", "Range",
                               "X-Request-ID")}
            onward.request(self.command, self.path, body=body or None, headers=kept)
            answer = onward.getresponse()
            content = answer.read()
        if counts:
            self.server.seen(f"after {self.command}", self.path)
        self.send_response(answer.status)
        for key in ("Content-Type", "ETag", "Retry-After", "X-Artcache-Position"):
            if key in answer.headers:
                self.send_header(key, answer.headers[key])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = pass_on

    def log_message(self, *_):
        """Nothing of it."""


class Kills(Stand):
    def setUp(self):
        super().setUp()
        self.lock = threading.Lock()
        self.left = None  # moments that pass until somebody is killed
        self.kinds = ""  # of the moments that count: how they begin
        self.struck_at = None
        self.victim = "ingester"
        self.deed = lambda: self.stop(self.victim)  # at that moment
        self.children, self.wires = {}, {}
        for name in ("se-11", "se-12"):
            port = free_port()
            wire = self.wires[name] = Wire(port, self.seen)
            self.addCleanup(wire.server_close)
            self.addCleanup(wire.shutdown)
        self.start("ingester")
        for name in self.wires:
            self.start(name)
        self.wait_for_elements(2)

    def start(self, name, **settings):
        if name == "ingester":
            self.children[name] = self.ingester(
                [wire.address() for wire in self.wires.values()],
                **{"ingester.finalize_wait": "0", "ingester.finalize_cleanup_after": "0",
                   "ingester.poll_interval": "100ms", **settings})
        else:
            mode = {"se-11": "edit", "se-12": "rw"}[name]
            self.children[name] = self.element(name, self.wires[name].port, 1, mode=mode)

    def seen(self, moment, path):
        with self.lock:
            if self.left is None or not f"{moment} {path}".startswith(self.kinds):
                return
            self.left -= 1
            if self.left >= 0:
                return
            self.left = None
            self.struck_at = f"{moment} {path}"
            self.deed()

    @property
    def killed_at(self):
        """The moment of the deed, once that is done."""
        with self.lock:
            return self.struck_at

    def arm(self, moments, kinds=""):
        with self.lock:
            self.left, self.kinds, self.struck_at = moments, kinds, None

    def stop(self, name):
        self.children[name].kill()
        self.children[name].wait()

    def finalize(self, file_id):
        """The answer, or nothing when nobody lives to give one."""
        try:
            status, body = self.ask("POST", "ingester", f"/api/v1/finalize/{file_id}", body="{}")
        except OSError:
            return {}
        return json.loads(body) if status == 202 else {}

    def state(self, file_id, put_back):
        """What the ingester has written down of it. Between "copied" and "verifying" it asks
        nobody, so that a kill between the two is made of one behind them: by putting it back."""
        with contextlib.closing(sqlite3.connect(self.data / "roles/ingester/ingester.db",
                                                timeout=60)) as tables, tables:
            if put_back:
                tables.execute("UPDATE ingester_finalizes SET status = 'copied' "
                               "WHERE file_id = ? AND status = 'verifying'", (file_id,))
            row = tables.execute("SELECT status FROM ingester_finalizes WHERE file_id = ?",
                                 (file_id,)).fetchone()
            clean = tables.execute("SELECT count(*) FROM ingester_cleanups WHERE file_id = ?",
                                   (file_id,)).fetchone()[0]
        return (row[0] if row else "none") + (" and a cleanup" if clean else "")

    def is_over(self, file_id):
        try:
            return self.ask("GET", "se-11", f"/api/v1/files/{file_id}")[0] == 404
        except OSError:
            return False

    def expect_whole(self, file_id):
        done = {}
        self.until(lambda: done.update(self.finalize(file_id)) or done.get("status") == "completed",
                   f"{self.killed_at}: {done}")
        self.until(lambda: self.is_over(file_id), f"{self.killed_at}: the source stays")
        self.assertEqual(self.content("se-12", file_id), CONTENT)
        entry = self.entry("se-12", file_id)
        self.assertEqual((entry["original_filename"], entry["retention_policy"], entry["tags"]),
                         ("draft.txt", "permanent", ["x"]))

    def sent_draft(self):
        """A connection of the killed one that breaks late may still keep it from being asked."""
        pieces = form("draft.txt", CONTENT, after=[("tags", "x")])
        answers = []
        self.until(lambda: answers.append(self.ask(
            "POST", "ingester", "/api/v1/upload", body=b"".join(pieces),
            headers={"Content-Type": f"multipart/form-data; boundary={LINE}"})) or
            answers[-1][0] == 201, "no element takes a file")
        return json.loads(answers[-1][1])["file_id"]

    def run_through(self, victim):
        """Kills at the first moment, at the second, and so on, until none is left."""
        self.victim, moments, states = victim, 0, set()
        while True:
            file_id = self.sent_draft()
            self.arm(moments)
            self.until(lambda: self.finalize(file_id) and False or self.killed_at or
                       self.is_over(file_id))
            with self.lock:
                self.left = None
            moments += 1
            if self.killed_at is None:
                break
            if victim == "ingester":
                states.add(self.state(file_id, put_back=moments % 2 == 0))
            self.start(victim)
            self.wait_for_elements(2)
            self.expect_whole(file_id)
        for element, files in (("se-11", 0), ("se-12", moments)):
            check = self.call("GET", element, "/api/v1/cache/consistency", 200)
            self.assertTrue(check["is_consistent"], check)
            self.assertEqual(check["total_attr_files"], files, check)
        return states

    def test_it_goes_on_wherever_the_ingester_is_killed(self):
        states = self.run_through("ingester")
        self.assertEqual(states, {"none", "copying", "copied", "verifying",
                                  "completed and a cleanup"})

    def test_it_goes_on_wherever_the_source_is_killed(self):
        self.run_through("se-11")

    def test_it_goes_on_wherever_the_target_is_killed(self):
        self.run_through("se-12")

    def test_the_copy_of_a_source_that_is_removed_while_the_ingester_is_dead_stays(self):
        """A 404 is what an element with an empty disk says, too: nothing tells the two apart."""
        self.victim, copies = "ingester", 0
        for moments in range(30):
            file_id = self.upload("draft.txt", CONTENT)["file_id"]
            self.arm(moments)
            self.until(lambda: self.finalize(file_id) and False or self.killed_at or
                       self.is_over(file_id))
            with self.lock:
                self.left = None
            if self.killed_at is None:
                break
            counts = self.state(file_id, put_back=False).startswith("completed")
            path = f"/api/v1/files/{file_id}"
            copied = self.ask("GET", "se-12", path)[0] == 200
            self.ask("DELETE", "se-11", path)
            self.start("ingester")
            self.wait_for_elements(2)
            if copied and not counts:
                copies += 1
                self.until(lambda: self.logged("may be the last there is", file_id),
                           f"{self.killed_at}: the copy is not named")
                self.assertEqual(self.content("se-12", file_id), CONTENT)
        self.assertGreater(copies, 0, "no kill met a copy that did not count yet")

    def rows(self, text, *values):
        with contextlib.closing(sqlite3.connect(self.data / "roles/ingester/ingester.db",
                                                timeout=60)) as tables:
            return tables.execute(text, values).fetchall()

    def logged(self, words, file_id):
        return [line for line in (self.data / "log").read_text().splitlines()
                if words in line and file_id in line]

    def test_a_copy_that_is_damaged_before_it_was_compared_does_not_count(self):
        file_id = self.upload("draft.txt", CONTENT, after=[("tags", "x")])["file_id"]

        def damage():
            self.damaged = [path for path in (self.data / "elements" / "se-12").rglob("*")
                            if path.is_file() and path.read_bytes() == CONTENT]
            self.damaged[0].write_bytes(CONTENT[:-1] + b"!")

        self.deed = damage
        self.arm(0, kinds="after POST")
        transaction = self.finalize(file_id)["transaction_id"]
        done = {}
        self.until(lambda: done.update(self.call(
            "GET", "ingester", f"/api/v1/finalize/{transaction}/status", 200)) or
            done["status"] in ("completed", "failed"), done)
        self.assertEqual(len(self.damaged), 1, self.killed_at)
        self.assertEqual(done["status"], "failed", done)
        self.assertIn("checksum", done["error_message"])
        self.until(lambda: self.ask("GET", "se-12", f"/api/v1/files/{file_id}")[0] == 404,
                   "the damaged copy stays")
        self.assertFalse(self.damaged[0].exists())
        self.assertEqual(self.content("se-11", file_id), CONTENT)
        self.expect_whole(file_id)  # the next one

    def test_an_edit_of_the_copy_before_it_was_verified_stays(self):
        """The registry shows the copy from its 201 on, and edits that. An edit of the source that
        comes beside it is carried on; where both are of one field that of the copy stays."""
        file_id = self.upload("draft.txt", CONTENT, after=[("version", "1")])["file_id"]
        path = f"/api/v1/files/{file_id}"

        def edit():
            for element, edits in (("se-11", {"description": "source", "version": "source"}),
                                   ("se-12", {"tags": ["copy"], "version": "copy"})):
                self.call("PATCH", element, path, 200, body=json.dumps(edits))

        self.deed = edit
        self.arm(1, kinds=f"before GET {path}/download")  # the second one is that of the copy
        self.until(lambda: self.finalize(file_id).get("status") == "completed")
        self.assertIsNotNone(self.killed_at)
        self.until(lambda: self.is_over(file_id), "the source stays")
        entry = self.entry("se-12", file_id)
        self.assertEqual((entry["description"], entry["tags"], entry["version"]),
                         ("source", ["copy"], "copy"))
        self.assertEqual(len(self.logged("Both copies", file_id)), 1)

    def test_an_edit_of_the_copy_just_behind_its_upload_stays(self):
        """Whether the ingester hears that there is a copy or not; also beside edits of the source,
        which are carried on."""
        for kills in (False, True):
            with self.subTest(kills=kills):
                file_id = self.upload("draft.txt", CONTENT, after=[("version", "1")])["file_id"]
                path = f"/api/v1/files/{file_id}"

                def edit():
                    for element, edits in (
                            ("se-11", {"description": "source", "version": "source"}),
                            ("se-12", {"tags": ["copy"], "version": "copy"})):
                        self.call("PATCH", element, path, 200, body=json.dumps(edits))
                    if kills:
                        self.stop("ingester")

                self.deed = edit
                self.arm(0, kinds="after POST")
                self.until(lambda: self.finalize(file_id) and False or self.killed_at)
                if kills:
                    self.start("ingester")
                    self.wait_for_elements(2)
                self.until(lambda: self.finalize(file_id).get("status") == "completed")
                self.until(lambda: self.is_over(file_id), "the source stays")
                entry = self.entry("se-12", file_id)
                self.assertEqual((entry["description"], entry["tags"], entry["version"]),
                                 ("source", ["copy"], "copy"))
                self.assertEqual(len(self.logged("Both copies", file_id)), 1)

    def test_a_tag_that_an_upload_would_part_is_whole_at_the_copy(self):
        """Also when the ingester has heard nothing of the copy."""
        for kills in (False, True):
            with self.subTest(kills=kills):
                file_id = self.upload("draft.txt", CONTENT)["file_id"]
                self.call("PATCH", "se-11", f"/api/v1/files/{file_id}", 200,
                          body='{"tags": ["a, b"]}')
                if kills:
                    self.victim = "ingester"
                    self.deed = lambda: self.stop("ingester")
                    self.arm(0, kinds="after POST")
                    self.until(lambda: self.finalize(file_id) and False or self.killed_at)
                    self.start("ingester")
                    self.wait_for_elements(2)
                self.until(lambda: self.finalize(file_id).get("status") == "completed")
                self.assertEqual(self.entry("se-12", file_id)["tags"], ["a, b"])

    def test_the_copy_stays_when_the_source_has_lost_its_disk(self):
        self.expect_the_copy_stays(404, lambda folder: shutil.rmtree(folder))

    def test_the_copy_stays_when_the_source_has_lost_its_files_and_has_an_index(self):
        self.expect_the_copy_stays(200, lambda folder: shutil.rmtree(folder / "files"))

    def test_the_copy_stays_when_the_index_of_the_source_was_made_anew_on_an_empty_disk(self):
        """Its log tells of a removal of each file then, as if somebody had removed them."""
        def rebuild():
            self.call("POST", "se-11", "/api/v1/cache/rebuild", 200)

        self.expect_the_copy_stays(404, lambda folder: shutil.rmtree(folder / "files"), rebuild)

    def expect_the_copy_stays(self, said, lose, then=lambda: None):
        self.stop("ingester")
        self.start("ingester", **{"ingester.finalize_attempts": "1"})
        self.wait_for_elements(2)
        file_id = self.upload("draft.txt", CONTENT)["file_id"]
        self.victim = "se-11"
        self.arm(0, kinds="after POST")  # the copy is whole, and not verified yet
        self.until(lambda: self.finalize(file_id) and False or self.killed_at)
        cleanup = ("SELECT reason, attempts FROM ingester_cleanups "
                   "WHERE file_id = ? AND element = 'se-12'")
        self.until(lambda: self.rows(cleanup, file_id), "the finalize does not fail")
        self.assertEqual(self.ask("GET", "se-12", f"/api/v1/files/{file_id}")[0], 200)
        self.stop("ingester")
        lose(self.data / "elements" / "se-11")
        self.start("se-11")
        then()
        self.start("ingester")
        self.wait_for_elements(2)
        self.assertEqual(self.ask("GET", "se-11", f"/api/v1/files/{file_id}")[0], said)
        lost = ("a finalize that failed and lost its source",)
        self.until(lambda: self.rows(cleanup, file_id)[0][:1] == lost, "the loss is not noticed")
        attempts = self.rows(cleanup, file_id)[0][1]
        self.until(lambda: self.rows(cleanup, file_id)[0][1] > attempts, "it is tried no more")
        self.assertEqual(self.content("se-12", file_id), CONTENT)
        self.assertEqual(len(self.logged("may be the last there is", file_id)), 1)

    def change_rows(self, text, *values):
        with contextlib.closing(sqlite3.connect(self.data / "roles/ingester/ingester.db",
                                                timeout=60)) as tables, tables:
            tables.execute(text, values)

    def test_what_ended_long_ago_is_forgotten_and_the_file_stays_permanent(self):
        file_id = self.upload("draft.txt", CONTENT)["file_id"]
        status = f"/api/v1/finalize/{self.finalize(file_id)['transaction_id']}/status"
        count = "SELECT count(*) FROM ingester_cleanups WHERE file_id = ?"
        self.until(lambda: self.call("GET", "ingester", status, 200)["status"] == "completed"
                   and self.rows(count, file_id) == [(0,)])
        for completed_at, known in (("completed_at", 200), ("0", 404)):
            self.stop("ingester")
            self.change_rows(f"UPDATE ingester_finalizes SET completed_at = {completed_at}")
            self.start("ingester")
            self.wait_for_elements(2)
            self.until(lambda: self.ask("GET", "ingester", status)[0] == known)
        self.assertEqual(
            self.ask("POST", "ingester", f"/api/v1/finalize/{file_id}", body="{}")[0], 400)
        self.assertEqual(self.content("se-12", file_id), CONTENT)

    def due_now(self, file_id):
        """As if the cleanup had come to nothing twenty times, and its pause were over."""
        self.change_rows("UPDATE ingester_cleanups SET due_at = 0, attempts = 20 "
                         "WHERE file_id = ?", file_id)

    def stuck(self):
        text = self.ask("GET", "ingester", "/metrics", token="")[1].decode()
        return re.search(r"^ingester_cleanups_stuck (\d+)", text, re.MULTILINE)[1]

    def change_mode(self, mode):
        self.call("POST", "se-12", "/api/v1/mode/transition", 200, body=json.dumps(
            {"target_mode": mode, "confirm": True, "reason": "test"}))

    def test_an_edit_that_comes_while_the_source_is_about_to_be_removed_is_carried_on(self):
        file_id = self.upload("draft.txt", CONTENT)["file_id"]
        path = f"/api/v1/files/{file_id}"
        self.deed = lambda: self.call("PATCH", "se-11", path, 200, body='{"version": "2"}')
        # The third one is the last look at the copy: its bytes were taken, and read back.
        self.arm(2, kinds=f"after GET {path}/download")
        self.until(lambda: self.finalize(file_id).get("status") == "completed")
        self.until(lambda: self.is_over(file_id), "the source stays")
        self.assertIsNotNone(self.killed_at)
        self.assertEqual(self.entry("se-12", file_id)["version"], "2")

    def test_an_edit_that_comes_when_the_source_was_looked_at_last_is_carried_on(self):
        file_id = self.sent_draft()
        self.deed = lambda: self.call("PATCH", "se-11", f"/api/v1/files/{file_id}", 200,
                                      body='{"version": "2"}')
        self.arm(0, kinds=f"before DELETE /api/v1/gc/{file_id}")
        self.until(lambda: self.finalize(file_id).get("status") == "completed")
        self.until(lambda: self.is_over(file_id), "the source stays")
        self.assertIsNotNone(self.killed_at)
        self.assertEqual(self.entry("se-12", file_id)["version"], "2")

    def test_a_cleanup_that_was_taken_back_while_others_were_made_is_not_made(self):
        self.stop("ingester")
        self.start("ingester", **{"ingester.finalize_cleanup_after": "1h"})
        self.wait_for_elements(2)
        files = [self.upload("draft.txt", CONTENT)["file_id"] for _ in range(3)]
        for file_id in files:
            self.until(lambda: self.finalize(file_id).get("status") == "completed")
        self.deed = lambda: self.change_rows("DELETE FROM ingester_cleanups WHERE file_id = ?",
                                             files[1])
        self.arm(0, kinds=f"before DELETE /api/v1/gc/{files[0]}")
        self.change_rows("UPDATE ingester_cleanups SET due_at = CASE file_id "
                         "WHEN ? THEN 0 WHEN ? THEN 1 ELSE 2 END", *files[:2])
        self.until(lambda: self.is_over(files[2]), "the source stays")
        self.assertIsNotNone(self.killed_at)
        self.assertTrue(self.is_over(files[0]))
        self.assertEqual(self.content("se-11", files[1]), CONTENT)

    def test_a_cleanup_that_is_noted_anew_while_it_is_made_stays(self):
        """Also where it came to nothing, here since the source was edited just before."""
        for moments, moment in ((0, "before DELETE /api/v1/gc/{0}"),
                                (2, "after GET /api/v1/files/{0}/download")):
            with self.subTest(moment):
                file_id = self.upload("draft.txt", CONTENT)["file_id"]

                def note():
                    if "GET" in moment:
                        self.call("PATCH", "se-11", f"/api/v1/files/{file_id}", 200,
                                  body='{"version": "2"}')
                    self.change_rows("UPDATE ingester_cleanups SET due_at = ? WHERE file_id = ?",
                                     1 << 62, file_id)

                self.deed = note
                self.arm(moments, kinds=moment.format(file_id))
                self.until(lambda: self.finalize(file_id).get("status") == "completed")
                self.until(lambda: self.killed_at, "the source is not removed")
                # Cleanups are made one by one, so that what follows is behind it.
                self.expect_whole(self.sent_draft())
                self.assertEqual(self.rows("SELECT attempts, due_at FROM ingester_cleanups "
                                           "WHERE file_id = ?", file_id), [(0, 1 << 62)])

    def test_a_copy_that_is_to_be_removed_is_not_made_permanent(self):
        """As that of an upload whose answer was lost, and which succeeded at another element."""
        file_id = self.upload("draft.txt", CONTENT)["file_id"]
        port = free_port()
        self.element("se-13", port, 2)
        self.stop("ingester")
        self.start("ingester", **{"ingester.elements": ",".join(
            [wire.address() for wire in self.wires.values()] + [f"http://127.0.0.1:{port}"])})
        self.wait_for_elements(3)
        self.change_rows("INSERT INTO ingester_cleanups "
                         "(file_id, element, keeper, reason, attempts, due_at) "
                         "VALUES (?, 'se-11', '', 'an upload that was not acknowledged', 0, ?)",
                         file_id, 1 << 62)
        path = f"/api/v1/finalize/{file_id}"
        self.call("POST", "ingester", path, 404, body="{}")
        pieces = form("draft.txt", CONTENT, before=[("file_id", file_id)], after=[("version", "2")])
        self.call("POST", "se-13", "/api/v1/files/upload", 201, body=b"".join(pieces),
                  headers={"Content-Type": f"multipart/form-data; boundary={LINE}"})
        self.until(lambda: self.finalize(file_id).get("status") == "completed")
        self.assertEqual(self.entry("se-12", file_id)["version"], "2")
        self.until(lambda: self.ask("GET", "se-13", f"/api/v1/files/{file_id}")[0] == 404)
        self.assertEqual(self.content("se-11", file_id), CONTENT)

    def test_a_target_that_takes_no_edits_any_more_is_told_of_until_it_does(self):
        self.stop("ingester")
        self.start("ingester", **{"ingester.finalize_cleanup_after": "1h"})
        self.wait_for_elements(2)
        file_id = self.upload("draft.txt", CONTENT)["file_id"]
        self.until(lambda: self.finalize(file_id).get("status") == "completed")
        self.call("PATCH", "se-11", f"/api/v1/files/{file_id}", 200, body='{"version": "2"}')
        self.change_mode("ro")
        self.due_now(file_id)
        self.until(lambda: self.logged("an element refuses", file_id), "no refusal is told of")
        self.assertIn("answers 400", self.logged("an element refuses", file_id)[0])
        self.until(lambda: self.stuck() == "1")
        self.assertEqual(self.content("se-11", file_id), CONTENT)
        self.change_mode("rw")
        self.due_now(file_id)
        self.until(lambda: self.is_over(file_id), "the source stays")
        self.assertEqual(self.entry("se-12", file_id)["version"], "2")
        self.until(lambda: self.stuck() == "0")

    def test_what_an_earlier_version_has_written_down_is_gone_on_with(self):
        """Its finalizes know nothing of what both copies said: the copy stays as it is."""
        self.stop("ingester")
        self.start("ingester", **{"ingester.finalize_cleanup_after": "1h"})
        self.wait_for_elements(2)
        file_id = self.upload("draft.txt", CONTENT)["file_id"]
        self.until(lambda: self.finalize(file_id).get("status") == "completed")
        self.stop("ingester")
        database = self.data / "roles/ingester/ingester.db"
        with contextlib.closing(sqlite3.connect(database, timeout=60)) as tables:
            tables.execute("ALTER TABLE ingester_finalizes DROP COLUMN base")
            tables.execute("UPDATE artcache_schema SET version = 1 WHERE name = 'ingester'")
            tables.commit()
        self.call("PATCH", "se-11", f"/api/v1/files/{file_id}", 200, body='{"version": "2"}')
        self.start("ingester")
        self.wait_for_elements(2)
        self.assertEqual(self.finalize(file_id)["status"], "completed")
        self.due_now(file_id)
        self.until(lambda: self.is_over(file_id), "the source stays")
        self.assertIsNone(self.entry("se-12", file_id)["version"])
        self.assertEqual(self.content("se-12", file_id), CONTENT)
        self.assertEqual(len(self.logged("Both copies", file_id)), 1)


if __name__ == "__main__":
    Stand.DAEMON = sys.argv.pop(1)
    unittest.main(verbosity=1)
