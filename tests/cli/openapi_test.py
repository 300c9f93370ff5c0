# SPDX-License-Identifier: Apache-2.0
"""/openapi.json of every role against its routes and against what the routes answer."""

import json
import pathlib
import subprocess
import sys
import unittest
import uuid

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "support")]

from artcached import Artcached, eventually, form  # noqa: E402

DAEMON = ""
PATH = "/openapi.json"


class OpenApi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Artcached(DAEMON)
        cls.addClassCleanup(cls.daemon.close)
        cls.daemon.start()
        cls.documents = {role: cls.daemon.call("GET", role, PATH) for role in cls.daemon.ports}

    def operations(self):
        for role, document in self.documents.items():
            for path, methods in document["paths"].items():
                for method, operation in methods.items():
                    yield role, path, method.upper(), operation

    def test_it_has_the_routes_and_no_others(self):
        done = subprocess.run([DAEMON, "--demo", "--data", self.daemon.data / "routes", "--routes"],
                              capture_output=True, text=True, timeout=60, check=True)
        routes = {tuple(line.split()[:3]) for line in done.stdout.splitlines()}
        routes = {(role, method, path) for role, method, path in routes if path != PATH}
        self.assertEqual({(role, method, path) for role, path, method, _ in self.operations()},
                         routes)
        self.assertGreater(len(routes), 20)

    def test_each_operation_is_whole(self):
        seen = set()
        for role, path, method, operation in self.operations():
            with self.subTest(role=role, path=path, method=method):
                self.assertNotIn((role, operation["operationId"]), seen)
                seen.add((role, operation["operationId"]))
                # Words, and not the name of an action inside.
                self.assertIn(" ", operation["summary"])
                names = [one["name"] for one in operation.get("parameters", [])
                         if one["in"] == "path"]
                self.assertEqual([f"{{{name}}}" for name in names],
                                 [part for part in path.split("/") if part.startswith("{")])

    def test_who_needs_a_token_is_told_and_meant(self):
        """Asked without one: a stranger changes nothing, so every route can be asked."""
        for role, path, method, operation in self.operations():
            for name in operation.get("parameters", []):
                path = path.replace(f"{{{name['name']}}}", str(uuid.uuid4()))
            with self.subTest(role=role, path=path, method=method):
                status, _, body = self.daemon.ask(method, role, path,
                                                  headers={"Authorization": "Basic eA=="})
                responses = operation["responses"]
                if operation["security"]:
                    self.assertEqual(status, 401, body)
                    self.assertIn("401", responses)
                elif method == "GET":
                    self.assertEqual(status // 100, 2, body)
                    self.assertIn("2XX", responses)

    def test_a_read_that_keeps_bounds_says_so_and_refuses_one_that_it_cannot_read(self):
        kept = set()
        for role, path, method, operation in self.operations():
            names = {one["name"] for one in operation.get("parameters", [])
                     if one["in"] == "query"}
            if not names & {"min_position", "max_staleness"}:
                continue
            kept.add(role)
            with self.subTest(role=role, path=path):
                self.assertLessEqual({"min_position", "max_staleness"}, names)
                path = path.replace("{id}", str(uuid.uuid4()))
                status, _, body = self.daemon.ask(method, role, path + "?min_position=soon")
                self.assertEqual(status, 422)
                self.assertIn(b"min_position", body)
                self.assertIn("422", operation["responses"])
        self.assertEqual(kept, {"se-01", "se-02", "se-03", "query"})

    def test_a_parameter_that_is_told_is_read(self):
        """One that is of another type than it is told to be is refused by its name."""
        asked = 0
        login = {"username": "admin", "password": "Test-Password123"}
        token = self.daemon.call("POST", "admin", "/api/v1/admin-auth/login", json_body=login)
        person = {"Authorization": f"Bearer {token['access_token']}"}
        for role, path, method, operation in self.operations():
            fields = [one for one in operation.get("parameters", []) if one["in"] == "query"]
            self.assertEqual(len({one["name"] for one in fields}), len(fields), path)
            path = path.replace("{id}", str(uuid.uuid4()))
            for field in fields:
                self.assertTrue(field["description"])
                kind = field["schema"].get("format", field["schema"]["type"])
                self.assertIn(kind, {"string", "integer", "number", "boolean", "date-time"})
                # What follows a log names a position first.
                if kind == "string" or "{" in path or path.endswith("/log/rows"):
                    continue
                more = "&query=x" if path.endswith("/search") else ""
                more = "&page=1" if field["name"] == "page_size" else more
                with self.subTest(role=role, path=path, name=field["name"]):
                    target = f"{path}?{field['name']}=no-{kind}{more}"
                    status, _, body = self.daemon.ask(method, role, target)
                    if status == 403:  # that is for people
                        status, _, body = self.daemon.ask(method, role, target, headers=person)
                    self.assertIn(status, {400, 422}, body)
                    self.assertIn(field["name"].encode(), body)
                    asked += 1
        self.assertGreater(asked, 40)

    WRONG = {"string": 7, "integer": "x", "boolean": "x", "object": [], "array": "x"}

    def bodies(self):
        """Of each operation with a JSON body the fields, by name, and which of them are needed."""
        for role, path, method, operation in self.operations():
            for media, body in operation.get("requestBody", {"content": {}})["content"].items():
                if media == "application/json":
                    schema = body["schema"]
                    yield (role, path, method, schema["properties"],
                           set(schema.get("required", [])))

    def test_who_takes_a_body_tells_of_it_and_nobody_else(self):
        """One that reads none does not mind what is in it; one that does minds."""
        without = ("/sync", "/retry", "/rotate", "/logout", "/restore", "/cache/rebuild",
                   "/cleanup-expired")
        for role, path, method, operation in self.operations():
            with self.subTest(role=role, path=path, method=method):
                if method in {"POST", "PUT", "PATCH"}:
                    self.assertEqual("requestBody" in operation,
                                     not any(word in path for word in without))
                self.assertEqual("413" in operation["responses"], "requestBody" in operation)

    def test_a_field_of_a_body_that_is_told_is_read(self):
        """One that is of another type than it is told to be is refused by its name, and one that is
        needed is missed."""
        login = {"username": "admin", "password": "Test-Password123"}
        token = self.daemon.call("POST", "admin", "/api/v1/admin-auth/login", json_body=login)
        person = {"Authorization": f"Bearer {token['access_token']}"}
        file_id = self.daemon.upload("told.txt", b"told")["file_id"]
        self.assertTrue(eventually(lambda: self.daemon.ask(
            "GET", "admin", f"/api/v1/files/{file_id}")[0] == 200))

        def refused(role, path, method, body):
            target = path.replace("{id}", file_id).replace("{file_id}", file_id)
            status, _, said = self.daemon.ask(method, role, target, json_body=body)
            if status == 403:  # that is for people
                status, _, said = self.daemon.ask(method, role, target, json_body=body,
                                                  headers=person)
            self.assertEqual(status, 422, said)
            return {one["loc"][1] for one in json.loads(said)["detail"] if len(one["loc"]) > 1}

        asked = 0
        for role, path, method, fields, needed in self.bodies():
            if needed:
                with self.subTest(role=role, path=path, method=method):
                    self.assertEqual(refused(role, path, method, {}), needed)
            for name, schema in fields.items():
                with self.subTest(role=role, path=path, method=method, name=name):
                    wrong = self.WRONG[schema["type"]]
                    body = {"page": 1, name: wrong} if name == "page_size" else {name: wrong}
                    self.assertIn(name, refused(role, path, method, body))
                    asked += 1
        self.assertGreater(asked, 60)

    def test_a_field_of_a_form_that_is_told_is_read(self):
        """A text can be anything; a number, a moment and the file cannot."""
        asked = 0
        for role, path, _, operation in self.operations():
            schema = operation.get("requestBody", {"content": {}})["content"].get(
                "multipart/form-data", {"schema": {"properties": {}}})["schema"]
            for name, field in schema["properties"].items():
                body, headers = form("a.txt", b"x", **{name: "x"})
                if name == "file":
                    self.assertEqual((schema["required"], field["format"]), ([name], "binary"))
                    body, headers = form("a.txt", b"x")
                    body = body.replace(b'name="file"', b'name="other"')
                elif field["type"] == "string" and field.get("format") != "date-time":
                    continue
                with self.subTest(role=role, path=path, name=name):
                    status, _, said = self.daemon.ask("POST", role, path, body=body,
                                                      headers=headers)
                    self.assertEqual(status, 422, said)
                    self.assertIn(name, {one["loc"][1] for one in json.loads(said)["detail"]})
                    asked += 1
        self.assertGreater(asked, 10)

    def test_lists_and_runs_tell_their_parameters(self):
        told = {(role, path): {one["name"] for one in operation.get("parameters", [])
                               if one["in"] == "query"}
                for role, path, _, operation in self.operations()}
        for role, path, names in (
                ("se-01", "/api/v1/files", {"page", "page_size", "skip", "limit", "offset"}),
                ("se-01", "/api/v1/files/search", {"query", "mode", "username", "min_size"}),
                ("se-01", "/api/v1/cache/rebuild", {"async", "prune"}),
                ("se-01", "/api/v1/log/rows", {"after", "limit", "wait_ms", "prefix"}),
                ("admin", "/api/v1/audit-log", {"skip", "limit", "actor", "since"}),
                ("admin", "/api/v1/internal/storage-elements/available",
                 {"mode", "min_free_bytes"}),
                ("query", "/api/v1/files/search", {"query", "sort_by", "tags", "min_position"})):
            self.assertLessEqual(names, told[role, path])

    def test_conditions_and_ranges_that_are_told_are_heeded(self):
        file_id = self.daemon.upload("told.txt", b"told")["file_id"]
        download = f"/api/v1/files/{file_id}/download"
        self.assertTrue(eventually(lambda: self.daemon.ask("GET", "query", download)[0] == 200))
        _, now, _ = self.daemon.ask("GET", "se-01", download)
        before = "Thu, 01 Jan 1970 00:00:00 GMT"
        asked = {"If-Match": ({"If-Match": '"another"'}, 412),
                 "If-Unmodified-Since": ({"If-Unmodified-Since": before}, 412),
                 "If-None-Match": ({"If-None-Match": now["ETag"]}, 304),
                 "If-Modified-Since": ({"If-Modified-Since": now["Last-Modified"]}, 304),
                 "Range": ({"Range": "bytes=9-"}, 416),
                 "If-Range": ({"Range": "bytes=9-", "If-Range": '"another"'}, 200)}
        heeded = set()
        for role, path, method, operation in self.operations():
            fields = [one for one in operation.get("parameters", []) if one["in"] == "header"]
            if role in {"se-02", "se-03"}:
                continue
            for field in fields:
                self.assertTrue(field["description"])
                heeded.add((role, method, path, field["name"]))
                headers, status = asked[field["name"]]
                with self.subTest(role=role, path=path, method=method, name=field["name"]):
                    target = path.replace("{id}", file_id)
                    body = {"description": "other"} if method == "PATCH" else None
                    self.assertEqual(self.daemon.ask(method, role, target, headers=headers,
                                                     json_body=body)[0], status)
                    self.assertTrue({str(status), f"{status // 100}XX"} &
                                    set(operation["responses"]))
        change, both = ("If-Match", "If-Unmodified-Since"), tuple(asked)
        self.assertEqual(heeded, {(role, method, path, name) for role, method, path, names in (
            ("se-01", "PATCH", "/api/v1/files/{id}", change),
            ("se-01", "DELETE", "/api/v1/files/{id}", change),
            ("se-01", "DELETE", "/api/v1/gc/{id}", change),
            ("se-01", "GET", "/api/v1/files/{id}/download", both),
            ("query", "GET", "/api/v1/files/{id}/download", both),
            ("query", "GET", "/api/download/{id}", both)) for name in names})

    def test_an_answer_about_what_is_not_there_is_one_of_those_told(self):
        for role, path, method, operation in self.operations():
            if method != "GET" or "{" not in path:
                continue
            for name in operation["parameters"]:
                path = path.replace(f"{{{name['name']}}}", str(uuid.uuid4()))
            with self.subTest(role=role, path=path):
                status, _, _ = self.daemon.ask(method, role, path)
                self.assertTrue({str(status), f"{status // 100}XX"} & set(operation["responses"]),
                                status)
                self.assertIn("404", operation["responses"])


if __name__ == "__main__":
    DAEMON = sys.argv.pop(1)
    unittest.main(verbosity=1)
