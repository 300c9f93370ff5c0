#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What it costs that uploads go through the ingester: admin, one element, ingester and search, each
a process of its own on local files and SQLite, beside the same uploads straight to the element.
Both take turns, and the round counts whose ratio is the median.

usage: ingester_bench.py ARTCACHED [--files N] [--mebibytes N] [--rounds N] [--only WORD]
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

from artcached import ACCOUNT, elements_in_view, eventually  # noqa: E402
from daemon_bench import memory_of, print_row, processor_time_of, seconds_of  # noqa: E402

CLIENTS, SMALL, AT_ONCE = 8, 10_000, 100


class Peak:
    """The most memory that a process has while it is measured."""

    def __init__(self, pid):
        self.pid, self.most, self.over = pid, memory_of(pid), threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.over.wait(0.02):
            self.most = max(self.most, memory_of(self.pid))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.ports, self.children = {}, {}
        self.token = ""

    # --- the processes ----------------------------------------------------------------------------

    def spawn(self, name, role, **settings):
        more = [word for key, value in settings.items()
                for word in ("--set", f"{role}.{key}={value}")]
        with open(self.folder / f"{name}.log", "ab") as log:
            child = subprocess.Popen([self.options.artcached, "--role", role, "--data",
                                      self.folder / "data", *more],
                                     stdout=subprocess.PIPE, stderr=log, text=True)
        self.children[name] = child
        self.ports.update(json.loads(child.stdout.readline())["ports"])

    def start(self):
        self.spawn("admin", "admin", port=0, initial_account_name=ACCOUNT["client_id"],
                   initial_account_secret=ACCOUNT["client_secret"])
        known = {"port": 0, "public_key": self.folder / "data/admin/keys"}
        self.spawn("se-01", "element.se-01", **known)
        caller = {**known, **ACCOUNT, "admin": self.address("admin"),
                  "elements": self.address("se-01")}
        self.spawn("ingester", "ingester", **caller)
        self.spawn("query", "query", **{**caller, "elements": f"se-01={self.address('se-01')}"})
        told = self.ask("admin", "/api/v1/auth/token", json.dumps(ACCOUNT).encode(),
                        "application/json")
        self.token = json.loads(told)["access_token"]
        if not eventually(lambda: elements_in_view(self.address("ingester")) == 1):
            raise SystemExit("the ingester does not see the element")

    def end(self):
        for child in self.children.values():
            child.terminate()
        for child in self.children.values():
            child.wait()
            child.stdout.close()

    def address(self, name):
        return f"http://127.0.0.1:{self.ports[name]}"

    def ask(self, name, path, body=None, kind="text/plain"):
        request = urllib.request.Request(self.address(name) + path, data=body, headers={
            "Authorization": f"Bearer {self.token}", "Content-Type": kind})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    # --- uploads ----------------------------------------------------------------------------------

    def plan(self, name, to, source, count):
        """A file that tells one curl to upload so often, over one connection."""
        one = (f'url = "{self.address(to)}/api/v1/files/upload"\n'
               f'header = "Authorization: Bearer {self.token}"\n'
               f'form = "file=@{source};filename={name}.txt"\n'
               f'output = "{self.folder}/answer-{name}"\nfail\nsilent\nshow-error\n')
        path = self.folder / f"plan-{name}"
        path.write_text("next\n".join([one] * count))
        return path

    def upload(self, to, source, each, clients, name="file"):
        """Seconds until all clients have had all their answers."""
        plans = [self.plan(f"{name}{number}", to, source, each) for number in range(clients)]
        began = time.monotonic()
        running = [subprocess.Popen(["curl", "--config", plan]) for plan in plans]
        if any(child.wait() for child in running):
            raise SystemExit(f"an upload to {to} failed")
        return time.monotonic() - began

    def compared(self, source, each, clients):
        """Seconds through the ingester, and straight to the element; and of the processors."""
        rounds = []
        for number in range(self.options.rounds):
            took = {}
            for to in sorted(("ingester", "se-01"), reverse=number % 2 == 0):
                busy = self.busy()
                took[to] = self.upload(to, source, each, clients), self.busy() - busy
            rounds.append((took["ingester"], took["se-01"]))
        rounds.sort(key=lambda both: both[0][0] / both[1][0])
        (ours, ours_busy), (theirs, theirs_busy) = rounds[len(rounds) // 2]
        print(f"  seconds of processors in that round: {ours_busy:.2f} through, "
              f"{theirs_busy:.2f} straight; ratios from {self.ratio(rounds[-1]):.2f} "
              f"to {self.ratio(rounds[0]):.2f}")
        return ours, theirs

    @staticmethod
    def ratio(both):
        return both[1][0] / both[0][0]

    def busy(self):
        """Seconds of processors that ingester and element have used."""
        return sum(processor_time_of(self.children[name].pid) for name in ("ingester", "se-01"))

    # --- rows -------------------------------------------------------------------------------------

    def small(self):
        source = self.folder / "small"
        source.write_bytes(b"0123456789" * (SMALL // 10))
        each = self.options.files // CLIENTS
        ours, theirs = self.compared(source, each, CLIENTS)
        count = each * CLIENTS
        print_row(f"ingester: {count} files of 10 KB, {CLIENTS} clients / straight",
                  count / ours, count / theirs, "/s", 0.6, 0.85)

    def large(self):
        size = self.options.mebibytes
        source = self.folder / "large"
        seconds_of("dd", "if=/dev/urandom", f"of={source}", "bs=1M", f"count={size}",
                   "status=none")
        ours, theirs = self.compared(source, 1, 1)
        print_row(f"ingester: upload of {size} MiB / straight", size / ours, size / theirs,
                  "MiB/s", 0.8, 0.95)
        source.unlink()

    def searchable(self):
        source = self.folder / "searched"
        source.write_bytes(b"x" * SMALL)
        self.upload("ingester", source, 1, AT_ONCE, "searchable ")
        began = time.monotonic()
        while json.loads(self.ask("query", "/api/v1/files/search?query=searchable&limit=1"))[
                "total"] < AT_ONCE:
            if time.monotonic() > began + 60:
                raise SystemExit("not all are found within a minute")
        print_row(f"ingester: {AT_ONCE} uploads at once, until all are found",
                  time.monotonic() - began, 0, "s", 1, 0.5, higher=False)

    def run(self):
        with Peak(self.children["ingester"].pid) as peak:
            for row in (self.small, self.large, self.searchable):
                if self.options.only in ("", row.__name__):
                    row()
        print_row("ingester: memory in all this", peak.most, 0, "MiB", 100, 50, higher=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("artcached")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--mebibytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("", "small", "large", "searchable"), default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ingester-bench-") as folder:
        bench = Bench(options, pathlib.Path(folder))
        try:
            bench.start()
            bench.run()
        finally:
            bench.end()


if __name__ == "__main__":
    main()
