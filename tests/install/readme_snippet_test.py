#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the documents show is what is built and tested.

A C++ block stands below the line `<!-- snippet: PATH -->` and equals that file without its licence
line and the comment that follows, or the lines between `// snippet` and `// end of snippet`.
A console block below `<!-- run -->` is run: each `$ command` must answer what stands below it,
where … stands for whatever there is. Each block has a home of its own; `export` holds to its end.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

_MARK = re.compile(r"<!--\s*(?:snippet:\s*(\S+)|(run))\s*-->\s*")


def blocks(text):
    """(line, mark, language, content) of each fenced block; the mark stands in the line above."""
    lines, index = text.split("\n"), 0
    while index < len(lines):
        if not lines[index].startswith("```"):
            index += 1
            continue
        start, language = index, lines[index][3:].strip()
        index += 1
        while index < len(lines) and not lines[index].startswith("```"):
            index += 1
        above = _MARK.fullmatch(lines[start - 1]) if start else None
        yield start + 1, above, language, "\n".join(lines[start + 1:index])
        index += 1


def part_to_show(source):
    marked = re.search(r"^// snippet\n(.*?)^// end of snippet$", source, re.S | re.M)
    if marked:
        return marked.group(1).rstrip("\n")
    return re.sub(r"\A(?://.*\n)+", "", source).strip("\n")


def differs(shown, expected):
    return [line.rstrip() for line in shown.split("\n")] != expected.split("\n")


def answers(content):
    """(command, what stands below it) of a console block."""
    for part in re.split(r"^\$ ", content, flags=re.M)[1:]:
        command, _, said = part.replace("\\\n", "").partition("\n")
        yield command, said.rstrip("\n")


def is_answer(really, said):
    pattern = ".*".join(re.escape(part) for part in said.split("…"))
    return re.fullmatch(pattern, "\n".join(line.rstrip() for line in really.split("\n")))


def run(command, root, build, home):
    command = command.replace("build/release/", f"{build}/")
    done = subprocess.run(["bash", "-c", command], cwd=root, text=True, timeout=60, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env={**os.environ, "HOME": home})
    return done.stdout.rstrip("\n")


def run_block(content, root, build):
    """(command, what it answered) of each that did not answer what stands below it."""
    exports = ""
    with tempfile.TemporaryDirectory() as home:
        for command, said in answers(content):
            really = run(exports + command, root, build, home)
            if not is_answer(really, said):
                yield command, really
            if command.startswith("export "):
                exports += command + "\n"


def problems(path, root, build):
    for line, mark, language, content in blocks(path.read_text(encoding="utf-8")):
        where = f"{path.relative_to(root)}:{line}"
        if language in ("cpp", "c++"):
            source = root / mark.group(1) if mark and mark.group(1) else None
            if source is None or not source.is_file():
                yield f"{where}: put <!-- snippet: FILE --> above this block, FILE being compiled"
            elif differs(content, part_to_show(source.read_text(encoding="utf-8"))):
                yield f"{where}: this is not what {mark.group(1)} says"
        elif mark and mark.group(2):
            for command, really in run_block(content, root, build):
                yield f"{where}: `{command}` answers\n{really}"


def documents(root):
    return [root / "README.md"] + sorted((root / "docs").rglob("*.md"))


class TheCheckItself(unittest.TestCase):
    def found(self, readme, source="// SPDX\n// about\n\nint main() {}\n"):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "README.md").write_text(readme)
            (root / "a.cpp").write_text(source)
            return [text for path in documents(root) for text in problems(path, root, root)]

    def test_a_block_that_equals_its_file_is_fine(self):
        self.assertEqual([], self.found("<!-- snippet: a.cpp -->\n```cpp\nint main() {}\n```\n"))

    def test_a_marked_part_is_what_is_shown(self):
        source = "// SPDX\n// snippet\nint a;\n\n// end of snippet\nint b;\n"
        self.assertEqual([], self.found("<!-- snippet: a.cpp -->\n```cpp\nint a;\n```\n", source))

    def test_a_block_that_differs_is_named_with_its_line(self):
        found = self.found("# T\n\n<!-- snippet: a.cpp -->\n```cpp\nint main() { }\n```\n")
        self.assertEqual(["README.md:4: this is not what a.cpp says"], found)

    def test_a_block_without_a_file_or_with_a_missing_one_is_found(self):
        self.assertIn("README.md:1: put", self.found("```cpp\nint a;\n```\n")[0])
        self.assertIn("README.md:2: put",
                      self.found("<!-- snippet: b.cpp -->\n```cpp\nint a;\n```\n")[0])

    def test_a_command_must_answer_what_stands_below_it(self):
        good = "<!-- run -->\n```console\n$ echo one; echo two\none\ntwo\n$ echo 3\n3\n```\n"
        self.assertEqual([], self.found(good))
        self.assertEqual(["README.md:2: `echo 3` answers\n3"],
                         self.found(good.replace("\n3\n", "\nthree\n")))

    def test_what_differs_each_time_may_be_left_out_within_a_line(self):
        good = "<!-- run -->\n```console\n$ echo in 0.3 s; echo 2\nin … s\n2\n```\n"
        self.assertEqual([], self.found(good))
        self.assertEqual(1, len(self.found(good.replace("… s\n2", "…"))))

    def test_exports_hold_to_the_end_of_their_block_and_so_does_its_home(self):
        block = ("<!-- run -->\n```console\n$ export A=~/a\n$ echo 1 > $A\n$ cat ~/a\n1\n"
                 "$ echo 2 ${B-none}\n2 none\n```\n")
        self.assertEqual([], self.found(block))
        other = "<!-- run -->\n```console\n$ cat ~/a ${A-none} 2>&1 | wc -l\n2\n```\n"
        self.assertEqual([], self.found(block + other))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    options = parser.parse_args()
    itself = unittest.defaultTestLoader.loadTestsFromTestCase(TheCheckItself)
    if not unittest.TextTestRunner(verbosity=0).run(itself).wasSuccessful():
        return 1
    root, build = options.root.resolve(), options.build.resolve()
    found = [text for path in documents(root) for text in problems(path, root, build)]
    print("\n".join(found) or f"{len(documents(root))} documents show what is there")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
