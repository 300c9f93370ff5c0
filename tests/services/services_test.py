#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of tests/services/services with the real servers and their real clients."""
import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "support"))

from artcache_services import catalog, process, sigv4  # noqa: E402
from artcache_services.ports import Ports  # noqa: E402
from artcache_services.postgres import Postgres  # noqa: E402
from leaving_out import leave_out  # noqa: E402

PROGRAM = [sys.executable, os.path.join(HERE, "services")]
REQUIRED = os.environ.get("ARTCACHE_REQUIRE_SERVICES", "") not in ("", "0")
PSQL = Postgres.find("psql") or "psql"


def need(*names):
    """Skips where a server is not installed, unless skipping is a failure."""
    for name in names:
        reason = catalog.why_unavailable(name)
        if reason and not REQUIRED:
            raise unittest.SkipTest(f"service {name}: {reason}")


def kill_group(leader):
    """Whatever is left of it; nothing is, when the shell died before its last command."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Bench:
    """A folder of its own as TMPDIR, so that no other run is touched; cleans up after itself."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="services-test-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.state_file = os.path.join(self.folder, "state.json")
        self.env = {**os.environ, "TMPDIR": self.folder}
        self.env.pop("ARTCACHE_REQUIRE_SERVICES", None)

    def run(self, *arguments, **more):
        env = {**self.env, **more}
        return subprocess.run([*PROGRAM, *arguments], env=env, text=True, capture_output=True,
                              timeout=120)

    def on(self, command, *arguments, **more):
        return self.run(command, "--state", self.state_file, *arguments, **more)

    def up(self, *names):
        done = self.on("up", *names)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return self.state()

    def state(self):
        with open(self.state_file) as file:
            return json.load(file)

    def folders(self):
        return [name for name in os.listdir(self.folder) if name.startswith("artcache-services-")]

    def close(self):
        self.on("down")
        self.run("reap")
        shutil.rmtree(self.folder, ignore_errors=True)


def everything_of(state):
    """(pid, start) of the servers and all their children."""
    pids = []
    for service in state["services"].values():
        for one in service["processes"].values():
            pids += [one["pid"], *process.descendants(one["pid"])]
    stats = [(pid, process.read_stat(pid)) for pid in pids]
    return [(pid, stat.start) for pid, stat in stats if stat]


def eventually(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class ServicesCase(unittest.TestCase):
    def setUp(self):
        self.bench = Bench()
        self.addCleanup(self.bench.close)

    def assert_one_line(self, done, *parts, code=1):
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)

    def assert_nothing_left(self):
        self.assertEqual(self.bench.folders(), [])
        self.assertFalse(os.path.exists(self.bench.state_file))
        inside = [pid for pid in process.all_pids() if self._works_in(pid, self.bench.folder)]
        self.assertEqual(inside, [])

    @staticmethod
    def _works_in(pid, folder):
        try:
            return os.readlink(f"/proc/{pid}/cwd").startswith(folder + "/")
        except OSError:
            return False


# Those that load something of the build are started by the tests that have it (fault.clock_jumps).
STANDING = [name for name, service in catalog.SERVICES.items() if not service.variables]


