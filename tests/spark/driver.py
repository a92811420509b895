#!/usr/bin/env python3
"""Runs the driver of spark/ with a fake job, on local[2] and on a stand-alone cluster, and prints what passed.

usage: driver.py [SPARK_HOME...]; without one, $SPARK_HOME, or else the pyspark of target/consumers (tests/setup.sh).
Its files lie in a directory of their own, which is left there if something failed.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # the sources lie beside this file

from cluster import Cluster
from fake_job import alive, await_true

HERE = os.path.dirname(os.path.abspath(__file__))
JAR = os.path.join(HERE, "../../spark/gristmill.jar")
JOB = os.path.join(HERE, "fake_job.py")

EVERYWHERE = "word_count many_partitions reads requests broadcast large_frames printing errors canceled lost_files garbage".split()
WITH_RETRIES = "killed_child killed_executor_in_map killed_executor_in_reduce speculation".split()
SPECULATION = {"speculation": "true", "speculation.interval": "100ms", "speculation.multiplier": "1.1", "speculation.quantile": "0.5"}


class Bench:
    """One Spark at one place: a directory, and how jobs are submitted."""

    def __init__(self, spark_home, directory, master, env):
        self.spark_home = spark_home
        self.directory = directory
        self.master = master
        self.env = {**os.environ, "SPARK_HOME": spark_home, "SPARK_LOCAL_IP": "127.0.0.1", "LC_ALL": "C.UTF-8", **env}
        self.number = 0

    def submit(self, checks, conf=None):
        """Starts a job with these checks; the log has its standard error."""
        self.number += 1
        self.log = os.path.join(self.directory, f"{self.number}.log")
        # The executors get heaps for the largest frames; a shuffle that is lost is noticed at once.
        options = {
            "ui.enabled": "false",
            "driver.host": "127.0.0.1",
            "driver.bindAddress": "127.0.0.1",
            "driver.memory": "1800m",
            "executor.memory": "1800m",
            "local.dir": os.path.join(self.directory, "local"),
            "shuffle.io.maxRetries": "0",
            **(conf or {}),
        }
        command = [os.path.join(self.spark_home, "bin", "spark-submit"), "--master", self.master, "--class", "gristmill.Driver"]
        for name, value in options.items():
            command += ["--conf", f"spark.{name}={value}"]
        command += ["--files", JOB, JAR, JOB, self.directory, *checks]
        with open(self.log, "w") as log:
            return subprocess.Popen(
                command, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )

    def run(self, checks, code=0, conf=None):
        """Runs checks in one job; says which passed."""
        job = self.submit(checks, conf)
        try:
            output, _ = job.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            os.killpg(job.pid, signal.SIGKILL)
            output, _ = job.communicate()
        for line in output.splitlines():
            print(line, flush=True)
        expected = [f"passed: {check}" for check in checks if not check.startswith("exit-")]
        if output.splitlines() != expected or job.returncode != code:
            sys.exit(f"exit code {job.returncode}, expected {code} and {expected[-1:]}; see {self.log}")

    def path(self, name):
        return os.path.join(self.directory, name)

    def ending(self, what, end, code):
        """Starts a job whose stage never ends, ends one of its processes, and looks whether all others end."""
        for name in ("left", "left-2"):
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))
        submitted = self.submit(["ended"])
        await_true("the task", lambda: os.path.exists(self.path("left")) and os.path.getsize(self.path("left")) > 0)
        task = int(open(self.path("left")).read())
        job = next(pid for pid in children(submitted.pid) if command_line(pid)[1:2] == [JOB])
        end(submitted.pid, job)
        submitted.communicate(timeout=60)
        if submitted.returncode != code:
            sys.exit(f"{what}: exit code {submitted.returncode}, expected {code}; see {self.log}")
        await_true("the end of the job", lambda: not alive(job))
        await_true("the end of the task", lambda: not alive(task))
        print("passed:", what, flush=True)

    def endings(self):
        self.run(["exit-7"], code=7)
        print("passed: exit code without a connection", flush=True)
        self.run(["word_count", "exit-3"], code=3)
        print("passed: exit code", flush=True)
        self.ending("killed job", lambda driver, job: os.kill(job, signal.SIGKILL), 137)
        self.ending("killed driver", lambda driver, job: os.kill(driver, signal.SIGKILL), -signal.SIGKILL)
        self.ending("terminated driver", lambda driver, job: os.kill(driver, signal.SIGTERM), 143)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        own = [int(child) for child in file.read().split()]
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/children") as file:
            own += [int(child) for child in file.read().split()]
    return own


def command_line(pid):
    with open(f"/proc/{pid}/cmdline") as file:
        return file.read().split("\0")


def version(spark_home):
    jars = os.listdir(os.path.join(spark_home, "jars"))
    return next(jar for jar in jars if jar.startswith("spark-core_")).split("-")[-1].removesuffix(".jar")


def default_spark_home():
    if "SPARK_HOME" in os.environ:
        return os.environ["SPARK_HOME"]
    python = os.path.join(HERE, "../../target/consumers/bin/python3")
    return subprocess.check_output([python, "-c", "import os, pyspark; print(os.path.dirname(pyspark.__file__))"], text=True).strip()


def check(spark_home, directory):
    begin = time.monotonic()
    print(f"== Spark {version(spark_home)} on local[2]", flush=True)
    os.makedirs(os.path.join(directory, "local"))
    bench = Bench(spark_home, os.path.join(directory, "local"), "local[2]", {})
    bench.run(EVERYWHERE)
    bench.endings()
    bench.env["LC_ALL"] = "C"
    bench.run(["character_set"])
    print(f"== Spark {version(spark_home)} on a stand-alone cluster, after {time.monotonic() - begin:.0f} s", flush=True)
    with Cluster(spark_home, os.path.join(directory, "cluster")) as cluster:
        bench = Bench(spark_home, cluster.directory, cluster.url, cluster.env)
        bench.run(EVERYWHERE)
        bench.run(WITH_RETRIES, conf=SPECULATION)
        bench.endings()
    print(f"== Spark {version(spark_home)}: all passed in {time.monotonic() - begin:.0f} s", flush=True)


def main():
    directory = tempfile.mkdtemp(prefix="gristmill-spark-")
    for number, spark_home in enumerate(sys.argv[1:] or [default_spark_home()]):
        check(spark_home, os.path.join(directory, str(number)))
    shutil.rmtree(directory)


if __name__ == "__main__":
    main()
