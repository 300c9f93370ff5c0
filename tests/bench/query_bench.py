#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How soon search finds what an element has taken: 99 of 100 uploads within so many milliseconds.

The commit at the element is behind the last byte that was sent and in front of the answer: what is
measured from either bounds what is wanted, from above (with all syncing of the upload) and from
below.

usage: query_bench.py ARTCACHED SERVICES [--files N]
SERVICES is the program of tests/services, which starts a Redis.
"""

import argparse
import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

from artcached import Artcached, eventually, form  # noqa: E402
from daemon_bench import print_row  # noqa: E402

WARM_UP = 50


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

    def upload_and_find(self, number):
        """Milliseconds since the upload was sent, and since it was acknowledged."""
        body, headers = form(f"{number}.txt", b"%d" % number)
        self.element.request("POST", "/api/v1/files/upload", body, {**headers, **self.token})
        sent = time.monotonic()
        answer = self.element.getresponse()
        told = json.loads(answer.read())
        acknowledged = time.monotonic()
        if answer.status != 201:
            raise SystemExit(told)
        while True:
            self.query.request("GET", "/api/v1/files/" + told["file_id"], headers=self.token)
            answer = self.query.getresponse()
            answer.read()
            if answer.status == 200:
                now = time.monotonic()
                return (now - sent) * 1000, (now - acknowledged) * 1000
            if answer.status != 404:
                raise SystemExit(f"search answers {answer.status}")


def listens(daemon):
    _, _, body = daemon.ask("GET", "query", "/metrics")
    return b'artstore_query_redis_connection_status{status="connected"} 1' in body


def measure(options, redis):
    told = [word for role in ("element.se-01", "query") if redis
            for word in ("--set", f"{role}.redis={redis}")]
    with Artcached(options.artcached, *told) as daemon:
        if redis and not eventually(lambda: listens(daemon)):
            raise SystemExit("search does not listen to Redis")
        clients = Clients(daemon)
        times = [clients.upload_and_find(n) for n in range(WARM_UP + options.files)][WARM_UP:]
    return [sorted(since) for since in zip(*times)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("artcached")
    parser.add_argument("services")
    parser.add_argument("--files", type=int, default=1000)
    options = parser.parse_args()
    with Redis(options.services) as redis:
        ways = (("Redis and long poll", redis, 25, 10), ("long poll only", "", 50, 15))
        for name, where, must, aim in ways:
            for since, times in zip(("sent", "acked"), measure(options, where)):
                print_row(f"query: {since} -> found, {name}, p50", times[len(times) // 2], 0, "ms",
                          must, aim, higher=False)
                print_row(f"query: {since} -> found, {name}, p99", times[len(times) * 99 // 100],
                          0, "ms", must, aim, higher=False)


if __name__ == "__main__":
    main()
