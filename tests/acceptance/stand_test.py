#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One command brings the stand up with servers of its own, and one takes all of it down.

usage: stand_test.py ARTCACHED
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
STAND = HERE / "stand/stand.py"
SERVICES = HERE.parent / "services/services"
SERVERS = ("postgres-nofsync", "redis", "radosgw")


def stand(command, folder):
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("ARTCACHE_TEST_")}
    return subprocess.run([sys.executable, "-B", STAND, command, folder, "--artcached", ARTCACHED],
                          stdout=subprocess.PIPE, text=True, check=True, env=environment).stdout


class OneCommand(unittest.TestCase):
    def test_brings_it_up_and_another_takes_it_down(self):
        place = tempfile.TemporaryDirectory(prefix="stand-")
        self.addCleanup(place.cleanup)
        folder = pathlib.Path(place.name) / "s"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": False}
        self.addCleanup(subprocess.run, [SERVICES, "down", "--state", folder / "servers.json"],
                        **quiet)
        self.addCleanup(subprocess.run, [sys.executable, "-B", STAND, "down", folder], **quiet)
        stand("up", folder)
        told = stand("status", folder).splitlines()
        self.assertEqual(len(told), 6, told)
        self.assertTrue(all(line.endswith(" ready") for line in told), told)
        pids = json.loads((folder / "stand.json").read_text())["pids"]
        stand("down", folder)
        self.assertEqual([pid for pid in pids.values() if os.path.exists(f"/proc/{pid}/exe")], [])
        told = stand("status", folder).splitlines()
        self.assertTrue(all(line.endswith(" down") for line in told), told)
        self.assertFalse((folder / "servers.json").exists(), "the servers go on")


if __name__ == "__main__":
    ARTCACHED = os.path.realpath(sys.argv[1])
    # Where a server is not installed there is nothing to bring up.
    said = subprocess.run([SERVICES, "available"], stdout=subprocess.PIPE, text=True, check=False)
    missing = [name for name in SERVERS if not any(
        line.split()[:1] == [name] and " no " not in f" {line} "
        for line in said.stdout.splitlines())]
    if missing and os.environ.get("ARTCACHE_REQUIRE_SERVICES") != "1":
        print(f"not available: {missing}")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