class RealServers(unittest.TestCase):
    """All such services at once, as in ctest; the tests that kill use one nobody else uses."""

    @classmethod
    def setUpClass(cls):
        need(*STANDING)
        cls.bench = Bench()
        cls.addClassCleanup(cls.bench.close)
        cls.services = cls.bench.up(*STANDING)["services"]

    def sql(self, name, statement, **env):
        env = {**self.services[name]["env"], **env}
        return subprocess.run([PSQL, "-X", "-At", "-c", statement], env={**os.environ, **env},
                              text=True, capture_output=True, timeout=120)

    def redis(self, name, *arguments):
        return subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p",
                               str(self.services[name]["port"]), *arguments],
                              text=True, capture_output=True, timeout=120)

    def s3(self, name, method, key, body=b"", headers=None, **other):
        service = {**self.services[name], **other}
        return sigv4.request(service, method, f"/{service['bucket']}/{key}", body, headers)

    def kill_and_restart(self, name):
        for command in ("kill", "restart"):
            done = self.bench.on(command, name)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_postgres_runs_with_fsync_as_asked(self):
        for name, fsync in (("postgres", "on"), ("postgres-nofsync", "off")):
            self.assertEqual(self.sql(name, "show fsync").stdout, fsync + "\n")

    def test_postgres_rejects_a_wrong_password(self):
        done = self.sql("postgres", "select 1", PGPASSWORD="wrong")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("password authentication failed", done.stderr)

    def test_postgres_has_its_databases_and_may_make_more(self):
        for database in ("artstore", "artstore_admin", "artstore_ingester", "artstore_query"):
            done = self.sql("postgres-nofsync", "create table t(a int)", PGDATABASE=database)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.sql("postgres-nofsync", "create database more").returncode, 0)

    def test_postgres_keeps_committed_rows_over_kill_9(self):
        self.sql("postgres", "create table kept(a int)")
        self.assertEqual(self.sql("postgres", "insert into kept values (7)").returncode, 0)
        self.kill_and_restart("postgres")
        self.assertEqual(self.sql("postgres", "select a from kept").stdout, "7\n")

    def test_redis_answers(self):
        self.assertEqual(self.redis("redis", "PING").stdout, "PONG\n")

    def test_redis_auth_wants_its_password(self):
        self.assertIn("NOAUTH", self.redis("redis-auth", "PING").stdout)
        done = self.redis("redis-auth", "-a", "secret", "--no-auth-warning", "PING")
        self.assertEqual(done.stdout, "PONG\n")

    def test_redis_tls_speaks_tls_only(self):
        ca = self.services["redis-tls"]["ca_file"]
        login = ["-a", "secret", "--no-auth-warning"]
        done = self.redis("redis-tls", "--tls", "--cacert", ca, *login, "PING")
        self.assertEqual(done.stdout, "PONG\n", done.stderr)
        self.assertIn("NOAUTH", self.redis("redis-tls", "--tls", "--cacert", ca, "PING").stdout)
        self.assertNotIn("PONG", self.redis("redis-tls", *login, "PING").stdout)
        self.assertNotIn("PONG", self.redis("redis-tls", "--tls", *login, "PING").stdout)

    def test_redis_comes_back_on_its_port(self):
        self.redis("redis-auth", "-a", "secret", "SET", "k", "v")
        self.kill_and_restart("redis-auth")
        self.assertIn("NOAUTH", self.redis("redis-auth", "PING").stdout)

    def test_radosgw_stores_and_checks_signatures(self):
        for name in ("radosgw", "radosgw-bluestore"):
            self.assertEqual(self.s3(name, "PUT", "a b/ä", b"hello")[0], 200)
            self.assertEqual(self.s3(name, "GET", "a b/ä"), (200, b"hello"))
            status, body = self.s3(name, "GET", "a b/ä", secret_key="wrong")
            self.assertEqual(status, 403)
            self.assertIn(b"SignatureDoesNotMatch", body)

    def test_radosgw_writes_only_once_if_none_match(self):
        once = {"If-None-Match": "*"}
        self.assertEqual(self.s3("radosgw", "PUT", "once", b"1", once)[0], 200)
        self.assertEqual(self.s3("radosgw", "PUT", "once", b"2", once)[0], 412)
        self.assertEqual(self.s3("radosgw", "GET", "once"), (200, b"1"))

    def test_radosgw_bluestore_keeps_objects_over_kill_9(self):
        self.assertEqual(self.s3("radosgw-bluestore", "PUT", "kept", b"7")[0], 200)
        self.kill_and_restart("radosgw-bluestore")
        self.assertEqual(self.s3("radosgw-bluestore", "GET", "kept"), (200, b"7"))

    def test_a_stopped_server_is_silent_until_it_continues(self):
        self.bench.on("kill", "redis", "--signal", "STOP")
        with socket.create_connection(("127.0.0.1", self.services["redis"]["port"])) as client:
            client.settimeout(0.3)
            client.sendall(b"PING\r\n")
            with self.assertRaises(socket.timeout):
                client.recv(10)
            self.assertIn("stopped", self.bench.on("status").stdout)
            self.bench.on("kill", "redis", "--signal", "CONT")
            client.settimeout(60)
            self.assertEqual(client.recv(10), b"+PONG\r\n")

    def test_status_hides_passwords(self):
        report = self.bench.on("status", "--json").stdout
        self.assertEqual(json.loads(report)["services"]["redis-tls"]["state"], "up")
        self.assertNotIn("secret", report)

    def test_run_sets_variables_and_passes_the_exit_code_on(self):
        done = self.bench.on("run", "--need", "postgres-nofsync", "--need", "redis", "--", "sh",
                             "-c", "echo $ARTCACHE_TEST_POSTGRES $ARTCACHE_TEST_REDIS; exit 5")
        urls = [self.services[name]["url"] for name in ("postgres-nofsync", "redis")]
        self.assertEqual((done.stdout.split(), done.returncode), (urls, 5))

    def test_env_is_for_the_shell(self):
        exports = self.bench.on("env").stdout
        done = subprocess.run(["sh", "-c", exports + "\necho $ARTCACHE_TEST_S3_BLUESTORE"],
                              text=True, capture_output=True)
        self.assertEqual(done.stdout.strip(), self.services["radosgw-bluestore"]["url"])


