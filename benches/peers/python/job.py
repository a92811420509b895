"""What all peers of Python share: the arguments JOB INPUT OUTPUT THREADS, where the tables lie, and the queries in SQL."""

import os
import sys

name, source, output, threads = sys.argv[1:]
threads = int(threads)
target = os.path.join(output, "out.parquet")


def table(name):
    return os.path.join(source, name, f"{name}.parquet")


# The tables that a job reads.
TABLES = {
    "group": ["events"],
    "join": ["events", "accounts"],
    "sort": ["events"],
    "tpch-q1": ["lineitem"],
    "tpch-q3": ["customer", "orders", "lineitem"],
    "tpch-q6": ["lineitem"],
}
tables = TABLES.get(name, [])

# White space as Unicode has it, but the space itself: the texts contain more than ASCII's.
SPACES = "\t\n\v\f\r\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"

# The fields of a log between spaces and quotes, where brackets are nothing special.
FIELDS = "host ident user day zone request status bytes referer agent".split()

QUERIES = {
    "group": "SELECT account, count(*) AS count, CAST(sum(value) AS BIGINT) AS total, max(value) AS largest FROM events GROUP BY account",
    "join": "SELECT id, value, label FROM events JOIN accounts ON events.account = accounts.account",
    "sort": "SELECT id, name FROM events ORDER BY id",
    # The queries of the specification, with the parameters of its qualification.
    "tpch-q1": """
        SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty, sum(l_extendedprice) AS sum_base_price,
            sum(l_extendedprice * (1 - l_discount)) AS sum_disc_price,
            sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS sum_charge,
            avg(l_quantity) AS avg_qty, avg(l_extendedprice) AS avg_price, avg(l_discount) AS avg_disc,
            count(*) AS count_order
        FROM lineitem WHERE l_shipdate <= DATE '1998-12-01' - INTERVAL '90' DAY
        GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus""",
    "tpch-q3": """
        SELECT l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate, o_shippriority
        FROM customer, orders, lineitem
        WHERE c_mktsegment = 'BUILDING' AND c_custkey = o_custkey AND l_orderkey = o_orderkey
            AND o_orderdate < DATE '1995-03-15' AND l_shipdate > DATE '1995-03-15'
        GROUP BY l_orderkey, o_orderdate, o_shippriority ORDER BY revenue DESC, o_orderdate LIMIT 10""",
    "tpch-q6": """
        SELECT sum(l_extendedprice * l_discount) AS revenue FROM lineitem
        WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1994-01-01' + INTERVAL '1' YEAR
            AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24""",
}
