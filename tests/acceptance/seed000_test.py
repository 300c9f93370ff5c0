# SPDX-License-Identifier: Apache-2.0
"""Every shell block of the examples for operators (seeds/000.txt), taken from the document and run
on `artcached --demo`. Nothing is changed but addresses and credentials; `docker` and `mail` are
those of demo/. Each test makes the situation that its block is written for.

usage: seed000_test.py ARTCACHE ARTCACHED
"""

import contextlib
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

from artcached import Artcached  # noqa: E402
from document import blocks  # noqa: E402

PROGRAM = DAEMON = ""
BLOCKS = blocks((HERE / "seeds/000.txt").read_text())
ran = set()


def stop_between_commits(process, index):
    """In the middle of one it would keep SQLite's own lock, which no other process can break."""
    with contextlib.closing(sqlite3.connect(index, timeout=0, isolation_level=None)) as other:
        for _ in range(1000):
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            try:
                other.execute("BEGIN IMMEDIATE")
                other.execute("ROLLBACK")
                return
            except sqlite3.OperationalError:
                process.send_signal(signal.SIGCONT)
                time.sleep(0.01)
    raise AssertionError("it commits without end")


class Document(unittest.TestCase):
    def setUp(self):
        self.daemon = Artcached(DAEMON)
        self.addCleanup(self.daemon.close)
        self.daemon.start()
        self.daemon.first_rebuild_over()
        self.data = self.daemon.data
        self.files = self.data / "se-01/files"
        for folder in ("var/log/artstore", "usr/local/bin"):
            (self.data / folder).mkdir(parents=True)
        self.token = self.daemon.token

    @classmethod
    def tearDownClass(cls):
        left = [block.title for number, block in enumerate(BLOCKS) if number not in ran]
        assert not left, f"no test runs {left}"

    # --- the document ---------------------------------------------------------------------------

    def text(self, *words):
        """The one block below headings with these words, with the addresses of this place."""
        [number] = [number for number, block in enumerate(BLOCKS)
                    if all(word in block.title for word in words) and
                    (words[-1] != "Appendix" or "chmod" not in block.text)]
        ran.add(number)
        text = BLOCKS[number].text
        for theirs, ours in (("http://localhost:8000", self.daemon.address("admin")),
                             ("http://localhost:8010", self.daemon.address("se-01")),
                             ("PRODUCTION_SECRET", "Test-Password123"),
                             ('"client_secret":"SECRET"', '"client_secret":"Test-Password123"'),
                             ("storage-elem-01", "se-01"),
                             ("/var/log/", f"{self.data}/var/log/"),
                             ("/usr/local/bin/", f"{self.data}/usr/local/bin/"),
                             ("/data/storage", str(self.files))):
            text = text.replace(theirs, ours)
        return text

    def shell(self, text, check=0):
        environment = {"PATH": f"{HERE}/demo:{os.environ['PATH']}", "TOKEN": self.token,
                       "HOME": str(self.data), "LC_ALL": "C.UTF-8",
                       "DEMO_DATA": str(self.data), "ARTCACHE": PROGRAM}
        done = subprocess.run(["bash", "-c", text], cwd=self.data, env=environment, text=True,
                              capture_output=True, timeout=120)
        self.assertEqual(done.returncode, check, done.stdout + done.stderr)
        for bad in ("parse error", "syntax error", "command not found", "No such file"):
            self.assertNotIn(bad, done.stderr)
        return done.stdout

    def run_block(self, *words, check=0):
        return self.shell(self.text(*words), check)

    # --- situations -----------------------------------------------------------------------------

    def restore_files(self, count, seed=1):
        """Files come into the storage past the interface, as from a backup."""
        subprocess.run([PROGRAM, "sample", self.files, str(count), "--seed", str(seed)],
                       check=True, stdout=subprocess.DEVNULL)

    def fill(self, count):
        self.restore_files(count)
        self.daemon.call("POST", "se-01", "/api/v1/cache/rebuild")

    def lose_sidecars(self, count):
        lost = sorted(self.files.rglob("*.attr.json"))[:count]
        for path in lost:
            path.unlink()

    def let_expire(self, count):
        database = sqlite3.connect(self.data / "se-01/index.db", isolation_level=None)
        [generation] = database.execute("SELECT generation FROM head").fetchone()
        database.execute(f"UPDATE entry_{generation} SET refreshed_at = 0 WHERE row IN "
                         f"(SELECT row FROM entry_{generation} LIMIT {count})")
        database.close()

    def report(self):
        return self.daemon.call("GET", "se-01", "/api/v1/cache/consistency")

    def mails(self):
        path = self.data / "mail"
        return path.read_text() if path.exists() else ""

    # --- authentication -------------------------------------------------------------------------

    def test_both_ways_give_a_token(self):
        text = self.text("Получение токена")
        self.token = ""
        first, _, _ = text.partition("# Способ 2")
        for part in (first, text):
            token = self.shell(part + '\necho "$TOKEN"').splitlines()[-1]
            self.assertEqual(len(token.split(".")), 3, token)
            self.token = token
            self.assertEqual(self.daemon.ask("GET", "se-01", "/api/v1/cache/consistency",
                                             headers={"Authorization": f"Bearer {token}"})[0], 200)
            self.token = ""

    def test_the_payload_of_the_token_is_readable(self):
        payload = json.loads(self.run_block("Проверка токена"))
        self.assertEqual(payload["role"], "ADMIN")
        self.assertTrue(payload["client_id"].startswith("sa_prod_admin_service_"))
        self.assertEqual(payload["exp"] - payload["iat"], 1800)

    # --- full rebuild ---------------------------------------------------------------------------

    def test_full_rebuild_after_a_backup_came_back(self):
        self.restore_files(150)
        check, rebuilt = documents(self.run_block("Full Rebuild", "Scenario 1"))
        self.assertEqual((check["is_consistent"], check["total_attr_files"],
                          check["total_cache_entries"], check["orphan_attr_count"]),
                         (False, 150, 0, 150))
        self.assertEqual((rebuilt["operation_type"], rebuilt["errors"]), ("full", []))
        self.assertGreaterEqual(rebuilt["duration_seconds"], 0.0)
        for name, value in {"attr_files_scanned": 150, "cache_entries_before": 0,
                            "cache_entries_after": 150, "entries_created": 150}.items():
            self.assertEqual(rebuilt["statistics"][name], value, name)
        self.assertTrue(self.report()["is_consistent"])

    def test_full_rebuild_when_more_than_a_tenth_differs(self):
        self.fill(100)
        said = self.run_block("Full Rebuild", "Scenario 2")
        self.assertRegex(said, r"Inconsistency: 0(\.0)?%")
        self.assertIn("Inconsistency acceptable", said)
        self.lose_sidecars(20)
        said = self.run_block("Full Rebuild", "Scenario 2")
        self.assertRegex(said, r"Inconsistency: 20(\.0)?%")
        self.assertIn("Critical inconsistency detected", said)
        self.assertEqual(self.report()["total_cache_entries"], 80)

    def test_the_log_shows_how_a_full_rebuild_goes_on(self):
        self.restore_files(600)
        said = self.run_block("Full Rebuild", "Scenario 3")
        for line in ("INFO: Starting full cache rebuild | element_id=se-01",
                     "INFO: Truncated cache table: ", "INFO: Processed 100 entries...",
                     "INFO: Processed 500 entries...", "INFO: Full cache rebuild completed | "):
            self.assertIn(line, said)
        self.assertRegex(said, r"Full cache rebuild completed .*duration_seconds=\d+\.\d")

    # --- incremental rebuild --------------------------------------------------------------------

    def test_incremental_rebuild_takes_what_was_added_by_hand(self):
        self.fill(100)
        self.restore_files(50, seed=3)
        [rebuilt] = documents(self.run_block("Incremental Rebuild", "Scenario 1"))
        self.assertEqual(rebuilt["operation_type"], "incremental")
        for name, value in {"attr_files_scanned": 150, "cache_entries_before": 100,
                            "cache_entries_after": 150, "entries_created": 50}.items():
            self.assertEqual(rebuilt["statistics"][name], value, name)

    def test_the_daily_synchronization_writes_its_log_and_mails_errors_only(self):
        self.fill(10)
        self.restore_files(5, seed=2)
        text = self.text("Incremental Rebuild", "Scenario 2")
        self.shell(text)
        log = self.data / "var/log/artstore/cache-sync.log"
        self.assertIn('"entries_created":5', log.read_text().replace(" ", ""))
        self.assertEqual(self.mails(), "")
        (self.files / "broken.attr.json").write_text("{")
        self.shell(text)
        self.assertIn("Subject: ArtStore Cache Rebuild Errors", self.mails())
        self.assertIn("broken.attr.json", self.mails())

    # --- check ----------------------------------------------------------------------------------

    def test_the_weekly_report_says_what_to_do(self):
        self.fill(50)
        text = self.text("Consistency Check", "Scenario 1")
        said = self.shell(text)
        for line in ("Storage Element: se-01", "Status: ✅ CONSISTENT", "Orphan cache entries: 0"):
            self.assertIn(line, said)
        # The block asks whether the number is written "0.0", and jq before 1.7 writes 0.
        self.assertRegex(said, r"Inconsistency: (0\.0%(.|\n)*No action required|0%)")
        self.lose_sidecars(1)
        said = self.shell(text)
        for line in ("Status: ⚠️ INCONSISTENT", "- Orphan cache entries: 1",
                     "Minor inconsistency"):
            self.assertIn(line, said)
        self.lose_sidecars(9)
        self.let_expire(3)
        said = self.shell(text)
        for line in ("- Expired cache entries: 3", "Full rebuild recommended"):
            self.assertIn(line, said)

    def test_the_check_before_a_rebuild_recommends_one(self):
        self.fill(50)
        text = self.text("Consistency Check", "Scenario 2")
        self.assertIn("Recommendation: NO ACTION REQUIRED", self.shell(text))
        self.lose_sidecars(1)
        self.assertIn("Recommendation: INVESTIGATE", self.shell(text))
        self.restore_files(2, seed=2)
        said = self.shell(text)
        self.assertIn("Orphan attr files: 2", said)
        self.assertIn("Recommendation: INCREMENTAL REBUILD", said)
        self.lose_sidecars(20)
        self.assertIn("Recommendation: FULL REBUILD", self.shell(text))

    # --- cleanup --------------------------------------------------------------------------------

    def test_the_daily_cleanup_logs_and_mails_a_large_one(self):
        self.fill(150)
        text = self.text("Cleanup", "Scenario 1")
        log = self.data / "var/log/artstore/cache-cleanup.log"
        self.let_expire(5)
        self.shell(text)
        self.assertRegex(log.read_text(), r"Cleanup completed: 5 entries deleted in \d+(\.\d+)?s")
        self.assertEqual(self.mails(), "")
        self.let_expire(120)
        self.shell(text)
        self.assertIn("Large cleanup: 120 expired entries deleted", self.mails())
        report = self.report()
        self.assertEqual((report["expired_cache_count"], report["is_consistent"]), (0, True))

    def test_the_cleanup_on_demand_runs_when_something_expired(self):
        self.fill(20)
        text = self.text("Cleanup", "Scenario 2")
        self.assertIn("No expired entries to clean up.", self.shell(text))
        self.let_expire(7)
        said = self.shell(text)
        self.assertIn("Expired cache entries: 7", said)
        self.assertIn('"entries_deleted": 7', said)

    # --- production -----------------------------------------------------------------------------

    def test_the_crontab_names_scripts_that_run(self):
        self.fill(10)
        scripts = {"incremental-rebuild": ("Incremental Rebuild", "Scenario 2"),
                   "consistency-check": ("Consistency Check", "Scenario 1"),
                   "cleanup-expired": ("Cleanup", "Scenario 1")}
        for name, words in scripts.items():
            path = self.data / f"usr/local/bin/artstore-{name}.sh"
            path.write_text(self.text(*words))
            path.chmod(0o755)
        lines = [line.split(None, 6) for line in self.text("cron setup").splitlines()
                 if line and not line.startswith("#")]
        self.assertEqual(len(lines), 3)
        for *when, user, command in lines:
            self.assertEqual((len(when), user), (5, "artstore"))
            self.shell(f"bash {command}")

    def test_the_health_check_prints_json_and_mails_when_it_is_not_well(self):
        self.fill(100)
        text = self.text("Monitoring script")
        health = json.loads(self.shell(text))
        self.assertEqual(health["health_status"], "OK")
        self.assertEqual(health["metrics"]["total_cache_entries"], 100)
        self.assertEqual(self.mails(), "")
        self.lose_sidecars(7)
        self.assertEqual(json.loads(self.shell(text))["health_status"], "WARNING")
        self.lose_sidecars(10)
        health = json.loads(self.shell(text))
        self.assertEqual(health["health_status"], "CRITICAL")
        self.assertRegex(health["alerts"][0],
                         r"^High inconsistency: 17(\.0)?% - Full rebuild required$")
        self.assertIn("Cache Health Alert: CRITICAL", self.mails())

    # --- trouble --------------------------------------------------------------------------------

    def test_a_lock_that_hangs_is_seen_and_broken(self):
        self.fill(50)
        stuck = subprocess.Popen(
            [PROGRAM, "rebuild", "--storage", f"file://{self.files}", "--index",
             f"sqlite://{self.data}/se-01/index.db", "--element", "se-01",
             "--files-per-second", "1", "-v"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True)
        self.addCleanup(stuck.stderr.close)
        self.addCleanup(stuck.wait)
        self.addCleanup(stuck.kill)
        for line in stuck.stderr:
            if "lock acquired" in line.lower():
                break
        stop_between_commits(stuck, self.data / "se-01" / "index.db")
        said = self.run_block("Troubleshooting", "Scenario 1").splitlines()
        keys = [line for line in said if line.startswith("cache_lock:")]
        self.assertIn("cache_lock:se-01:manual_rebuild", keys)
        left, deleted, *rest = said[len(keys):]
        self.assertGreater(int(left), 0)
        self.assertEqual(deleted, "1")
        [rebuilt] = documents("\n".join(rest))
        self.assertEqual(rebuilt["statistics"]["entries_created"], 50)
        # Who was thought dead and is not changes nothing any more.
        stuck.send_signal(signal.SIGCONT)
        stuck.stderr.read()
        self.assertNotEqual(stuck.wait(timeout=90), 0)
        self.assertTrue(self.report()["is_consistent"])

    def test_orphans_in_the_index_are_named_and_removed(self):
        self.fill(30)
        self.lose_sidecars(4)
        orphans = self.report()["details"]["orphan_cache_entries"]
        said = self.run_block("Troubleshooting", "Scenario 2")
        for orphan in orphans:
            self.assertIn(orphan, said)
        self.assertEqual(len(orphans), 4)
        self.assertTrue(self.report()["is_consistent"])

    def test_a_slow_rebuild_is_estimated_and_its_progress_read_from_the_log(self):
        self.fill(600)
        said = self.run_block("Troubleshooting", "Scenario 3")
        self.assertIn("Total attr.json files: 600", said)
        self.assertIn("Estimated rebuild time: 1s (0 minutes)", said)
        self.assertIn("Processed 500 entries", said)

    # --- the whole script -----------------------------------------------------------------------

    def test_the_whole_script_brings_a_store_in_order(self):
        self.fill(100)
        path = self.data / "artstore-cache-complete-workflow.sh"
        path.write_text(self.text("Appendix"))
        usage = [number for number, block in enumerate(BLOCKS) if "chmod +x" in block.text]
        ran.update(usage)
        use = BLOCKS[usage[0]].text
        self.assertIn("Cache is consistent. No action needed.", self.shell(use))
        self.lose_sidecars(30)
        said = self.shell(use)
        self.assertIn("[3/5] Running FULL rebuild (high inconsistency)", said)
        self.assertIn("SUCCESS: Cache is now fully consistent", said)
        self.restore_files(3, seed=2)
        self.let_expire(4)
        said = self.shell(use)
        self.assertIn("[3/5] Running INCREMENTAL rebuild (low inconsistency)", said)
        self.assertRegex(said, r"Deleted \d+ expired entries")
        self.assertIn("Cache management workflow completed", said)


def documents(text):
    """The JSON values that stand one after the other."""
    found, decoder, at = [], json.JSONDecoder(), 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = decoder.raw_decode(text, at)
        found.append(value)
    return found


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    DAEMON = sys.argv.pop(1)
    unittest.main(verbosity=1)
