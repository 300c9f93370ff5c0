#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Breaks a put at every one of its system calls, by errors and by kill -9, and looks at the disk.

usage: put_faults_test.py PUT_ONCE

Whatever happens, the path holds the whole old file or the whole new one, a listing shows nothing
else, and the next put succeeds and takes away what the first one has left.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Tuple

PROGRAM = ""
SIZE = 3_000_000  # more than two pieces
PATH = "2026/03/file.attr.json"
OTHER = "2026/03/other.attr.json"

# What a put may use; mmap and futex belong to the C library.
CALLS = (
    "openat openat2 read write pwrite64 fsync fdatasync rename renameat renameat2 link linkat"
    " unlink unlinkat mkdir mkdirat newfstatat fstat stat statx close fallocate ftruncate flock"
).split()
LINE = re.compile(r"^(?:\d+ +)?(\w+)\(")


def content(size: int, seed: int) -> bytes:
    pattern = bytes((i * 31 + seed) & 0xFF for i in range(256))
    return (pattern * (size // 256 + 1))[:size]


@dataclass
class Outcome:
    """How one put ended."""

    code: int
    message: str

    @property
    def killed(self) -> bool:
        return self.code in (-9, 137)


class Store:
    """A folder with one file beside the one that is put, and the old file if there is one."""

    def __init__(self, folder: Path, old: Optional[bytes]):
        self.folder, self.old = folder, old
        (folder / "2026/03").mkdir(parents=True)
        (folder / OTHER).write_bytes(b"other")
        if old is not None:
            (folder / PATH).write_bytes(old)

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    def put(self, path: str, mode: str, seed: int, strace: List[str], **env: str) -> Outcome:
        command = [*strace, PROGRAM, self.url, path, str(SIZE), str(seed), mode]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, **env}, timeout=60
        )
        return Outcome(done.returncode, done.stderr)

    def listed(self) -> List[str]:
        done = subprocess.run(
            [PROGRAM, self.url, "--list"], capture_output=True, text=True, check=True, timeout=60
        )
        return sorted(done.stdout.splitlines())

    def files(self) -> List[str]:
        found = (p for p in self.folder.rglob("*") if p.is_file())
        return sorted(str(p.relative_to(self.folder)) for p in found)


@dataclass(frozen=True)
class Case:
    """One way to put: over an old file, or as a new one into folders that are not there."""

    name: str
    path: str
    mode: str
    old: Optional[bytes]


CASES = (
    Case("replace", PATH, "replace", content(2_000_000, 1)),
    Case("new", "2027/04/deep/new.attr.json", "must_not_exist", None),
)


