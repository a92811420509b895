"""The jobs of the bench by DuckDB, Polars and DataFusion: JOB PEER WAY INPUT OUTPUT THREADS.

The columns have the types that gristmill gives them. Lines that cannot be read are left out.
"""

import os
import sys

job, peer, way, source, output, threads = sys.argv[1:]
os.environ["POLARS_MAX_THREADS"] = os.environ["TOKIO_WORKER_THREADS"] = threads
target = os.path.join(output, "out.parquet")

# A line of the log, by regular expression.
PATTERN = (
    r'^(?P<host>\S+) (?P<ident>\S+) (?P<user>\S+) \[(?P<time>[^\]]+)\] '
    r'"(?P<method>\S+) (?P<path>[^"]*) (?P<protocol>\S+)" (?P<status>\d+) (?P<bytes>\d+|-) '
    r'"(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)"$'
)
NAMES = "host ident user time method path protocol status bytes referer agent".split()
TIME = "%d/%b/%Y:%H:%M:%S %z"
# The fields between spaces, where brackets are nothing special.
FIELDS = "host ident user day zone request status bytes referer agent".split()
GROUP = "SELECT city, count(*) AS n, sum(quantity) AS q, sum(price) AS p FROM {} GROUP BY city"


def answer(groups, count, quantity, price):
    print(f"{groups} groups of {count} rows, {quantity}, {price:.0f}")


def duckdb_source():
    """The input as something that stands behind FROM."""
    if job != "logs":
        types = (
            "{'id': 'UBIGINT', 'customer': 'VARCHAR', 'city': 'VARCHAR', 'status': 'VARCHAR', 'quantity': 'UINTEGER', "
            "'price': 'DOUBLE', 'weight': 'DOUBLE', 'ordered': 'DATE', 'shipped': 'TIMESTAMP', 'comment': 'VARCHAR'}"
        )
        return f"read_csv('{source}', header=true, delim=',', quote='\"', escape='\"', columns={types})"
    if way == "fields":
        columns = ", ".join(f"'{name}': 'VARCHAR'" for name in FIELDS)
        rows = (
            f"read_csv('{source}', header=false, delim=' ', quote='\"', escape='\\', columns={{{columns}}}, "
            "ignore_errors=true, strict_mode=false)"
        )
        return f"""(SELECT host, nullif(ident, '-') AS ident, nullif("user", '-') AS "user",
            try_strptime(day || ' ' || zone, '[{TIME}]') AS time,
            split_part(request, ' ', 1) AS method, split_part(request, ' ', 2) AS path,
            split_part(request, ' ', 3) AS protocol, TRY_CAST(status AS USMALLINT) AS status,
            TRY_CAST(bytes AS UBIGINT) AS bytes, nullif(referer, '-') AS referer, nullif(agent, '-') AS agent
            FROM {rows} WHERE agent IS NOT NULL)"""
    pattern = PATTERN.replace("'", "''")
    lines = (
        f"read_csv('{source}', header=false, delim=chr(1), quote='', escape='', columns={{'line': 'VARCHAR'}})"
    )
    return f"""(SELECT m.host, nullif(m.ident, '-') AS ident, nullif(m."user", '-') AS "user",
        strptime(m.time, '{TIME}') AS time, m.method, m.path, m.protocol, m.status::USMALLINT AS status,
        nullif(m.bytes, '-')::UBIGINT AS bytes, nullif(m.referer, '-') AS referer, nullif(m.agent, '-') AS agent
        FROM (SELECT regexp_extract(line, '{pattern}', {NAMES}) AS m FROM {lines}) WHERE m.host <> '')"""


def by_duckdb():
    import duckdb

    db = duckdb.connect()
    db.execute(f"SET threads = {threads}")
    db.execute("SET TimeZone = 'UTC'")
    if job == "group":
        groups = GROUP.format(duckdb_source())
        answer(*db.execute(f"SELECT count(*), sum(n), sum(q), sum(p) FROM ({groups})").fetchone())
        return
    options = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
    db.execute(f"COPY (SELECT * FROM {duckdb_source()}) TO '{target}' ({options})")


def polars_source(pl):
    if job != "logs":
        types = {
            "id": pl.UInt64, "customer": pl.String, "city": pl.String, "status": pl.String, "quantity": pl.UInt32,
            "price": pl.Float64, "weight": pl.Float64, "ordered": pl.Date, "shipped": pl.String, "comment": pl.String,
        }
        shipped = pl.col("shipped").str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", time_unit="ms", time_zone="UTC")
        return pl.scan_csv(source, schema=types).with_columns(shipped)
    if way == "fields":
        # Quotes that are escaped, or not closed, are errors here that nothing turns off; so quotes are what stands between fields.
        names = ["client", "request", "response", "referer", "space", "agent", "rest"]
        rows = pl.scan_csv(
            source, separator='"', quote_char=None, has_header=False, schema=dict.fromkeys(names, pl.String),
            truncate_ragged_lines=True,
        ).filter(pl.col("agent").is_not_null())
        client = pl.col("client").str.splitn(" ", 4).struct.rename_fields(["host", "ident", "user", "time"])
        request = pl.col("request").str.splitn(" ", 3).struct.rename_fields(["method", "path", "protocol"])
        response = pl.col("response").str.splitn(" ", 4).struct.rename_fields(["before", "status", "bytes", "after"])
        rows = rows.select(client, request, response, "referer", "agent").unnest("client", "request", "response")
        rows = rows.with_columns(pl.col("time").str.strip_chars("[] "))
    else:
        lines = pl.scan_csv(source, separator="\x01", quote_char=None, has_header=False, schema={"line": pl.String})
        rows = lines.select(pl.col("line").str.extract_groups(PATTERN)).unnest("line")
        rows = rows.filter(pl.col("host").is_not_null())

    def text(name):
        return pl.when(pl.col(name) != "-").then(pl.col(name)).alias(name)

    return rows.select(
        "host", text("ident"), text("user"), pl.col("time").str.to_datetime(TIME, time_unit="ms", strict=False),
        "method", "path", "protocol", pl.col("status").cast(pl.UInt16, strict=False),
        text("bytes").cast(pl.UInt64, strict=False), text("referer"), text("agent"),
    )


def by_polars():
    import polars as pl

    rows = polars_source(pl)
    if job == "group":
        groups = rows.group_by("city").agg(pl.len().alias("n"), pl.col("quantity").sum(), pl.col("price").sum())
        total = groups.select(pl.len().alias("groups"), pl.col("n").sum(), pl.col("quantity").sum(), pl.col("price").sum())
        answer(*total.collect(engine="streaming").row(0))
        return
    rows.sink_parquet(target, compression="zstd", compression_level=1)


def by_datafusion():
    import datafusion

    ctx = datafusion.SessionContext(datafusion.SessionConfig().with_target_partitions(int(threads)))
    ctx.sql(
        "CREATE EXTERNAL TABLE orders (id BIGINT UNSIGNED, customer VARCHAR, city VARCHAR, status VARCHAR, "
        "quantity INT UNSIGNED, price DOUBLE, weight DOUBLE, ordered DATE, shipped VARCHAR, comment VARCHAR) "
        f"STORED AS CSV LOCATION '{source}' OPTIONS ('has_header' 'true', 'newlines_in_values' 'true')"
    ).collect()
    groups = GROUP.format("orders")
    total = ctx.sql(f"SELECT count(*), sum(n), sum(q), sum(p) FROM ({groups})").collect()[0]
    answer(*(column[0].as_py() for column in total.columns))


{"duckdb": by_duckdb, "polars": by_polars, "datafusion": by_datafusion}[peer]()
