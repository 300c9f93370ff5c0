#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""[G3][G5] PostgreSQL and radosgw are killed (kill -9) in the middle of rebuilds and of uploads.

The programs go on, or end with an error that names the server, never by a signal. The index is
whole when its server is back, what was acknowledged is there, and the same command then succeeds.

usage: server_kills_test.py SERVICES ARTCACHE; ARTCACHE_ROUNDS sets the kills of each kind (2),
ARTCACHE_SEED their moments
"""
import concurrent.futures
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parent / "services")]
from artcache_services import sigv4, state  # noqa: E402
from artcached import eventually  # noqa: E402

PROGRAM = SERVICES = STATE = ""
ROUNDS = int(os.environ.get("ARTCACHE_ROUNDS", "2"))
SEED = int(os.environ.get("ARTCACHE_SEED", str(random.randrange(1 << 30))))
FILES, FILES_PER_SECOND = 3000, 400  # seconds of room for a server to be killed in the middle
DATABASE, BUCKET = "postgres", "radosgw-bluestore"


def services(verb, *arguments):
    return subprocess.run([SERVICES, verb, "--state", STATE, *arguments], check=False,
                          stdout=subprocess.DEVNULL).returncode


def run(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)


def answer(*arguments, codes=(0,)):
    done = run(*arguments, "--json", "-q")
    assert done.returncode in codes, f"{arguments}: {done.returncode}\n{done.stderr}"
    return json.loads(done.stdout)


class ServerKills(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        servers = state.read(STATE)["services"]
        cls.s3 = servers[BUCKET]
        os.environ.update({name: value for name, value in cls.s3["env"].items()})
        cls.base = servers[DATABASE]["env"]["ARTCACHE_TEST_POSTGRES"].split("?")[0]
        subprocess.run([PROGRAM, "sample", cls.folder / "files", str(FILES), "--no-data"],
                       check=True, stdout=subprocess.DEVNULL)
        cls.store = cls.bucket()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(cls.copy, sorted((cls.folder / "files").rglob("*.attr.json"))))

    @classmethod
    def bucket(cls):
        return f"s3://{cls.s3['bucket']}/{uuid.uuid4().hex}"

    @classmethod
    def copy(cls, path):
        key = cls.store[len("s3:/"):] + "/" + str(path.relative_to(cls.folder / "files"))
        status, said = sigv4.request(cls.s3, "PUT", key, path.read_bytes())
        assert status == 200, said

    def both(self, store):
        index = f"{self.base}?prefix=k{uuid.uuid4().hex[:10]}&owners={self.folder}"
        return ("--storage", store, "--index", index)

    def killed_in(self, server, both, after):
        """A rebuild in whose middle the server is killed; it is there again a little later."""
        child = subprocess.Popen([PROGRAM, "rebuild", *both, "-v", "--files-per-second",
                                  str(FILES_PER_SECOND), "--timeout", "180"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(after)
        self.assertIsNone(child.poll(), "it had ended before")
        self.assertEqual(services("kill", server), 0)
        time.sleep(random.choice((0, 2)))
        self.assertEqual(services("restart", server), 0)
        _, err = child.communicate(timeout=300)
        self.assertIn(child.returncode, (0, 1), err)
        if child.returncode == 1:
            self.assertRegex(err, "(?i)postgresql|s3: |index")
        self.assertNotIn("secret", err)
        state_of_index = answer("doctor", "--index", both[3], codes=(0, 2))  # 2: not complete yet
        self.assertTrue(state_of_index["digest_agrees"], state_of_index)
        return child.returncode

    def rebuilds(self, server):
        ended = []
        for _ in range(ROUNDS):
            both = self.both(self.store)
            ended.append(self.killed_in(server, both, random.uniform(0.2, 1.2)))  # while it loads
            report = answer("rebuild", *both)
            self.assertEqual(report["statistics"]["entries_created"], FILES)
            ended.append(self.killed_in(server, both, random.uniform(0.2, 1.2)))  # over a full one
            answer("rebuild", *both)
            self.assertTrue(answer("check", *both)["is_consistent"])
        print(f"{server}: rebuilds ended with", ended)

    def test_rebuilds_while_postgres_is_killed(self):
        self.rebuilds(DATABASE)

    def test_rebuilds_while_radosgw_is_killed(self):
        self.rebuilds(BUCKET)

    def upload(self, both, stop, done):
        """Uploads until it is told to stop; keeps what was acknowledged with its hash."""
        refused = 0
        while not stop.is_set():
            # Small ones in one request, large ones in parts.
            body = os.urandom(random.choice((2_000, 9_000_000)))
            path = self.folder / uuid.uuid4().hex
            path.write_bytes(body)
            put = run("put", path, *both, "--timeout", "60")
            path.unlink()
            assert put.returncode in (0, 1), f"{put.returncode} {put.stderr}"
            refused += put.returncode
            if put.returncode == 0:
                done[put.stdout.strip()] = hashlib.sha256(body).hexdigest()
        return refused

    def test_uploads_while_either_is_killed(self):
        both = self.both(self.bucket())
        answer("rebuild", *both)
        for server in (DATABASE, BUCKET) * ROUNDS:
            stop, done = threading.Event(), {}
            with concurrent.futures.ThreadPoolExecutor(3) as pool:
                writers = [pool.submit(self.upload, both, stop, done) for _ in range(3)]
                time.sleep(random.uniform(1, 2))
                self.assertEqual(services("kill", server), 0)
                time.sleep(0.5)
                self.assertEqual(services("restart", server), 0)
                time.sleep(1)
                came = eventually(lambda done=done: done)
                stop.set()
                refused = sum(writer.result() for writer in writers)
            print(f"{server}: {len(done)} uploads acknowledged, {refused} refused")
            self.assertTrue(came)
            for file_id, expected in done.items():
                got = subprocess.run([PROGRAM, "get", file_id, *both, "--content", "-"],
                                     stdout=subprocess.PIPE, check=False)
                self.assertEqual(got.returncode, 0, file_id)
                self.assertEqual(hashlib.sha256(got.stdout).hexdigest(), expected)
        # What was cut short is settled by whoever opens the store next.
        answer("rebuild", *both)
        report = answer("check", "--data", *both)
        self.assertTrue(report["is_consistent"], report)
        self.assertEqual(report["missing_data_count"], 0, report)


def main():
    global PROGRAM, SERVICES, STATE
    SERVICES, PROGRAM = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        STATE = f"{folder}/state.json"
        code = services("up", "--allow-missing", DATABASE, BUCKET)
        try:
            if code == 0:
                started = state.read(STATE)["services"]
                code = 0 if DATABASE in started and BUCKET in started else 77
            if code == 0:
                print(f"ARTCACHE_SEED={SEED}", flush=True)
                random.seed(SEED)
                tests = unittest.defaultTestLoader.loadTestsFromTestCase(ServerKills)
                code = int(not unittest.TextTestRunner(verbosity=1).run(tests).wasSuccessful())
        finally:
            services("down")
    return code


if __name__ == "__main__":
    sys.exit(main())
