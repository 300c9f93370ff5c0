#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rebuilds that are killed at random moments (G1, G2, G3).

A reader that lists all the time never sees fewer entries than before; the next run opens at most
what was left, and a twentieth; the index ends with the digest of one that was made anew. Beside a
rebuild that runs another one is busy at once, and free as soon as the first is killed.

ARTCACHE_ROUNDS sets the number of kills on a full and on an empty index (default 12 each).
"""
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

FILES = 12_000
ROUNDS = int(os.environ.get("ARTCACHE_ROUNDS", "12"))
SEED = int(os.environ.get("ARTCACHE_SEED", str(random.randrange(1 << 30))))


def run(program, *arguments):
    done = subprocess.run([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False)
    return done.returncode, done.stdout, done.stderr


class Reader(threading.Thread):
    """Counts what `list` shows, over and over; keeps every count."""

    def __init__(self, program, index):
        super().__init__()
        self.program, self.index, self.counts, self.stop = program, index, [], False

    def run(self):
        while not self.stop:
            code, out, err = run(self.program, "list", "--index", self.index, "--json", "-q")
            # Until the first run has made it, there is no index to be wrong.
            missing = code == 4 and ("no such file" in err or "no index in it" in err)
            assert code == 0 or missing, f"list: {err}"
            self.counts.append(0 if missing else out.count("\n"))


class Bench:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.storage = f"file://{folder}/files"
        code, _, err = run(program, "sample", f"{folder}/files", str(FILES), "--no-data")
        assert code == 0, err
        time.sleep(2.2)  # let the stamps settle
        self.reference = self.rebuild(f"sqlite://{folder}/reference.db")["position_to"][-32:]

    def arguments(self, index):
        return ["rebuild", "--storage", self.storage, "--index", index, "--json", "-v"]

    def rebuild(self, index):
        code, out, err = run(self.program, *self.arguments(index))
        assert code == 0, f"rebuild exited with {code}: {err}"
        return json.loads(out)

    def doctor(self, index):
        code, out, err = run(self.program, "doctor", "--index", index, "--json")
        if code == 4:  # killed before it had made the index
            return {"digest_agrees": True, "last_run": ""}
        assert out, err
        return json.loads(out)

    def last_run(self, index):
        return self.doctor(index)["last_run"] if os.path.exists(index[len("sqlite://"):]) else ""

    def killed_rebuild(self, index, after):
        """How many entries the run had read, by what it said, before it was killed."""
        child = subprocess.Popen([self.program, *self.arguments(index)], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
        time.sleep(after)
        child.send_signal(signal.SIGKILL)
        _, err = child.communicate()
        said = [int(line.split()[2]) for line in err.splitlines() if ": Processed " in line]
        return said[-1] if said else 0

    def round(self, index, expected_before, longest):
        reader = Reader(self.program, index)
        reader.start()
        before = self.last_run(index)
        said = self.killed_rebuild(index, random.uniform(0, longest))
        state = self.doctor(index)
        assert state["digest_agrees"], state
        report = self.rebuild(index)
        reader.stop = True
        reader.join()
        assert min(reader.counts) >= expected_before, (reader.counts, expected_before)
        # In an empty index, either nothing is to be seen, or all.
        assert set(reader.counts) <= {expected_before, FILES}, set(reader.counts)
        assert report["position_to"][-32:] == self.reference, report
        opened = report["statistics"]["sidecars_opened"]
        if state["last_run"] == before:  # else it was killed when all was done, and kept
            left = FILES - said
            assert opened <= left + FILES / 20 + 1000, f"{opened} opened, {left} were left"
        return opened


def main(program):
    random.seed(SEED)
    print(f"seed {SEED}, {ROUNDS} rounds each")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(program, folder)
        full = f"sqlite://{folder}/full.db"
        begin = time.monotonic()
        bench.rebuild(full)
        load = time.monotonic() - begin
        begin = time.monotonic()
        bench.rebuild(full)  # as those that will be killed: nothing is new to them
        longest = time.monotonic() - begin
        opened = [bench.round(full, FILES, longest) for _ in range(ROUNDS)]
        # Where a run is quick, many kills come before it has kept anything.
        while min(opened) == FILES and len(opened) < 8 * ROUNDS:
            opened.append(bench.round(full, FILES, longest))
        print("full index: opened by the next run:", opened)
        assert min(opened) < FILES, "no run was gone on with"
        opened = []
        while len(opened) < ROUNDS or (min(opened) == FILES and len(opened) < 8 * ROUNDS):
            empty = f"{folder}/empty-{len(opened)}.db"
            opened.append(bench.round(f"sqlite://{empty}", 0, load))
            os.remove(empty)
        print("empty index: opened by the next run:", opened)
        assert min(opened) < FILES, "no load was gone on with"
        busy(bench, full)


def busy(bench, index):
    """A second rebuild is refused at once and told by whom; a killed holder is none."""
    for _ in range(5):
        first = subprocess.Popen([bench.program, *bench.arguments(index)], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
        line = first.stderr.readline()
        assert "Lock acquired" in line, line
        code, _, err = run(bench.program, *bench.arguments(index))
        assert code == 3, f"{code}: {err}"
        assert "manual_rebuild" in err and "full rebuild" in err, err
        first.send_signal(signal.SIGKILL)
        first.communicate()
        bench.rebuild(index)


if __name__ == "__main__":
    main(sys.argv[1])