class Ends(ServicesCase):
    def setUp(self):
        need("postgres", "redis")
        super().setUp()

    def test_down_leaves_nothing_and_may_be_repeated(self):
        state = self.bench.up("postgres", "redis")
        servers = everything_of(state)
        self.assertGreater(len(servers), 4)
        for _ in range(2):
            self.assertEqual(self.bench.on("down").returncode, 0)
            self.assertFalse(any(process.is_running(*one) for one in servers))
            self.assert_nothing_left()

    def test_servers_end_with_their_owner(self):
        owner = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(owner.wait)
        self.addCleanup(owner.kill)
        self.bench.on("up", "--owner", str(owner.pid), "postgres", "redis")
        servers = everything_of(self.bench.state())
        owner.send_signal(signal.SIGKILL)  # not reaped yet: a zombie has ended too
        self.assertTrue(eventually(lambda: not self.bench.folders(), 60))
        self.assertFalse(any(process.is_running(*one) for one in servers))
        self.assertTrue(eventually(lambda: not os.path.exists(self.bench.state_file), 60))

    def test_the_owner_is_the_caller_of_up(self):
        line = " ".join([*PROGRAM, "up", "--state", self.bench.state_file, "redis"])
        caller = subprocess.Popen(["sh", "-c", line + "; sleep 1000"], env=self.bench.env,
                                  stdout=subprocess.PIPE, start_new_session=True, text=True)
        self.addCleanup(caller.stdout.close)
        self.addCleanup(kill_group, caller.pid)
        self.assertIn("redis", caller.stdout.readline())
        caller.kill()
        caller.wait()
        self.assertTrue(eventually(lambda: not self.bench.folders(), 60))

    def test_servers_end_with_a_killed_supervisor_and_reap_cleans_up(self):
        state = self.bench.up("postgres", "redis")
        servers = everything_of(state)
        os.kill(state["supervisor"], signal.SIGKILL)
        self.assertTrue(eventually(
            lambda: not any(process.is_running(*one) for one in servers), 10))
        self.assertEqual(self.bench.on("status").returncode, 1)
        done = self.bench.run("reap")
        self.assertEqual((done.returncode, self.bench.folders()), (0, []))
        with open("/proc/sysvipc/shm") as file:
            segments = [line.split() for line in file][1:]
        self.assertEqual([one for one in segments if int(one[4]) in dict(servers)], [])
        self.bench.up("redis")  # the dead run's state file is no obstacle

    def test_reap_leaves_a_living_run_alone(self):
        state = self.bench.up("redis")
        self.assertEqual(self.bench.run("reap").stdout, "")
        self.assertTrue(os.path.isdir(state["directory"]))
        self.assertEqual(self.bench.on("status").returncode, 0)

    def test_reap_kills_only_the_recorded_process_not_its_pids_next_owner(self):
        stranger = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        folder = os.path.join(self.bench.folder, "artcache-services-left")
        os.mkdir(folder)
        with open(os.path.join(folder, "processes.json"), "w") as file:
            json.dump([["redis", stranger.pid, 12345]], file)
        self.bench.run("reap")
        self.assertEqual(self.bench.folders(), [])
        self.assertIsNone(stranger.poll())

    def test_an_interrupted_start_leaves_nothing(self):
        starting = subprocess.Popen([*PROGRAM, "up", "--state", self.bench.state_file, "postgres"],
                                    env=self.bench.env, stderr=subprocess.DEVNULL)
        self.assertTrue(eventually(self.bench.folders, 60))
        starting.send_signal(signal.SIGKILL)
        starting.wait()
        self.assertTrue(eventually(lambda: not self.bench.folders(), 60))
        self.assertTrue(eventually(lambda: not os.path.exists(self.bench.state_file), 60))


