"""Links in documents lead somewhere, and a document has one title."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from functools import lru_cache
from typing import FrozenSet, Iterator, List, Tuple
from urllib.parse import unquote

from .registry import rule
from .tree import File, Tree

_FENCE = re.compile(r"^ {0,3}(?:>\s*)*(`{3,}|~{3,})\s*([\w+-]*)")
_HEADING = re.compile(r"^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r"^ {0,3}(=+|-{2,})[ \t]*$")
_CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")
_INLINE = re.compile(
    r"\]\(\s*(?:<([^>]*)>|([^()\s]*(?:\([^()\s]*\)[^()\s]*)*))(?:\s+[\"'(].*?)?\s*\)"
)
_DEFINITION = re.compile(r"^ {0,3}\[[^\]^][^\]]*\]:\s*<?([^\s>]+)")
_HTML = re.compile(r"<(?:a|img)\b[^>]*?\b(?:href|src)\s*=\s*[\"']([^\"']+)", re.IGNORECASE)
_HTML_ID = re.compile(r"<[a-z]\w*\b[^>]*?\b(?:id|name)\s*=\s*[\"']([^\"']+)", re.IGNORECASE)
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:|^//")
_TEXT_OF_LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_EMPHASIS = re.compile(r"(?<!\w)(_{1,3})(?=\S)(.+?)(?<=\S)\1(?!\w)")
_TAG = re.compile(r"</?[A-Za-z][^>]*>")


def prose(file: File) -> List[Tuple[int, str]]:
    """The numbered lines of a document that stand in no code block."""
    lines, fence = [], ""
    for number, line in enumerate(file.lines, 1):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark.group(1).startswith(fence) and not line.strip("> ").strip(fence[0]):
                fence = ""
        elif mark:
            fence = mark.group(1)
        else:
            lines.append((number, line))
    return lines


def headings(file: File) -> Iterator[Tuple[int, int, str]]:
    """(line, level, text) of each heading, of both kinds."""
    previous = ""
    for number, line in prose(file):
        heading = _HEADING.match(line)
        under = _UNDERLINE.match(line)
        if heading:
            yield number, len(heading.group(1)), (heading.group(2) or "").strip()
        elif under and previous.strip() and not previous.lstrip().startswith(("|", "-", ">", "#")):
            yield number - 1, 1 if under.group(1)[0] == "=" else 2, previous.strip()
        previous = line


def slug(heading: str) -> str:
    """The anchor GitHub makes of a heading: letters of any script, digits, `_` and `-`."""
    text = _TEXT_OF_LINK.sub(r"\1", heading)
    parts = re.split(r"(`[^`]*`)", text)
    text = "".join(p if p.startswith("`") else _TAG.sub("", _EMPHASIS.sub(r"\2", p)) for p in parts)
    kept = []
    for char in text.strip().lower():
        category = unicodedata.category(char)
        if char == " ":
            kept.append("-")
        elif char in "-_" or category[0] in "LNM" or category == "Pc":
            kept.append(char)
    return "".join(kept)


@lru_cache(maxsize=None)
def anchors(file: File) -> FrozenSet[str]:
    """Every anchor of a document; a repeated heading gets -1, -2, …"""
    found, seen = set(), {}
    for _, _, text in headings(file):
        name = slug(text)
        count = seen.get(name, 0)
        seen[name] = count + 1
        found.add(f"{name}-{count}" if count else name)
    for _, line in prose(file):
        found.update(_HTML_ID.findall(line))
    return frozenset(found)


def links(file: File) -> Iterator[Tuple[int, str]]:
    for number, line in prose(file):
        line = _CODE.sub(lambda m: " " * len(m.group()), line)
        definition = _DEFINITION.match(line)
        if definition:
            yield number, definition.group(1)
            continue
        for match in _INLINE.finditer(line):
            yield number, match.group(1) or match.group(2)
        for target in _HTML.findall(line):
            yield number, target


def _problem(tree: Tree, file: File, target: str) -> str:
    path, _, anchor = target.partition("#")
    path = unquote(path.split("?")[0])
    found = file
    if path:
        base = "" if path.startswith("/") else file.folder
        place = posixpath.normpath(posixpath.join(base, path.lstrip("/")))
        place = "" if place == "." else place
        if place not in tree and place not in tree.folders:
            return f"`{target}` leads nowhere: there is no {place}"
        found = tree.get(place)
    if not anchor or found is None or not found.is_markdown:
        return ""
    if unquote(anchor).lower() in {a.lower() for a in anchors(found)}:
        return ""
    return f"`{target}` leads nowhere: {found.path} has no heading #{unquote(anchor)}"


@rule("doc-link")
def doc_link(tree: Tree):
    """Every relative link and #anchor in a document resolves."""
    for file in tree:
        if not file.is_markdown:
            continue
        for number, target in links(file):
            if not target or _SCHEME.match(target):
                continue
            problem = _problem(tree, file, target)
            if problem:
                yield file.path, number, problem


@rule("doc-title")
def doc_title(tree: Tree):
    """Every document has exactly one `# Title`."""
    for file in tree:
        if not file.is_markdown:
            continue
        titles = [number for number, level, _ in headings(file) if level == 1]
        if not titles:
            yield file.path, 1, "add a `# Title`"
        for number in titles[1:]:
            yield file.path, number, f"a second `# Title` (the first: line {titles[0]}): use ##"
