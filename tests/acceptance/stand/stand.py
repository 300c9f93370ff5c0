#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The stand: every role as a process of its own on PostgreSQL, Redis and S3, with the ids, modes,
priorities, folders, databases and the account that the acceptance documents name.

usage: stand.py up|status|down FOLDER [--artcached PROGRAM]

The servers are those of tests/services whose variables are set; without them `up` starts its own,
which `down` ends, so that one command brings everything up and one takes it down:

    tests/acceptance/stand/stand.py up /tmp/stand --artcached build/release/bin/artcached
    tests/acceptance/stand/stand.py down /tmp/stand

FOLDER gets a folder and a log a process, and stand.json with ports, pids and the environment that
the programs of bin/ (docker, docker-compose, mc) need to stand for what the documents run.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import quote, urlsplit

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

from artcached import elements_in_view, eventually, free_port  # noqa: E402

SERVICES = pathlib.Path(__file__).resolve().parents[2] / "services/services"
SERVERS = ("postgres-nofsync", "redis", "radosgw")
ACCOUNT = ("sa_prod_admin_service_11710636", "Test-Password123")
GIB = 1 << 30
# The containers of the documents, in the order in which they start.
ELEMENTS = {
    "se-01": {"mode": "edit", "priority": 100, "number": "01"},
    "se-02": {"mode": "edit", "priority": 200, "number": "02"},
    "se-03": {"mode": "rw", "priority": 300, "number": "03"},
}
CONTAINERS = {"admin": "admin-module", "se-01": "storage-element-01",
              "se-02": "storage-element-02", "se-03": "storage-element-03",
              "ingester": "ingester-module", "query": "query-module"}


def toml(value):
    return json.dumps(value) if not isinstance(value, bool) else str(value).lower()


class Servers:
    """Where the real servers are, as tests/services tells in the environment."""

    def __init__(self, environment):
        self.postgres = environment["ARTCACHE_TEST_POSTGRES"]
        self.redis = environment["ARTCACHE_TEST_REDIS"]
        self.endpoint = environment["ARTCACHE_TEST_S3_ENDPOINT"]
        self.bucket = environment["ARTCACHE_TEST_S3_BUCKET"]
        self.region = environment["ARTCACHE_TEST_S3_REGION"]

    def database(self, name, **parameters):
        told = urlsplit(self.postgres)
        asked = "&".join(f"{key}={quote(value)}" for key, value in parameters.items())
        return told._replace(path=f"/{name}", query=asked).geturl()

    def storage(self, folder):
        return (f"s3://{self.bucket}/{folder}?endpoint={quote(self.endpoint, safe='')}"
                f"&region={self.region}")


