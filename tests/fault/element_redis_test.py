# SPDX-License-Identifier: Apache-2.0
"""An element of artcached and its Redis, which is killed, restarted and emptied: where it is found.

usage: element_redis_test.py ARTCACHED, run by redis_fault.sh
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

DAEMON = ""
REDIS = os.environ.get("ARTCACHE_TEST_REDIS", "")
KEY, ALL = "artstore:storage-elements:se-01", "artstore:storage_elements"
PATIENCE = 60


def server(verb):
    subprocess.run([os.environ["ARTCACHE_TEST_SERVICES"], verb, "--state",
                    os.environ["ARTCACHE_TEST_SERVICES_STATE"], "redis"],
                   stdout=subprocess.DEVNULL, check=True)


def redis(*words):
    return subprocess.run(["redis-cli", "-u", REDIS, *map(str, words)], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=True).stdout.strip()


def until(look, what):
    """The first answer that is true; tests of what happens by itself can only look again."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("not within a minute: " + what)


class Bench(unittest.TestCase):
    SETTINGS = ()

    def setUp(self):
        server("restart")
        redis("FLUSHALL")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data = pathlib.Path(folder.name)
        self.log = open(self.data / "log", "ab")
        self.addCleanup(self.log.close)
        self.start()

    def start(self):
        told = ("redis=" + REDIS, "report_interval=1s", *self.SETTINGS)
        flags = [word for one in told for word in ("--set", "element.se-01." + one)]
        self.child = subprocess.Popen(
            [DAEMON, "--demo", "--data", self.data, "--port-offset", "0", *flags],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.addCleanup(self.child.stdout.close)
        self.addCleanup(self.child.wait)
        self.addCleanup(self.child.kill)
        self.ports = json.loads(self.child.stdout.readline())["ports"]
        self.token = None
        self.token = json.loads(self.ask("POST", "/api/v1/auth/token", "admin", json.dumps(
            {"client_id": "admin-service", "client_secret": "Test-Password123"}).encode(),
            "application/json"))["access_token"]

    def stop(self):
        self.child.terminate()
        self.assertEqual(self.child.wait(PATIENCE), 0)

    def ask(self, method, path, role="se-01", body=None, kind=None):
        headers = {"Content-Type": kind} if kind else {}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports[role]}{path}", data=body,
                                         method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    def upload(self, name):
        body = (f'--B\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
                f"Content-Type: text/plain\r\n\r\n{name}\r\n--B--\r\n").encode()
        return json.loads(self.ask("POST", "/api/v1/files/upload", body=body,
                                   kind="multipart/form-data; boundary=B"))["file_id"]

    def metric(self, line):
        return any(one.startswith(line) for one in self.ask("GET", "/metrics").splitlines())


class Discovery(Bench):
    def found(self):
        text = redis("GET", KEY)
        return json.loads(text) if text else None

    def test_an_element_is_found_by_its_key_and_among_all_while_it_lives(self):
        found = until(self.found, "the key")
        self.assertEqual((found["element_id"], found["mode"], found["priority"]),
                         ("se-01", "edit", 100))
        self.assertEqual(found["api_url"], f"http://127.0.0.1:{self.ports['se-01']}")
        self.assertGreater(found["capacity_bytes"], 0)
        self.assertIn(redis("TTL", KEY), ("2", "3"))
        everyone = json.loads(redis("GET", ALL))
        self.assertEqual((everyone["count"], everyone["storage_elements"][0]["element_id"]),
                         (1, "se-01"))
        self.assertEqual(redis("KEYS", "artstore:storage-elements:*"), KEY)
        until(lambda: self.metric('storage_capacity_total_bytes{storage_element_id="se-01"'),
              "the gauges")
        until(lambda: self.metric('storage_redis_publish_total{storage_element_id="se-01",'
                                  'mode="edit",status="success"}'), "the counter")
        self.upload("one.txt")
        until(lambda: self.found()["file_count"] == 1, "the new file in the key")
        self.stop()
        self.assertEqual(redis("EXISTS", KEY), "0")
        self.assertEqual(json.loads(redis("GET", ALL))["count"], 0)

    def test_the_channel_tells_each_announcement(self):
        listener = subprocess.Popen(["redis-cli", "-u", REDIS, "SUBSCRIBE",
                                     "artstore:service_discovery"], stdout=subprocess.PIPE,
                                    text=True)
        self.addCleanup(listener.stdout.close)
        self.addCleanup(listener.wait)
        self.addCleanup(listener.kill)
        for line in listener.stdout:
            if line.startswith("{"):
                break
        told = json.loads(line)
        self.assertEqual((told["event"], told["count"], told["storage_element_id"]),
                         ("storage_element_config_updated", 1, "se-01"))

    def test_an_element_that_is_killed_is_forgotten_by_itself(self):
        until(self.found, "the key")
        self.child.kill()
        until(lambda: not self.found(), "that the key has ended")

    def test_redis_may_be_away_and_empty(self):
        until(self.found, "the key")
        redis("FLUSHALL")
        until(self.found, "the key after FLUSHALL")
        server("kill")
        until(lambda: '"redis":"unavailable"' in self.ask("GET", "/health/ready"), "the state")
        self.upload("meanwhile.txt")
        self.stop()
        self.start()
        self.assertIn('"status":"ready"', self.ask("GET", "/health/ready"))
        server("restart")
        self.assertEqual(until(self.found, "the key after a restart")["file_count"], 1)


if __name__ == "__main__":
    DAEMON = sys.argv.pop(1)
    unittest.main(verbosity=1)
