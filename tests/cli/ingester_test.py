# SPDX-License-Identifier: Apache-2.0
"""The ingester over HTTP: files go to the element that is filled next and arrive there whole, or
not at all; temporary ones become permanent, whoever is killed meanwhile."""

import contextlib
import hashlib
import http.server
import json
import pathlib
import re
import signal
import socket
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))

from artcached import elements_in_view, free_port  # noqa: E402
from ingester_stand import LINE, Stand, form  # noqa: E402

MIB = 1024 * 1024


class Full(http.server.BaseHTTPRequestHandler):
    """An element that says it has room, and takes nothing."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        number = self.server.server_port
        self.answer(200, {"element_id": f"se-{number}", "mode": "edit", "priority": number,
                          "capacity_bytes": 10 ** 12, "used_bytes": 0, "status": "operational"})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(self.server.server_port)
        self.answer(507, {"detail": "no space"})

    def answer(self, status, said):
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Silent(Full):
    """An element that takes a file whole and does not say so."""

    def do_POST(self):
        if self.headers["Transfer-Encoding"] == "chunked":
            body = b"".join(iter(self.chunk, b""))
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append(re.search(rb'name="file_id"\r\n\r\n(\S+)', body)[1].decode())
        self.server.has_all.set()
        self.server.may_end.wait()
        self.close_connection = True

    def chunk(self):
        piece = self.rfile.read(int(self.rfile.readline(), 16))
        self.rfile.readline()
        return piece

    def do_DELETE(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.removed.append(self.path)
        self.answer(200, {})


class Distrustful(Full):
    """An element that believes no token at first, as one whose keys were late."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(len(body))
        if len(self.server.asked) == 1:
            self.answer(401, {"detail": "Invalid token"})
        else:
            self.answer(201, {"original_filename": "a.txt", "file_size": 1, "checksum": "0" * 64,
                              "storage_filename": "a.txt", "content_type": "text/plain"})


class WithServers(Stand):
    def serving(self, kind):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server


