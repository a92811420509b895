"""The jobs by DataFusion.

SQL on registered files, written by COPY .. TO: https://datafusion.apache.org/user-guide/sql/dml.html. As many partitions as threads:
https://datafusion.apache.org/python/user-guide/configuration.html.
"""

import os

from job import FIELDS, QUERIES, SPACES, name, source, table, tables, target, threads

os.environ["TOKIO_WORKER_THREADS"] = str(threads)  # read when the runtime starts

import datafusion


def external(ctx, name, columns, options):
    ctx.sql(f"CREATE EXTERNAL TABLE {name} ({columns}) STORED AS CSV LOCATION '{source}' OPTIONS ({options})").collect()


def words(ctx):
    external(ctx, "lines", "line VARCHAR", "'has_header' 'false', 'delimiter' '\x01', 'quote' '\x02'")
    split = f"string_to_array(translate(line, '{SPACES}', '{' ' * len(SPACES)}'), ' ')"
    return f"SELECT word, count(*) AS count FROM (SELECT unnest({split}) AS word FROM lines) WHERE word <> '' GROUP BY word"


def csv(ctx):
    columns = (
        "id BIGINT UNSIGNED, customer VARCHAR, city VARCHAR, status VARCHAR, quantity INT UNSIGNED, price DOUBLE, "
        "weight DOUBLE, ordered DATE, shipped TIMESTAMP, comment VARCHAR"
    )
    external(ctx, "rows", columns, "'has_header' 'true', 'newlines_in_values' 'true'")
    return "SELECT * FROM rows"


def logs(ctx):
    """The log as CSV with a space for a comma."""
    columns = ", ".join(f'"{field}" VARCHAR' for field in FIELDS)
    external(ctx, "rows", columns, "'has_header' 'false', 'delimiter' ' ', 'quote' '\"', 'escape' '\\'")
    return """SELECT host, nullif(ident, '-') AS ident, nullif("user", '-') AS "user",
        to_timestamp_millis(concat(day, ' ', zone), '[%d/%b/%Y:%H:%M:%S %z]') AS time,
        split_part(request, ' ', 1) AS method, split_part(request, ' ', 2) AS path, split_part(request, ' ', 3) AS protocol,
        CAST(status AS SMALLINT UNSIGNED) AS status, CAST(nullif(bytes, '-') AS BIGINT UNSIGNED) AS bytes,
        nullif(referer, '-') AS referer, nullif(agent, '-') AS agent FROM rows"""


ctx = datafusion.SessionContext(datafusion.SessionConfig().with_target_partitions(threads))
for one in tables:
    ctx.register_parquet(one, table(one))
query = {"words": words, "csv": csv, "logs": logs}.get(name, lambda _: QUERIES[name])(ctx)
# A file for each partition, but one file where rows have an order.
to = target if name in ("sort", "tpch-q1", "tpch-q3", "tpch-q6") else os.path.join(os.path.dirname(target), "parts/")
ctx.sql(f"COPY ({query}) TO '{to}' STORED AS PARQUET OPTIONS ('format.compression' 'zstd(1)')").collect()
