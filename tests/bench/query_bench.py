#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How soon a change at an element is received, applied and found: p50 and p99 of many uploads.

The commit is stamped in its transaction, before that is synced. Received is a change by who listens
to Redis, or by a long poll of the log; applied, when a read that names its position is answered;
found, when search has it after that. Sent and acknowledged are the upload's own beginning and end.

usage: query_bench.py ARTCACHED SERVICES [--files N]
SERVICES is the program of tests/services, which starts a Redis.
"""

import argparse
import http.client
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from urllib.parse import urlsplit

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

from artcached import Artcached, eventually, form  # noqa: E402
from daemon_bench import Wire, print_row  # noqa: E402

WARM_UP = 50
WAYS = (("committed", "received"), ("committed", "applied"), ("committed", "found"),
        ("sent", "found"), ("acked", "found"))


class Redis:
    """A server of its own, as long as the block runs."""

    def __init__(self, services):
        self.services = services
        self.folder = tempfile.TemporaryDirectory()
        self.state = ["--state", self.folder.name + "/state.json"]

    def __enter__(self):
        subprocess.run([self.services, "up", *self.state, "--owner", str(os.getpid()), "redis"],
                       check=True, stdout=subprocess.DEVNULL)
        return subprocess.run([self.services, "run", *self.state, "--need", "redis", "--",
                               "printenv", "ARTCACHE_TEST_REDIS"], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.strip()

    def __exit__(self, *_):
        subprocess.run([self.services, "down", *self.state], check=True,
                       stdout=subprocess.DEVNULL)
        self.folder.cleanup()


class Clients:
    """One connection to the element and one to search, which both stay open."""

    def __init__(self, daemon):
        self.element, self.query = (http.client.HTTPConnection("127.0.0.1", daemon.ports[name])
                                    for name in ("se-01", "query"))
        self.token = {"Authorization": "Bearer " + daemon.token}

    def search(self, path):
        self.query.request("GET", path, headers=self.token)
        answer = self.query.getresponse()
        if answer.status != 200:
            raise SystemExit(f"search answers {answer.status}: {answer.read()[:500]!r}")
        return json.loads(answer.read())

    def upload_and_find(self, number):
        """Its id, and the moments when it was sent, acknowledged, applied and found."""
        body, headers = form(f"{number}.txt", b"%d" % number)
        self.element.request("POST", "/api/v1/files/upload", body, {**headers, **self.token})
        moments = {"sent": time.time()}
        answer = self.element.getresponse()
        told = json.loads(answer.read())
        moments["acked"] = time.time()
        if answer.status != 201:
            raise SystemExit(told)
        # Answered as soon as the change is there.
        position = answer.headers["X-Artcache-Position"]
        self.search(f"/api/v1/files/{told['file_id']}?min_position={position}")
        moments["applied"] = time.time()
        if self.search("/api/v1/files/search?query=" + told["file_id"])["total"] != 1:
            raise SystemExit("search does not find what is there")
        moments["found"] = time.time()
        return told["file_id"], moments


class Tail(threading.Thread):
    """Long polls of the log of an element: when each change was committed and received."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.wire = Wire(daemon, "se-01")
        self.committed, self.received = {}, {}  # by file id, in seconds
        self.ended = False
        self.after = self.position(self.wire.get("/api/v1/log/head")[1][5:])

    def run(self):
        while not self.ended:
            body = self.wire.get(f"/api/v1/log/rows?after={self.after}&wait_ms=500")[1]
            now, at = time.time(), 0
            while at < len(body):
                kind, length = struct.unpack_from(">cI", body, at)
                row = body[at + 5:at + 5 + length]
                at += 5 + length
                if kind == b"W":
                    [micros] = struct.unpack_from(">Q", row, 33)
                    file_id = row[42:42 + row[41]].decode()
                    self.committed[file_id], self.received[file_id] = micros / 1e6, now
                    self.after = self.position(row)

    @staticmethod
    def position(body):
        epoch, seq = struct.unpack_from(">QQ", body)
        return f"{epoch:016x}/{seq}/{body[16:32].hex()}"


class Ear(threading.Thread):
    """Listens to the channels of events as any client of Redis does."""

    def __init__(self, address):
        super().__init__(daemon=True)
        place = urlsplit(address)
        self.link = socket.create_connection((place.hostname, place.port))
        self.lines = self.link.makefile("rb")
        self.received = {}  # by file id, in seconds
        if place.password:
            self.link.sendall(f"AUTH {place.username or 'default'} {place.password}\r\n".encode())
            self.lines.readline()
        self.link.sendall(b"SUBSCRIBE file:created file:updated file:deleted\r\n")

    def run(self):
        while line := self.lines.readline():
            if line.startswith(b"{"):
                self.received[json.loads(line).get("file_id")] = time.time()


def listens(daemon):
    _, _, body = daemon.ask("GET", "query", "/metrics")
    return b'artstore_query_redis_connection_status{status="connected"} 1' in body


def in_step(daemon):
    status, _, body = daemon.ask("GET", "query", "/api/v1/admin/sync/status")
    return status == 200 and any(one["storage_element_id"] == "se-01" and one["in_step"]
                                 for one in json.loads(body)["elements"])


def measure(options, redis):
    """By name, the times of all files in ms, ascending."""
    told = [word for role in ("element.se-01", "query") if redis
            for word in ("--set", f"{role}.redis={redis}")]
    with Artcached(options.artcached, *told) as daemon:
        if redis and not eventually(lambda: listens(daemon)):
            raise SystemExit("search does not listen to Redis")
        if not eventually(lambda: in_step(daemon)):
            raise SystemExit("search does not follow the element")
        tail = Tail(daemon)
        hears = Ear(redis) if redis else tail
        for thread in {tail, hears}:
            thread.start()
        clients = Clients(daemon)
        files = dict(clients.upload_and_find(n) for n in range(WARM_UP + options.files))
        if not eventually(lambda: files.keys() <= tail.received.keys() & hears.received.keys()):
            raise SystemExit("a change was not received")
        tail.ended = True
        tail.join()
    took = {}
    for file_id in list(files)[WARM_UP:]:
        moments = {**files[file_id], "received": hears.received[file_id],
                   "committed": tail.committed[file_id]}
        for since, then in WAYS:
            took.setdefault(f"{since} -> {then}", []).append(
                (moments[then] - moments[since]) * 1000)
    return {name: sorted(times) for name, times in took.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("artcached")
    parser.add_argument("services")
    parser.add_argument("--files", type=int, default=1000)
    options = parser.parse_args()
    with Redis(options.services) as redis:
        ways = (("Redis and long poll", redis, 25, 10), ("long poll only", "", 50, 15))
        for name, where, must, aim in ways:
            for what, times in measure(options, where).items():
                for share, at in (("p50", len(times) // 2), ("p99", len(times) * 99 // 100)):
                    print_row(f"query: {what}, {name}, {share}", times[at], 0, "ms", must, aim,
                              higher=False)


if __name__ == "__main__":
    main()
