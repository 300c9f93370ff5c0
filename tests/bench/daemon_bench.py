#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What artcached takes over HTTP, beside nginx, cp and sha256sum in the same run.

usage: daemon_bench.py ARTCACHE ARTCACHED [--entries N] [--mebibytes N] [--part-mebibytes N]
       [--seconds N] [--only WORD]
"""

import argparse
import concurrent.futures
import getpass
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support")]

from artcached import Artcached, free_port  # noqa: E402

CONNECTIONS, IDLE, UPLOADS = 32, 1000, 50
RANDOM_IDS = """
local ids = {}
for line in io.lines("%s") do ids[#ids + 1] = line end
math.randomseed(7)
wrk.headers["Authorization"] = "Bearer %s"
request = function()
  return wrk.format("GET", "/api/v1/files/" .. ids[math.random(#ids)])
end
"""
NGINX = """
daemon off; user {user}; worker_processes auto; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 2048; }}
http {{
  access_log {folder}/access.log;
  sendfile on; default_type application/json; keepalive_requests 1000000000;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    location / {{ return 200 '{word}'; }}
    location /files/ {{ alias {files}/; }}
  }}
}}
"""


class Nginx:
    def __init__(self, folder, files, word):
        folder.mkdir()
        self.port = free_port()
        conf = folder / "conf"
        conf.write_text(NGINX.format(folder=folder, files=files, port=self.port, word=word,
                                      user=getpass.getuser()))
        self.child = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", conf],
                                      stderr=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit("nginx did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait()


def wrk(url, seconds, script=None):
    """Requests a second, and the 99th percentile in milliseconds."""
    said = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency",
                           *(["-s", script] if script else []), url],
                          capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(said)
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", said).groups()
    return (float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]),
            float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit])


def seconds_of(*command):
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def memory_of(pid):
    """MiB that are its own: what pages of files it maps is the kernel's to drop."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024


def print_row(name, ours, floor, unit, must, aim, higher=True):
    ratio = ours / floor if floor else ours
    good = ratio >= must if higher else ratio <= must
    theirs = f"{floor:.1f} {unit}" if floor else ""
    print(f"{name:<52} {f'{ours:.1f} {unit}':>14} {theirs:>14} {ratio:7.2f} "
          f"{must:6.2f} {aim:6.2f}{'' if good else '  MISSED'}", flush=True)


class Wire:
    """One connection that is kept, for questions whose answers take no time."""

    def __init__(self, daemon, role):
        self.daemon = daemon
        self.link = http.client.HTTPConnection("127.0.0.1", daemon.ports[role], timeout=60)

    def get(self, path):
        self.link.request("GET", path, headers={"Authorization": f"Bearer {self.daemon.token}"})
        answer = self.link.getresponse()
        return answer.status, answer.read()


