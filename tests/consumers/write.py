"""Writes the same rows as Parquet with pyarrow, Polars, DuckDB and PySpark, each as it does by default.

usage: write.py DIR
"""

import datetime
import decimal
import sys

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from read_pyspark import Reader as Spark

ROWS = 10_000
GROUP = 1000
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)

SCHEMA = pa.schema([
    ("id", pa.int64()), ("text", pa.string()), ("at", pa.timestamp("us", "UTC")), ("day", pa.date32()), ("price", pa.decimal128(15, 2)),
    ("ratio", pa.float64()), ("flag", pa.bool_()), ("tags", pa.list_(pa.string())),
])


def row(n):
    """The row of the same number in tests/consumers.rs."""
    return {
        "id": n,
        "text": None if n % 5 == 0 else f"text {n // 3:05}",
        "at": None if n % 4 == 0 else EPOCH + datetime.timedelta(microseconds=n * 1_000_003),
        "day": EPOCH.date() + datetime.timedelta(days=n // 100),
        "price": decimal.Decimal(n).scaleb(-2),
        "ratio": float("nan") if n % 7 == 0 else n / 8,
        "flag": n % 3 == 0,
        "tags": [f"tag {i}" for i in range(n % 3)],
    }


def main():
    dir = sys.argv[1]
    table = pa.Table.from_pylist([row(n) for n in range(ROWS)], SCHEMA)
    pq.write_table(table, f"{dir}/pyarrow.parquet", row_group_size=GROUP)
    pl.from_arrow(table).write_parquet(f"{dir}/polars.parquet", row_group_size=GROUP)
    db = duckdb.connect()
    db.register("rows", table)
    # Its row groups are multiples of 2048 rows.
    db.execute(f"COPY rows TO '{dir}/duckdb.parquet' (ROW_GROUP_SIZE 2048)")
    spark = Spark().spark.read.parquet(f"{dir}/pyarrow.parquet")
    # In order of the ids: neither several tasks nor several files may change it.
    spark.coalesce(1).sortWithinPartitions("id").write.option("compression", "gzip").parquet(f"{dir}/pyspark.parquet")


main()
