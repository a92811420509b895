"""Copies the tables of TPC-H, MADE TARGET: quantities, which are whole, become whole numbers; a directory for each table."""

import os
import sys

import duckdb

made, target = sys.argv[1:]
for table in ("customer", "orders", "lineitem"):
    os.makedirs(os.path.join(target, table))
    replace = "REPLACE (l_quantity::BIGINT AS l_quantity)" if table == "lineitem" else ""
    duckdb.execute(
        f"COPY (SELECT * {replace} FROM read_parquet('{made}/{table}.parquet')) TO '{target}/{table}/{table}.parquet' "
        "(FORMAT parquet, COMPRESSION zstd)"
    )
