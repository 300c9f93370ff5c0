#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""[G3] `artcache watch` killed at random moments while files change.

After each kill the index is whole, and files change while nobody watches. The next watch brings the
index in step, without a hand; then it has the digest of one that was made anew.

ARTCACHE_ROUNDS sets the number of kills (default 12).
"""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

FILES = 3_000
ROUNDS = int(os.environ.get("ARTCACHE_ROUNDS", "12"))
SEED = int(os.environ.get("ARTCACHE_SEED", str(random.randrange(1 << 30))))


def run(program, *arguments, code=0):
    done = subprocess.run([program, *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    assert code is None or done.returncode == code, f"{arguments}: {done.returncode} {done.stderr}"
    return done.stdout


class Changes(threading.Thread):
    """Changes, removes, brings back and moves files, one by one, until it is told to stop."""

    def __init__(self, store, aside, seed):
        super().__init__()
        self.store, self.aside, self.random = store, aside, random.Random(seed)
        self.stop, self.done, self.error = False, 0, None
        self.sidecars = sorted(store.rglob("*.attr.json"))

    def run(self):
        try:
            while not self.stop:
                self.one()
                self.done += 1
                time.sleep(0.001)
        except OSError as error:
            self.error = error

    def one(self):
        what = self.random.random()
        kept = sorted(self.aside.iterdir())
        if what < 0.02 and len(kept) < 5:
            folder = self.random.choice([p for p in self.store.glob("*/*/*/*") if p.is_dir()])
            target = self.aside / f"{time.monotonic_ns()}"
            folder.rename(target)
            (target / ".place").write_text(str(folder))
        elif what < 0.04 and kept:
            folder = self.random.choice(kept)
            place = Path((folder / ".place").read_text())
            (folder / ".place").unlink()
            place.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(place)
        else:
            path = self.random.choice(self.sidecars)
            if path.exists():
                self.sidecar(path, what)

    def sidecar(self, path, what):
        if what < 0.15:
            path.unlink()
            return
        text = json.loads(path.read_text())
        text["description"] = f"change {self.done}"
        if what < 0.5:
            path.write_text(json.dumps(text))
        else:
            new = path.with_name(f".tmp_{self.done}")
            new.write_text(json.dumps(text))
            new.rename(path)


class Stand:
    def __init__(self, program, folder):
        self.program, self.store, self.aside = program, folder / "files", folder / "aside"
        self.aside.mkdir()
        self.fresh = folder / "fresh.db"
        self.both = ["--storage", f"file://{self.store}", "--index", f"sqlite://{folder}/index.db"]
        run(program, "sample", self.store, FILES, "--no-data")

    def watch(self):
        return subprocess.Popen([self.program, "watch", *self.both, "--json", "-q"],
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def fresh_digest(self):
        for path in self.fresh.parent.glob("fresh.db*"):
            path.unlink()
        report = json.loads(run(self.program, "rebuild", *self.both[:2], "--index",
                                f"sqlite://{self.fresh}", "--json", "-q"))
        return report["position_to"][-32:]

    def doctor(self):
        return json.loads(run(self.program, "doctor", *self.both[2:], "--json", code=None))

    def killed(self, number):
        child = self.watch()
        changes = Changes(self.store, self.aside, SEED + number)
        changes.start()
        time.sleep(random.uniform(0, 0.6))
        child.kill()
        child.communicate()
        time.sleep(random.uniform(0, 0.1))
        changes.stop = True
        changes.join()
        assert changes.error is None, changes.error
        return changes.done

    def round(self, number):
        changes = self.killed(number)
        assert self.doctor()["digest_agrees"]
        child = self.watch()
        for line in child.stdout:
            event = json.loads(line)
            if event["event"] == "rescanned" and event["folder"] == "":
                break
        state = self.doctor()
        assert state["digest_agrees"] and state["trusted"], state
        expected = self.fresh_digest()
        found = json.loads(run(self.program, "check", *self.both, "--json", "-q"))
        child.kill()
        child.communicate()
        assert found["position_to"][-32:] == expected, (found, expected)
        return changes


def main(program):
    random.seed(SEED)
    print(f"seed {SEED}, {ROUNDS} rounds")
    folder = Path(tempfile.mkdtemp())
    try:
        stand = Stand(program, folder)
        print("changes in each round:", [stand.round(number) for number in range(ROUNDS)])
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1])
