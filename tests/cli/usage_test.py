#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What programs and people count on of the command line: --json, one file of options, its refusals.

usage: usage_test.py ARTCACHE
"""

import json
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import cli_test
from cli_test import begin, run


class Usage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.path = Path(folder.name)
        cls.store = cls.path / "files"
        cls.index = ("--index", f"sqlite://{cls.path}/i.db")
        cls.both = ("--storage", f"file://{cls.store}", *cls.index)
        run("sample", cls.store, 30, check=0)
        run("rebuild", *cls.both, "-q", check=0)
        cls.id = json.loads(run("list", *cls.index, "--json", "--limit", 1, check=0).stdout)[
            "file_id"]

    def config(self, **options):
        file = self.path / "artcache.toml"
        file.write_text("".join(f"{name.replace('_', '-')} = {json.dumps(value)}\n"
                                for name, value in options.items()))
        return "--config", file

    # --- --json -------------------------------------------------------------------------------

    def verbs(self):
        """Every verb, as it succeeds."""
        copy = ("--index", f"sqlite://{self.path}/copy.db")
        named = ("--index", f"sqlite://{self.path}/named.db")
        run("rebuild", "--storage", f"file://{self.store}", *named, "-q", check=0)
        yield "rebuild", *self.both
        for verb in ("check", "repair", "cleanup"):
            yield verb, *self.both
        yield "watch", *self.both, "--timeout", 5
        yield "list", *self.index
        yield "search", self.id, *self.index
        yield "get", self.id, *self.index
        yield "get", self.id, *self.both, "--content", self.path / "out"
        yield "put", self.path / "out", *self.both, "--id", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
        yield "rm", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", *self.both
        yield "locks", "list", *self.index
        yield "locks", "rename", "se-02", *named
        yield "doctor", *self.index
        yield "migrate", *self.index
        yield "sync", *copy, "--from", self.index[1]
        yield "events", "tail", *self.index, "--once", "--all"
        yield "sample", self.path / "more", 2
        yield "schemes",

    def test_with_json_every_verb_answers_in_json_and_in_nothing_else(self):
        tried = set()
        for words in self.verbs():
            with self.subTest(verb=" ".join(map(str, words[:2]))):
                done = run(*words, "--json", check=0)
                try:
                    json.loads(done.stdout)
                except ValueError:
                    lines = [json.loads(line) for line in done.stdout.splitlines()]
                    self.assertGreater(len(lines), 0)
                tried.add(words[0])
        self.assertEqual(tried, set(cli_test.Verbs.verbs()) - {"serve"})

    def test_what_was_done_is_named_in_json(self):
        out = self.path / "written"
        done = run("get", self.id, *self.both, "--content", out, "--json", check=0)
        self.assertEqual(json.loads(done.stdout), {"file_id": self.id, "written": str(out)})
        piped = run("get", self.id, *self.both, "--content", "-", "--json", check=0)
        self.assertEqual(piped.stdout.encode(), out.read_bytes())
        index = ("--index", f"sqlite://{self.path}/other.db")
        run("rebuild", *self.both[:2], *index, "-q", check=0)
        done = run("locks", "rename", "se-07", *index, "--json", check=0)
        self.assertEqual(json.loads(done.stdout), {"element": "se-07"})

    def test_a_watch_that_cannot_be_says_so_in_json_too(self):
        done = run("watch", "--storage", "mem:", *self.index, "-q", "--json")
        self.assertEqual(done.returncode, 1)
        error = json.loads(done.stdout.splitlines()[-1])["error"]
        self.assertEqual((error["code"], error["exit_code"]), ("unsupported", 1))
        self.assertIn("--rescan-every", done.stderr)

    def test_what_a_repair_leaves_tells_its_kind_as_a_check_does(self):
        store = self.path / "damaged"
        both = ("--storage", f"file://{store}", "--index", f"sqlite://{self.path}/damaged.db", "-q")
        run("sample", store, 5, check=0)
        run("rebuild", *both, check=0)
        next(path for path in sorted(store.rglob("*")) if path.is_file()
             and not path.name.endswith(".attr.json")).unlink()
        left = json.loads(run("repair", *both, "--json", check=0).stdout)["left"]
        self.assertEqual([one["kind"] for one in left], ["missing_data"])
        self.assertEqual(left, json.loads(run("check", *both, "--json").stdout)["findings"])

    # --- the locks of one element ----------------------------------------------------------

    def test_a_lock_is_listed_and_broken_by_the_name_of_its_element(self):
        begin(self, "rebuild", *self.both, "--files-per-second", 1, "-v")
        one, = json.loads(run("locks", "list", *self.index, "--json", check=0).stdout)
        named = ("--element", one["element"]) if "element" in one else ()
        self.assertTrue(named, one)
        self.assertEqual(json.loads(run("locks", "list", *self.index, *named, "--json",
                                        check=0).stdout)[0]["fence"], one["fence"])
        other = run("locks", "list", *self.index, "--element", "another", check=0)
        self.assertEqual(other.stdout, "nobody holds a lock of 'another'\n")
        done = run("locks", "break", "manual_rebuild", *self.index, "--json", check=0)
        self.assertEqual(json.loads(done.stdout),
                         {"broken": "manual_rebuild", "element": one["element"]})

    # --- one file of options ---------------------------------------------------------------

    def test_one_file_of_options_serves_all_verbs(self):
        config = self.config(storage=self.both[1], index=self.index[1], files_per_second=1000,
                             rescan_every=0, limit=2, mode="edit", seed=3)
        for words in (["check", "-q"], ["doctor"], ["locks", "list"], ["rebuild", "-q"],
                      ["sample", self.path / "seeded", 2], ["schemes"]):
            run(*words, *config, check=0)
        listed = run("list", *config, "--json", check=0).stdout.splitlines()
        self.assertEqual(len(listed), 2)
        self.assertEqual(len(run("list", "--limit", 3, *config, "--json",
                                 check=0).stdout.splitlines()), 3)

    def test_a_key_that_no_verb_has_is_refused_with_the_file_that_has_it(self):
        config = self.config(index=self.index[1], files_per_secnd=1)
        done = run("list", *config, check=64)
        self.assertIn(f"'{config[1]}': no verb has an option 'files-per-secnd'; "
                      "did you mean 'files-per-second'?", done.stderr)

    # --- what is refused, and how -----------------------------------------------------------

    def test_an_option_that_is_missing_may_stand_elsewhere(self):
        done = run("list", check=64)
        self.assertRegex(done.stderr, "^artcache: --index is required; it may stand in the "
                         "environment as ARTCACHE_INDEX, or in the file of --config as index, too\n"
                         "`artcache list --help`")
        done = run("sync", *self.index, check=64)
        self.assertIn("the file of --config as from", done.stderr)
        done = run("locks", "list", check=64)
        self.assertIn("`artcache locks list --help`", done.stderr)
        self.assertRegex(run("get", *self.index, check=64).stderr, "^artcache: ID is required\n")

    def test_the_environment_is_named_where_it_is_wrong_and_concerns_those_who_look_at_it(self):
        env = {"ARTCACHE_MODE": "zz"}
        run("list", *self.index, env=env, check=0)
        done = run("check", *self.both, env=env, check=64)
        self.assertRegex(done.stderr, "^artcache: ARTCACHE_MODE: zz not in")
        done = run("check", *self.both, "--mode", "yy", env=env, check=64)
        self.assertRegex(done.stderr, "^artcache: --mode: yy not in")
        run("check", *self.both, "--mode", "ro", "-q", env=env, check=0)

    def test_no_number_may_be_negative(self):
        for arguments in (["list", *self.index, "--limit", "-3"],
                          ["search", "report", *self.index, "--offset", "-1"],
                          ["check", *self.both, "--timeout", "-1"],
                          ["rebuild", *self.both, "--files-per-second=-5"]):
            done = run(*arguments, check=64)
            self.assertRegex(done.stderr, "'-[0-9]' is less than 0")

    def test_a_sample_needs_a_folder_and_a_number_that_can_be(self):
        for arguments in ([], [self.store], [self.store, "-1"], [self.store, "many"]):
            self.assertEqual(run("sample", *arguments).returncode, 64, arguments)

    def test_seconds_are_a_number_that_can_be(self):
        for text in ("1e300", "nan", "inf", "soon"):
            done = run("list", *self.index, "--timeout", text, check=64)
            self.assertRegex(done.stderr, "^artcache: .*" + text)
        run("watch", *self.both, "--rescan-every", "nan", check=64)
        run("list", *self.index, "--timeout", "1e9", check=0)

    def test_standard_input_has_no_name_and_a_folder_is_no_file(self):
        for words, text in ((["-"], "--name"), ([self.store], "Is a directory")):
            done = subprocess.run([cli_test.PROGRAM, "put", *map(str, words), *self.both],
                                  input="bytes", text=True, capture_output=True, check=False,
                                  timeout=cli_test.PATIENCE)
            self.assertEqual(done.returncode, 64, done.stderr)
            self.assertIn(text, done.stderr)
        self.assertEqual(run("search", "bytes", *self.index).returncode, 4)
        done = run("get", self.id, *self.both, "--content", self.store, check=64)
        self.assertIn("Is a directory", done.stderr)

    def test_what_makes_a_missing_index_is_said_where_it_would_make_it(self):
        missing = "sqlite:///no/such/folder/i.db"
        self.assertNotIn("artcache rebuild", run("list", "--index", missing, check=4).stderr)
        source = f"sqlite://{self.path}/absent.db"
        done = run("sync", *self.index, "--from", source, "--replace", check=4)
        self.assertIn("there is no such file", done.stderr)
        self.assertNotIn("artcache rebuild", done.stderr)

    def test_help_of_serve_is_that_of_the_daemon(self):
        if not cli_test.Verbs.daemon_is_there():
            self.assertIn("artcached: No such file", run("help", "serve").stderr)
            return
        self.assertEqual(run("help", "serve", check=0).stdout,
                         run("serve", "--help", check=0).stdout)

    def test_a_verb_offers_no_option_that_has_no_effect_on_it(self):
        for words in (["migrate"], ["events", "tail"]):
            shown = run(*words, "--help", check=0).stdout
            for option in ("--locks", "--element"):
                self.assertNotIn(option, shown)
        self.assertIn("--element", run("locks", "list", "--help", check=0).stdout)
        run("migrate", *self.index, "--element", "a", check=0)

    def test_ctrl_c_ends_a_sample(self):
        store = self.path / "large"
        made = subprocess.Popen([cli_test.PROGRAM, "sample", store, "100000", "--no-data"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(made.stderr.close)
        self.addCleanup(made.wait)
        self.addCleanup(made.kill)
        while not store.exists():
            self.assertIsNone(made.poll())
        made.send_signal(signal.SIGINT)
        self.assertIn("cancelled", made.communicate(timeout=120)[1])
        self.assertEqual(made.returncode, 1)


if __name__ == "__main__":
    cli_test.PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=1)
