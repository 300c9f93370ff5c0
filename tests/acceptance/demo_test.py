#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `make demo` shows is so: each step comes to the end that its words announce.

usage: demo_test.py FOLDER_OF_PROGRAMS
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Demo(unittest.TestCase):
    def test_each_step_ends_as_it_says(self):
        with tempfile.TemporaryDirectory(prefix="demo-") as place:
            shown = subprocess.run(
                [ROOT / "scripts/demo-steps"], cwd=ROOT, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                env={**os.environ, "ARTCACHE_BIN": BIN, "TMPDIR": place})
            self.assertEqual(shown.returncode, 0, shown.stdout)
            self.assertEqual(os.listdir(place), [], "it leaves nothing behind")
        text, at = shown.stdout, 0
        for step, answer in (
                ("every sidecar is read once", r"\b1000\b"),
                ("agree", r"(?i)consistent"),
                ("exits with 2", r"\(exit code 2\)"),
                ("opens what is new or changed", r"1 new, 1 changed, .* 0 removed"),
                ("repair writes the lost sidecars anew", r"written 3 sidecars"),
                ("people ask the index", r"report"),
                ("gets a token", r"eyJ"),
                ("an upload goes to the ingester", r'"storage_element_id": ?"[a-z0-9-]+"'),
                ("finds it by its words", r"[0-9a-f]{8}-[0-9a-f-]{27}"),
                ("so does search", r"[0-9a-f]{8}-[0-9a-f-]{27}"),
                ("those that were sent", r"identical"),
                ("made permanent", r'"status": ?"completed"'),
                ("demo: done", "")):
            begins = text.find(step, at)
            self.assertGreaterEqual(begins, 0, f"no step '{step}' in\n{text}")
            at = begins + len(step)
            found = re.compile(answer).search(text, at)
            self.assertTrue(found, f"'{answer}' does not follow '{step}':\n{text[begins:]}")
            at = found.end()


if __name__ == "__main__":
    BIN = os.path.realpath(sys.argv[1])
    unittest.main(argv=sys.argv[:1], verbosity=2)
