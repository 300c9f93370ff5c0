# SPDX-License-Identifier: Apache-2.0
"""artcached as a program: its command line, its configuration, its exit codes."""

import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import unittest

DAEMON = PROGRAM = ""
ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(*arguments, check, program=None, environment=None):
    done = subprocess.run([program or DAEMON, *map(str, arguments)], capture_output=True, text=True,
                          timeout=180, env=environment or {})
    assert done.returncode == check, (done.returncode, done.stdout, done.stderr)
    return done


class Command(unittest.TestCase):
    def test_it_says_what_it_is(self):
        self.assertRegex(run("--version", check=0).stdout, r"^artcached \d+\.\d+")
        self.assertIn("--check-config", run("--help", check=0).stdout)

    def test_artcache_serve_is_the_same_program(self):
        served = run("serve", "--version", program=PROGRAM, check=0)
        self.assertEqual(served.stdout, run("--version", check=0).stdout)

    def test_without_a_role_it_says_what_to_do(self):
        done = run(check=64)
        self.assertIn("--demo", done.stderr)
        self.assertEqual(done.stdout, "")

    def test_a_word_that_nobody_knows_is_wrong_usage(self):
        self.assertIn("--wrong", run("--wrong", check=64).stderr)


class Configuration(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = pathlib.Path(folder.name) / "a.toml"

    def refused(self, text):
        self.file.write_text(text)
        done = run("--config", self.file, "--check-config", check=64)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def test_the_example_is_good(self):
        # It names no role, and that is all there is to say against it.
        said = self.refused((ROOT / "packaging/artcached.toml").read_text())
        self.assertTrue(said.startswith("artcached: no role to run"), said)

    def test_what_cannot_be_meant_is_found_before_anything_is_opened(self):
        said = self.refused('[daemon]\nlog_level = "loud"\n[element.se-01]\nmode = "foo"\n'
                            'public_key = "/k"\n[ingester]\npublic_key = "/k"\n')
        self.assertIn("daemon: log_level: 'loud' is not debug, info, warning or error", said)
        self.assertIn("se-01: mode: 'foo' is not edit, rw, ro or ar", said)
        self.assertIn("ingester: client_id, client_secret", said)
        # The same, and nothing else, when it is to start.
        self.assertEqual(run("--config", self.file, check=64).stderr, said)

    def test_the_first_account_has_a_role_that_there_is(self):
        said = self.refused('[admin]\ninitial_account_role = "ADMINS"\n')
        self.assertIn("admin: initial_account_role: 'ADMINS' is no role of a service account: "
                      "ADMIN, OPERATOR, USER, AUDITOR, READONLY", said)
        self.file.write_text('[admin]\ninitial_account_role = "operator"\n')
        run("--config", self.file, "--check-config", check=0)

    def test_what_is_wrong_is_named_with_its_line(self):
        self.assertEqual(self.refused("[daemon]\nworker = 3\n"),
                         "artcached: a.toml:2: there is no setting 'worker'; "
                         "did you mean 'workers'?\n")
        self.assertIn("a.toml:2: workers = '0'", self.refused("[daemon]\nworkers = 0\n"))
        self.assertIn("a.toml:1", self.refused("[daemon\n"))
        self.assertIn("a.toml:1: there is no role 'deamon'; did you mean 'daemon'?",
                      self.refused("[deamon]\n"))

    def test_what_was_said_stands_in_the_demonstration_too(self):
        said = {"admin.second_account_client_id": "mine", "element.se-01.priority": "7",
                "ingester.client_id": "mine", "query.elements": "se-02"}
        flags = [word for name, value in said.items() for word in ("--set", f"{name}={value}")]
        printed = run("--demo", "--print-config", *flags, check=0).stdout
        for name, value in said.items():
            line = re.escape(name.rpartition(".")[2]) + r' = "?' + value + '"?  # --set'
            self.assertRegex(printed, line)

    def test_a_file_that_is_not_there_is_named(self):
        self.assertIn("/nowhere.toml", run("--config", "/nowhere.toml", check=64).stderr)


class Folder(unittest.TestCase):
    """One process at a time works in the folder of an instance."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data = pathlib.Path(folder.name)

    def start(self, role, data=None):
        child = subprocess.Popen([DAEMON, "--role", role, "--set", f"{role}.port=0", "--data",
                                  data or self.data], stdout=subprocess.PIPE, env={}, text=True,
                                 cwd=self.data)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait, 60)
        self.addCleanup(child.kill)
        self.assertIn('"ports"', child.stdout.readline())
        return child

    def test_a_second_process_is_refused_and_told_who_is_there(self):
        first = self.start("admin")
        done = run("--role", "admin", "--set", "admin.port=0", "--data", self.data, check=1)
        self.assertEqual(done.stdout, "")
        self.assertIn(f"'{self.data / 'admin'}' is held by process {first.pid} on ", done.stderr)
        self.assertIn("--data", done.stderr)

    def test_a_relative_one_lies_below_the_folder_that_it_is_started_in(self):
        self.start("admin", "its/own")
        self.assertTrue((self.data / "its/own/admin/admin.db").exists())

    def test_what_was_killed_holds_nothing(self):
        first = self.start("admin")
        first.kill()
        first.wait(60)
        self.start("admin")


class Signals(unittest.TestCase):
    def test_what_is_told_to_end_while_it_starts_has_not_failed(self):
        with tempfile.TemporaryDirectory() as folder, \
                socket.create_server(("127.0.0.1", 0)) as silent:
            place = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/nobody"
            with subprocess.Popen(
                    [DAEMON, "--role", "admin", "--set", "admin.port=0", "--set",
                     f"admin.database={place}", "--data", folder], stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, env={}, text=True) as child:
                silent.settimeout(180)
                connected, _ = silent.accept()  # and nobody answers: it starts until it is told
                with connected:
                    child.terminate()
                    said = child.communicate(timeout=180)
            self.assertEqual((child.returncode, *said), (0, "", ""))


class Log(unittest.TestCase):
    def test_a_fault_names_the_line_that_tells_of_it(self):
        with tempfile.TemporaryDirectory() as folder:
            log = pathlib.Path(folder) / "log"
            with subprocess.Popen(
                    [DAEMON, "--role", "element.se-07", "--set", "element.se-07.port=0", "--set",
                     f"element.se-07.public_key={folder}/none", "--set", f"daemon.log_file={log}",
                     "--data", folder], stdout=subprocess.PIPE, env={"DB_POOL_SIZE": "5"},
                    text=True) as child:
                try:
                    self.assertIn('"ports"', child.stdout.readline())
                finally:
                    child.terminate()
            text = log.read_text()
        self.assertRegex(text, r"(?m)^ERROR: The keys stay.* source=daemon/auth/keys.cpp:\d+ ")
        # So does a variable of the original that does nothing.
        self.assertRegex(text, r"(?m)^WARNING: DB_POOL_SIZE has no effect: ")


class Routes(unittest.TestCase):
    def test_they_are_printed_without_a_folder_or_a_server(self):
        with tempfile.TemporaryDirectory() as folder:
            told = {"TMPDIR": folder, "DB_HOST": "nowhere.invalid",
                    "REDIS_URL": "redis://nowhere.invalid"}
            one = run("--role", "element.se-07", "--data", "/nowhere/at/all", "--routes", check=0,
                      environment=told).stdout
            self.assertRegex(one, r"(?m)^se-07 +POST +/api/v1/cache/rebuild ")
            everything = run("--routes", check=0, environment=told).stdout
            self.assertEqual({line.split()[0] for line in everything.splitlines()},
                             {"admin", "se-01", "se-02", "se-03", "ingester", "query"})
            self.assertEqual(list(pathlib.Path(folder).iterdir()), [])


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    DAEMON = sys.argv.pop(1)
    unittest.main(verbosity=1)
