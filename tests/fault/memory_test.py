#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""[G11] What compares a store with its index takes no more memory for four times the files.

Of a file only hashes are held, a hundred bytes, and these in parts; buffers are full long before
the smaller store ends. Who kept entries, paths or results would take hundreds of bytes a file more.

usage: memory_test.py ARTCACHE; ARTCACHE_FILES sets the size of the smaller store (25000)
"""
import os
import sys
import tempfile
import time
import unittest

PROGRAM = ""
FILES = int(os.environ.get("ARTCACHE_FILES", "25000"))
SLACK = 16 * 1024 * 1024  # of an allocator with an arena for each thread


def peak(*arguments):
    """The most memory that the program held at a time, in bytes."""
    quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
    child = os.posix_spawn(PROGRAM, [PROGRAM, *arguments], os.environ, file_actions=quiet)
    _, status, used = os.wait4(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, arguments
    return used.ru_maxrss * 1024


def peaks(folder, files):
    """Of each operation on a store of so many files."""
    peak("sample", f"{folder}/{files}", str(files), "--no-data")
    time.sleep(2.2)  # let the stamps settle
    both = ("--storage", f"file://{folder}/{files}", "--index", f"sqlite://{folder}/{files}.db")
    return {"first rebuild": peak("rebuild", *both),
            "full rebuild": peak("rebuild", *both),
            "incremental rebuild": peak("rebuild", "--incremental", *both),
            "check": peak("check", *both)}


class Memory(unittest.TestCase):
    def test_four_times_the_files_take_no_more_memory(self):
        with tempfile.TemporaryDirectory() as folder:
            few, many = peaks(folder, FILES), peaks(folder, 4 * FILES)
        for operation, bytes_most in few.items():
            print(f"{operation}: {bytes_most >> 20} MiB, then {many[operation] >> 20} MiB")
        for operation, bytes_most in few.items():
            with self.subTest(operation):
                self.assertLess(many[operation], 1.5 * bytes_most + SLACK)


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
