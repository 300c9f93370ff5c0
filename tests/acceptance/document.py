# SPDX-License-Identifier: Apache-2.0
"""The shell blocks of a document, each with the headings above it."""

import dataclasses
import re


@dataclasses.dataclass
class Block:
    title: str  # the headings above it, joined by " / "
    text: str


def blocks(text, language="bash"):
    headings, found, inside = [], [], None
    for line in text.splitlines():
        if inside is not None:
            if line.strip() == "```":
                found.append(inside)
                inside = None
            else:
                inside.text += line + "\n"
        elif line.strip() == f"```{language}":
            inside = Block(" / ".join(headings), "")
        elif heading := re.match(r"(#+) (.*)", line):
            del headings[len(heading[1]) - 1:]
            headings.append(heading[2].strip())
    if inside is not None:
        raise ValueError(f"'{inside.title}' has a block without an end")
    return found
