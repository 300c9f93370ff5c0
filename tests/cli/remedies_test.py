#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A store that is damaged, looked at, and mended, as an operator does it.

usage: remedies_test.py ARTCACHE
"""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from artcached import eventually  # noqa: E402
from leaving_out import leave_out  # noqa: E402

PROGRAM = ""
SUFFIX = ".attr.json"


def run(*arguments, check=None):
    done = subprocess.run([PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    if check is not None:
        assert done.returncode == check, f"{arguments}: {done.returncode}\n{done.stderr}"
    return done


def id_in(sidecar):
    members = json.loads(sidecar.read_text())
    return members.get("file_id") or members.get("id")


def change(sidecar, description):
    members = json.loads(sidecar.read_text())
    members["description"] = description
    sidecar.write_text(json.dumps(members))


class Store(unittest.TestCase):
    COUNT = 30

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name)
        self.files = self.path / "files"
        self.index = ("--index", f"sqlite://{self.path}/i.db")
        self.both = ("--storage", f"file://{self.files}", *self.index, "-q")
        run("sample", self.files, self.COUNT, check=0)
        self.sidecars = sorted(self.files.rglob("*" + SUFFIX))

    def add(self, count):
        """Files of another sample; their sidecars."""
        run("sample", self.path / "more", count, "--seed", 2, check=0)
        added = []
        for sidecar in sorted((self.path / "more").rglob("*" + SUFFIX)):
            place = self.files / sidecar.relative_to(self.path / "more")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(sidecar)[:-len(SUFFIX)], str(place)[:-len(SUFFIX)])
            added.append(Path(shutil.copy(sidecar, place)))
        return added

    def check(self, code=None):
        return json.loads(run("check", *self.both, "--json", "--data", check=code).stdout)


class TheWholeWay(Store):
    COUNT = 10_000

    def test_what_differs_is_named_taken_over_and_mended(self):
        full = json.loads(run("rebuild", *self.both, "--json", check=0).stdout)
        self.assertEqual(full["operation_type"], "full")
        self.assertEqual(full["statistics"]["attr_files_scanned"], 10_000)
        self.assertEqual(full["statistics"]["entries_created"], 10_000)
        self.assertEqual(full["errors"], [])
        run("check", *self.both, check=0)

        lost = {}
        for sidecar in self.sidecars[::1000]:
            lost[id_in(sidecar)] = sidecar
            sidecar.unlink()
        added = {id_in(sidecar) for sidecar in self.add(5)}
        changed = set()
        for sidecar in self.sidecars[7::4000]:
            changed.add(id_in(sidecar))
            change(sidecar, "quokkas were here")
        self.assertEqual((len(lost), len(added), len(changed)), (10, 5, 3))

        report = json.loads(run("check", *self.both, "--json", check=2).stdout)
        self.assertFalse(report["is_consistent"])
        self.assertEqual(report["total_attr_files"], 9_995)
        self.assertEqual(report["total_cache_entries"], 10_000)
        details = report["details"]
        self.assertEqual(set(details["orphan_cache_entries"]), set(lost))
        self.assertEqual(set(details["orphan_attr_files"]), added)
        self.assertEqual(set(details["stale_entries"]), changed)
        self.assertEqual(set(details["orphan_data_files"]),
                         {str(s.relative_to(self.files))[:-len(SUFFIX)] for s in lost.values()})
        for kind in ("expired_cache", "unreadable", "missing_data", "size_mismatch", "pending"):
            self.assertEqual(report[kind + "_count"], 0, kind)

        part = json.loads(run("rebuild", "--incremental", *self.both, "--json", check=0).stdout)
        statistics = part["statistics"]
        self.assertEqual([statistics["entries_" + what] for what in
                          ("created", "updated", "deleted")], [5, 3, 0])
        run("repair", *self.both, check=0)
        run("check", *self.both, check=0)

        listed = {json.loads(line)["file_id"] for line in
                  run("list", *self.index, "--json", check=0).stdout.splitlines()}
        self.assertEqual(len(listed), 9_995)
        self.assertTrue(added <= listed and changed <= listed)
        self.assertFalse(listed & set(lost))
        found = run("search", "quokkas", *self.index, "--json", check=0).stdout.splitlines()
        self.assertEqual({json.loads(line)["file_id"] for line in found}, changed)
        for id in (*added, *changed):
            self.assertEqual(json.loads(run("get", id, *self.index, check=0).stdout)["file_id"], id)
        for id in lost:
            run("get", id, *self.index, check=4)


class Rebuilds(Store):
    """Of a part, and where something is in the way."""

    def entries(self):
        rows = run("list", *self.index, "--json", check=0).stdout.splitlines()
        return {row["file_id"]: row for row in map(json.loads, rows)}

    def test_below_a_prefix_nothing_else_is_looked_at(self):
        run("rebuild", *self.both, check=0)
        added = self.add(2)
        part = self.files / "part"
        part.mkdir()
        for sidecar in (added[0], self.sidecars[3]):
            shutil.move(sidecar, part / sidecar.name)
            shutil.move(str(sidecar)[:-len(SUFFIX)], part / sidecar.name[:-len(SUFFIX)])
        run("rebuild", "--incremental", "--prefix", "part", *self.both, check=0)
        ids = [id_in(part / added[0].name), id_in(added[1])]
        self.assertIn(ids[0], self.entries())
        self.assertNotIn(ids[1], self.entries())
        (part / added[0].name).unlink()
        self.sidecars[9].unlink()
        run("rebuild", "--incremental", "--prune", "--prefix", "part", *self.both, check=0)
        self.assertEqual(len(self.entries()), self.COUNT)
        done = run("rebuild", "--incremental", "--prefix", "no/such", *self.both, check=4)
        self.assertIn("no/such", done.stderr)

    def test_a_folder_that_is_none_is_named_and_its_entries_stay(self):
        run("rebuild", *self.both, check=0)
        folder = self.sidecars[0].parent
        lost = len(list(folder.glob("*" + SUFFIX)))
        kept = self.path / "kept"
        folder.rename(kept)
        folder.symlink_to(kept)  # what may not be looked into is not gone
        for kind in ((), ("--incremental", "--prune")):
            done = run("rebuild", *kind, *self.both, "--json", check=1)
            self.assertIn("not complete", done.stderr)
            report = json.loads(done.stdout)
            self.assertFalse(report["complete"])
            self.assertEqual(report["statistics"]["attr_files_scanned"], self.COUNT - lost)
            self.assertEqual(report["statistics"]["entries_deleted"], 0)
            self.assertIn(str(folder.relative_to(self.files)), " ".join(report["errors"]))
            self.assertEqual(len(self.entries()), self.COUNT)
        folder.unlink()
        kept.rename(folder)
        run("check", *self.both, check=0)

    def test_a_full_disk_is_told_of_and_the_next_run_goes_on(self):
        disk = self.path / "disk"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk]
        if subprocess.run(mount, stderr=subprocess.DEVNULL, check=False).returncode != 0:
            leave_out(self, "mount", "cannot mount a small tmpfs here")
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=False)
        run("sample", self.files, 3000, "--no-data", check=0)
        self.index = ("--index", f"sqlite://{disk}/i.db")
        both = (*self.both[:2], *self.index, "-q")
        done = run("rebuild", *both, check=1)
        self.assertIn("no_space", done.stderr)
        self.assertNotIn("corrupt", run("doctor", *self.index).stderr)
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        run("rebuild", *both, check=0)
        self.assertEqual(len(self.entries()), 3000)
        run("check", *both, check=0)


class Remedies(Store):
    """Each kind of finding is made, and what `doctor` says against it is done."""

    def setUp(self):
        super().setUp()
        run("rebuild", *self.both, check=0)
        self.sidecar = self.sidecars[5]
        self.data = Path(str(self.sidecar)[:-len(SUFFIX)])
        self.id = id_in(self.sidecar)
        doctor = run("doctor", *self.index, "--json", check=0)
        self.remedies = json.loads(doctor.stdout)["remedies"]

    def mend(self, kind, counter=None):
        """Does as doctor says; the finding must be there before, and be gone afterwards."""
        counter = (counter or kind) + "_count"
        self.assertEqual(self.check()[counter], 1)
        self.do(self.remedies[kind])
        report = self.check(0)
        self.assertEqual(report[counter], 0, report)
        return report

    def do(self, remedy):
        """Every command that it names, one after the other."""
        for command in re.findall("artcache ([^;]+)", remedy):
            words = (self.id if word == "ID" else word for word in command.split())
            run(*words, *self.both, check=0)

    def test_what_is_lost_is_written_anew_before_anything_is_removed(self):
        """The remedies of all that a check finds, done from the top as doctor prints them, and each
        one alone: what only the index has of a file whose data stands is there afterwards."""
        gone = self.sidecars[9]
        members = json.loads(run("get", self.id, *self.index, check=0).stdout)

        def lose():
            self.sidecar.unlink()
            gone.unlink(missing_ok=True)
            Path(str(gone)[:-len(SUFFIX)]).unlink(missing_ok=True)

        def is_kept():
            self.assertEqual(id_in(self.sidecar), self.id)
            kept = json.loads(run("get", self.id, *self.index, check=0).stdout)
            for name in ("original_filename", "checksum", "created_at", "description"):
                self.assertEqual(kept.get(name), members.get(name))

        lose()
        lost_id = next(id for id in self.check(2)["details"]["orphan_cache_entries"]
                       if id != self.id)
        found = {row["kind"] for row in self.check()["findings"]}
        self.assertEqual(found, {"orphan_cache", "orphan_data"})
        printed = run("doctor", *self.index, check=0).stdout.partition("what mends it")[2]
        for line in printed.splitlines()[1:]:
            kind, _, remedy = line.strip().partition(" ")
            if kind in found:
                self.do(remedy)
        is_kept()
        self.check(0)
        run("get", lost_id, *self.index, check=4)

        for kind in ("orphan_cache", "orphan_data", "pending", "unreadable"):
            with self.subTest(kind=kind):
                lose()
                self.do(self.remedies[kind])
                is_kept()

    def test_every_kind_has_a_remedy_and_it_is_tried_here(self):
        tried = {name[len("test_mends_"):] for name in dir(self) if name.startswith("test_mends_")}
        self.assertEqual(tried, set(self.remedies) - {"suspect", "wrong digest"})

    def test_mends_orphan_cache(self):
        self.sidecar.unlink()
        self.data.unlink()
        self.mend("orphan_cache")
        run("get", self.id, *self.index, check=4)

    def test_mends_orphan_attr(self):
        self.id = id_in(self.add(1)[0])
        self.mend("orphan_attr")
        run("get", self.id, *self.index, check=0)

    def test_mends_stale(self):
        change(self.sidecar, "quokkas were here")
        self.mend("stale")
        self.assertIn("quokkas", run("get", self.id, *self.index, check=0).stdout)

    def test_mends_expired(self):
        with sqlite3.connect(self.path / "i.db") as index:
            tables = index.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND "
                                   "sql LIKE '%refreshed_at%'").fetchall()
            ids = "(SELECT min(file_id) FROM {0})"
            for (table,) in tables:
                index.execute(f"UPDATE {table} SET refreshed_at = 0 WHERE file_id = " +
                              ids.format(table))
        index.close()
        self.mend("expired", "expired_cache")

    def test_mends_unreadable(self):
        for removed in (False, True):
            self.sidecar.write_text("{broken")
            self.assertEqual(self.check()["unreadable_count"], 1)
            self.assertIn("mend or remove the sidecar", self.remedies["unreadable"])
            if removed:
                self.sidecar.unlink()
            else:
                self.sidecar.write_text(json.dumps(self.members("mended by hand")))
            command = self.remedies["unreadable"].partition("artcache ")[2].split()
            run(*command, *self.both, check=0)
            report = self.check(0)
            for name in ("unreadable", "orphan_data", "missing_data"):
                self.assertEqual(report[name + "_count"], 0, report)
            self.assertIn("mended by hand", run("get", self.id, *self.index, check=0).stdout)

    def test_mends_missing_data(self):
        self.data.unlink()
        self.mend("missing_data")

    def test_mends_orphan_data(self):
        self.sidecar.unlink()
        self.assertEqual(self.check()["orphan_cache_count"], 1)
        report = self.mend("orphan_data")
        self.assertEqual(report["orphan_cache_count"], 0)
        self.assertEqual(id_in(self.sidecar), self.id)

    def test_mends_size_mismatch(self):
        with self.data.open("ab") as file:
            file.write(b"more")
        self.mend("size_mismatch")
        self.assertFalse(self.data.exists())

    def test_mends_bad_checksum(self):
        data = self.data.read_bytes()
        self.data.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        self.mend("bad_checksum")
        self.assertFalse(self.data.exists())

    def test_mends_pending(self):
        put = subprocess.Popen([PROGRAM, "put", "-", "--name", "half.txt", *self.both],
                               stdin=subprocess.PIPE)
        self.addCleanup(put.wait)
        self.addCleanup(put.kill)
        put.stdin.write(b"half of it")
        put.stdin.flush()
        self.assertTrue(eventually(lambda: self.check()["pending_count"] or put.poll(), 60))
        put.kill()
        put.wait()
        put.stdin.close()
        self.mend("pending")
        self.assertEqual(list(self.files.rglob(".tmp_*")), [])

    def members(self, description):
        """What the index has of the file, as somebody writes it down again."""
        entry = json.loads(run("get", self.id, *self.index, check=0).stdout)
        named = ("file_id", "original_filename", "storage_filename", "file_size", "content_type",
                 "created_by_username", "checksum", "created_at", "updated_at", "storage_path")
        return {"description": description, **{name: entry[name] for name in named
                                               if entry.get(name) is not None}}


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=1)