class Stand:
    def __init__(self, folder, artcached, environment=None):
        self.folder = pathlib.Path(folder).resolve()
        self.artcached = artcached
        self.environment = dict(environment or os.environ)
        self.servers = Servers(self.environment)
        self.ports = {}
        self.children = {}

    # --- what runs ------------------------------------------------------------------------------

    def settings(self, name):
        """The section of the process, and its settings."""
        if name == "admin":
            return "admin", {
                "database": self.servers.database("artstore_admin"),
                "initial_account_client_id": ACCOUNT[0],
                "initial_account_secret": ACCOUNT[1],
            }
        if name == "ingester":
            return "ingester", {"poll_interval": "1s", "doubt": "5s",
                                "finalize_cleanup_after": "1s", "redis": self.servers.redis,
                                **self.as_account()}
        if name == "query":
            return "query", {"database": self.servers.database("artstore_query"),
                             "registry_interval": "1s", "redis": self.servers.redis,
                             **self.as_account()}
        element = ELEMENTS[name]
        return f"element.{name}", {
            "storage": self.servers.storage(f"storage_element_{element['number']}"),
            "index": self.servers.database("artstore",
                                           prefix=f"storage_elem_{element['number']}"),
            "locks": self.servers.redis,
            "mode": element["mode"],
            "priority": element["priority"],
            "max_size": GIB,
            "redis": self.servers.redis,
            **self.as_account(),
        }

    def as_account(self):
        """What a process needs that others know, and that knows the admin."""
        return {"admin": self.address("admin"), "client_id": ACCOUNT[0],
                "client_secret": ACCOUNT[1],
                "public_key": str(self.folder / "admin/admin/keys")}

    def names(self):
        return ["admin", *ELEMENTS, "ingester", "query"]

    def start(self, name):
        section, settings = self.settings(name)
        data = self.folder / name
        data.mkdir(parents=True, exist_ok=True)
        self.ports.setdefault(name, free_port())
        lines = ["[daemon]", f"data = {toml(str(data))}",
                 f"log_file = {toml(str(data / 'log'))}", 'log_level = "info"', "",
                 f"[{section}]", f"port = {self.ports[name]}",
                 *(f"{key} = {toml(value)}" for key, value in settings.items())]
        config = data / "artcached.toml"
        config.write_text("\n".join(lines) + "\n")
        config.chmod(0o600)
        with open(data / "output", "ab") as output:
            self.children[name] = subprocess.Popen(
                [self.artcached, "--config", config], stdout=output, stderr=output,
                stdin=subprocess.DEVNULL, env=self.environment, start_new_session=True)

    def up(self):
        for name in self.names():
            self.start(name)
            self.wait_ready(name)
        self.wait_in_view()
        self.write_state()

    def wait_in_view(self, seconds=180):
        """Until the ingester sees every element: from then on it is certain which takes a file."""
        if not eventually(lambda: elements_in_view(self.address("ingester")) == len(ELEMENTS),
                          seconds):
            raise RuntimeError(f"not every element is seen: {self.last_words('ingester')}")

    def wait_ready(self, name, seconds=180):
        end = time.monotonic() + seconds
        while True:
            if self.is_ready(name):
                return
            if name in self.children and self.children[name].poll() is not None:
                raise RuntimeError(f"{name} ended at its start: {self.last_words(name)}")
            if time.monotonic() > end:
                raise RuntimeError(f"{name} is not ready: {self.last_words(name)}")
            time.sleep(0.05)

    def is_ready(self, name):
        try:
            with urllib.request.urlopen(self.address(name) + "/health/ready", timeout=30) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def last_words(self, name):
        texts = [path.read_text(errors="replace")[-2000:]
                 for path in (self.folder / name / "output", self.folder / name / "log")
                 if path.exists()]
        return "\n".join(texts)

    def stop(self, name, how=signal.SIGTERM, seconds=180):
        child = self.children.pop(name, None)
        if child is None or child.poll() is not None:
            return
        child.send_signal(how)
        try:
            child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def restart(self, name):
        self.stop(name)
        self.start(name)
        self.wait_ready(name)

    def down(self):
        for name in reversed(list(self.children)):
            self.stop(name)

    # --- where it is ----------------------------------------------------------------------------

    def address(self, name):
        return f"http://127.0.0.1:{self.ports[name]}"

    def log(self, name):
        return self.folder / name / "log"

    def write_state(self):
        state = {"ports": self.ports,
                 "pids": {name: child.pid for name, child in self.children.items()},
                 "environment": self.shell_environment()}
        (self.folder / "stand.json").write_text(json.dumps(state, indent=1) + "\n")

    def shell_environment(self):
        """What the programs of bin/ read, beside the variables of tests/services."""
        return {"STAND": str(self.folder), "STAND_BUCKET": self.servers.bucket}


# --- by hand --------------------------------------------------------------------------------------


def load(folder):
    return json.loads((pathlib.Path(folder) / "stand.json").read_text())


def command_up(folder, artcached):
    stand = Stand(folder, artcached)
    try:
        stand.up()
    except BaseException:
        stand.down()
        raise
    for name in stand.names():
        print(f"{name:10} {stand.address(name)}")


def command_status(folder, _):
    state = load(folder)
    for name, port in state["ports"].items():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=30):
                told = "ready"
        except urllib.error.HTTPError as error:
            told = f"answers {error.code}"
        except OSError:
            told = "down"
        print(f"{name:10} {port} {told}")


def is_running(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def command_down(folder, _):
    pids = load(folder)["pids"]
    for name, pid in reversed(pids.items()):
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            print(f"{name} was not running")
            continue
        if not eventually(lambda pid=pid: not is_running(pid), 180):
            raise RuntimeError(f"{name}, process {pid}, does not end")
    servers = pathlib.Path(folder) / "servers.json"
    if servers.exists():
        subprocess.run([SERVICES, "down", "--state", servers], check=True)


def with_servers(folder):
    """Starts servers for this stand alone, and this program again with their variables."""
    state = pathlib.Path(folder).resolve() / "servers.json"
    state.parent.mkdir(parents=True, exist_ok=True)
    needs = [word for server in SERVERS for word in ("--need", server)]
    # They have to outlive this command: process 1 is their owner, and `down` their end.
    subprocess.run([SERVICES, "up", "--state", state, "--owner", "1", *SERVERS], check=True)
    ended = subprocess.run([SERVICES, "run", "--state", state, *needs, "--", sys.executable, "-B",
                            __file__, *sys.argv[1:]], check=False).returncode
    if ended:
        subprocess.run([SERVICES, "down", "--state", state], check=True)
    sys.exit(ended)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("up", "status", "down"))
    parser.add_argument("folder")
    parser.add_argument("--artcached", default="artcached")
    told = parser.parse_args()
    if told.command == "up" and "ARTCACHE_TEST_POSTGRES" not in os.environ:
        with_servers(told.folder)
    {"up": command_up, "status": command_status, "down": command_down}[told.command](
        told.folder, told.artcached)


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, KeyError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"stand: {error}")
