#!/usr/bin/env python3
"""A stand-alone cluster of Spark on this machine: a master, and workers of two cores on 127.0.0.1 and 127.0.0.2, each a process of its own.

usage: cluster.py SPARK_HOME DIR COMMAND...

DIR takes the workers' files and logs; the disks of the shuffle are DIR/local-1 and DIR/local-2. COMMAND runs with GRISTMILL_MASTER set to
the master's URL, and SPARK_HOME, SPARK_LOCAL_IP; its exit code is ours. All processes of the cluster end with it.
"""
import os
import re
import signal
import subprocess
import sys
import threading


class Service:
    """A process of the cluster, with all that it starts; its log is read as it comes."""

    def __init__(self, log, arguments, env):
        self.lines = []
        self.changed = threading.Condition()
        self.log = open(log, "w")
        self.process = subprocess.Popen(
            arguments,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.log.write(line)
            self.log.flush()
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()
        with self.changed:
            self.lines.append(None)
            self.changed.notify_all()

    def await_line(self, pattern):
        """The first match of a line that is there or comes."""
        def found():
            matches = (re.search(pattern, line) for line in self.lines if line)
            return next((match for match in matches if match), None) or None in self.lines

        with self.changed:
            match = self.changed.wait_for(found, timeout=60)
        if match is True or not match:
            raise RuntimeError(f"no {pattern!r} in {self.log.name}")
        return match

    def stop(self):
        for kind in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, kind)
                self.process.wait(timeout=20)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass


class Cluster:
    """Is there within a `with`; `env` is what its clients need."""

    def __init__(self, spark_home, directory):
        self.spark_home = spark_home
        self.directory = directory
        self.services = []

    def start(self, name, ip, arguments, **env):
        command = [os.path.join(self.spark_home, "bin", "spark-class"), f"org.apache.spark.deploy.{name}"]
        command += ["--host", ip, "--port", "0", "--webui-port", "0"]
        log = os.path.join(self.directory, f"{name}-{ip}.log")
        env = {**os.environ, "SPARK_HOME": self.spark_home, "SPARK_LOCAL_IP": ip, "LC_ALL": "C.UTF-8", **env}
        self.services.append(Service(log, command + arguments, env))
        return self.services[-1]

    def __enter__(self):
        os.makedirs(self.directory, exist_ok=True)
        try:
            master = self.start("master.Master", "127.0.0.1", [])
            self.url = master.await_line(r"(spark://127\.0\.0\.1:\d+)")[1]
            for number in (1, 2):
                work = os.path.join(self.directory, f"work-{number}")
                local = os.path.join(self.directory, f"local-{number}")
                arguments = ["--cores", "2", "--memory", "2g", "--work-dir", work, self.url]
                worker = self.start("worker.Worker", f"127.0.0.{number}", arguments, SPARK_LOCAL_DIRS=local)
                worker.await_line("Successfully registered with master")
        except BaseException:
            self.__exit__()
            raise
        self.env = {"SPARK_HOME": self.spark_home, "SPARK_LOCAL_IP": "127.0.0.1", "GRISTMILL_MASTER": self.url}
        return self

    def __exit__(self, *_):
        for service in reversed(self.services):
            service.stop()


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    spark_home, directory, *command = sys.argv[1:]
    # What ends us by a signal has to stop the cluster, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Cluster(spark_home, directory) as cluster:
        sys.exit(subprocess.call(command, env={**os.environ, **cluster.env}))


if __name__ == "__main__":
    main()
