#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""artcache as a program: what it answers, what it exits with, and what it says of wrong usage.

usage: cli_test.py ARTCACHE
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

PROGRAM = ""
PATIENCE = 120  # seconds, for what only something broken would need


def run(*arguments, env=None, check=None):
    done = subprocess.run([PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False, timeout=PATIENCE,
                          env={**os.environ, **(env or {})})
    if check is not None:
        assert done.returncode == check, f"{arguments}: {done.returncode}\n{done.stderr}"
    return done


def begin(test, *arguments, until="Starting"):
    """A program that takes its time, as soon as it has said `until` (a pattern) on stderr. One that
    ends before that, or keeps silent, fails the test with what it said instead."""
    child = subprocess.Popen([PROGRAM, *map(str, arguments)], stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True)
    test.addCleanup(child.stderr.close)
    test.addCleanup(child.wait)
    test.addCleanup(child.kill)
    silent = threading.Timer(PATIENCE, child.kill)
    silent.start()
    said = []
    try:
        for line in child.stderr:
            if re.search(until, line):
                return child
            said.append(line)
    finally:
        silent.cancel()
    return test.fail(f"{arguments} ended with {child.wait()} before it said '{until}', but said:\n"
                     + "".join(said))


def tree(folder):
    """Every file below a folder with the hash of its bytes."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(Path(folder).rglob("*")) if path.is_file()}


class Samples(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name)

    def make(self, name, count, *more):
        run("sample", self.path / name, count, *more, check=0)
        return self.path / name

    def test_the_same_seed_makes_the_same_store_and_another_one_another(self):
        first = tree(self.make("a", 120))
        self.assertEqual(len(first), 240)
        self.assertEqual(first, tree(self.make("b", 120)))
        self.assertEqual(first, tree(self.make("c", 120, "--seed", 1)))
        self.assertNotEqual(first, tree(self.make("d", 120, "--seed", 2)))

    def test_a_sample_without_data_has_the_same_sidecars_and_an_interrupted_one_is_repeated(self):
        whole = self.make("whole", 60)
        bare = tree(self.make("bare", 60, "--no-data"))
        self.assertEqual(bare, {name: sum for name, sum in tree(whole).items()
                                if name.endswith(".attr.json")})
        expected = tree(whole)
        for path in sorted(whole.rglob("*.attr.json"))[::3]:
            path.unlink()
        self.assertEqual(tree(self.make("whole", 60)), expected)

    def test_a_folder_may_have_any_name_and_the_result_is_told_as_json(self):
        name = "50% of #1? ё"
        done = run("sample", self.path / name, 10, "--seed", 7, "--json", check=0)
        self.assertEqual(len(tree(self.path / name)), 20)
        told = json.loads(done.stdout)
        files = [p for p in (self.path / name).rglob("*") if p.is_file()]
        sidecars = sum(p.stat().st_size for p in files if p.name.endswith(".attr.json"))
        self.assertEqual(told, {"files": 10, "seed": 7, "sidecar_bytes": sidecars, "data_bytes":
                                sum(p.stat().st_size for p in files) - sidecars})
        self.assertEqual(tree(self.make("none", 0)), {})

    def test_every_dialect_is_in_it_and_every_sidecar_is_read(self):
        store = self.make("s", 400, "--no-data")
        sidecars = [json.loads(p.read_text()) for p in store.rglob("*.attr.json")]
        members = [set(sidecar) for sidecar in sidecars]
        self.assertTrue(any("schema_version" in m for m in members), "v2")
        self.assertTrue(any("mime_type" in m or "sha256" in m for m in members), "legacy names")
        self.assertTrue(any("ttl_days" in m for m in members), "the Go one")
        self.assertTrue(any("content_type" in m and "storage_filename" in m
                            and "schema_version" not in m for m in members), "v1")
        self.assertGreaterEqual(len({tuple(sorted(m)) for m in members}), 4)
        done = run("rebuild", "--storage", f"file://{store}", "--index",
                   f"sqlite://{self.path}/i.db", "--json", "-q", check=0)
        report = json.loads(done.stdout)
        self.assertEqual(report["statistics"]["entries_created"], 400)
        self.assertEqual(report["statistics"]["unreadable"], 0)
        self.assertEqual(report["errors"], [])


class Verbs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.store = Path(cls.folder.name) / "files"
        cls.index = f"sqlite://{cls.folder.name}/index.db"
        run("sample", cls.store, 200, check=0)
        cls.rebuild()

    @classmethod
    def rebuild(cls, *more):
        return run("rebuild", *cls.both(), "-q", *more, check=0)

    @classmethod
    def both(cls):
        return ("--storage", f"file://{cls.store}", "--index", cls.index)

    def test_check_exits_with_2_and_names_what_differs(self):
        self.assertEqual(run("check", *self.both(), "-q").returncode, 0)
        lost = sorted(self.store.rglob("*.attr.json"))[7]
        text = lost.read_text()
        lost.unlink()
        done = run("check", *self.both(), "--json", "-q", check=2)
        report = json.loads(done.stdout)
        self.assertFalse(report["is_consistent"])
        self.assertEqual(report["orphan_cache_count"], 1)
        self.assertEqual(report["details"]["orphan_cache_entries"], [self.id_in(text)])
        self.assertIsInstance(report["inconsistency_percentage"], float)
        run("repair", *self.both(), "--dry-run", "-q", check=0)
        run("check", *self.both(), "-q", check=2)
        run("repair", *self.both(), "--from", "index", "-q", check=0)
        run("check", *self.both(), "-q", check=0)

    @staticmethod
    def id_in(text):
        sidecar = json.loads(text)
        return sidecar.get("file_id") or sidecar.get("id")

    def test_get_list_and_search_answer_as_json_and_exit_with_4_for_nothing(self):
        rows = [json.loads(line) for line in
                run("list", "--index", self.index, "--json", check=0).stdout.splitlines()]
        self.assertEqual(len(rows), 200)
        self.assertEqual(len({row["file_id"] for row in rows}), 200)
        one = rows[5]
        got = json.loads(run("get", one["file_id"], "--index", self.index, check=0).stdout)
        self.assertEqual(got, one)
        self.assertFalse(got["cache_expired"])
        found = run("search", one["file_id"], "--index", self.index, "--json", check=0)
        self.assertEqual(json.loads(found.stdout)["file_id"], one["file_id"])
        missing = run("get", "00000000-0000-4000-8000-000000000000", "--index", self.index)
        self.assertEqual(missing.returncode, 4)
        self.assertIn("not_found", missing.stderr)
        self.assertEqual(run("search", "zzzzzz", "--index", self.index).returncode, 4)

    def test_what_was_cut_short_is_pending_until_a_repair_settles_it(self):
        put = subprocess.Popen([PROGRAM, "put", "-", "--name", "half.txt", *self.both(), "-q"],
                               stdin=subprocess.PIPE)
        put.stdin.write(b"half of it")
        put.stdin.flush()
        while not json.loads(run("check", *self.both(), "--json", "-q").stdout)["pending_count"]:
            self.assertIsNone(put.poll())
        put.kill()
        put.wait()
        put.stdin.close()
        done = run("check", *self.both(), "-q", check=0)
        self.assertRegex(done.stdout, "pending +1")
        self.assertRegex(run("doctor", *self.both()[2:], check=0).stdout,
                         "pending +artcache repair --from index\n")
        run("repair", *self.both(), "--dry-run", "-q", check=0)
        self.assertRegex(run("check", *self.both(), "-q", check=0).stdout, "pending +1")
        run("repair", *self.both(), "-q", check=0)
        self.assertNotIn("pending", run("check", *self.both(), "-q", check=0).stdout)

    def test_doctor_and_locks_say_how_the_index_is(self):
        state = json.loads(run("doctor", "--index", self.index, "--json", check=0).stdout)
        self.assertTrue(state["trusted"] and state["digest_agrees"])
        self.assertIn("rebuild: complete", state["last_run"])
        self.assertIn("nobody", run("locks", "list", "--index", self.index, check=0).stdout)
        free = run("locks", "break", "manual_rebuild", "--index", self.index)
        self.assertEqual(free.returncode, 4)

    def test_options_may_come_from_the_environment_or_a_file(self):
        env = {"ARTCACHE_STORAGE": f"file://{self.store}", "ARTCACHE_INDEX": self.index}
        self.assertEqual(run("rebuild", "--incremental", "-q", env=env).returncode, 0)
        config = Path(self.folder.name) / "artcache.toml"
        config.write_text(f'storage = "file://{self.store}"\nindex = "{self.index}"\n')
        self.assertEqual(run("check", "--config", config, "-q").returncode, 0)

    def test_a_run_without_faults_prints_no_word_of_one(self):
        done = run("rebuild", *self.both(), "-v", check=0)
        for line in done.stderr.splitlines():
            self.assertNotRegex(line, "(?i)error|exception|failed")

    def test_ctrl_c_ends_a_run_and_the_next_one_goes_on(self):
        slow = begin(self, "rebuild", *self.both(), "--files-per-second", 1, "-v")
        busy = run("rebuild", *self.both(), "-q")
        self.assertEqual(busy.returncode, 3)
        self.assertIn("Cannot acquire lock", busy.stderr)
        self.assertIn("manual_rebuild is held by 'full rebuild'", busy.stderr)
        self.assertIn("artcache locks list", busy.stderr)
        slow.send_signal(signal.SIGINT)
        _, err = slow.communicate(timeout=120)
        self.assertNotEqual(slow.returncode, 0)
        self.assertIn("the next run goes on", err)
        self.rebuild()

    def test_wrong_usage_exits_with_64_and_says_what_to_do(self):
        for arguments in (["rebuilt"], ["rebuild"], ["rebuild", "--storage", "file:///tmp"],
                          ["check", *self.both(), "--no-such-option"], [],
                          ["locks", "break", "some_lock", "--index", self.index]):
            done = run(*arguments)
            self.assertEqual(done.returncode, 64, arguments)
            self.assertIn("--help", done.stderr, arguments)
        self.assertEqual(run("--help").returncode, 0)
        self.assertIn("Exit codes", run("--help").stdout)
        self.assertIn("--incremental", run("rebuild", "--help", check=0).stdout)

    def test_a_misspelt_option_is_told_which_one_was_meant(self):
        done = run("rebuild", *self.both(), "--incremntal", check=64)
        self.assertIn("`artcache rebuild` has no option '--incremntal'; "
                      "did you mean '--incremental'?", done.stderr)
        done = run("locks", "list", "--index", self.index, "--elemnt", "a", check=64)
        self.assertIn("`artcache locks list` has no option '--elemnt'; did you mean '--element'?",
                      done.stderr)
        done = run("rebuild", *self.both(), "--zap", check=64)
        self.assertNotIn("did you mean", done.stderr)
        self.assertIn("`artcache rebuild --help`", done.stderr)
        done = run("doctor", "--index", self.index, "now", check=64)
        self.assertIn("does not take 'now'", done.stderr)

    def test_a_misspelt_verb_is_told_which_one_was_meant(self):
        for word, meant in (("rebuilt", "rebuild"), ("lok", "locks"), ("sampel", "sample")):
            done = run(word, "--json", check=64)
            self.assertIn(f"no verb '{word}'; did you mean '{meant}'?", done.stderr)
        done = run("zap", check=64)
        self.assertNotIn("did you mean", done.stderr)
        for verb in self.verbs():
            self.assertIn(verb, done.stderr)

    @staticmethod
    def verbs():
        lines = run("--help", check=0).stdout.split("Subcommands:\n")[1].split("\n\n")[0]
        return [line.split()[0] for line in lines.splitlines() if line.startswith("  ")]

    @staticmethod
    def daemon_is_there():
        beside = Path(PROGRAM).resolve().parent / "artcached"
        return beside.exists() or shutil.which("artcached") is not None

    def test_every_verb_has_help_and_refuses_an_option_that_is_none(self):
        self.assertGreater(len(self.verbs()), 8)
        for verb in self.verbs():
            if verb == "serve" and not self.daemon_is_there():
                # Some builds are of the program without the daemon that it becomes.
                refused = run(verb, "--help")
                self.assertNotEqual(refused.returncode, 0)
                self.assertIn("artcached: No such file or directory; it has to be", refused.stderr)
                continue
            done = run(verb, "--help", check=0)
            self.assertIn("Usage:", done.stdout)
            self.assertEqual(done.stderr, "", verb)
            refused = run(verb, "--no-such-option")
            self.assertEqual(refused.returncode, 64, f"{verb}: {refused.stderr}")
        self.assertRegex(run("--version", check=0).stdout, r"^artcache \d+\.\d+")

    def test_a_wrong_address_is_named_with_its_option(self):
        done = run("check", "--storage", "file:///no/such/folder", "--index", self.index)
        self.assertEqual(done.returncode, 4)
        self.assertIn("--storage", done.stderr)
        done = run("list", "--index", "sqlit:///x.db")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("sqlite", done.stderr)
        done = run("list", "--index", f"{self.index}?prefx=a")
        self.assertIn("prefix", done.stderr)


class Files(unittest.TestCase):
    """put, rm and get --content."""

    BYTES = bytes(range(256)) * 1200

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name)
        (self.path / "files").mkdir()
        self.index = ("--index", f"sqlite://{self.path}/index.db")
        self.both = ("--storage", f"file://{self.path}/files", *self.index, "-q")
        self.file = self.path / "report 2024.pdf"
        self.file.write_bytes(self.BYTES)

    def put(self, *more):
        return run("put", self.file, *self.both, *more, check=0).stdout.strip()

    def test_a_file_that_was_put_is_found_and_comes_back_byte_for_byte(self):
        id = self.put("--user", "bob", "--type", "application/pdf", "--tag", "finance", "--tag",
                      "draft", "--description", "numbers of the quarter")
        entry = json.loads(run("get", id, *self.index, check=0).stdout)
        self.assertEqual(entry["original_filename"], "report 2024.pdf")
        self.assertEqual(entry["checksum"], hashlib.sha256(self.BYTES).hexdigest())
        self.assertEqual((entry["created_by_username"], entry["content_type"], entry["tags"]),
                         ("bob", "application/pdf", ["finance", "draft"]))
        found = run("search", "quarter", *self.index, "--json", check=0).stdout
        self.assertEqual(json.loads(found)["file_id"], id)
        out = self.path / "out"
        run("get", id, *self.both, "--content", out, check=0)
        self.assertEqual(out.read_bytes(), self.BYTES)
        piped = subprocess.run([PROGRAM, "get", id, *self.both, "--content", "-"], check=True,
                               stdout=subprocess.PIPE, timeout=PATIENCE)
        self.assertEqual(piped.stdout, self.BYTES)
        run("check", *self.both, "--data", check=0)

    def test_a_put_with_an_id_may_be_repeated_but_not_with_other_bytes(self):
        id = self.put()
        self.assertEqual(self.put("--id", id), id)
        other = subprocess.run([PROGRAM, "put", "-", "--name", self.file.name, *self.both,
                                "--id", id], input=b"other", capture_output=True, check=False,
                               timeout=PATIENCE)
        self.assertEqual(other.returncode, 1)
        self.assertIn(b"already exists", other.stderr)
        self.assertEqual(len(tree(self.path / "files")), 2)

    def test_what_is_refused_leaves_nothing_behind(self):
        for more, code, words in ((("--checksum", "0" * 64), 64, "checksum"),
                                  (("--mode", "ro"), 64, "not allowed in ro mode"),
                                  (("--max-size", "1K"), 1, "no_space"),
                                  (("--id", "no-id"), 64, "--id")):
            done = run("put", self.file, *self.both, *more, check=code)
            self.assertIn(words, done.stderr)
        done = run("put", self.path / "missing", *self.both, check=4)
        self.assertIn("missing", done.stderr)
        self.assertEqual(tree(self.path / "files"), {})

    def test_rm_takes_data_sidecar_and_entry(self):
        id = self.put()
        self.assertEqual(json.loads(run("rm", id, *self.both, "--json", check=0).stdout),
                         {"removed": id})
        self.assertEqual(tree(self.path / "files"), {})
        for verb in ("rm", "get"):
            run(verb, id, *(self.both if verb == "rm" else self.index), check=4)

    def test_wrong_bytes_are_not_handed_out_as_right(self):
        id = self.put()
        data = next((self.path / "files").rglob("*.pdf"))
        data.write_bytes(b"X" + self.BYTES[1:])
        done = run("get", id, *self.both, "--content", self.path / "out", check=1)
        self.assertIn("corrupt", done.stderr)
        self.assertEqual(list(self.path.glob("out*")), [])
        self.assertEqual(run("check", *self.both, "--data").returncode, 2)
        run("get", id, *self.index, "--content", self.path / "out", check=64)


class Syncing(unittest.TestCase):
    """`artcache sync` and `events tail`: a copy of an index, and its changes."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.store = self.folder / "files"
        self.source = f"sqlite://{folder.name}/source.db"
        self.both = ("--storage", f"file://{self.store}?sync=off", "--index", self.source)
        self.copy = ("--from", self.source, "--index", f"sqlite://{folder.name}/copy.db")
        run("sample", self.store, 120, check=0)
        run("rebuild", *self.both, "-q", check=0)

    def change(self, count):
        for path in sorted(self.store.rglob("*.attr.json"))[:count]:
            text = json.loads(path.read_text())
            text["description"] = "changed for its copy"
            path.write_text(json.dumps(text))
        run("rebuild", *self.both, "-q", check=0)

    def test_a_copy_is_made_kept_in_step_and_proven(self):
        first = json.loads(run("sync", *self.copy, "--json", check=0).stdout)
        self.assertTrue(first["proven"])
        self.assertEqual((first["snapshots"], first["dead_letters"]), (1, []))
        self.assertEqual((first["in_step"], first["lag_events"], first["lag_seconds"]),
                         (True, 0, 0))
        self.assertEqual((first["state"], first["digest_matches"]), ("tailing", True))
        self.assertGreaterEqual(first["digest_age_seconds"], 0)
        self.assertRegex(first["digest_checked_at"], "^[0-9]{4}-.*T.*[+]00:00$")
        self.change(3)
        second = json.loads(run("sync", *self.copy, "--json", check=0).stdout)
        self.assertEqual((second["applied"], second["snapshots"], second["mendings"]), (3, 0, 0))
        found = run("search", "copy", *self.copy[2:], "--json", check=0).stdout.splitlines()
        self.assertEqual(len(found), 3)
        self.assertIn("in step", run("sync", *self.copy, check=0).stdout)

    def test_a_first_copy_that_was_cut_off_is_gone_on_with(self):
        run("sync", *self.copy, "-q", check=0)
        # As it is before a first copy notes how far it is.
        with contextlib.closing(sqlite3.connect(self.folder / "copy.db")) as copy:
            [[text]] = copy.execute("SELECT text FROM note WHERE name = 'follow'")
            position, _, rest = text.partition(" ")
            copy.execute("UPDATE note SET text = ? WHERE name = 'follow'",
                         [re.sub("[0-9a-f]", "0", position) + " " + rest])
            copy.commit()
        run("sync", *self.copy, "-q", check=0)
        run("doctor", *self.copy[2:], check=0)

    def test_doctor_knows_a_copy_and_a_rebuild_ends_it(self):
        run("sync", *self.copy, "-q", check=0)
        copy = self.copy[2:]
        state = json.loads(run("doctor", *copy, "--json", check=0).stdout)
        self.assertEqual((state["trusted"], state["copy_of"]), (True, self.source))
        self.assertEqual(list(state["remedies"]), ["suspect", "wrong digest"])
        self.assertIn(f"copy of      {self.source}", run("doctor", *copy, check=0).stdout)
        some = json.loads(run("list", *copy, "--json", "--limit", 1).stdout.splitlines()[0])
        store = self.folder / "elsewhere"
        run("sample", store, 10, "--seed", 9, check=0)
        run("rebuild", "--incremental", "--storage", f"file://{store}", *copy, "-q", check=0)
        told = run("doctor", *copy, check=2).stdout
        self.assertIn(f"suspect        artcache sync --from {self.source}", told)
        run("sync", *self.copy, "-q", check=0)
        run("doctor", *copy, check=0)
        run("rebuild", "--storage", f"file://{store}", *copy, "-q", check=0)
        run("get", some["file_id"], *copy, check=4)
        state = json.loads(run("doctor", *copy, "--json", check=0).stdout)
        self.assertEqual((state["trusted"], state["copy_of"]), (True, ""))
        self.assertIn("--replace", run("sync", *self.copy, check=1).stderr)

    def test_it_follows_until_ctrl_c(self):
        child = subprocess.Popen([PROGRAM, "sync", *self.copy, "--json", "-q", "--follow"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.stderr.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.assertTrue(json.loads(child.stdout.readline())["proven"])
        self.change(2)
        applied = 0
        while applied < 2:
            applied = json.loads(child.stdout.readline())["applied"]
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(timeout=120), 0)
        self.assertEqual(child.stderr.read(), "")

    def test_an_index_with_entries_of_its_own_is_not_overwritten_by_mistake(self):
        other = f"sqlite://{self.folder}/other.db"
        store = self.folder / "more"
        run("sample", store, 10, "--seed", 9, check=0)
        run("rebuild", "--storage", f"file://{store}", "--index", other, "-q", check=0)
        done = run("sync", "--from", self.source, "--index", other)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--replace", done.stderr)
        run("sync", "--from", self.source, "--index", other, "--replace", check=0)
        self.assertIn("in step", run("sync", "--from", self.source, "--index", other).stdout)
        same = run("sync", "--from", self.source, "--index", self.source)
        self.assertIn("same index", same.stderr)

    def test_events_are_told_in_order_and_gone_on_with_behind_a_position(self):
        self.change(4)
        put = run("events", "tail", "--index", self.source, "--once", "--all", "--json", check=0)
        events = [json.loads(line) for line in put.stdout.splitlines()]
        self.assertEqual([event["seq"] for event in events],
                         list(range(1, len(events) + 1)))
        self.assertEqual([event["event"] for event in events][-4:], ["put"] * 4)
        self.assertTrue(all(event["original_filename"] for event in events[-4:]))
        rest = run("events", "tail", "--index", self.source, "--once", "--after",
                   events[-3]["position"], check=0)
        self.assertEqual(len(rest.stdout.splitlines()), 2)
        self.assertIn(events[-1]["file_id"], rest.stdout)
        wrong = events[-3]["position"].replace("/", "/9", 1)
        self.assertIn("gone", run("events", "tail", "--index", self.source, "--once", "--after",
                                  wrong, check=1).stderr)
        self.assertIn("--after", run("events", "tail", "--index", self.source, "--after", "x",
                                     check=64).stderr)
        # From now on only.
        self.assertEqual(run("events", "tail", "--index", self.source, "--once", check=0).stdout,
                         "")


class Watching(unittest.TestCase):
    """`artcache watch` as a program; each line that it prints is a JSON object."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.store = Path(folder.name) / "files"
        self.both = ("--storage", f"file://{self.store}?sync=off",
                     "--index", f"sqlite://{folder.name}/index.db")
        run("sample", self.store, 60, check=0)

    def begin(self, *more, people=False):
        told = () if people else ("--json", "-q")
        child = subprocess.Popen([PROGRAM, "watch", *self.both, *told, *map(str, more)],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.stderr.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child

    def told(self, child, **members):
        """The next event that says so, and all before it."""
        events = []
        for line in child.stdout:
            events.append(json.loads(line))
            if all(events[-1].get(name) == value for name, value in members.items()):
                return events
        self.fail(f"{members} was not told: {events}\n{child.stderr.read()}")

    def test_it_tells_of_what_it_applied_and_ctrl_c_is_its_usual_end(self):
        child = self.begin()
        whole = self.told(child, event="rescanned", folder="", pending=0)[-1]
        self.assertEqual((whole["sidecars"], whole["inserted"]), (60, 60))
        lost, changed = sorted(self.store.rglob("*.attr.json"))[5:7]
        lost.unlink()
        self.told(child, event="applied", removed=1)
        text = json.loads(changed.read_text())
        text["description"] = "changed while it was watched"
        changed.write_text(json.dumps(text))
        self.told(child, event="applied", changed=1)
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(timeout=120), 0)
        self.assertEqual(child.stderr.read(), "")
        run("check", *self.both, "-q", check=0)
        found = json.loads(run("search", "watched", *self.both[2:], "--json", check=0).stdout
                           .splitlines()[0])
        self.assertIn("changed while it was watched", json.dumps(found))

    def test_rebuild_and_check_run_beside_it(self):
        child = self.begin()
        self.told(child, event="rescanned", folder="")
        run("rebuild", *self.both, "-q", check=0)
        run("check", *self.both, "-q", check=0)
        sorted(self.store.rglob("*.attr.json"))[5].unlink()
        self.told(child, event="applied", removed=1)

    def test_for_people_it_prints_lines_and_a_timeout_is_a_usual_end_too(self):
        done = self.begin(people=True)
        self.assertRegex(done.stdout.readline(), r"^\d\d:\d\d:\d\d following the storage")
        self.assertIn("compared the whole storage, 60 sidecars: 60 new", done.stdout.readline())
        done.send_signal(signal.SIGINT)
        err = done.communicate(timeout=120)[1]
        self.assertEqual(done.returncode, 0)
        self.assertIn("Watch: began", err)
        self.assertNotRegex(err, "(?i)error|exception|failed")
        run("watch", *self.both, "--timeout", 0.1, check=0)

    def test_without_notices_it_says_what_to_do_or_compares_every_so_often(self):
        done = run("watch", "--storage", "mem:", *self.both[2:], "-q", check=1)
        self.assertIn("--rescan-every", done.stderr)
        self.both = ("--storage", "mem:", *self.both[2:])
        child = self.begin("--rescan-every", 0.05)
        began = self.told(child, event="began")[0]
        self.assertIn("mem", began["message"])
        for _ in range(3):
            self.told(child, event="rescanned")
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(timeout=120), 0)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=1)