def processor_time_of(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until_idle(pid):
    """Such as roles that follow the element, and have 100,000 files to catch up with."""
    used = processor_time_of(pid)
    for _ in range(120):
        time.sleep(1)
        before, used = used, processor_time_of(pid)
        if used - before < 0.05:
            return
    raise SystemExit("artcached does not come to rest")


class Bench:
    def __init__(self, options):
        self.options = options
        self.daemon = Artcached(options.artcached)

        self.scratch = self.daemon.data / "bench"
        self.files = self.daemon.data / "se-01/files"

    def row(self, name, *figures, **more):
        print_row("daemon: " + name, *figures, **more)

    def wants(self, word):
        return self.options.only in ("", word)

    def run(self):
        with self.daemon:
            self.scratch.mkdir()
            if self.wants("metadata"):
                self.metadata()
            if self.wants("content"):
                self.content()
            if self.wants("memory"):
                self.memory()

    def metadata(self):
        subprocess.run([self.options.artcache, "sample", self.files, str(self.options.entries),
                        "--no-data"], check=True, stdout=subprocess.DEVNULL)
        self.daemon.call("POST", "se-01", "/api/v1/cache/rebuild")
        database = sqlite3.connect(self.daemon.data / "se-01/index.db")
        [generation] = database.execute("SELECT generation FROM head").fetchone()
        ids = [str(uuid.UUID(bytes=row[0]))
               for row in database.execute(f"SELECT file_id FROM entry_{generation}")]
        database.close()
        (self.scratch / "ids").write_text("\n".join(ids) + "\n")
        script = self.scratch / "random.lua"
        script.write_text(RANDOM_IDS % (self.scratch / "ids", self.daemon.token))
        _, _, body = self.daemon.ask("GET", "se-01", f"/api/v1/files/{ids[0]}")
        until_idle(self.daemon.child.pid)
        seconds = self.options.seconds
        address = self.daemon.address("se-01")
        with Nginx(self.scratch / "nginx", self.files, "x" * len(body)) as nginx:
            # The same requests, since making them takes a part of the machine too; each server
            # writes a line of its access log for each.
            floor, _ = wrk(f"http://127.0.0.1:{nginx.port}", seconds, script)
            ours, idle = wrk(address, seconds, script)
        self.row("GET metadata with a token / nginx, a constant", ours, floor, "req/s", 0.3, 0.6)
        _, busy = self.amid_rebuilds(lambda: wrk(address, seconds, script))
        self.row("p99 of it under a full rebuild / idle", busy, idle, "ms", 3, 1.5, higher=False)

    def amid_rebuilds(self, work):
        ended = threading.Event()

        def rebuild():
            while not ended.is_set():
                self.daemon.call("POST", "se-01", "/api/v1/cache/rebuild")

        thread = threading.Thread(target=rebuild)
        thread.start()
        try:
            return work()
        finally:
            ended.set()
            thread.join()

    def content(self):
        size = self.options.mebibytes
        source = self.scratch / "big.bin"
        subprocess.run(["dd", "if=/dev/urandom", f"of={source}", "bs=1M", f"count={size}",
                        "status=none"], check=True)
        upload = ["curl", "-sSf", "-o", str(self.scratch / "sent"), "-H",
                  f"Authorization: Bearer {self.daemon.token}", "-F", f"file=@{source}",
                  self.daemon.address("se-01") + "/api/v1/files/upload"]
        copy = ["sh", "-c", f"cp {source} {self.scratch}/copy && sync {self.scratch}/copy && "
                f"sha256sum {source}; rm {self.scratch}/copy"]
        floors, ours = [], []
        for _ in range(2):
            floors.append(seconds_of(*copy))
            ours.append(seconds_of(*upload))
        self.row(f"upload of {size} MiB / cp, fsync, sha256sum", size / min(ours),
                 size / min(floors), "MiB/s", 0.7, 0.95)
        file_id = re.search(r'"file_id":"([^"]+)', (self.scratch / "sent").read_text())[1]
        stored = next(path for path in self.files.rglob("*.bin")
                      if path.stat().st_size == size << 20)
        our = self.daemon.address("se-01") + f"/api/v1/files/{file_id}/download"
        floors, ours = [], []
        with Nginx(self.scratch / "nginx2", stored.parent, "") as nginx:
            theirs = f"http://127.0.0.1:{nginx.port}/files/{stored.name}"
            for _ in range(3):
                floors.append(seconds_of("curl", "-sSf", "-o", "/dev/null", theirs))
                ours.append(seconds_of("curl", "-sSf", "-o", "/dev/null", "-H",
                                       f"Authorization: Bearer {self.daemon.token}", our))
        self.row(f"download of {size} MiB / nginx", size / min(ours), size / min(floors), "MiB/s",
                 0.7, 0.95)

    def memory(self):
        resource.setrlimit(resource.RLIMIT_NOFILE,
                           (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        pid = self.daemon.child.pid
        wires = []
        for _ in range(IDLE):
            wires.append(socket.create_connection(("127.0.0.1", self.daemon.ports["se-01"])))
            wires[-1].sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            wires[-1].recv(4096)
        self.row(f"memory with {IDLE} idle connections", memory_of(pid), 0, "MiB", 200, 100, False)
        for wire in wires:
            wire.close()
        source = self.scratch / "part.bin"
        size = self.options.part_mebibytes
        with open(source, "wb") as part:
            for _ in range(size):
                part.write(b"x" * (1 << 20))
        most = [0.0]
        with concurrent.futures.ThreadPoolExecutor(UPLOADS) as pool:
            running = [pool.submit(
                subprocess.run, ["curl", "-sSf", "-o", "/dev/null", "-H",
                                 f"Authorization: Bearer {self.daemon.token}", "-F",
                                 f"file=@{source}", self.daemon.address("se-01") +
                                 "/api/v1/files/upload"], check=True) for _ in range(UPLOADS)]
            while not all(one.done() for one in running):
                most[0] = max(most[0], memory_of(pid))
                time.sleep(0.02)
            for one in running:
                one.result()
        self.row(f"memory with {UPLOADS} uploads of {size} MiB at once", most[0], 0, "MiB", 200,
                 100, False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("artcache")
    parser.add_argument("artcached")
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--mebibytes", type=int, default=1024)
    parser.add_argument("--part-mebibytes", type=int, default=64,
                        help=f"of each of {UPLOADS} uploads at once; the disk must hold them")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--only", default="",
                        choices=("", "metadata", "content", "memory"))
    Bench(parser.parse_args()).run()


if __name__ == "__main__":
    main()
