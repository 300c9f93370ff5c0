#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What DuckDB takes for the work of a first rebuild: `duckdb_peer.py STORE DATABASE` reads all
sidecars of a store into a table with four indexes and prints the rows and the seconds."""
import sys
import time

import duckdb

COLUMNS = ("file_id", "original_filename", "storage_filename", "storage_path", "content_type",
           "created_at", "updated_at", "created_by_id", "created_by_username", "description")
INDEXES = ("file_id", "created_at", "content_type", "original_filename")


def main(store, database):
    columns = ", ".join(f"content->>'$.{name}' AS {name}" for name in COLUMNS)
    began = time.monotonic()
    connection = duckdb.connect(database)
    connection.execute("SET threads = 2")
    connection.execute(f"CREATE TABLE entry AS SELECT {columns}, content AS sidecar "
                       "FROM read_text(?)", [f"{store}/**/*.attr.json"])
    for name in INDEXES:
        connection.execute(f"CREATE INDEX entry_{name} ON entry({name})")
    rows = connection.execute("SELECT count(*) FROM entry").fetchone()[0]
    connection.close()
    print(rows, f"{time.monotonic() - began:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
