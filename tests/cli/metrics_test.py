# SPDX-License-Identifier: Apache-2.0
"""/metrics counts what is done with files and tokens, under the names that dashboards know, and the
documents name all that it shows."""

import pathlib
import re
import sys
import unittest
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/support")]

from artcached import ACCOUNT, Artcached, eventually  # noqa: E402

DAEMON = ""
FILES = "/api/v1/files"
SE_01 = 'storage_element_id="se-01",mode="edit"'


class Metrics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Artcached(DAEMON)
        cls.addClassCleanup(cls.daemon.close)
        cls.daemon.start()

    def text(self):
        return self.daemon.ask("GET", "se-01", "/metrics")[2].decode()

    def value(self, series):
        """0 while there is none."""
        found = re.search(rf"^{re.escape(series)} (\S+)$", self.text(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def moved(self, series, by, work):
        """`work` moves it by that much; the answer may be there before the count is."""
        before = self.value(series)
        work()
        self.assertTrue(eventually(lambda: self.value(series) - before == by),
                        f"{series}: {before} -> {self.value(series)}")

    def moved_alone(self, series, work):
        """`work` moves it by one. Where the machine is so slow that a role is cut off while it gets
        its token, that moves it, too: then it is done again."""
        for _ in range(5):
            before = self.value(series)
            work()
            self.assertTrue(eventually(lambda: self.value(series) > before), series)
            if self.value(series) - before == 1:
                return
        self.fail(f"{series} never moves by one")

    def grows(self, series, work):
        """For what the roles do among themselves, too."""
        before = self.value(series)
        work()
        self.assertTrue(eventually(lambda: self.value(series) > before), series)

    def test_uploads_downloads_and_removals_are_counted(self):
        def count(what, status):
            return f'storage_file_{what}_total{{{SE_01},status="{status}"}}'

        sent = []
        self.moved(count("uploads", "success"), 1,
                   lambda: sent.append(self.daemon.upload("a.txt", b"0123456789")))
        path = f"{FILES}/{sent[0]['file_id']}"
        self.moved(count("uploads", "error"), 1, lambda: self.daemon.ask(
            "POST", "se-01", FILES + "/upload", body=b"x"))
        self.moved(f"storage_file_download_bytes_total{{{SE_01}}}", 10,
                   lambda: self.daemon.ask("GET", "se-01", path + "/download"))
        self.moved(count("downloads", "success"), 1, lambda: self.daemon.ask(
            "GET", "se-01", path + "/download", headers={"Range": "bytes=2-4"}))
        self.moved(count("downloads", "success"), 0,
                   lambda: self.daemon.ask("HEAD", "se-01", path + "/download"))
        self.moved(count("deletes", "success"), 1,
                   lambda: self.daemon.call("DELETE", "se-01", path, 204))
        self.moved(count("deletes", "error"), 1, lambda: self.daemon.ask(
            "DELETE", "se-01", f"{FILES}/{uuid.uuid4()}"))
        self.assertEqual(self.value(f"storage_file_upload_bytes_total{{{SE_01}}}"), 10)
        self.assertGreaterEqual(
            self.value(f"storage_file_upload_duration_seconds_count{{{SE_01}}}"), 2)

    def test_tokens_and_attempts_are_counted(self):
        attempts = 'auth_attempts_total{type="service_account",status="%s"}'
        self.grows(attempts % "success", self.daemon.fresh_token)
        self.grows('tokens_created_total{type="service_account",status="success"}',
                   self.daemon.fresh_token)
        self.moved_alone(attempts % "failure", lambda: self.daemon.ask(
            "POST", "admin", "/api/v1/auth/token",
            json_body={**ACCOUNT, "client_secret": "wrong"}))
        self.moved('token_validations_total{status="invalid"}', 1, lambda: self.daemon.ask(
            "GET", "se-01", FILES, headers={"Authorization": "Bearer x"}))
        self.moved('jwt_rotation_total{status="success"}', 1, lambda: self.daemon.call(
            "POST", "admin", "/api/v1/jwt-keys/rotate"))
        self.assertEqual(self.value(
            'jwt_rotation_lock_attempts_total{status="acquired"}'), 0)  # for those by the clock
        self.assertEqual(self.value("jwt_active_keys"), 1)
        self.assertEqual(self.value("jwt_total_keys"), 2)

    def test_the_admin_tells_how_it_is(self):
        self.assertRegex(self.text(), r'(?m)^admin_module_info\{version="\d+\.\d+[^"]*"\} 1$')
        self.assertTrue(eventually(lambda: self.value("admin_module_database_status") == 1))
        self.moved('admin_module_health_checks_total{status="ready"}', 1,
                   lambda: self.daemon.ask("GET", "admin", "/health/ready"))
        person = {"Authorization": "Bearer " + self.daemon.call(
            "POST", "admin", "/api/v1/admin-auth/login", headers={"Authorization": ""},
            json_body={"username": "admin", "password": ACCOUNT["client_secret"]})["access_token"]}
        made = []
        self.assertTrue(eventually(lambda: self.value("service_accounts_active") > 0))
        self.moved("service_accounts_active", 1, lambda: made.append(self.daemon.call(
            "POST", "admin", "/api/v1/service-accounts", 201, headers=person,
            json_body={"name": "counted", "role": "USER"})))
        self.moved("service_accounts_active", -1, lambda: self.daemon.call(
            "DELETE", "admin", f"/api/v1/service-accounts/{made[0]['id']}", 204, headers=person))

    def test_tokens_that_the_roles_get_for_themselves_are_counted(self):
        said = 'site="ingester",'
        count = self.value
        self.grows(f'auth_token_requests_total{{{said}status="success"}}',
                   lambda: self.daemon.upload("a.txt", b"a", role="ingester",
                                              retention_policy="permanent"))
        self.assertGreaterEqual(count(f'auth_token_refresh_total{{{said}status="success"}}'), 1)
        self.assertGreaterEqual(count(f'auth_token_source_total{{{said}source="admin_module"}}'), 1)
        self.assertGreaterEqual(count(f'auth_token_source_total{{{said}source="cache"}}'), 1)
        own = '{site="ingester"}'
        self.assertGreater(count("auth_token_ttl_seconds" + own), 60)
        self.assertGreater(count("auth_token_cache_hit_rate" + own), 0)
        self.assertLess(count("auth_token_cache_hit_rate" + own), 1)
        for name in ("acquisition", "refresh"):
            self.assertGreaterEqual(count(f"auth_token_{name}_duration_seconds_count{own}"), 1)

    def test_the_documents_name_all_that_it_shows(self):
        shown = set(re.findall(r"^# TYPE (\S+)", self.text(), re.MULTILINE))
        pages = "".join(page.read_text() for page in (ROOT / "docs/operations").glob("*.md"))
        named = set(re.findall(r"`([a-z_]+)(?:\{[a-z_, ]+\})?`", pages))
        self.assertGreater(len(shown), 20)
        self.assertEqual(shown - named, set())


if __name__ == "__main__":
    DAEMON = sys.argv.pop(1)
    unittest.main(verbosity=1)
