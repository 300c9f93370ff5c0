# SPDX-License-Identifier: Apache-2.0
"""The man pages and the completion know what the programs know.

usage: help_pages_test.py ARTCACHE ARTCACHED
"""

import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

from leaving_out import need_program  # noqa: E402

PROGRAMS = []


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        subprocess.run([sys.executable, "-B", ROOT / "packaging/help_pages.py", cls.folder,
                        *PROGRAMS], check=True, timeout=120)

    def completed(self, *words):
        """What bash offers for the last of these words."""
        program = words[0]
        script = (f'source "{self.folder}/{program}.bash"\n'
                  'COMP_WORDS=("$@")\nCOMP_CWORD=$(($# - 1))\n'
                  f'_{program}\nprintf "%s\\n" "${{COMPREPLY[@]}}"')
        done = subprocess.run(["bash", "-euc", script, "bash", *words], capture_output=True,
                              text=True, check=True)
        return set(done.stdout.split())

    def test_a_man_page_has_every_verb_with_its_options(self):
        text = (self.folder / "artcache.1").read_text()
        for part in (r".SS ""\"artcache rebuild\"", r".SS ""\"artcache locks break\"",
                     r"\-\-files\-per\-second", ".SH EXIT STATUS", "2 inconsistent"):
            self.assertIn(part, text)
        self.assertIn(r"\-\-check\-config", (self.folder / "artcached.1").read_text())

    def test_a_man_page_is_one(self):
        need_program(self, "groff")
        for page in self.folder.glob("*.1"):
            done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", page], capture_output=True,
                                  text=True, check=True)
            self.assertEqual(done.stderr, "")

    def test_bash_completes_verbs_options_and_choices(self):
        self.assertEqual(self.completed("artcache", "reb"), {"rebuild"})
        self.assertEqual(self.completed("artcache", "locks", "br"), {"break"})
        self.assertEqual(self.completed("artcache", "rebuild", "--inc"), {"--incremental"})
        self.assertEqual(self.completed("artcache", "rebuild", "--mode", ""),
                         {"edit", "rw", "ro", "ar"})
        self.assertEqual(self.completed("artcache", "put", "--incre"), set())
        self.assertEqual(self.completed("artcached", "--check"), {"--check-config"})

    def test_zsh_understands_its_functions(self):
        need_program(self, "zsh")
        for page in self.folder.glob("_*"):
            subprocess.run(["zsh", "-n", page], check=True)


if __name__ == "__main__":
    PROGRAMS = [sys.argv.pop(1), sys.argv.pop(1)]
    unittest.main(verbosity=1)