class BadInput(ServicesCase):
    def test_an_unknown_name_lists_the_valid_ones(self):
        self.assert_one_line(self.bench.on("up", "postgress"), "did you mean postgres?",
                             "radosgw-bluestore")
        self.assert_nothing_left()

    def test_a_busy_port_is_named(self):
        need("redis")
        with socket.create_server(("127.0.0.1", 0)) as busy:
            port = busy.getsockname()[1]
            done = self.bench.on("up", "--port", f"redis={port}", "redis")
            self.assert_one_line(done, f"redis: port {port} is in use", "--port redis=N")
        self.assert_nothing_left()

    def test_a_port_that_turns_out_busy_is_chosen_anew(self):
        names = ("redis", "postgres", "radosgw")
        need(*names)

        async def start_all(port):
            await asyncio.gather(*(self._start_on_busy_port(name, port) for name in names))

        with socket.create_server(("127.0.0.1", 0)) as busy:
            asyncio.run(start_all(busy.getsockname()[1]))

    async def _start_on_busy_port(self, name, busy):
        ports = Ports()
        choose = ports.choose
        answers = [busy]
        ports.choose = lambda: answers.pop() if answers else choose()
        root = os.path.join(self.bench.folder, name + "-root")
        os.makedirs(os.path.join(root, "logs"))
        os.chmod(root, 0o755)
        service = catalog.SERVICES[name](name, root, ports, None, lambda: None)
        try:
            await asyncio.wait_for(service.start(), 180)
            self.assertNotEqual(service.port, busy)
        finally:
            await service.stop()

    def test_an_unusable_tmpdir_is_named(self):
        need("redis")
        file = os.path.join(self.bench.folder, "file")
        open(file, "w").close()
        for place in (file, "/proc/self", os.path.join(self.bench.folder, "absent")):
            done = self.bench.on("up", "redis", TMPDIR=place)
            self.assert_one_line(done, place, "set TMPDIR")
        self.assert_nothing_left()

    def test_a_folder_the_server_cannot_enter_is_named(self):
        need("redis")
        if os.geteuid() != 0:
            leave_out(self, "root", "only as root do servers run as another user")
        closed = os.path.join(self.bench.folder, "closed")
        os.mkdir(closed, 0o700)
        done = self.bench.on("up", "redis", TMPDIR=closed)
        self.assert_one_line(done, "user redis cannot enter", closed)

    def test_a_full_disk_is_named(self):
        need("postgres")
        for options in ("size=1m", "size=200m,nr_inodes=30"):
            with self.subTest(options):
                place = os.path.join(self.bench.folder, "small")
                os.makedirs(place, exist_ok=True)
                mount = ["mount", "-t", "tmpfs", "-o", options + ",mode=755", "none", place]
                if subprocess.run(mount, capture_output=True).returncode != 0:
                    leave_out(self, "mount", "cannot mount a small tmpfs here")
                try:
                    done = self.bench.on("up", "postgres", TMPDIR=place)
                    self.assert_one_line(done, place)
                    self.assertRegex(done.stderr, "MB free|No space left")
                    self.assertEqual(os.listdir(place), [])
                finally:
                    subprocess.run(["umount", place], check=True)
        self.assert_nothing_left()

    def test_a_state_file_in_use_is_refused(self):
        need("redis")
        state = self.bench.up("redis")
        done = self.bench.on("up", "redis")
        self.assert_one_line(done, "in use", str(state["supervisor"]), "services down --state")
        self.assertEqual(self.bench.on("status").returncode, 0)

    def test_a_file_that_is_no_state_file_is_left_alone(self):
        for text in ("hello", "{}", "[]"):
            with open(self.bench.state_file, "w") as file:
                file.write(text)
            for command in (["up", "redis"], ["down"], ["status"]):
                self.assert_one_line(self.bench.on(*command), self.bench.state_file)
            with open(self.bench.state_file) as file:
                self.assertEqual(file.read(), text)

    def test_a_start_that_takes_too_long_is_ended(self):
        need("postgres")
        done = self.bench.on("up", "--timeout", "0.1", "postgres")
        self.assert_one_line(done, "postgres was not ready after 0.1 s")
        self.assert_nothing_left()

    def test_an_owner_that_does_not_exist_is_refused(self):
        done = self.bench.on("up", "--owner", "4194305", "redis")
        self.assert_one_line(done, "no process 4194305")

    def test_restart_and_kill_name_what_they_do_not_know(self):
        need("redis")
        self.assert_one_line(self.bench.on("restart", "redis"), "nothing runs")
        self.bench.up("redis")
        self.assert_one_line(self.bench.on("kill", "postgres"), "was not started here")
        self.assert_one_line(self.bench.on("kill", "redis", "--process", "osd"), "it has: redis")