class Uploads(WithServers):
    def test_a_file_arrives_on_the_element_that_is_filled_first_as_its_owner_s(self):
        self.demo()
        content = b"quarterly" * 1000
        sent = self.upload("план.txt", content, token=self.token("sa_prod_admin_service_abc12345"),
                           before=[("retention_days", 30), ("description", "Отчёт")],
                           after=[("tags", '["a", "b"]'), ("metadata", '{"n": 1}')])
        self.assertEqual((sent["storage_element_id"], sent["retention_policy"]),
                         ("se-01", "temporary"))
        self.assertEqual(sent["checksum"], hashlib.sha256(content).hexdigest())
        self.assertIn(sent["file_id"], sent["storage_filename"])
        entry = self.entry("se-01", sent["file_id"])
        self.assertEqual(entry["created_by_username"], "admin-service-2")
        self.assertEqual((entry["description"], entry["tags"], entry["metadata"]),
                         ("Отчёт", ["a", "b"], {"n": 1}))
        self.assertEqual((entry["original_filename"], entry["ttl_days"]), ("план.txt", 30))
        self.assertEqual(entry["retention_expires_at"], sent["ttl_expires_at"])
        self.assertEqual(self.content("se-01", sent["file_id"]), content)

    def test_a_large_file_is_streamed_and_what_is_said_behind_it_counts(self):
        self.demo()
        content = bytes(range(256)) * (10 * MIB // 256)
        sent = self.upload("large.bin", content, after=[("retention_days", 365)])
        self.assertEqual(sent["file_size"], len(content))
        self.assertEqual(self.entry("se-01", sent["file_id"])["ttl_days"], 365)
        self.assertEqual(self.content("se-01", sent["file_id"]), content)

    def test_permanent_files_go_to_the_lasting_element(self):
        self.demo()
        sent = self.upload("kept.txt", b"kept", path="/api/v1/files/upload",
                           after=[("retention_policy", "permanent")])
        self.assertEqual((sent["storage_element_id"], sent["ttl_expires_at"]), ("se-03", None))
        self.assertEqual(self.entry("se-03", sent["file_id"])["retention_policy"], "permanent")

    def test_what_is_wrong_is_said_and_nothing_is_kept(self):
        self.demo()
        wrong = [[("retention_days", 0)], [("retention_days", "soon")], [("ttl_days", 366)],
                 [("retention_policy", "eternal")], [("ttl_days", 5), ("retention_days", 6)],
                 [("retention_policy", "permanent"), ("ttl_days", 5)], [("tags", "[1]")]]
        for fields in wrong:
            for order in ({"before": fields}, {"after": fields}):
                detail = self.upload("a.txt", b"a", check=422, **order)["detail"]
                self.assertEqual(detail[0]["loc"][0], "body", detail)
        self.upload("a.txt", b"a", check=400, after=[("metadata", "{")])
        large = b"x" * (3 * MIB)
        self.upload("a.txt", large, check=422, after=[("retention_days", 0)])
        late = self.upload("a.txt", large, check=422, after=[("retention_policy", "permanent")])
        self.assertIn("in front of the file", late["detail"][0]["msg"])
        self.call("POST", "ingester", "/api/v1/upload", 422, body="{}")
        self.call("POST", "ingester", "/api/v1/upload", 401, token="")
        for role in ("se-01", "se-02", "se-03"):
            self.assertEqual(self.total(role), 0)

    def test_a_full_element_is_passed_over(self):
        self.demo(element_se_01__max_size=2500)
        where = [self.upload(f"{i}.txt", b"x" * 1000)["storage_element_id"] for i in range(4)]
        self.assertEqual(where, ["se-01", "se-01", "se-02", "se-02"])

    def test_what_full_means_is_told(self):
        self.demo(element_se_01__max_size=2500, element_se_02__max_size=MIB,
                  ingester__capacity_warning=30, ingester__capacity_critical=35,
                  ingester__capacity_full=40)
        where = [self.upload(f"{i}.txt", b"x" * 1000)["storage_element_id"] for i in range(3)]
        self.assertEqual(where, ["se-01", "se-02", "se-02"])

    def test_room_that_ends_in_mid_stream_leaves_nothing_and_the_next_try_goes_elsewhere(self):
        self.demo(element_se_01__max_size=2 * MIB)
        pieces = form("unknown.bin", b"y" * (6 * MIB))
        send = {"body": iter(pieces), "chunked": True,
                "headers": {"Content-Type": f"multipart/form-data; boundary={LINE}",
                            "Transfer-Encoding": "chunked"}}
        said = self.call("POST", "ingester", "/api/v1/upload", 503, **send)
        self.assertIn("ran out of room", said["detail"])
        self.assertEqual(self.headers["Retry-After"], "30")
        self.assertEqual(self.total("se-01"), 0)
        sent = self.upload("unknown.bin", b"y" * (6 * MIB))
        self.assertEqual(sent["storage_element_id"], "se-02")

    def test_three_elements_that_turn_out_to_be_full_are_tried_and_no_more(self):
        asked, ports = [], []
        for _ in range(4):
            server = self.serving(Full)
            server.asked = asked
            ports.append(server.server_port)
        self.ingester([f"http://127.0.0.1:{port}" for port in ports])
        self.wait_for_elements(4)
        said = self.upload("a.txt", b"a", check=503)
        self.assertEqual(said["error_type"], "NoAvailableStorageException")
        self.assertEqual(self.headers["Retry-After"], "30")
        self.assertEqual(asked, sorted(ports)[:3])

    def test_an_element_that_refuses_a_token_is_asked_again_with_another_one(self):
        element = self.serving(Distrustful)
        element.asked = []
        self.ingester([f"http://127.0.0.1:{element.server_port}"])
        self.wait_for_elements(1)
        sent = self.upload("a.txt", b"a")
        self.assertEqual(sent["storage_element_id"], f"se-{element.server_port}")
        self.assertEqual(len(element.asked), 2)

    def test_a_file_that_fits_nowhere_is_refused_with_a_time_to_come_back(self):
        self.demo(**{f"element_{name}__max_size": 1000 for name in ("se_01", "se_02", "se_03")})
        for policy in ("temporary", "permanent"):
            said = self.upload("a.txt", b"x" * 2000, check=503,
                               before=[("retention_policy", policy)])
            self.assertEqual((said["error_type"], said["retry_after"]),
                             ("NoAvailableStorageException", 30))
            self.assertEqual(self.headers["Retry-After"], "30")


class Lasting(Full):
    """A lasting element that takes files and never comes to the end of one."""

    def do_GET(self):
        if self.path.startswith("/api/v1/files/"):
            return self.answer(404, {"detail": "not here"})
        self.answer(200, {"element_id": "se-lasting", "mode": "rw", "priority": 1,
                          "capacity_bytes": 10 ** 12, "used_bytes": 0, "status": "operational"})
    do_HEAD = do_GET

    def do_POST(self):
        self.server.may_end.wait()
        self.close_connection = True


class Deaths(WithServers):
    def test_a_client_that_goes_before_the_answer_leaves_no_copy_behind(self):
        element = self.serving(Silent)
        element.taken, element.removed = [], []
        element.has_all, element.may_end = threading.Event(), threading.Event()
        self.addCleanup(element.may_end.set)
        self.ingester([f"http://127.0.0.1:{element.server_port}"], **{"ingester.doubt": "1s"})
        self.wait_for_elements(1)
        for size in (1000, 3 * MIB):  # sent on in one piece, and streamed
            body = b"".join(form("a.txt", b"a" * size))
            head = (f"POST /api/v1/upload HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
                    f"Authorization: Bearer {self.token()}\r\n"
                    f"Content-Type: multipart/form-data; boundary={LINE}\r\n\r\n")
            element.has_all.clear()
            with socket.create_connection(("127.0.0.1", self.ports["ingester"])) as client:
                client.sendall(head.encode() + body)
                self.assertTrue(element.has_all.wait(180))
            self.until(lambda: len(element.removed) == len(element.taken))
            self.assertEqual(element.removed[-1], f"/api/v1/gc/{element.taken[-1]}")
        self.assertEqual(len(element.taken), 2)  # and was not taken for dead in between

    def test_without_an_element_there_is_503_until_one_comes(self):
        port = free_port()
        self.ingester([f"http://127.0.0.1:{port}"])
        said = self.upload("a.txt", b"a", check=503)
        self.assertEqual(said["error_type"], "NoAvailableStorageException")
        self.element("se-11", port, 1)
        self.until(lambda: self.ask("GET", "ingester", "/health/ready")[0] == 200
                   or self.upload_works())
        self.assertEqual(self.upload("a.txt", b"a")["storage_element_id"], "se-11")

    def upload_works(self):
        pieces = form("probe.txt", b"p")
        return self.ask("POST", "ingester", "/api/v1/upload", body=b"".join(pieces), headers={
            "Content-Type": f"multipart/form-data; boundary={LINE}"})[0] == 201

    def files(self, name):
        """Whatever the element has on its disk for its files, under any name."""
        return {path for path in (self.data / "elements" / name / "files").rglob("*")
                if path.is_file()}

    def test_a_small_file_goes_to_the_next_element_when_one_has_just_died(self):
        first, second = free_port(), free_port()
        elements = [f"http://127.0.0.1:{first}", f"http://127.0.0.1:{second}"]
        child = self.ingester(elements)
        victim = self.element("se-11", first, 1)
        self.element("se-12", second, 2)
        child.kill()
        child.wait()
        # One that sees both alive when it starts, and does not look again soon.
        self.ingester(elements, **{"ingester.poll_interval": "45s"})
        self.wait_for_elements(2)
        self.assertEqual(self.upload("a.txt", b"a")["storage_element_id"], "se-11")
        victim.kill()
        victim.wait()
        sent = self.upload("b.txt", b"b" * 1000)
        self.assertEqual(sent["storage_element_id"], "se-12")
        self.assertEqual(self.content("se-12", sent["file_id"]), b"b" * 1000)

    def test_an_element_that_is_killed_or_cut_off_gets_no_files_soon(self):
        """With the settings as they are by themselves, and in less than 90 seconds."""
        ports = [free_port() for _ in range(3)]
        self.ingester([f"http://127.0.0.1:{port}" for port in ports])
        killed, cut_off, _ = (self.element(f"se-1{number}", port, number)
                              for number, port in enumerate(ports, 1))
        self.wait_for_elements(3)
        self.assertEqual(self.upload("a.txt", b"a")["storage_element_id"], "se-11")
        killed.kill()
        killed.wait()
        cut_off.send_signal(signal.SIGSTOP)
        address = f"http://127.0.0.1:{self.ports['ingester']}"
        self.until(lambda: elements_in_view(address) == 1)
        self.assertEqual(self.upload("b.txt", b"b")["storage_element_id"], "se-13")
        cut_off.send_signal(signal.SIGCONT)
        self.until(lambda: elements_in_view(address) == 2)
        self.assertEqual(self.upload("c.txt", b"c")["storage_element_id"], "se-12")

    def test_an_element_killed_in_mid_stream_is_told_and_keeps_nothing(self):
        port = free_port()
        self.ingester([f"http://127.0.0.1:{port}"])
        victim = self.element("se-11", port, 1)
        self.until(self.upload_works)
        before, files = self.total("se-11"), self.files("se-11")
        head, content, tail = form("large.bin", b"z" * (16 * MIB))

        def pieces():
            yield head
            yield content[:8 * MIB]
            self.until(lambda: self.files("se-11") != files, "nothing arrives")
            victim.kill()
            victim.wait()
            yield content[8 * MIB:]
            yield tail

        said = self.call("POST", "ingester", "/api/v1/upload", 502, body=pieces(), chunked=True,
                         headers={"Content-Type": f"multipart/form-data; boundary={LINE}",
                                  "Transfer-Encoding": "chunked"})
        self.assertIn("se-11 broke off", said["detail"])
        self.element("se-11", port, 1)
        self.assertEqual(self.total("se-11"), before)
        self.until(lambda: self.files("se-11") == files, "what arrived of it stays on the disk")
        check = self.call("GET", "se-11", "/api/v1/cache/consistency", 200)
        self.assertTrue(check["is_consistent"], check)
        self.until(self.upload_works)


class Finalizes(WithServers):
    def finalize(self, file_id, check=202, **body):
        return self.call("POST", "ingester", f"/api/v1/finalize/{file_id}", check,
                         body=json.dumps(body))

    def status(self, transaction):
        return self.call("GET", "ingester", f"/api/v1/finalize/{transaction}/status", 200)

    def test_tags_arrive_as_they_were_said_however_odd_and_many(self):
        self.demo()
        many = [f"tag {i}" for i in range(200)]
        for fields, tags in (([("tags", '["New York, NY", "b"]')], ["New York, NY", "b"]),
                             ([("tags", "a, b"), ("tags", "c")], ["a", "b", "c"]),
                             ([("tags", json.dumps(many))], many)):
            for order in ({"before": fields}, {"after": fields}):
                sent = self.upload("a.txt", b"a", **order)
                self.assertEqual(self.entry("se-01", sent["file_id"])["tags"], tags)
        done = self.finalize(sent["file_id"])
        self.assertEqual(done["status"], "completed", done)
        self.assertEqual(self.entry("se-03", sent["file_id"])["tags"], many)

    def test_a_temporary_file_becomes_permanent_with_all_that_is_known_of_it(self):
        self.demo(ingester__finalize_cleanup_after="1s")
        content = b"final" * 300_000
        sent = self.upload("draft.txt", content, before=[("description", "first")],
                           after=[("tags", "x"), ("metadata", '{"k": [1, 2]}')],
                           token=self.token("sa_prod_admin_service_abc12345"))
        file_id = sent["file_id"]
        done = self.finalize(file_id)
        self.assertEqual((done["status"], done["checksum_verified"], done["error_message"]),
                         ("completed", True, None))
        self.assertEqual((done["source_storage_element_id"], done["target_storage_element_id"]),
                         ("se-01", "se-03"))
        self.assertEqual(self.content("se-03", file_id), content)
        entry = self.entry("se-03", file_id)
        self.assertEqual([entry[key] for key in ("original_filename", "content_type", "checksum",
                                                 "description", "tags", "metadata",
                                                 "created_by_username", "retention_policy",
                                                 "ttl_days")],
                         ["draft.txt", "text/plain", sent["checksum"], "first", ["x"],
                          {"k": [1, 2]}, "admin-service-2", "permanent", None])
        self.assertEqual(self.status(done["transaction_id"])["progress_percent"], 100)
        self.until(lambda: self.ask("GET", "se-01", f"/api/v1/files/{file_id}")[0] == 404)
        again = self.finalize(file_id)
        self.assertEqual(again["transaction_id"], done["transaction_id"])
        self.assertEqual(self.content("se-03", file_id), content)

    def test_an_edit_of_the_source_is_carried_to_the_permanent_copy_before_the_source_goes(self):
        self.demo(ingester__finalize_cleanup_after="20s")
        file_id = self.upload("draft.txt", b"draft")["file_id"]
        self.assertEqual(self.finalize(file_id, description="given")["status"], "completed")
        self.call("PATCH", "se-01", f"/api/v1/files/{file_id}", 200,
                  body=json.dumps({"description": "later", "tags": ["edited"]}))
        self.until(lambda: self.ask("GET", "se-01", f"/api/v1/files/{file_id}")[0] == 404)
        entry = self.entry("se-03", file_id)
        self.assertEqual((entry["tags"], entry["description"]), (["edited"], "given"))

    def test_edits_of_both_copies_are_put_together(self):
        self.demo(ingester__finalize_cleanup_after="20s")
        file_id = self.upload("draft.txt", b"draft", before=[("description", "first")])["file_id"]
        self.assertEqual(self.finalize(file_id)["status"], "completed")
        for element, edits in (("se-01", {"description": "source", "version": "source"}),
                               ("se-03", {"tags": ["copy"], "version": "copy"})):
            self.call("PATCH", element, f"/api/v1/files/{file_id}", 200, body=json.dumps(edits))
        self.until(lambda: self.ask("GET", "se-01", f"/api/v1/files/{file_id}")[0] == 404)
        entry = self.entry("se-03", file_id)
        self.assertEqual((entry["description"], entry["tags"], entry["version"]),
                         ("source", ["copy"], "copy"))
        said = (self.data / "log").read_text().splitlines()
        told = [line for line in said if "Both copies" in line and file_id in line]
        self.assertEqual(len(told), 1, told)
        self.assertIn("version: at se-01", told[0])

    def test_who_asks_for_what_cannot_be_is_told_so(self):
        self.demo(element_se_03__max_size=1000)
        self.finalize("00000000-0000-4000-8000-000000000001", check=404)
        self.finalize("no-id", check=422)
        kept = self.upload("k.txt", b"k", before=[("retention_policy", "permanent")])
        self.finalize(kept["file_id"], check=400)
        large = self.upload("l.txt", b"l" * 2000)
        self.finalize(large["file_id"], check=503)
        self.assertEqual(self.content("se-01", large["file_id"]), b"l" * 2000)
        self.call("GET", "ingester", "/api/v1/finalize/nothing/status", 404)

    def test_many_who_ask_at_once_get_one_finalize(self):
        self.demo()
        file_id = self.upload("one.txt", b"one" * 100_000)["file_id"]
        self.token()
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.ask(
            "POST", "ingester", f"/api/v1/finalize/{file_id}", body="{}"))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({status for status, _ in answers}, {202}, answers)
        self.assertEqual(len({json.loads(body)["transaction_id"] for _, body in answers}), 1)

    def test_finalizes_that_are_waited_for_leave_workers_to_others(self):
        lasting, port = self.serving(Lasting), free_port()
        lasting.may_end = threading.Event()
        self.addCleanup(lasting.may_end.set)
        self.ingester([f"http://127.0.0.1:{port}", f"http://127.0.0.1:{lasting.server_port}"],
                      **{"daemon.workers": 8, "ingester.finalize_wait": "1h"})
        self.element("se-11", port, 1)
        self.wait_for_elements(2)
        begun = {self.upload(f"{i}.txt", b"x")["file_id"] for i in range(12)}
        answers = []

        def begin(file_id):
            with contextlib.suppress(OSError):  # those that wait are cut off at the end
                answers.append(self.finalize(file_id))

        for file_id in begun:
            threading.Thread(target=begin, args=(file_id,), daemon=True).start()
        # Two of them wait, and nobody else has to.
        self.until(lambda: len(answers) >= 10, answers)
        self.assertEqual({one["status"] for one in answers} - {"copying"}, set())
        self.assertEqual(self.status(answers[0]["transaction_id"])["status"], "copying")
        self.assertEqual(len(answers), 10)

    def test_a_finalize_goes_on_after_a_kill(self):
        wait = {"ingester__finalize_wait": "0", "ingester__finalize_cleanup_after": "1s"}
        child = self.demo(**wait)
        contents = {}
        for i in range(6):
            content = bytes([i]) * (2 * MIB)
            contents[self.upload(f"{i}.bin", content)["file_id"]] = content
        begun = [self.finalize(file_id)["transaction_id"] for file_id in contents]
        child.kill()
        child.wait()
        self.demo(**wait)
        for transaction in begun:
            self.until(lambda: self.status(transaction)["status"] in ("completed", "failed"))
            self.assertEqual(self.status(transaction)["status"], "completed")
        self.until(lambda: self.total("se-01") == 0)
        self.assertEqual(self.total("se-03"), len(contents))
        for file_id, content in contents.items():
            self.assertEqual(self.content("se-03", file_id), content)


if __name__ == "__main__":
    Stand.DAEMON = sys.argv.pop(1)
    unittest.main(verbosity=1)
