"""The jobs by Polars.

Lazy frames that a sink runs on the streaming engine, as https://docs.pola.rs/user-guide/concepts/streaming/ advises.
"""

import os
from datetime import date

from job import SPACES, name, source, table, target, threads

os.environ["POLARS_MAX_THREADS"] = str(threads)  # read when Polars is loaded

import polars as pl
from polars import col


def words():
    line = col("line").str.replace_many(list(SPACES), [" "])
    words = pl.scan_lines(source).select(line.str.split(" ").alias("word")).explode("word")
    return words.filter(col("word") != "").group_by("word").agg(pl.len().alias("count"))


def csv():
    types = {
        "id": pl.UInt64, "customer": pl.String, "city": pl.String, "status": pl.String, "quantity": pl.UInt32,
        "price": pl.Float64, "weight": pl.Float64, "ordered": pl.Date, "shipped": pl.String, "comment": pl.String,
    }
    shipped = col("shipped").str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", time_unit="ms", time_zone="UTC")
    return pl.scan_csv(source, schema=types).with_columns(shipped)


def logs():
    """The log as CSV, with quotes for commas: one that is escaped is an error to Polars where quotes are quotes."""
    names = ["client", "request", "response", "referer", "space", "agent", "rest"]
    rows = pl.scan_csv(
        source, separator='"', quote_char=None, has_header=False, schema=dict.fromkeys(names, pl.String),
        truncate_ragged_lines=True,
    )
    client = col("client").str.splitn(" ", 4).struct.rename_fields(["host", "ident", "user", "time"])
    request = col("request").str.splitn(" ", 3).struct.rename_fields(["method", "path", "protocol"])
    response = col("response").str.splitn(" ", 4).struct.rename_fields(["before", "status", "bytes", "after"])
    rows = rows.select(client, request, response, "referer", "agent").unnest("client", "request", "response")
    time = col("time").str.strip_chars("[] ").str.to_datetime("%d/%b/%Y:%H:%M:%S %z", time_unit="ms")

    def text(name):
        return pl.when(col(name) != "-").then(col(name)).alias(name)

    return rows.select(
        "host", text("ident"), text("user"), time, "method", "path", "protocol", col("status").cast(pl.UInt16),
        text("bytes").cast(pl.UInt64), text("referer"), text("agent"),
    )


def scan(name):
    return pl.scan_parquet(table(name))


def group():
    value = col("value")
    sums = pl.len().alias("count"), value.sum().alias("total"), value.max().alias("largest")
    return scan("events").group_by("account").agg(*sums)


def join():
    return scan("events").join(scan("accounts"), on="account").select("id", "value", "label")


def sort():
    return scan("events").select("id", "name").sort("id")


# A product has as many decimals as its factors have, and is rounded: so a factor gets those of the product.
PRICE = col("l_extendedprice").cast(pl.Decimal(38, 4))
DISC_PRICE = PRICE * (1 - col("l_discount"))
CHARGE = DISC_PRICE.cast(pl.Decimal(38, 6)) * (1 + col("l_tax"))


def q1():
    rows = scan("lineitem").filter(col("l_shipdate") <= date(1998, 9, 2))
    return rows.group_by("l_returnflag", "l_linestatus").agg(
        col("l_quantity").sum().alias("sum_qty"), col("l_extendedprice").sum().alias("sum_base_price"),
        DISC_PRICE.sum().alias("sum_disc_price"), CHARGE.sum().alias("sum_charge"),
        col("l_quantity").mean().alias("avg_qty"), col("l_extendedprice").mean().alias("avg_price"),
        col("l_discount").mean().alias("avg_disc"), pl.len().alias("count_order"),
    ).sort("l_returnflag", "l_linestatus")


def q3():
    today = date(1995, 3, 15)
    customers = scan("customer").filter(col("c_mktsegment") == "BUILDING")
    orders = scan("orders").filter(col("o_orderdate") < today)
    items = scan("lineitem").filter(col("l_shipdate") > today)
    rows = customers.join(orders, left_on="c_custkey", right_on="o_custkey")
    rows = rows.join(items, left_on="o_orderkey", right_on="l_orderkey")
    groups = rows.group_by("o_orderkey", "o_orderdate", "o_shippriority").agg(DISC_PRICE.sum().alias("revenue"))
    rows = groups.select(col("o_orderkey").alias("l_orderkey"), "revenue", "o_orderdate", "o_shippriority")
    return rows.sort("revenue", "o_orderdate", descending=[True, False]).head(10)


def q6():
    rows = scan("lineitem").filter(
        col("l_shipdate").is_between(date(1994, 1, 1), date(1994, 12, 31)), col("l_discount").is_between(0.05, 0.07),
        col("l_quantity") < 24,
    )
    return rows.select((PRICE * col("l_discount")).sum().alias("revenue"))


JOBS = {
    "words": words, "csv": csv, "logs": logs, "group": group, "join": join, "sort": sort, "tpch-q1": q1, "tpch-q3": q3,
    "tpch-q6": q6,
}
# As the streaming engine delivers them, where the order of rows means nothing.
ordered = name in ("sort", "tpch-q1", "tpch-q3")
JOBS[name]().sink_parquet(target, compression="zstd", compression_level=1, maintain_order=ordered)
