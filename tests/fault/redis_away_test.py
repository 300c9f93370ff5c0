#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Locks while Redis fails over to a replica, and while a holder is cut off from it.

The servers are this test's own. Cutting off needs `ip` and root, if only in a user namespace of
one's own: a pair of interfaces into a network namespace, one of which is taken down.

usage: redis_away_test.py ARTCACHE
"""
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from artcached import free_port  # noqa: E402
from leaving_out import leave_out  # noqa: E402

PROGRAM = ""
KEY = "cache_lock:se-01:manual_rebuild"
ACQUIRED = re.compile("lock.*acquired", re.IGNORECASE)
FILES = 400
AS_ROOT = ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c",
           'mount -t tmpfs run /run && ip link set lo up && exec "$@"', "sh"]


def become_root():
    """Goes on as root of namespaces of its own, where it is none and the system lets it."""
    if os.geteuid() == 0 or shutil.which("unshare") is None:
        return
    if subprocess.run([*AS_ROOT, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
        os.execvp(AS_ROOT[0], [*AS_ROOT, sys.executable, "-B", *sys.argv])


def run(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False, timeout=120)


def redis(host, port, *words):
    return subprocess.run(["redis-cli", "-h", host, "-p", str(port), *words], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
                          timeout=60).stdout.strip()


def eventually(what, condition, most=180):
    end = time.monotonic() + most
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {most} s: {what}")
        time.sleep(0.05)


class Site(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name)
        self.assertEqual(run("sample", self.path / "store", FILES, "--no-data").returncode, 0)

    def server(self, host, port, *more, config=""):
        name = self.path / f"redis-{port}.conf"
        name.write_text(f"port {port}\nbind {host}\ndir {self.path}\nsave ''\nlogfile ''\n"
                        f"protected-mode no\n{config}".replace("''", '""'))
        process = subprocess.Popen(["redis-server", str(name), *more],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        eventually(f"redis at {port}", lambda: redis(host, port, "PING") == "PONG")
        return process

    def use(self, address):
        self.index = ["--index", f"sqlite://{self.path}/i.db", "--locks", address,
                      "--element", "se-01"]
        self.both = ["--storage", f"file://{self.path}/store", *self.index]

    def begin(self, *before):
        """A rebuild of half a minute, as soon as it has its lock."""
        process = subprocess.Popen(
            [*before, PROGRAM, "rebuild", *self.both, "-v", "--files-per-second", "12"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        for line in process.stderr:
            if ACQUIRED.search(line):
                return process
        self.fail("it ended without a lock")

    def position(self):
        with sqlite3.connect(f"file:{self.path}/i.db?mode=ro", uri=True) as index:
            return index.execute("SELECT epoch, seq, count FROM head").fetchone()

    def check_all_is_well(self):
        done = run("rebuild", *self.both, "-q")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(run("check", *self.both, "-q").returncode, 0)
        self.assertEqual(run("locks", "list", *self.index, "--json").stdout.strip(), "[]")


class Failover(Site):
    def setUp(self):
        super().setUp()
        host = "127.0.0.1"
        self.ports = [free_port(), free_port()]
        self.master = self.server(host, self.ports[0])
        self.server(host, self.ports[1], config=f"replicaof {host} {self.ports[0]}\n")
        self.sentinels = [free_port() for _ in range(3)]
        watch = (f"sentinel monitor main {host} {self.ports[0]} 2\n"
                 "sentinel down-after-milliseconds main 1000\n"
                 "sentinel failover-timeout main 5000\n")
        for port in self.sentinels:
            self.server(host, port, "--sentinel", config=watch)
        # Each has to know the replica and the two others before there can be a majority.
        eventually("the Sentinels know each other", lambda: all(
            re.search(r"status=ok,.*slaves=1,sentinels=3", redis(host, port, "INFO", "sentinel"))
            for port in self.sentinels))
        hosts = ",".join(f"{host}:{port}" for port in [free_port(), *self.sentinels])
        self.use(f"redis://{hosts}/0?sentinel=main&timeout=5s")

    def fail_over(self):
        replica = ("127.0.0.1", self.ports[1])
        self.master.kill()
        eventually("failover", lambda: all(
            str(self.ports[1]) in redis("127.0.0.1", port, "SENTINEL", "get-master-addr-by-name",
                                        "main") for port in self.sentinels))
        eventually("the new master", lambda: redis(*replica, "ROLE").startswith("master"))
        return replica

    def test_a_lock_that_was_replicated_outlives_the_failover_with_its_holder(self):
        slow = self.begin()
        eventually("replication",
                   lambda: redis("127.0.0.1", self.ports[1], "EXISTS", KEY) == "1")
        replica = self.fail_over()
        self.assertEqual(redis(*replica, "EXISTS", KEY), "1")
        refused = run("rebuild", *self.both, "-q")
        self.assertEqual(refused.returncode, 3, refused.stderr)
        rest = slow.stderr.read()
        self.assertEqual(slow.wait(), 0, rest)
        self.check_all_is_well()

    def test_of_a_lock_that_was_not_replicated_the_first_holder_changes_nothing_more(self):
        slow = self.begin()
        eventually("replication",
                   lambda: redis("127.0.0.1", self.ports[1], "EXISTS", KEY) == "1")
        replica = self.fail_over()
        redis(*replica, "DEL", KEY)  # as if the master had died before it was sent
        done = run("rebuild", *self.both, "-q")
        self.assertEqual(done.returncode, 0, done.stderr)
        position = self.position()
        rest = slow.stderr.read()
        self.assertEqual(slow.wait(), 3, rest)
        self.assertIn("lease_lost", rest)
        self.assertEqual(self.position(), position)
        self.check_all_is_well()


class CutOff(Site):
    """The holder is in a network of its own."""

    def setUp(self):
        if os.geteuid() != 0 or shutil.which("ip") is None:
            leave_out(self, "netns", "needs root and ip")
        super().setUp()
        number = os.getpid() % 250
        self.space, self.link = f"artcache{os.getpid()}", f"arta{os.getpid()}"
        here, there, self.mine = f"10.203.{number}.1", f"10.203.{number}.2", f"artb{os.getpid()}"
        if self.ip("netns", "add", self.space, check=False) != 0:
            leave_out(self, "netns", "no network namespaces here")
        self.addCleanup(self.ip, "netns", "del", self.space)
        self.ip("link", "add", self.mine, "type", "veth", "peer", "name", self.link, "netns",
                self.space)
        self.ip("addr", "add", f"{here}/30", "dev", self.mine)
        self.ip("link", "set", self.mine, "up")
        self.inside("addr", "add", f"{there}/30", "dev", self.link)
        self.inside("link", "set", self.link, "up")
        self.inside("link", "set", "lo", "up")
        self.at = (here, free_port())
        self.server(*self.at)
        self.use(f"redis://{here}:{self.at[1]}?timeout=3s&connect_timeout=3s")

    def ip(self, *words, check=True):
        return subprocess.run(["ip", *words], stderr=subprocess.DEVNULL, check=check).returncode

    def inside(self, *words):
        return self.ip("-n", self.space, *words)

    def begin_inside(self):
        return self.begin("ip", "netns", "exec", self.space)

    def test_a_rebuild_outlives_a_while_without_the_server(self):
        slow = self.begin_inside()
        self.inside("link", "set", self.link, "down")
        time.sleep(5)  # longer than an answer is waited for
        self.assertEqual(run("rebuild", *self.both, "-q").returncode, 3)
        self.inside("link", "set", self.link, "up")
        rest = slow.stderr.read()
        self.assertEqual(slow.wait(), 0, rest)
        self.check_all_is_well()

    def test_who_is_cut_off_and_replaced_changes_nothing_more_and_needs_no_hand(self):
        slow = self.begin_inside()
        self.inside("link", "set", self.link, "down")
        self.assertEqual(redis(*self.at, "DEL", KEY), "1")
        done = run("rebuild", *self.both, "-q")
        self.assertEqual(done.returncode, 0, done.stderr)
        position = self.position()
        rest = slow.stderr.read()  # still cut off: it is the index that refuses
        self.assertEqual(slow.wait(), 3, rest)
        self.assertIn("lease_lost", rest)
        self.assertEqual(self.position(), position)
        self.inside("link", "set", self.link, "up")
        self.check_all_is_well()


if __name__ == "__main__":
    if shutil.which("redis-server") is None or shutil.which("redis-cli") is None:
        sys.exit(77)
    become_root()
    PROGRAM = sys.argv.pop(1)
    unittest.main()
