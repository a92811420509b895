#!/usr/bin/env python3
"""Runs jobs within one process, and on Spark, and compares what they give row for row.

usage: jobs.py BIN SPARK_HOME [local|cluster]

BIN is a directory of cargo, such as target/release, with `gristmill` and `examples/`. On `cluster`, the default, the jobs run on a stand-alone cluster of a master and two
workers; on `local`, on local[2].
"""
import hashlib
import os
import random
import re
import subprocess
import sys
import tempfile

from cluster import Cluster


def inputs(directory):
    """Texts, links, sets and records, the same in every run."""
    chance = random.Random(7)
    words = [f"word{number}" for number in range(3000)]
    weights = [1 / (rank + 1) for rank in range(len(words))]

    def write(name, lines):
        with open(os.path.join(directory, name), "w") as file:
            file.writelines(line + "\n" for line in lines)

    os.mkdir(os.path.join(directory, "texts"))
    for number in range(4):
        write(f"texts/{number}.txt", (" ".join(chance.choices(words, weights, k=12)) for _ in range(40_000)))
    write("links.txt", (f"n{chance.randrange(2000)} n{int(chance.paretovariate(0.7)) % 2000}" for _ in range(30_000)))
    write("sets.txt", sorted({",".join(f"i{number:02}" for number in sorted(chance.sample(range(30), 3))) for _ in range(3000)}))
    write("records.txt", (f"{chance.randrange(10 ** 9):010}\tvalue {number}" for number in range(200_000)))
    write("broken.csv", ["id,city"] + [f"{number}{'x' * (number % 700 == 9)},city {number % 97}" for number in range(200_000)])
    write("orders.csv", ["id,city,price"] + [f"{number},city {number % 97},{chance.randrange(10_000) / 100}" for number in range(100_000)])


JOBS = {
    "wordcount": "gristmill wordcount texts -o OUT",
    "convert": "gristmill convert orders.csv -o OUT",
    "partitions": "gristmill convert orders.csv -o OUT --partition-by city",
    "sort": "gristmill sort orders.csv --by city,-price -o OUT",
    "single file": "gristmill sort orders.csv --by city,-price -o OUT.csv.gz",
    "printed": "gristmill convert orders.csv -o - --to jsonl",
    "rejects": "gristmill convert broken.csv --infer-rows 5 --on-error reject=OUT.csv --max-errors 2% -o OUT.parquet",
    "aggregate": "gristmill aggregate orders.csv --group-by city --agg count --agg sum(price) --agg max(id) -o OUT",
    "inverted index": "examples/inverted_index texts/0.txt texts/1.txt texts/2.txt texts/3.txt OUT",
    "self-join": "examples/self_join sets.txt OUT",
    "terasort": "examples/terasort records.txt OUT",
    "pagerank": "examples/pagerank links.txt 3",
}


class Runner:
    def __init__(self, binaries, directory, env):
        self.binaries, self.directory, self.env = binaries, directory, env

    def run(self, line, env=None):
        """What a command prints."""
        program, *arguments = line.split()
        command = [os.path.join(self.binaries, program), *arguments]
        done = subprocess.run(command, cwd=self.directory, env={**os.environ, **(env or {})}, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{line}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def rows(self, name, line, place, env=None):
        """A digest of the rows that a job gives, and their number."""
        out = f"{name.replace(' ', '-')}-{place}"
        printed = self.run(line.replace("OUT", out), env).encode()
        files = [out + ending for ending in re.findall(r"OUT([.][a-z.]+)", line)]
        if files:
            # Single files are those of one process to the byte.
            for file in files:
                with open(os.path.join(self.directory, file), "rb") as opened:
                    printed += opened.read()
        elif "OUT" in line:
            self.run(f"gristmill verify {out}")
            self.run(f"gristmill convert {out} --from parquet -o {out}.jsonl")
            with open(os.path.join(self.directory, f"{out}.jsonl"), "rb") as file:
                printed = file.read()
        return printed.count(b"\n"), hashlib.sha256(printed).hexdigest()


def compare(runner):
    wrong = 0
    for name, line in JOBS.items():
        alone = runner.rows(name, line, "alone")
        on_spark = runner.rows(name, line, "spark", runner.env)
        wrong += alone != on_spark
        print(f"{'same' if alone == on_spark else 'OTHER'}  {name}: {alone[0]} lines, {on_spark[0]} on Spark", flush=True)
    return wrong


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    binaries, spark_home, *where = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        inputs(directory)
        if where == ["local"]:
            env = {"SPARK_HOME": spark_home, "GRISTMILL_MASTER": "local[2]", "SPARK_LOCAL_IP": "127.0.0.1"}
            sys.exit(compare(Runner(os.path.abspath(binaries), directory, env)))
        with Cluster(spark_home, os.path.join(directory, "cluster")) as cluster:
            sys.exit(compare(Runner(os.path.abspath(binaries), directory, cluster.env)))


if __name__ == "__main__":
    main()
