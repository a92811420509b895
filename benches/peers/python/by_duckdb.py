"""The jobs by DuckDB.

Rows stream from a reader to COPY .. TO: https://duckdb.org/docs/stable/sql/statements/copy. Where the order of rows means nothing, it is told
so, as https://duckdb.org/docs/stable/guides/performance/how_to_tune_workloads advises for memory.
"""

import duckdb

from job import FIELDS, QUERIES, SPACES, name, source, table, tables, target, threads


def words():
    lines = f"read_csv('{source}', header=false, delim=chr(1), quote='', escape='', columns={{'line': 'VARCHAR'}}, new_line='\\n', strict_mode=false, auto_detect=false)"
    # Of the ways to cut a text at any white space the fastest: translate and string_split take longer.
    split = f"regexp_split_to_array(line, '[{SPACES} ]+')"
    return f"SELECT word, count(*) AS count FROM (SELECT unnest({split}) AS word FROM {lines}) WHERE word <> '' GROUP BY word"


def csv():
    types = (
        "{'id': 'UBIGINT', 'customer': 'VARCHAR', 'city': 'VARCHAR', 'status': 'VARCHAR', 'quantity': 'UINTEGER', "
        "'price': 'DOUBLE', 'weight': 'DOUBLE', 'ordered': 'DATE', 'shipped': 'TIMESTAMP', 'comment': 'VARCHAR'}"
    )
    return f"SELECT * FROM read_csv('{source}', header=true, delim=',', quote='\"', escape='\"', columns={types})"


def logs():
    """The log as CSV with a space for a comma."""
    columns = ", ".join(f"'{field}': 'VARCHAR'" for field in FIELDS)
    rows = f"read_csv('{source}', header=false, delim=' ', quote='\"', escape='\\', columns={{{columns}}}, auto_detect=false)"
    return f"""SELECT host, nullif(ident, '-') AS ident, nullif("user", '-') AS "user",
        strptime(day || ' ' || zone, '[%d/%b/%Y:%H:%M:%S %z]') AS time,
        split_part(request, ' ', 1) AS method, split_part(request, ' ', 2) AS path, split_part(request, ' ', 3) AS protocol,
        status::USMALLINT AS status, nullif(bytes, '-')::UBIGINT AS bytes,
        nullif(referer, '-') AS referer, nullif(agent, '-') AS agent FROM {rows}"""


db = duckdb.connect()
db.execute(f"SET threads = {threads}")
db.execute("SET TimeZone = 'UTC'")
if name != "sort":
    db.execute("SET preserve_insertion_order = false")
for one in tables:
    db.execute(f"CREATE VIEW {one} AS SELECT * FROM read_parquet('{table(one)}')")
query = {"words": words, "csv": csv, "logs": logs}.get(name, lambda: QUERIES[name])()
db.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)")
