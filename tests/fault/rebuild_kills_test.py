#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""[G1][G2][G3] Rebuilds that are killed at random moments.

Before each kill on a full index some sidecars are changed, added and removed. A reader that lists
all the time never sees fewer entries than before; the next run opens at most what was left, and a
twentieth; the index ends with the digest of one that was made anew. Beside a rebuild that runs
another one is busy at once, and free as soon as the first is killed.

ARTCACHE_ROUNDS sets the number of kills on a full and on an empty index (default 12 each).
"""
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

FILES = 24_000  # a twentieth of them is more than the thousand that are under way at a time
CHANGES = 300  # of each kind before a kill
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
        self.wrong = None  # an assertion on this thread would go unseen

    def run(self):
        while not self.stop and not self.wrong:
            code, out, err = run(self.program, "list", "--index", self.index, "--json", "-q")
            # Until the first run has made it, there is no index to be wrong.
            missing = code == 4 and not self.counts_any() and (
                "no such file" in err or "no index in it" in err)
            if code != 0 and not missing:
                self.wrong = f"list exited with {code}: {err}"
            self.counts.append(0 if missing else out.count("\n"))

    def counts_any(self):
        return any(self.counts)

    def ended(self):
        self.stop = True
        self.join()
        assert not self.wrong, self.wrong
        assert self.counts, "nothing was listed"
        return self.counts


class Bench:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.storage = f"file://{folder}/files"
        code, _, err = run(program, "sample", f"{folder}/files", str(FILES), "--no-data")
        assert code == 0, err
        self.paths = sorted(Path(folder, "files").rglob("*.attr.json"))
        self.settled()

    def settled(self):
        """The digest of the storage as it is now, in an index that was made anew."""
        time.sleep(2.2)  # let the stamps settle
        index = f"{self.folder}/reference.db"
        self.reference = self.rebuild(f"sqlite://{index}")["position_to"][-32:]
        for part in ("", "-wal", "-shm"):
            Path(index + part).unlink(missing_ok=True)

    def change(self):
        """Changes some sidecars, adds as many and removes as many."""
        random.shuffle(self.paths)
        for path in self.paths[:CHANGES]:
            members = json.loads(path.read_text())
            members["description"] = f"changed {random.random()}"
            path.write_text(json.dumps(members))
        added = []
        for path in self.paths[CHANGES:2 * CHANGES]:
            text = path.read_text()
            members = json.loads(text)
            old = members.get("file_id") or members.get("id")
            new = str(uuid.UUID(int=random.getrandbits(128), version=4))
            added.append(path.with_name(f"{new}.attr.json"))
            added[-1].write_text(text.replace(old, new))
        for path in self.paths[-CHANGES:]:
            path.unlink()
        self.paths[-CHANGES:] = added

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

    def round(self, index, longest):
        """How many sidecars the next run had to open, and what was listed meanwhile."""
        reader = Reader(self.program, index)
        reader.start()
        before = self.last_run(index)
        said = self.killed_rebuild(index, random.uniform(0, longest))
        state = self.doctor(index)
        assert state["digest_agrees"], state
        report = self.rebuild(index)
        counts = reader.ended()
        assert report["position_to"][-32:] == self.reference, report
        opened = report["statistics"]["sidecars_opened"]
        if state["last_run"] == before:  # else it was killed when all was done, and kept
            left = FILES - said
            assert opened <= left + FILES / 20, f"{opened} opened, {left} were left"
        return opened, counts

    def full_round(self, index, longest):
        self.change()
        self.settled()
        opened, counts = self.round(index, longest)
        # What is new comes before what is gone goes.
        assert min(counts) >= FILES and max(counts) <= FILES + CHANGES, set(counts)
        return opened

    def empty_round(self, index, longest):
        opened, counts = self.round(index, longest)
        # Either nothing is to be seen, or all; and what was seen once stays.
        assert set(counts) <= {0, FILES} and counts == sorted(counts), counts
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
        opened = [bench.full_round(full, longest) for _ in range(ROUNDS)]
        # Where a run is quick, many kills come before it has kept anything.
        while min(opened) == FILES and len(opened) < 8 * ROUNDS:
            opened.append(bench.full_round(full, longest))
        print("full index: opened by the next run:", opened)
        assert min(opened) < FILES, "no run was gone on with"
        opened = []
        while len(opened) < ROUNDS or (min(opened) == FILES and len(opened) < 8 * ROUNDS):
            empty = f"{folder}/empty-{len(opened)}.db"
            opened.append(bench.empty_round(f"sqlite://{empty}", load))
            os.remove(empty)
        print("empty index: opened by the next run:", opened)
        assert min(opened) < FILES, "no load was gone on with"
        busy(bench, full)


def first_lock(bench, index):
    """Asks for the lock until a rebuild has it; that rebuild, and how long it took."""
    begin = time.monotonic()
    while True:
        child = subprocess.Popen([bench.program, *bench.arguments(index)], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
        line = child.stderr.readline()
        if "Lock acquired" in line:
            return child, time.monotonic() - begin
        child.communicate()
        assert child.returncode == 3, line


def kill(child):
    child.send_signal(signal.SIGKILL)
    child.communicate()


def busy(bench, index):
    """A second rebuild is refused at once and told by whom; a killed holder is none."""
    free, freed, refused = [], [], 0
    for _ in range(9):
        first, took = first_lock(bench, index)
        free.append(took)
        code, _, err = run(bench.program, *bench.arguments(index))
        # Unless it was done by then, on a machine that is busy itself.
        if first.poll() is None:
            assert code == 3, f"{code}: {err}"
            assert "manual_rebuild" in err and "full rebuild" in err, err
            refused += 1
        kill(first)
        next_one, took = first_lock(bench, index)
        freed.append(took)
        next_one.communicate()
        assert next_one.returncode == 0
    assert refused > 0, "every rebuild was done before the next one asked"
    # A kill may cost a tenth of a second, beside what it takes to start a program here and now.
    late = statistics.median(freed) - statistics.median(free)
    print(f"a lock is had after {statistics.median(free) * 1000:.0f} ms when it is free, and "
          f"{late * 1000:+.0f} ms after a kill")
    # On a machine that takes longer to start a program, opening what was killed takes longer, too.
    assert late <= max(0.1, statistics.median(free)), (free, freed)


if __name__ == "__main__":
    main(sys.argv[1])
