#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What DuckDB takes for the work of a first rebuild: `duckdb_peer.py LIBRARY STORE DATABASE` reads
all sidecars of a store into a table with four indexes and prints the rows and the seconds. LIBRARY
is libduckdb.so."""
import ctypes
import sys
import time

COLUMNS = ("file_id", "original_filename", "storage_filename", "storage_path", "content_type",
           "created_at", "updated_at", "created_by_id", "created_by_username", "description")
INDEXES = ("file_id", "created_at", "content_type", "original_filename")


class Result(ctypes.Structure):
    """duckdb_result; its members are DuckDB's own affair."""
    _fields_ = [("members", ctypes.c_void_p * 6)]


class Duckdb:
    def __init__(self, library, database):
        self.duckdb = ctypes.CDLL(library)
        self.duckdb.duckdb_result_error.restype = ctypes.c_char_p
        self.duckdb.duckdb_value_int64.restype = ctypes.c_int64
        self.duckdb.duckdb_value_int64.argtypes = [ctypes.c_void_p, ctypes.c_uint64,
                                                   ctypes.c_uint64]
        self.database, self.connection = ctypes.c_void_p(), ctypes.c_void_p()
        if self.duckdb.duckdb_open(database.encode(), ctypes.byref(self.database)) != 0 or \
                self.duckdb.duckdb_connect(self.database, ctypes.byref(self.connection)) != 0:
            sys.exit(f"DuckDB cannot open {database}")

    def run(self, text):
        """The number in the first row, for those who asked for one."""
        result = Result()
        if self.duckdb.duckdb_query(self.connection, text.encode(), ctypes.byref(result)) != 0:
            sys.exit(self.duckdb.duckdb_result_error(ctypes.byref(result)).decode())
        number = self.duckdb.duckdb_value_int64(ctypes.byref(result), 0, 0)
        self.duckdb.duckdb_destroy_result(ctypes.byref(result))
        return number

    def close(self):
        self.duckdb.duckdb_disconnect(ctypes.byref(self.connection))
        self.duckdb.duckdb_close(ctypes.byref(self.database))


def main(library, store, database):
    columns = ", ".join(f"content->>'$.{name}' AS {name}" for name in COLUMNS)
    began = time.monotonic()
    duckdb = Duckdb(library, database)
    duckdb.run("SET threads = 2")
    # Else it takes more memory than it has for so many small files.
    duckdb.run("SET preserve_insertion_order = false")
    duckdb.run(f"CREATE TABLE entry AS SELECT {columns}, content AS sidecar "
               f"FROM read_text('{store}/**/*.attr.json')")
    for name in INDEXES:
        duckdb.run(f"CREATE INDEX entry_{name} ON entry({name})")
    rows = duckdb.run("SELECT count(*) FROM entry")
    duckdb.close()
    print(rows, f"{time.monotonic() - began:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
