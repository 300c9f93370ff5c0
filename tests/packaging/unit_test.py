# SPDX-License-Identifier: Apache-2.0
"""The unit for systemd gives artcached what it needs, and its log file is rotated.

usage: unit_test.py ARTCACHED
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

from artcached import Artcached, eventually  # noqa: E402

DAEMON = ""
UNIT = (ROOT / "packaging/artcached.service").read_text()
LOGROTATE = (ROOT / "packaging/artcached.logrotate").read_text()
SETTINGS = (ROOT / "docs/operations/settings.md").read_text()
LOGS = "/var/log/artcached"


def told(name):
    """What the unit says, each time it does."""
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)


def usual(setting):
    """The number that holds when nobody sets it."""
    row = re.search(rf"^\| `{setting}` \|.*$", SETTINGS, re.MULTILINE)[0]
    return int(re.search(r"`(\d+)s?` \|[^|]*\|$", row)[1])


class Unit(unittest.TestCase):
    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd is not there")
    def test_systemd_understands_it(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder) / "artcached.service"
            copy.write_text(UNIT.replace("ExecStart=artcached", "ExecStart=/bin/true"))
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", copy],
                                  capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_it_may_write_where_owners_of_locks_are_seen(self):
        source = (ROOT / "src/backends/postgres/open.cpp").read_text()
        folder = re.search(r'kOwnersFolder = "([^"]+)"', source)[1]
        # On Debian a link to a folder of /run.
        self.assertIn("-" + folder.replace("/var/lock", "/run/lock"), told("ReadWritePaths"))

    def test_it_is_tried_again_until_a_late_database_answers(self):
        self.assertEqual(told("StartLimitIntervalSec"), ["0"])
        self.assertEqual(told("Restart"), ["on-failure"])
        self.assertEqual(told("RestartSec"), ["5s"])

    def test_connections_and_grace_fit_into_its_limits(self):
        self.assertGreater(int(told("LimitNOFILE")[0]), 2 * usual("connections"))
        self.assertGreater(int(told("TimeoutStopSec")[0]), usual("grace"))


class Rotation(unittest.TestCase):
    def test_it_is_of_the_folder_that_the_unit_makes(self):
        self.assertEqual([f"/var/log/{name}" for name in told("LogsDirectory")], [LOGS])
        self.assertIn(f"{LOGS}/*.log {{", LOGROTATE)
        self.assertIn("artcached.service", LOGROTATE)

    @unittest.skipUnless(shutil.which("logrotate"), "logrotate is not there")
    def test_artcached_goes_on_in_a_new_file(self):
        with tempfile.TemporaryDirectory() as folder:
            log = pathlib.Path(folder) / "artcached.log"
            daemon = Artcached(DAEMON, "--set", f"daemon.log_file={log}")
            with daemon:
                rules = pathlib.Path(folder) / "rules"
                rules.write_text(self.rules(folder, daemon.child.pid))
                before = log.read_text()
                subprocess.run(["logrotate", "--force", "--state", f"{folder}/state", rules],
                               check=True, timeout=60)
                self.assertTrue(eventually(log.exists))
                daemon.call("GET", "se-01", "/api/v1/info")
                self.assertTrue(eventually(lambda: "/api/v1/info" in log.read_text()))
                self.assertTrue((log.parent / "artcached.log.1").read_text().startswith(before))

    @staticmethod
    def rules(folder, pid):
        """Those of the package, with another folder and user, and without systemd."""
        text = re.sub(r"^    su .*\n", "", LOGROTATE.replace(LOGS, folder), flags=re.MULTILINE)
        return re.sub(r"^.*systemctl.*$", f"kill -HUP {pid}", text, flags=re.MULTILINE)


if __name__ == "__main__":
    DAEMON = sys.argv.pop(1)
    unittest.main(verbosity=1)
