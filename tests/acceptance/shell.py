# SPDX-License-Identifier: Apache-2.0
"""A shell that runs the blocks of a document one after the other, and keeps their variables."""

import os
import re
import subprocess

ASSIGNED = re.compile(r"^\s*(?:export\s+)?([A-Z][A-Z0-9_]*)=", re.MULTILINE)
# What a block prints there when something in it went wrong without ending it.
FAILED = ("parse error", "syntax error", "command not found", "No such file")


class Shell:
    def __init__(self, folder, environment):
        self.folder = folder
        self.environment = environment
        self.state = folder / "variables"
        self.state.write_text("")

    def run(self, text, seconds=300):
        """Everything the block printed. Raises AssertionError when it fails."""
        keep = " ".join(sorted(set(ASSIGNED.findall(text))))
        script = (f"source {self.state}\n{text}\n__status=$?\n"
                  f"for __name in {keep}; do\n"
                  f"  declare -p $__name 2>/dev/null >>{self.state}\n"
                  f"done\nexit $__status\n")
        done = subprocess.run(["bash", "-c", script], cwd=self.folder, env=self.environment,
                              text=True, capture_output=True, timeout=seconds)
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"exit code {done.returncode}: {said}"
        for bad in FAILED:
            assert bad not in done.stderr, said
        return done.stdout

    def variable(self, name):
        done = subprocess.run(["bash", "-c", f'source {self.state}; echo "${name}"'],
                              env=os.environ, text=True, capture_output=True, check=True)
        return done.stdout.rstrip("\n")
