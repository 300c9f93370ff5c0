#!/usr/bin/env python3
"""The test of the lint: for each rule a tree in bad/ that breaks it, and one in good/."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import headers  # noqa: E402
import tidy  # noqa: E402
from rules import cxx, docs, functions  # noqa: E402
from rules.registry import RULES  # noqa: E402

LICENCE = "// SPDX-License-Identifier: Apache-2.0\n"


def lay_out(fixture: Path, root: Path):
    """Copy a fixture without the .txt that hides its files; the findings it expects."""
    expected = []
    for stored in sorted(fixture.rglob("*.txt")):
        place = root / stored.relative_to(fixture).with_suffix("")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(stored, place)
    for line in (fixture / "expected").read_text(encoding="utf-8").splitlines():
        if line.startswith("executable "):
            (root / line.split()[1]).chmod(0o755)
        else:
            expected.append(line.split(": ", 2))
    return expected


def run(function, *arguments: str):
    """Exit code and output of a main()."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = function(list(arguments))
        except SystemExit as stop:
            code = stop.code
    return code, out.getvalue() + err.getvalue()


class InFolder(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def write(self, path: str, text: str) -> Path:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        return place


class Rules(InFolder):
    """What tidy.py finds."""

    def test_each_rule_finds_exactly_what_its_bad_tree_breaks(self):
        for fixture in sorted((HERE / "bad").iterdir()):
            with self.subTest(rule=fixture.name), tempfile.TemporaryDirectory() as folder:
                expected = lay_out(fixture, Path(folder))
                findings, _ = tidy.check(Path(folder))
                shown = "\n".join(map(str, findings))
                places = [[f"{f.path}:{f.line}", f.rule] for f in findings]
                self.assertEqual(sorted(e[:2] for e in expected), sorted(places), shown)
                for line in expected:
                    self.assertIn(": ".join(line[:2]), shown)
                    for piece in line[2:]:
                        start = f"{line[0]}: {line[1]}: "
                        messages = [s for s in shown.splitlines() if s.startswith(start)]
                        self.assertTrue(any(piece in m for m in messages), (piece, messages))
                self.assertTrue(findings)
                self.assertEqual({fixture.name}, {f.rule for f in findings})

    def test_the_good_tree_breaks_no_rule(self):
        self.assertEqual([], lay_out(HERE / "good", self.root))
        code, output = run(tidy.main, "--root", str(self.root))
        self.assertEqual(0, code, output)
        self.assertRegex(output, r"\Atidy: \d+ files, 0 findings\n\Z")

    def test_list_names_exactly_the_rules_that_have_a_bad_tree(self):
        code, output = run(tidy.main, "--list")
        self.assertEqual(0, code)
        listed = [line.split()[0] for line in output.splitlines()]
        self.assertEqual(sorted(p.name for p in (HERE / "bad").iterdir()), sorted(listed))

    def test_one_rule_runs_alone(self):
        self.write("src/util/a.hpp", "// " + "x" * 98 + "\n")
        code, output = run(tidy.main, "--root", str(self.root), "--rule", "pragma-once")
        self.assertEqual(1, code)
        self.assertEqual(
            "src/util/a.hpp:1: pragma-once: add `#pragma once` below the licence line\n"
            "tidy: 1 files, 1 findings\n",
            output,
        )

    def test_an_unknown_rule_and_a_missing_root_are_usage_errors(self):
        self.assertEqual(2, run(tidy.main, "--rule", "no-such-rule")[0])
        self.assertEqual(2, run(tidy.main, "--root", str(self.root / "missing"))[0])

    def test_an_empty_tree_is_fine(self):
        code, output = run(tidy.main, "--root", str(self.root))
        self.assertEqual((0, "tidy: 0 files, 0 findings\n"), (code, output))

    def test_every_phrase_of_origin_is_found(self):
        phrases = ["as an A" + "I", "a language " + "model", "Co-Authored-" + "By: x"]
        for phrase in phrases:
            self.write("docs/a.md", f"# Title\n\n{phrase}\n")
            findings, _ = tidy.check(self.root, ["origin-phrase"])
            self.assertEqual([3], [f.line for f in findings], phrase)


class Files(InFolder):
    """Which files tidy.py looks at."""

    def test_in_a_checkout_it_sees_what_git_tracks_or_would_track(self):
        for command in (["init", "-q"], ["config", "user.email", "a@b"]):
            subprocess.run(["git", "-C", str(self.root), *command], check=True)
        self.write(".gitignore", "ignored/\n")
        self.write("ignored/a.hpp", "")
        self.write("src/util/b.hpp", "")
        findings, _ = tidy.check(self.root, ["pragma-once"])
        self.assertEqual(["src/util/b.hpp"], [f.path for f in findings])

    def test_without_git_it_sees_all_but_build(self):
        self.write("build/a.hpp", "")
        self.write("src/build/b.hpp", "")
        findings, _ = tidy.check(self.root, ["pragma-once"])
        self.assertEqual(["src/build/b.hpp"], [f.path for f in findings])

    def test_odd_bytes_and_broken_code_do_not_stop_it(self):
        self.write("src/util/a.hpp", LICENCE + "#pragma once\n" + "}}}((( R\"( \" ' /* \n" * 90)
        (self.root / "binary.cpp").write_bytes(b"\0\xff\xfe{" * 400)
        (self.root / "broken.py").write_text("def (:\n" * 90, encoding="utf-8")
        os.symlink("nowhere", self.root / "dangling.cpp")
        findings, _ = tidy.check(self.root)
        self.assertIn(("broken.py", "function-length"), {(f.path, f.rule) for f in findings})

    def test_five_hundred_files_take_less_than_three_seconds(self):
        body = "inline int f%d(int a) {\n  // why\n  return g(a, \"x\", 'y');\n}\n\n"
        text = LICENCE + "#pragma once\n\n" + "".join(body % n for n in range(40))
        for number in range(500):
            self.write(f"src/util/f{number}.hpp", text)
        # Time of the processor, not of the clock: a busy machine must not fail this.
        start = time.process_time()
        findings, files = tidy.check(self.root)
        taken = time.process_time() - start
        self.assertEqual((500, []), (files, findings))
        self.assertLess(taken, 3.0)


FUNCTIONS = r'''
namespace a::b { namespace {
struct Foo final : Bar<int> {
 public:
  explicit(true) Foo(int a) : a_{a}, b_(a), c_{{1}}, Base<int>{1} { y(); }
  ~Foo() override = default;
  bool operator==(const Foo&) const noexcept { return true; }
  auto operator()(int x) -> std::vector<int> { return {}; }
  operator bool() const { return "}" == std::string{'}'}; }
  std::array<int, 2> arr{1, 2};
};
enum class E : int { a, b };
template <class T, class U = std::vector<T>>
  requires std::is_same_v<T, int> && requires(T t) { t.x(); }
[[nodiscard]] std::optional<T> free_one(T t, std::vector<U> u = {}) noexcept(noexcept(t.x())) {
  const char* s = R"x( { { { )" )x";
  switch (x) { case 1: { break; } }
  int n = 1'000'000; char c = '{';
}
const auto kLambda = [](int a) { return a; };
constexpr std::pair<int, int> kTable[] = {{1, 2}, {3, 4}};
std::function<bool(int)> maker(int (*cb)(int)) ARTCACHE_GUARDED(mu_) { return {}; }
Foo::Foo(std::string s) : Base(std::move(s)), x_{f([] { return 1; })} {}
}}
extern "C" {
int c_one(void) { return 0; }
}
extern "C" EXPORT int c_two(void) { return 0; }
TEST_SUITE("x") {
TEST_CASE("a lease, once expired, can be taken (#41)") { SUBCASE("y") { } }
}
void
Long::name(
    int a) const
{
#ifdef A
  if (x) {
#else
  if (y) {
#endif
  }
}
template <>
struct std::hash<Foo> {
  std::size_t operator()(const Foo& f) const noexcept { return 1; }
};
int main(int argc, char** argv) { return 0; }
'''


class Parts(unittest.TestCase):
    """The parsers behind the rules."""

    def test_functions_are_found_in_all_their_shapes(self):
        found = [(f.name, f.line) for f in functions.functions(cxx.Source(FUNCTIONS))]
        expected = [
            ("Foo", 5), ("operator==", 7), ("operator()", 8), ("operatorbool", 9),
            ("free_one", 15), ("kLambda", 20), ("maker", 22), ("Foo::Foo", 23), ("c_one", 26),
            ("c_two", 28), ("a-lease-once-expired-can-be-taken-41", 30), ("Long::name", 33),
            ("operator()", 45), ("main", 47),
        ]  # fmt: skip
        self.assertEqual(expected, found)

    def test_masking_keeps_every_offset(self):
        source = cxx.Source(FUNCTIONS)
        for view in (source.code, source.uncommented, source.bare):
            self.assertEqual(len(FUNCTIONS), len(view))
            self.assertEqual(FUNCTIONS.count("\n"), view.count("\n"))

    def test_neighbouring_literals_are_one(self):
        source = cxx.Source("f(\"a\" /* b */\n  R\"(c)\", \"d\"); // \"e\"\n#include \"x.hpp\"\n")
        self.assertEqual(["ac", "d", "x.hpp"], [item.value for item in source.literals])
        self.assertEqual([("x.hpp", 3)], [(i.name, i.line) for i in source.includes])

    def test_anchors_are_made_as_github_makes_them(self):
        for heading, anchor in (
            ("The `put()` path, in 3 steps", "the-put-path-in-3-steps"),
            ("Ёлка и Журнал — два слова!", "ёлка-и-журнал--два-слова"),
            ("[A link](x.md) & *stars*", "a-link--stars"),
            ("snake_case and _emphasis_", "snake_case-and-emphasis"),
        ):
            self.assertEqual(anchor, docs.slug(heading))


@unittest.skipUnless(shutil.which("c++") and shutil.which("cc"), "needs c++ and cc")
class Headers(InFolder):
    """What headers.py finds."""

    def findings(self):
        code, output = run(headers.main, "--include", str(self.root / "include"))
        lines = output.splitlines()
        self.assertRegex(lines[-1], r"\Aheaders: \d+ compilations, \d+ findings\Z")
        self.assertEqual(1 if lines[:-1] else 0, code, output)
        return lines[:-1]

    def header(self, name: str, text: str):
        self.write(f"include/artcache/{name}", LICENCE + text)

    def test_headers_that_stand_alone_pass(self):
        body = "inline std::string a() { return {}; }\n"
        self.header("a.hpp", "#pragma once\n#include <string>\n" + body)
        self.header("b.hpp", "#pragma once\n#include <artcache/a.hpp>\n")
        self.header("c.h", "#pragma once\n#include <stdint.h>\nuint32_t artcache_c(void);\n")
        self.assertEqual([], self.findings())

    def test_a_header_that_leans_on_another_include_fails(self):
        self.header("a.hpp", "#pragma once\ninline std::string a() { return {}; }\n")
        [line] = self.findings()
        self.assertRegex(line, r"^artcache/a\.hpp: does not compile alone as c\+\+: .*error")

    def test_a_header_without_a_guard_fails(self):
        self.header("a.hpp", "struct A {};\n")
        [line] = self.findings()
        self.assertIn("redefinition", line)

    def test_a_c_header_with_cxx_in_it_fails_as_c_only(self):
        self.header("a.h", "#pragma once\n#include <cstdint>\n")
        [line] = self.findings()
        self.assertIn("as c:", line)

    def test_a_foreign_header_on_the_path_fails_though_it_compiles(self):
        self.write("elsewhere/fmt/core.h", "#pragma once\n")
        before = os.environ.get("CPATH")
        os.environ["CPATH"] = str(self.root / "elsewhere")
        try:
            self.header("a.hpp", "#pragma once\n#include <fmt/core.h>\n")
            [line] = self.findings()
        finally:
            os.environ.pop("CPATH")
            if before is not None:
                os.environ["CPATH"] = before
        self.assertRegex(line, r"^artcache/a\.hpp: pulls in .*fmt/core\.h")

    def test_a_third_party_header_beside_the_system_ones_is_foreign(self):
        system = ["/usr/include", "/usr/include/c++/12", "/usr/include/x86_64-linux-gnu"]
        paths = ["/usr/include/stdio.h", "/usr/include/x86_64-linux-gnu/curl/curl.h"]
        paths += ["/usr/include/c++/12/string", "/usr/include/boost/json.hpp"]
        self.assertEqual([paths[1], paths[3]], headers.foreign(paths, self.root, system))

    def test_a_missing_folder_and_a_missing_compiler_are_one_clear_line(self):
        self.assertEqual(2, run(headers.main, "--include", str(self.root / "no"))[0])
        self.header("a.hpp", "#pragma once\n")
        arguments = ["--include", str(self.root / "include"), "--compiler", "no-such-compiler"]
        code, output = run(headers.main, *arguments)
        self.assertEqual(2, code)
        self.assertTrue(re.search("cannot run the compiler.*no-such-compiler", output), output)


if __name__ == "__main__":
    unittest.main()
