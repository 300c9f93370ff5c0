# SPDX-License-Identifier: Apache-2.0
"""An element of artcached and its Redis, which is killed, restarted and emptied: where it is found,
and what it tells.

usage: element_redis_test.py ARTCACHED, run by own_server.sh
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

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))

from artcached import elements_in_view  # noqa: E402

DAEMON = ""
REDIS = os.environ.get("ARTCACHE_TEST_REDIS", "")
KEY, ALL = "artstore:storage-elements:se-01", "artstore:storage_elements"
IDS = "artstore:storage_element_ids"
PATIENCE = 180


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
    raise AssertionError(f"not within {PATIENCE} s: " + what)


class Bench(unittest.TestCase):
    SETTINGS = ()  # of the element
    MORE = ()      # of others

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
        self.child, self.ports = self.spawn(
            "--demo", "--data", self.data, "--port-offset", "0",
            *(word for one in (*("element.se-01." + setting for setting in told), *self.MORE)
              for word in ("--set", one)))
        self.token = None
        self.token = json.loads(self.ask("POST", "/api/v1/auth/token", "admin", json.dumps(
            {"client_id": "admin-service", "client_secret": "Test-Password123"}).encode(),
            "application/json"))["access_token"]

    def spawn(self, *arguments):
        child = subprocess.Popen([DAEMON, *arguments], stdout=subprocess.PIPE, stderr=self.log,
                                 text=True)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child, json.loads(child.stdout.readline())["ports"]

    def stop(self):
        self.child.terminate()
        self.assertEqual(self.child.wait(PATIENCE), 0)

    def ask(self, method, path, role="se-01", body=None, kind=None):
        headers = {"Content-Type": kind} if kind else {}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports[role]}{path}", data=body,
                                         method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=180) as answer:
            return answer.read().decode()

    def upload(self, name, role="se-01"):
        body = (f'--B\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
                f"Content-Type: text/plain\r\n\r\n{name}\r\n--B--\r\n").encode()
        return json.loads(self.ask("POST", "/api/v1/files/upload", role, body=body,
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
        # Whoever announces it may be late on a busy machine, and is at it again before long.
        until(lambda: redis("TTL", KEY) in ("2", "3"), "the time of the key")
        everyone = json.loads(until(lambda: redis("GET", ALL), "all of them"))
        self.assertEqual((everyone["count"], everyone["storage_elements"][0]["element_id"]),
                         (1, "se-01"))
        until(lambda: redis("KEYS", "artstore:storage-elements:*") == KEY, "the only key")
        until(lambda: self.metric('storage_capacity_total_bytes{storage_element_id="se-01"'),
              "the gauges")
        until(lambda: self.metric('storage_redis_publish_total{storage_element_id="se-01",'
                                  'mode="edit",status="success"}'), "the counter")
        self.upload("one.txt")
        until(lambda: (self.found() or {}).get("file_count") == 1, "the new file in the key")
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
        until(lambda: redis("EXISTS", ALL) == "0", "that it is not among all either")

    def test_it_is_remembered_for_as_many_reports_as_is_told(self):
        self.stop()
        self.SETTINGS = ("report_life=1000",)
        self.start()
        until(self.found, "the key")
        for key in (KEY, ALL):
            until(lambda key=key: int(redis("TTL", key)) > 100, "most of 1000 seconds: " + key)

    def test_all_are_known_as_long_as_the_one_that_is_known_longest(self):
        until(self.found, "the key")
        other = json.dumps({"element_id": "se-77", "api_url": "http://127.0.0.1:9"})
        redis("SET", "artstore:storage-elements:se-77", other, "EX", "50")
        redis("SADD", IDS, "se-77")
        until(lambda: json.loads(redis("GET", ALL) or "{}").get("count") == 2, "both among all")
        self.assertGreater(int(redis("TTL", ALL)), 10)

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


class Events(Bench):
    """What changes is told on channels and kept in the stream, in order, whatever Redis does."""

    def kept(self):
        """Events of the stream as dictionaries."""
        script = ("local out = {} for _, one in ipairs(redis.call('XRANGE', 'file-events', '-', "
                  "'+')) do local row = {} for i = 1, #one[2], 2 do row[one[2][i]] = one[2][i+1] "
                  "end out[#out+1] = row end return #out == 0 and '[]' or cjson.encode(out)")
        return json.loads(redis("EVAL", script, "0"))

    def all_kept(self, ids):
        until(lambda: {one.get("file_id") for one in self.kept()} >= set(ids), "all events")
        seqs = [int(one["seq"]) for one in self.kept()]
        first = [seq for at, seq in enumerate(seqs) if seq not in seqs[:at]]
        self.assertEqual(first, list(range(first[0], first[0] + len(first))))

    def listen(self):
        listener = subprocess.Popen(
            ["redis-cli", "-u", REDIS, "SUBSCRIBE", "file:created", "file:updated",
             "file:deleted"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(listener.stdout.close)
        self.addCleanup(listener.wait)
        self.addCleanup(listener.kill)
        lines = iter(listener.stdout.readline, "")
        for line in lines:  # the confirmation of the third channel
            if line.strip() == "3":
                return lines
        self.fail("redis-cli ended")

    def test_each_change_is_heard_on_its_channel_and_found_in_the_stream(self):
        lines = self.listen()
        key = self.upload("plan.txt")
        self.ask("PATCH", f"/api/v1/files/{key}", body=b'{"description":"a plan"}',
                 kind="application/json")
        self.ask("DELETE", f"/api/v1/files/{key}")
        heard = []
        for line in lines:
            if line.strip() == "message":
                heard.append((next(lines).strip(), json.loads(next(lines))))
            if len(heard) == 3:
                break
        self.assertEqual([channel for channel, _ in heard],
                         ["file:created", "file:updated", "file:deleted"])
        for channel, told in heard:
            self.assertEqual((told["event_type"], told["file_id"], told["storage_element_id"]),
                             (channel, key, "se-01"))
            self.assertRegex(told["epoch"], "^[0-9a-f]{16}$")
            self.assertTrue(told["timestamp"].endswith("Z"))
        self.assertEqual([told["seq"] - heard[0][1]["seq"] for _, told in heard], [0, 1, 2])
        first = heard[0][1]["metadata"]
        self.assertEqual((first["original_filename"], first["file_size"], first["mime_type"]),
                         ("plan.txt", 8, "text/plain"))
        self.assertRegex(first["checksum"], "^sha256:[0-9a-f]{64}$")
        self.assertEqual(heard[1][1]["metadata"]["description"], "a plan")
        self.assertNotIn("metadata", heard[2][1])

        kept = until(lambda: len(self.kept()) == 3 and self.kept(), "the stream")
        self.assertEqual([one["event_type"] for one in kept],
                         ["file:created", "file:updated", "file:deleted"])
        self.assertEqual(json.loads(kept[0]["metadata"])["checksum_sha256"],
                         first["checksum"].removeprefix("sha256:"))
        self.assertIn("deleted_at", kept[2])
        for line in ('artstore_admin_events_published_total{event_type="file:created",'
                     'storage_element_id="se-01"} 1', "artstore_admin_stream_xadd_total",
                     'artstore_admin_stream_length{storage_element_id="se-01"} 3',
                     "artstore_admin_events_publish_duration_seconds_count"):
            until(lambda line=line: self.metric(line), line)

    def test_what_happens_while_redis_is_away_is_told_afterwards_in_order(self):
        self.upload("before.txt")
        until(self.kept, "the first event")
        server("kill")
        ids = [self.upload(f"{n}.txt") for n in range(20)]
        server("restart")
        self.all_kept(ids)
        until(lambda: '"events":"ok"' in self.ask("GET", "/health/ready"), "that none waits")

    def test_neither_a_kill_of_the_element_nor_a_flush_loses_an_event(self):
        self.upload("before.txt")
        until(self.kept, "the first event")
        server("kill")
        ids = [self.upload(f"{n}.txt") for n in range(10)]
        self.child.kill()
        self.child.wait()
        server("restart")
        self.start()
        self.all_kept(ids)
        redis("FLUSHALL")
        self.all_kept([self.upload("after.txt")])


class Listening(Bench):
    """The ingester hears of elements on the channel, and asks them now and then without it."""
    MORE = ("ingester.redis=" + REDIS, "ingester.poll_interval=45s")

    def heard(self):
        name = 'ingester_se_config_reload_total{source="channel"} '
        return sum(int(line.removeprefix(name)) for line in
                   self.ask("GET", "/metrics", "ingester").splitlines() if line.startswith(name))

    def tell(self, action):
        redis("PUBLISH", "artstore:service_discovery", json.dumps({"action": action}))

    def seen(self):
        return elements_in_view(f"http://127.0.0.1:{self.ports['ingester']}")

    def tell_until_heard(self):
        """Whoever listens for a channel has heard it only when something came of it."""
        before = self.heard()
        until(lambda: self.tell("updated") or self.heard() > before, "that it is heard")

    def test_an_element_that_announces_itself_takes_files(self):
        until(lambda: self.seen() == 3, "the elements of the demonstration")
        self.tell_until_heard()
        child, _ = self.spawn(
            "--role", "element.se-11", "--data", self.data / "other",
            *(word for one in ("port=0", "priority=1", "redis=" + REDIS, "report_interval=1s",
                               f"public_key={self.data}/admin/keys")
              for word in ("--set", "element.se-11." + one)))
        until(lambda: self.seen() == 4, "the fourth element")
        key = self.upload("first.txt", "ingester")
        child.terminate()
        self.assertEqual(child.wait(PATIENCE), 0)
        until(lambda: self.seen() == 3, "that it is gone")
        with self.assertRaises(urllib.error.HTTPError):
            self.ask("GET", f"/api/v1/files/{key}")  # is not on se-01, but was on se-11

    def test_redis_may_be_away_meanwhile(self):
        self.tell_until_heard()
        server("kill")
        self.upload("meanwhile.txt", "ingester")
        server("restart")
        self.tell_until_heard()
        until(lambda: self.seen() == 3, "the elements of the demonstration")


class Silent(Bench):
    SETTINGS = ("events=false",)

    def test_events_can_be_switched_off(self):
        key = self.upload("plan.txt")
        until(lambda: redis("GET", KEY), "the key")
        self.assertEqual(redis("EXISTS", "file-events"), "0")
        self.stop()
        self.SETTINGS = ("events_stream=others",)
        self.start()
        later = self.upload("later.txt")
        entry = until(lambda: redis("XRANGE", "others", "-", "+"), "the other stream")
        self.assertIn(later, entry)
        self.assertNotIn(key, entry)


if __name__ == "__main__":
    DAEMON = sys.argv.pop(1)
    unittest.main(verbosity=1)
