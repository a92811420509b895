"""Compares answers to queries of TPC-H with those that DuckDB gives to the SQL of the specification.

usage: tpch.py TABLES ANSWERS

TABLES has lineitem.csv, orders.csv and customer.csv; ANSWERS has q1.csv, q3.csv and q6.csv. Texts are compared as they are, numbers by
value, and averages, which the specification rounds, after rounding.
"""

import csv
import decimal
import sys

import duckdb

# Averages of decimals are floats to DuckDB, so that they are computed from sums here.
QUERIES = {
    "q1": """
        SELECT l_returnflag, l_linestatus, sum(l_quantity), sum(l_extendedprice), sum(l_extendedprice * (1 - l_discount)),
            sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)), sum(l_quantity), sum(l_extendedprice), sum(l_discount), count(*)
        FROM lineitem WHERE l_shipdate <= DATE '1998-12-01' - INTERVAL 90 DAY
        GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus""",
    "q3": """
        SELECT l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate, o_shippriority
        FROM customer, orders, lineitem
        WHERE c_mktsegment = 'BUILDING' AND c_custkey = o_custkey AND l_orderkey = o_orderkey
            AND o_orderdate < DATE '1995-03-15' AND l_shipdate > DATE '1995-03-15'
        GROUP BY l_orderkey, o_orderdate, o_shippriority ORDER BY revenue DESC, o_orderdate LIMIT 10""",
    "q6": """
        SELECT sum(l_extendedprice * l_discount) FROM lineitem
        WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1995-01-01'
            AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24""",
}

TYPES = {
    "l_quantity": "DECIMAL(15,2)", "l_extendedprice": "DECIMAL(15,2)", "l_discount": "DECIMAL(15,2)", "l_tax": "DECIMAL(15,2)",
    "l_shipdate": "DATE", "o_orderdate": "DATE", "o_totalprice": "DECIMAL(15,2)",
}


def expected(db, query):
    rows = [list(row) for row in db.execute(QUERIES[query]).fetchall()]
    if query == "q1":
        for row in rows:
            row[6:9] = [average(sum, row[9]) for sum in row[6:9]]
    return rows


def average(sum, count):
    return (decimal.Decimal(sum) / count).quantize(decimal.Decimal("0.01"), decimal.ROUND_HALF_UP)


def same(found, expected):
    if isinstance(expected, (int, decimal.Decimal)):
        return decimal.Decimal(found) == expected
    return found == str(expected)


def main():
    tables, answers = sys.argv[1:]
    decimal.getcontext().prec = 76
    db = duckdb.connect()
    for table in ["lineitem", "orders", "customer"]:
        path = f"{tables}/{table}.csv"
        names = db.sql("FROM read_csv($1)", params=[path]).columns
        types = ", ".join(f"{name}: '{type}'" for name, type in TYPES.items() if name in names)
        types = f", types = {{{types}}}" if types else ""
        db.execute(f"CREATE TABLE {table} AS FROM read_csv($1{types})", [path])
    for query in QUERIES:
        with open(f"{answers}/{query}.csv", newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        wanted = expected(db, query)
        if len(rows) != len(wanted):
            sys.exit(f"{query}: {len(rows)} rows, not {len(wanted)}")
        for row, model in zip(rows, wanted):
            for name, value, right in zip(header, row, model, strict=True):
                if not same(value, right):
                    sys.exit(f"{query}: {name} is {value}, not {right}")
        print(f"{query}: {len(rows)} rows as expected")


main()