class MissingServers(ServicesCase):
    """PATH is empty here, so Redis is not found."""

    def setUp(self):
        super().setUp()
        self.bench.env["PATH"] = "/nonexistent"

    def test_up_names_the_package(self):
        done = self.bench.on("up", "redis")
        self.assert_one_line(done, "redis-server not found", "install redis-server",
                             "scripts/setup")
        self.assertEqual(self.bench.run("available", "redis").returncode, 1)
        self.assert_nothing_left()

    def test_run_skips_with_the_reason_or_fails_where_servers_are_required(self):
        self.bench.on("up", "--allow-missing", "redis")
        command = ["run", "--need", "redis", "--", "true"]
        for _ in range(2):  # with a state file that notes the reason, then with none
            done = self.bench.on(*command)
            self.assertEqual(done.returncode, 77)
            self.assertRegex(done.stdout, "^SKIP: service redis: redis-server not found")
            done = self.bench.on(*command, ARTCACHE_REQUIRE_SERVICES="1")
            self.assert_one_line(done, "service redis: redis-server not found")
            self.bench.on("down")

    def test_up_tolerates_none_missing_where_servers_are_required(self):
        done = self.bench.on("up", "--allow-missing", "redis", ARTCACHE_REQUIRE_SERVICES="1")
        self.assert_one_line(done, "redis-server not found")

    def test_run_skips_a_service_that_is_down(self):
        need("redis")
        self.bench.env["PATH"] = os.environ["PATH"]
        self.bench.up("redis")
        self.bench.on("kill", "redis")
        done = self.bench.on("run", "--need", "redis", "--", "true")
        self.assertEqual((done.returncode, done.stdout[:29]), (77, "SKIP: service redis: it is do"))


if __name__ == "__main__":
    unittest.main()