class PutFaults(unittest.TestCase):
    def run_case(self, case: Case, strace: List[str], **env: str) -> Tuple[Outcome, bytes]:
        """Runs one put with a fault, checks what must hold whatever the fault; returns the rest."""
        with tempfile.TemporaryDirectory(prefix="artcache-fault-") as folder:
            store = Store(Path(folder) / "root", case.old)
            outcome = store.put(case.path, case.mode, 2, strace, **env)
            target = store.folder / case.path
            found = target.read_bytes() if target.exists() else None
            new = content(SIZE, 2)
            self.assertIn(found, (case.old, new), "neither the old file nor the new one")
            self.check_outcome(outcome, case, found, new)
            seen = [OTHER] + ([case.path] if found is not None else [])
            self.assertEqual(store.listed(), sorted(seen))
            left = [name for name in store.files() if name not in seen]
            if outcome.killed:
                self.assertTrue(all(Path(name).name.startswith(".tmp_") for name in left), left)
            else:
                self.assertEqual(left, [], "left behind by a put that was not killed")
            again = store.put(case.path, "replace", 3, [])
            self.assertEqual(again.code, 0, again.message)
            self.assertEqual(target.read_bytes(), content(SIZE, 3))
            self.assertEqual(store.files(), sorted([OTHER, case.path]), "left by the one before")
            return outcome, found

    def check_outcome(
        self, outcome: Outcome, case: Case, found: Optional[bytes], new: bytes
    ) -> None:
        if outcome.killed:
            return
        if outcome.code == 0:
            self.assertEqual(found, new, "success without the new file")
            return
        self.assertGreater(outcome.code, 0, f"died of a signal: {outcome.message}")
        self.assertRegex(outcome.message, r"file: ")
        if "[not_applied]" in outcome.message:
            self.assertEqual(found, case.old, "not_applied, but the file changed")
        else:
            self.assertIn("[unknown]", outcome.message)

    def calls_of(self, case: Case) -> Dict[str, range]:
        """For each system call of the put: which of its occurrences in the process they are."""
        with tempfile.TemporaryDirectory(prefix="artcache-fault-") as folder:
            store = Store(Path(folder) / "root", case.old)
            log = Path(folder) / "log"
            outcome = store.put(case.path, case.mode, 2, ["strace", "-f", "-o", str(log)])
            self.assertEqual(outcome.code, 0, outcome.message)
            before: Dict[str, int] = {}
            inside: Dict[str, int] = {}
            counts = before
            for line in log.read_text(errors="replace").splitlines():
                match = LINE.match(line)
                if not match:
                    continue
                if "/put/begins" in line:
                    counts = inside
                elif "/put/ends" in line:
                    break
                counts[match.group(1)] = counts.get(match.group(1), 0) + 1
        first = {name: before.get(name, 0) + 1 for name in CALLS}
        return {n: range(first[n], first[n] + inside[n]) for n in CALLS if n in inside}

    def each_call(self, case: Case):
        calls = self.calls_of(case)
        self.assertIn("write", calls)
        self.assertIn("fsync", calls)
        self.assertGreaterEqual(len(calls["fsync"]), 2, "file and folder")
        for name, occurrences in calls.items():
            for number in occurrences:
                yield name, number

    @staticmethod
    def inject(name: str, what: str, number: int) -> List[str]:
        fault = f"inject={name}:{what}:when={number}"
        return ["strace", "-f", "-o", os.devnull, "-e", f"trace={name}", "-e", fault]

    def test_an_error_at_any_system_call_leaves_the_old_file_or_the_new_one(self):
        for case in CASES:
            for name, number in self.each_call(case):
                for errno in ("EIO", "ENOSPC"):
                    with self.subTest(case=case.name, call=name, number=number, errno=errno):
                        self.run_case(case, self.inject(name, f"error={errno}", number))

    def test_kill_at_any_system_call_leaves_the_old_file_or_the_new_one(self):
        for case in CASES:
            for name, number in self.each_call(case):
                with self.subTest(case=case.name, call=name, number=number):
                    outcome, _ = self.run_case(case, self.inject(name, "signal=KILL", number))
                    self.assertTrue(outcome.killed, outcome)

    def test_an_interrupted_system_call_is_done_again(self):
        for name, number in self.each_call(CASES[0]):
            if name in ("openat2", "openat", "write", "fsync"):
                with self.subTest(call=name, number=number):
                    strace = self.inject(name, "error=EINTR", number)
                    outcome, found = self.run_case(CASES[0], strace)
                    self.assertEqual(outcome.code, 0, outcome.message)
                    self.assertEqual(found, content(SIZE, 2))

    def test_a_full_disk_is_no_space_and_a_broken_one_unavailable(self):
        calls = self.calls_of(CASES[0])
        for errno, word in (("ENOSPC", "no_space"), ("EDQUOT", "no_space"), ("EIO", "unavailable")):
            for name in ("write", "fsync"):
                with self.subTest(errno=errno, call=name):
                    strace = self.inject(name, f"error={errno}", calls[name].start)
                    outcome, found = self.run_case(CASES[0], strace)
                    self.assertTrue(outcome.message.startswith(word), outcome.message)
                    self.assertIn("[not_applied]", outcome.message)
                    self.assertEqual(found, CASES[0].old)

    def test_a_folder_that_cannot_be_synced_makes_the_outcome_unknown(self):
        last = self.calls_of(CASES[0])["fsync"][-1]
        outcome, found = self.run_case(CASES[0], self.inject("fsync", "error=EIO", last))
        self.assertIn("[unknown]", outcome.message)
        self.assertEqual(found, content(SIZE, 2))

    def test_that_a_file_is_gone_counts_only_once_its_folder_is_synced(self):
        for path in (OTHER, "2026/03/absent", "2026/04/absent"):
            with tempfile.TemporaryDirectory(prefix="artcache-fault-") as folder:
                store = Store(Path(folder) / "root", None)
                for strace, code in ((self.inject("fsync", "error=EIO", 1), 1), ([], 0)):
                    command = [*strace, PROGRAM, store.url, "--remove", path]
                    done = subprocess.run(
                        command, capture_output=True, text=True, check=False, timeout=60
                    )
                    with self.subTest(path=path, code=code):
                        self.assertEqual(done.returncode, code, done.stderr)
                        self.assertEqual("[unknown]" in done.stderr, code == 1)

    def test_short_writes_are_continued(self):
        outcome, found = self.run_case(CASES[0], [], PUT_ONCE_SHORT="4093")
        self.assertEqual(outcome.code, 0, outcome.message)
        self.assertEqual(found, content(SIZE, 2))

    def test_bytes_that_a_file_system_took_and_lost_are_noticed(self):
        first = self.calls_of(CASES[0])["write"].start
        outcome, found = self.run_case(CASES[0], self.inject("write", "retval=4096", first))
        self.assertTrue(outcome.message.startswith("unavailable"), outcome.message)
        self.assertEqual(found, CASES[0].old)

    def test_without_renameat2_flags_a_new_file_is_linked(self):
        case = CASES[1]
        number = self.calls_of(case)["renameat2"].start
        outcome, found = self.run_case(case, self.inject("renameat2", "error=EINVAL", number))
        self.assertEqual(outcome.code, 0, outcome.message)
        self.assertEqual(found, content(SIZE, 2))


def why_not() -> str:
    """Why this machine cannot run these tests; empty when it can."""
    if not shutil.which("strace"):
        return "strace is not installed"
    tried = subprocess.run(
        ["strace", "-o", os.devnull, "-e", "inject=getppid:error=EIO", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if tried.returncode == 0 else f"strace does not work here: {tried.stderr.strip()}"


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    reason = why_not()
    if reason:
        print(reason)
        sys.exit(1 if os.environ.get("ARTCACHE_REQUIRE_SERVICES") == "1" else 77)
    unittest.main(verbosity=2)
