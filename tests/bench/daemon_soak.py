#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mixed traffic on artcached for some minutes: memory, descriptors and latency must not grow.

usage: daemon_soak.py ARTCACHED MINUTES
Exit: 0 flat, 1 not.
"""

import os
import pathlib
import random
import re
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support")]

from artcached import Artcached  # noqa: E402

CLIENTS, KEPT, SAMPLES = 6, 200, 10


class Client(threading.Thread):
    """Uploads, reads, changes and removes; keeps so many files that their number stands still."""

    def __init__(self, daemon, number, ended):
        super().__init__()
        self.daemon_, self.ended = daemon, ended
        self.dice = random.Random(number)
        self.files, self.took, self.failed = [], [], None

    def run(self):
        try:
            while not self.ended.is_set():
                began = time.monotonic()
                self.one()
                self.took.append(time.monotonic() - began)
        except Exception as error:  # whatever it is, the soak has failed
            self.failed = error

    def one(self):
        what = self.dice.random()
        if what < 0.2 or not self.files:
            content = self.dice.randbytes(self.dice.choice((100, 10_000, 300_000)))
            self.files.append(self.daemon_.upload("soak.bin", content)["file_id"])
            return
        path = "/api/v1/files/" + self.dice.choice(self.files)
        if len(self.files) > KEPT:
            self.daemon_.call("DELETE", "se-01", path, 204)
            self.files.remove(path.rsplit("/", 1)[1])
        elif what < 0.3:
            self.daemon_.call("PATCH", "se-01", path, json_body={"description": str(what)})
        elif what < 0.31:
            # Of those that exclude each other, the later is told to come again.
            method, what = self.dice.choice((("POST", "rebuild"), ("GET", "consistency")))
            status, _, body = self.daemon_.ask(method, "se-01", f"/api/v1/cache/{what}")
            assert status in (200, 503), body
        else:
            self.daemon_.ask("GET", "se-01", path + ("/download" if what < 0.6 else ""))


def renew(daemon, ended):
    """Tokens live for half an hour."""
    while not ended.wait(600):
        daemon.token = daemon.fresh_token()


def state_of(pid):
    """MiB of its own, descriptors, threads."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return (int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024,
            len(os.listdir(f"/proc/{pid}/fd")), int(re.search(r"Threads:\s+(\d+)", status)[1]))


def soak(daemon, seconds):
    ended = threading.Event()
    clients = [Client(daemon, number, ended) for number in range(CLIENTS)]
    renewer = threading.Thread(target=renew, args=(daemon, ended))
    for thread in (*clients, renewer):
        thread.start()
    rows = []
    print(f"{'minutes':>8} {'requests':>9} {'p99 ms':>8} {'MiB':>7} {'fds':>5} {'threads':>8}")
    try:
        for sample in range(SAMPLES):
            time.sleep(seconds / SAMPLES)
            took = sorted(t for client in clients for t in client.took)
            for client in clients:
                client.took = []
            p99 = took[len(took) * 99 // 100] * 1000 if took else 0
            rows.append((len(took), p99, *state_of(daemon.child.pid)))
            print("{:8.1f} {:9d} {:8.1f} {:7.1f} {:5d} {:8d}".format(
                seconds / SAMPLES * (sample + 1) / 60, *rows[-1]), flush=True)
    finally:
        ended.set()
        for thread in (*clients, renewer):
            thread.join()
    return rows, [str(client.failed) for client in clients if client.failed]


def main():
    seconds = float(sys.argv[2]) * 60
    with Artcached(sys.argv[1]) as daemon:
        rows, problems = soak(daemon, seconds)
        report = daemon.call("GET", "se-01", "/api/v1/cache/consistency")
    if not report["is_consistent"]:
        problems.append("index and storage differ")
    # While the number of files grows to its bound, so may the rest.
    early, late = rows[SAMPLES // 3], rows[-1]
    for name, at, factor, more in (("p99", 1, 3, 20), ("memory", 2, 1.3, 16),
                                   ("descriptors", 3, 1, 16), ("threads", 4, 1, 8)):
        if late[at] > early[at] * factor + more:
            problems.append(f"{name} grew from {early[at]:.1f} to {late[at]:.1f}")
    print("; ".join(problems) or "flat")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
