#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Computes content hashes and digests from docs/formats/content.md alone and compares them with
vectors/expected.tsv. It shares no code with the codec: what both agree on is what the page says.

    content_check.py [--print | --canonical VECTOR]
"""

import datetime
import hashlib
import json
import pathlib
import re
import struct
import sys

VECTORS = pathlib.Path(__file__).parent / "vectors"
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)

# number of the field: the names that give its value (docs/formats/sidecar.md), the best one first
NAMES = {
    1: ["file_id"], 2: ["original_filename"], 3: ["storage_filename"], 4: ["storage_path"],
    5: ["file_size", "size"], 6: ["content_type", "mime_type"], 7: ["created_at", "uploaded_at"],
    8: ["updated_at"], 9: ["created_by_id", "uploaded_by"],
    10: ["created_by_username", "uploaded_by", "created_by"],
    11: ["created_by_fullname", "uploader_full_name"], 12: ["description"], 13: ["version"],
    14: ["checksum", "sha256", "checksum_sha256", "sha256_hash"], 15: ["tags"],
    16: ["retention_policy"], 17: ["ttl_days", "retention_days"],
    18: ["retention_expires_at", "expires_at", "ttl_expires_at"], 19: ["metadata"],
    20: ["custom_attributes"], 0: ["schema_version"],
}  # fmt: skip
DEFAULTS = {4: "", 6: "application/octet-stream", 9: "unknown", 10: "unknown"}


def members(text):
    """The outermost members as (name as spelled, value without white space)."""
    depth, piece, found = 0, [], []
    for token in TOKEN.findall(text):
        depth -= token in "}]"
        if depth == 1 and token == "," or depth == 0 and token == "}":
            if piece:
                found.append((piece[0], "".join(piece[2:])))
            piece = []
        elif depth >= 1:
            piece.append(token)
        depth += token in "{["
    return found


def micros(text):
    m = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?", text)
    offset = "+00:00" if m[4] in (None, "Z") else m[4]
    whole = datetime.datetime.fromisoformat(f"{m[1]}T{m[2]}{offset}") - EPOCH
    return (whole.days * 86400 + whole.seconds) * 10**6 + int((m[3] or "").ljust(6, "0")[:6])


def fields(text):
    """The values by number of the field; 21 is the text of the unknown members."""
    all_members = members(text)
    spelled = {json.loads(name): value for name, value in all_members}
    chosen = {
        number: next((n for n in names if spelled.get(n, "null") != "null"), None)
        for number, names in NAMES.items()
    }
    known = {name for names in NAMES.values() for name in names}
    values = {number: spelled[name] for number, name in chosen.items() if name}
    values[21] = ",".join(
        f"{name}:{value}"
        for name, value in all_members
        if json.loads(name) not in chosen.values()
        and not (json.loads(name) in known and value == "null")
    )
    return values


def encoded(number, spelled):
    """The values of one field as bytes: none, one, or as many as there are tags."""
    if number in (19, 20, 21):
        return [spelled.encode()] if spelled and (number == 19 or spelled != "{}") else []
    value = json.loads(spelled)
    if number == 1:
        return [bytes.fromhex(value.replace("-", ""))]
    if number == 14:
        return [bytes.fromhex(value.removeprefix("sha256:"))]
    if number in (7, 8, 18):
        value = micros(value)
    if number in (5, 7, 8, 17, 18):
        return [struct.pack("<q", value)]
    return [str(v).encode() for v in (value if number == 15 else [value])]


def canonical(text):
    values = {n: json.dumps(v) for n, v in DEFAULTS.items()} | {19: "{}"} | fields(text)
    values.setdefault(8, values[7])
    path = json.loads(values[4])
    name = json.loads(values[3]) if 3 in values else path.rpartition("/")[2]
    folder = path.removesuffix(name) if path == name or path.endswith("/" + name) else path
    values[3], values[4] = json.dumps(name), json.dumps(folder.rstrip("/") + "/" if folder else "")
    out = b"artcache entry 1\n"
    for number in range(1, 22):
        for value in encoded(number, values[number]) if number in values else []:
            out += struct.pack("<BI", number, len(value)) + value
    return out


def digest(hashes):
    """hashes: key -> content hash, as hexadecimal digits."""
    parts = (hashlib.sha256(bytes.fromhex(h) + k.encode()).digest()[:16] for k, h in hashes.items())
    return f"{sum(int.from_bytes(p, 'big') for p in parts) % 2**128:032x}"


def main():
    texts = {p.name.removesuffix(".attr.json"): p.read_bytes().decode()
             for p in sorted(VECTORS.glob("*.attr.json"))}  # fmt: skip
    if sys.argv[1:2] == ["--canonical"]:
        print(canonical(texts[sys.argv[2]]).hex())
        return 0
    found = {name: hashlib.sha256(canonical(t)).hexdigest()[:32] for name, t in texts.items()}
    found["(all)"] = digest({name: h for name, h in found.items()})
    if sys.argv[1:] == ["--print"]:
        print("\n".join(f"{name}\t{value}" for name, value in found.items()))
        return 0
    rows = [line.split("\t") for line in (VECTORS / "expected.tsv").read_text().splitlines()]
    expected = {r[0]: r[2] for r in rows if r[1] in ("content_hash", "digest")}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            print(f"{name}: table {expected.get(name)}, computed {found.get(name)}")
    print(f"{len(found)} values compared")
    return expected != found


if __name__ == "__main__":
    sys.exit(main())
