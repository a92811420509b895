#!/usr/bin/env python3
"""Counts words on a stand-alone cluster of Spark, by gristmill and by PySpark's data frames, in turn, and compares wall and processor time.

usage: spark.py BIN SPARK_HOME TEXT [RUNS]

BIN is a directory of cargo with a release build of `gristmill`. The cluster, a master and two workers of two cores, is the same for all runs. Processor time is that of all its
processes, and of the programs that submit.
"""
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "spark"))
from cluster import Cluster  # noqa: E402

DATAFRAME = """
import sys
from pyspark.sql import SparkSession
from pyspark.sql.functions import col, explode, split

spark = SparkSession.builder.getOrCreate()
words = spark.read.text(sys.argv[1]).select(explode(split(col("value"), "\\\\s+")).alias("word")).where(col("word") != "")
words.groupBy("word").count().write.mode("overwrite").parquet(sys.argv[2])
"""


def cpu_seconds(cluster):
    """Processor time of all processes of the cluster, with those that they have waited for, and of what we have waited for."""
    ticks = 0
    for service in cluster.services:
        with open(f"/proc/{service.process.pid}/stat") as stat:
            ticks += sum(int(field) for field in stat.read().rsplit(")", 1)[1].split()[11:15])
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ticks / os.sysconf("SC_CLK_TCK") + own.ru_utime + own.ru_stime


def executors_are_gone(cluster):
    """Waits until the workers have seen the ends of their executors, so that their time is counted."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ours = {str(service.process.pid) for service in cluster.services}
        alive = subprocess.run(["ps", "-eo", "ppid="], capture_output=True, text=True).stdout.split()
        if not ours & set(alive):
            return
        time.sleep(0.05)
    raise RuntimeError("an executor does not end")


def measured(cluster, command, env):
    before, start = cpu_seconds(cluster), time.monotonic()
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True)
    wall = time.monotonic() - start
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
    executors_are_gone(cluster)
    return wall, cpu_seconds(cluster) - before


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    binaries, spark_home, text, *runs = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        script = os.path.join(directory, "words.py")
        with open(script, "w") as file:
            file.write(DATAFRAME)
        with Cluster(spark_home, os.path.join(directory, "cluster")) as cluster:
            submit = os.path.join(spark_home, "bin", "spark-submit")
            commands = {
                "data frame": [submit, "--master", cluster.url, script, os.path.abspath(text), os.path.join(directory, "by-dataframe")],
                "gristmill": [os.path.join(binaries, "gristmill"), "wordcount", os.path.abspath(text), "-o", os.path.join(directory, "by-gristmill"), "--overwrite"],
            }
            times = {name: [] for name in commands}
            for _ in range(int(runs[0]) if runs else 3):
                for name, command in commands.items():
                    times[name].append(measured(cluster, command, cluster.env))
                    print(f"{name}: {times[name][-1][0]:.1f} s, {times[name][-1][1]:.1f} s of processors", flush=True)
            for place, what in enumerate(["wall", "processors"]):
                ratios = [ours[place] / theirs[place] for ours, theirs in zip(times["gristmill"], times["data frame"])]
                print(f"{what}: gristmill to data frame {min(ratios):.2f} / {statistics.median(ratios):.2f} / {max(ratios):.2f}")


if __name__ == "__main__":
    main()
