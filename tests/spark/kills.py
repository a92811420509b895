#!/usr/bin/env python3
"""Kills and stops processes of jobs on a stand-alone cluster, and looks whether the outputs are those of one process.

usage: kills.py BIN SPARK_HOME [PATTERN]

BIN is a directory of cargo, such as target/release, with `gristmill` and `examples/`. With a pattern, only the cases run in whose names it is found. A line is printed
for each case; the exit code is 0 only if all passed. A case is tried again until its fault has hit the stage that it is meant for: a worker is stopped first, and
only if it then reads or writes what it does in that stage, the fault comes. Files are left in a directory of their own if something failed.
"""
import collections
import functools
import glob
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # the sources lie beside this file

from cluster import Cluster, Service
from driver import SPECULATION, children, command_line, version
from fake_job import alive

# Tasks are divided alike in every run, so that parts can be compared byte for byte; the log says which task runs where; a shuffle that is lost is noticed at once;
# a task that is the only one of its stage is copied, too.
SETTINGS = {
    **SPECULATION,
    "speculation.task.duration.threshold": "500ms",
    "executor.cores": "2",
    "log.level": "INFO",
    "ui.enabled": "false",
    "default.parallelism": "4",
    "scheduler.minRegisteredResourcesRatio": "1.0",
    "shuffle.io.maxRetries": "0",
}
TRIES = 8


class Missed(Exception):
    """The fault has not hit what it was meant for."""


class Wrong(Exception):
    """Something is not as it should be."""


def await_true(what, condition, seconds=90):
    """Waits for what happens in other processes, which nobody tells us of."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Wrong(f"in vain waited for {what}")
        time.sleep(0.005)


def inputs(directory):
    """Texts, sets and records, the same in every run."""
    chance = random.Random(7)
    words = [f"word{number}" for number in range(200_000)]
    weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(len(words))))

    def write(name, lines, times=1):
        text = "".join(line + "\n" for line in lines)
        with open(os.path.join(directory, name), "w") as file:
            file.writelines([text] * times)

    os.mkdir(os.path.join(directory, "texts"))
    for number in range(4):
        write(f"texts/{number}.txt", (" ".join(chance.choices(words, cum_weights=weights, k=16)) for _ in range(20_000)), 12)
    sets = {tuple(sorted(chance.sample(range(100, 350), 3))) for _ in range(100_000)}
    write("texts/sets.txt", (",".join(map(str, numbers)) for numbers in sorted(sets)), 60)
    rows = [f"{number},city {number % 97},{chance.randrange(10_000) / 100}" for number in range(100_000)]
    write("texts/few.csv", ["id,city,price", *rows[:1000]])
    write("texts/orders.csv", ["id,city,price", *rows])
    with open(os.path.join(directory, "texts/orders.csv"), "a") as file:
        file.writelines(["".join(row + "\n" for row in rows)] * 19)


Job = collections.namedtuple("Job", "line old stages")
Phase = collections.namedtuple("Phase", "stage does")

# The line of a job; one that makes an older output; and of its stages those that faults come in, by their place among those that Spark submits, and what
# a worker is seen to do there.
JOBS = {
    "wordcount": Job(
        "gristmill wordcount texts/0.txt texts/1.txt texts/2.txt texts/3.txt -o OUT --overwrite",
        "gristmill wordcount texts/0.txt -o OUT",
        {"map": Phase(0, "reads"), "write": Phase(-1, "writes")},
    ),
    "self-join": Job(
        "examples/self_join texts/sets.txt OUT",
        "gristmill wordcount texts/0.txt -o OUT",
        {"map": Phase(0, "reads"), "join": Phase(2, "runs"), "write": Phase(-1, "writes")},
    ),
    "sort": Job(
        "gristmill sort texts/orders.csv --by city,-price -o OUT --overwrite",
        "gristmill sort texts/few.csv --by price -o OUT",
        {"sample": Phase(0, "reads"), "cut": Phase(1, "reads"), "write": Phase(-1, "writes")},
    ),
    "partitions": Job(
        "gristmill convert texts/orders.csv -o OUT --partition-by city --overwrite",
        "gristmill convert texts/few.csv -o OUT --partition-by city",
        {"read": Phase(0, "reads"), "write": Phase(0, "writes")},
    ),
}


class Run(Service):
    """A job on the cluster, and what its log has told so far."""

    SUBMITTED = re.compile(r"Submitting \d+ missing tasks from \w+ (\d+) ")
    STARTED = re.compile(r"Starting task (\d+)\.(\d+) in stage (\d+)\.\d+ \(TID \d+\) \([^,]+, ?executor (\w+)")
    FINISHED = re.compile(r"Finished task (\d+)\.(\d+) in stage (\d+)\..*\(executor (\w+)\)")
    APPLICATION = re.compile(r"Connected to Spark cluster with app ID (\S+)")

    def __init__(self, bench, command, out):
        self.bench, self.out = bench, out
        self.program = os.path.realpath(command[0])
        self.read_lines, self.application = 0, None
        self.submitted, self.started, self.finished = [], [], set()
        bench.number += 1
        log = os.path.join(bench.directory, f"{bench.number}.log")
        super().__init__(log, command, {**os.environ, **bench.cluster.env, **bench.env})

    def look(self):
        """Takes note of what the log has got."""
        lines, self.read_lines = self.lines[self.read_lines :], len(self.lines)
        for line in filter(None, lines):
            if match := self.SUBMITTED.search(line):
                stage = int(match[1])
                self.submitted += [stage] if stage not in self.submitted else []
            elif match := self.STARTED.search(line):
                self.started.append((int(match[3]), int(match[1]), int(match[2]), match[4]))
            elif match := self.FINISHED.search(line):
                self.finished.add((int(match[3]), int(match[1]), int(match[2]), match[4]))
            elif match := self.APPLICATION.search(line):
                self.application = match[1]

    def text(self):
        return "".join(filter(None, self.lines))

    def executors(self):
        """Their processes, by the ids that Spark gave them."""
        found = {}
        for pid in self.bench.services():
            for child in safely(children, pid):
                words = safely(command_line, child)
                if "--executor-id" in words and self.application in words:
                    found[words[words.index("--executor-id") + 1]] = child
        return found

    def workers(self, executor):
        return [child for child in safely(children, executor) if self.is_program(child)]

    def job(self):
        return next(child for child in children(self.process.pid) if self.is_program(child))

    def is_program(self, pid):
        """Executors have copies of the program."""
        words = safely(command_line, pid)
        return bool(words) and os.path.basename(words[0]) == os.path.basename(self.program)

    def is_in(self, phase, worker):
        """Whether a worker is in the middle of a task of a stage."""
        self.look()
        index = phase.stage % self.bench.stages
        if len(self.submitted) != index + 1 or not alive(worker):
            return False
        if phase.does == "reads":
            return any(path.startswith(self.bench.path("texts/")) for path in open_files(worker))
        if phase.does == "writes":
            return any(name.startswith(f"{worker:x}-") for name in self.bench.tries(self.out))
        return processor_ticks(worker) > 0

    def catch(self, phase, with_others=False):
        """Stops a worker that is in the middle of a task: its executor, and its number. With others: only once another executor has ended a task."""
        while self.process.poll() is None:
            self.look()
            for executor, pid in self.executors().items():
                if with_others and not any(at == self.submitted[-1] and on != executor for at, _, _, on in self.finished):
                    continue
                for worker in self.workers(pid):
                    if self.is_in(phase, worker) and stopped(worker):
                        if self.is_in(phase, worker):
                            return executor, pid, worker
                        os.kill(worker, signal.SIGCONT)
            time.sleep(0.002)
        raise Missed("the job ended")

    def held(self, executor, stage):
        """The tasks of an executor that have not ended."""
        self.look()
        ended = {(stage, task) for stage, task, *_ in self.finished}
        return {task for at, task, attempt, on in self.started if at == stage and on == executor and (at, task) not in ended}

    def copies(self, stage, tasks, noted):
        """Those of some tasks of which another try is noted."""
        self.look()
        return {task for at, task, attempt, _ in noted if at == stage and task in tasks and attempt > 0}

    def end(self, seconds=120):
        """Waits for the end of it, and of its workers, but for those that are stopped; the exit code."""
        executors = list(self.executors().values())
        workers = [worker for pid in executors for worker in self.workers(pid) if safely(state, worker)[:1] != ["T"]]
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            raise Wrong("the job does not end")
        self.reader.join(10)
        self.look()
        await_true("the end of executors", lambda: not any(map(alive, executors)))
        await_true("the end of workers", lambda: not any(map(alive, workers)))
        return self.process.returncode


def safely(of, pid):
    """What there is to know of a process that may have ended."""
    try:
        return of(pid)
    except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
        return []


def open_files(pid):
    paths = []
    for name in safely(lambda pid: os.listdir(f"/proc/{pid}/fd"), pid):
        try:
            paths.append(os.readlink(f"/proc/{pid}/fd/{name}"))
        except FileNotFoundError:
            continue
    return paths


def state(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()


def processor_ticks(pid):
    fields = safely(state, pid)
    return int(fields[11]) + int(fields[12]) if fields else 0


def stopped(pid):
    """Stops a process, all of its threads; false if it has ended."""
    try:
        os.kill(pid, signal.SIGSTOP)
    except ProcessLookupError:
        return False
    await_true("the stop", lambda: (safely(state, pid) or ["Z"])[0] in "TZX")
    return (safely(state, pid) or ["Z"])[0] == "T"


def go_on(pid):
    if safely(state, pid):
        os.kill(pid, signal.SIGCONT)


# The faults: each comes into a run, and gives what is left to be done after it. They raise Missed if the stage is over.


def killed_worker(run, phase):
    _, _, worker = run.catch(phase)
    stage = run.submitted[-1]
    os.kill(worker, signal.SIGKILL)
    return lambda: re.search(rf"Lost task \S+ in stage {stage}\..*exit code 137", run.text())


def killed_executor(run, phase):
    """Its worker goes on only when the job is over: it must not touch the output any more."""
    executor, pid, worker = run.catch(phase)
    stage = run.submitted[-1]
    os.kill(pid, signal.SIGKILL)

    def after():
        go_on(worker)
        await_true("the end of the worker without an executor", lambda: not alive(worker))
        return re.search(rf"Lost task \S+ in stage {stage}\..*ExecutorLostFailure \(executor {executor} ", run.text())

    return after


def overtaken_worker(run, phase):
    """The workers of an executor are stopped until there are copies of their tasks; then both go on."""
    executor, pid, worker = run.catch(phase)
    stage = run.submitted[-1]
    stopped_ones = {worker}

    def stop_all():
        stopped_ones.update(other for other in run.workers(pid) if other not in stopped_ones and stopped(other))
        return len(run.held(executor, stage)) <= len(stopped_ones) or run.process.poll() is not None

    try:
        await_true("the stop of an executor's workers", stop_all)
        tasks = run.held(executor, stage)
        await_true("copies of tasks", lambda: run.copies(stage, tasks, run.started) == tasks or run.process.poll() is not None)
    finally:
        for worker in stopped_ones:
            go_on(worker)
    return lambda: run.copies(stage, tasks, run.started)


def overtaken_executor(run, phase):
    """An executor is stopped until there are results of copies of its tasks. Its workers go on, so that there are two results, and Spark hears of both.

    Others must have begun, since executors get what they need for a stage from each other.
    """
    executor, pid, worker = run.catch(phase, with_others=True)
    stage = run.submitted[-1]
    try:
        if not stopped(pid):
            raise Missed("no executor")
        workers = run.workers(pid)
        go_on(worker)
        tasks = run.held(executor, stage)
        await_true("results of copies", lambda: run.copies(stage, tasks, run.finished) == tasks or run.process.poll() is not None)
        await_true("results of the workers", lambda: all(sleeps(worker) for worker in workers))
    finally:
        go_on(pid)
    return lambda: run.copies(stage, tasks, run.finished)


def sleeps(pid):
    """Whether a process waits for somebody, or has ended."""
    return (safely(state, pid) or ["Z"])[0] in "SZX"


FAULTS = [killed_worker, killed_executor, overtaken_worker, overtaken_executor]


def killed_job(run, phase):
    """All goes on that it has left, and is told that it is over."""
    _, _, worker = run.catch(phase)
    os.kill(run.job(), signal.SIGKILL)
    go_on(worker)
    return 137, lambda: None


def killed_submission(run, phase):
    _, _, worker = run.catch(phase)
    job = run.job()
    os.kill(run.process.pid, signal.SIGKILL)
    go_on(worker)
    await_true("the end of the job", lambda: not alive(job))
    return -signal.SIGKILL, lambda: None


def late_worker(run, phase):
    """The job is killed, and a worker outlives it, and the next run: it must not touch the output any more."""
    _, pid, worker = run.catch(phase)
    if not stopped(pid):
        raise Missed("no executor")
    os.kill(run.job(), signal.SIGKILL)

    def after():
        for process in (worker, pid):
            go_on(process)
        await_true("the end of the worker", lambda: not alive(worker))

    return 137, after


ENDINGS = [killed_job, killed_submission, late_worker]


def tree(directory):
    """The files of a directory, with what is in them."""
    found = {}
    for root, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, directory)] = hashlib.sha256(file.read()).hexdigest()
    return found


class Bench:
    """A cluster, and a directory with inputs and outputs."""

    def __init__(self, binaries, cluster, directory):
        self.binaries, self.cluster, self.directory = os.path.abspath(binaries), cluster, directory
        self.number, self.stages = 0, 1
        self.env = {"GRISTMILL_SPARK_CONF": " ".join(f"spark.{name}={value}" for name, value in SETTINGS.items())}

    def path(self, name):
        return os.path.join(self.directory, name)

    def services(self):
        """The workers of the cluster, which start executors."""
        return [service.process.pid for service in self.cluster.services[1:]]

    def command(self, line, out):
        program, *words = line.split()
        words = [self.path(word) if word.startswith("texts/") else word.replace("OUT", self.path(out)) for word in words]
        return [os.path.join(self.binaries, program), *words]

    def alone(self, line, out=""):
        done = subprocess.run(self.command(line, out), capture_output=True, text=True, cwd=self.directory)
        if done.returncode != 0:
            raise Wrong(f"{line}: exit code {done.returncode}: {done.stdout}{done.stderr}")

    def rows(self, out):
        self.alone("gristmill verify OUT", out)
        self.alone("gristmill convert OUT --from parquet -o OUT.jsonl", out)
        with open(self.path(out + ".jsonl"), "rb") as file:
            rows = file.read()
        os.unlink(self.path(out + ".jsonl"))
        return hashlib.sha256(rows).hexdigest()

    def tries(self, out):
        """The directories of tries in the staging directories of an output."""
        found = []
        for name in self.beside(out):
            found += safely(lambda name: os.listdir(self.path(os.path.join(name, "tasks"))), name)
        return found

    def beside(self, out):
        """What is beside an output, but for its lock, which stays."""
        names = [name for name in os.listdir(self.directory) if name.startswith(f".{out}.")]
        return [name for name in names if not name.endswith(".gristmill-lock")]

    def remove(self, out):
        """Removes an output, and the copies that executors had of the program."""
        for path in [self.path(out), *glob.glob(os.path.join(self.cluster.directory, "work-*", "app-*"))]:
            shutil.rmtree(path, ignore_errors=True)

    def learn(self, name, job):
        """What the job gives within one process, and on Spark without a fault."""
        self.out = f"{name}-out"
        self.alone(job.line.replace("--overwrite", ""), f"{name}-alone")
        self.expected_rows = self.rows(f"{name}-alone")
        run = Run(self, self.command(job.line, self.out), self.out)
        if run.end() != 0:
            raise Wrong(f"exit code {run.process.returncode}; see {run.log.name}")
        self.stages = len(run.submitted)
        print(f"{name}: tasks of its stages: {[sum(at == stage for at, *_ in run.started) for stage in run.submitted]}", flush=True)
        self.expected_tree = tree(self.path(self.out))
        self.check()
        self.remove(self.out)

    def check(self):
        """The output is that of a run without faults, and nothing else is there."""
        if self.rows(self.out) != self.expected_rows:
            raise Wrong("other rows than within one process")
        found = tree(self.path(self.out))
        if found != self.expected_tree:
            differ = sorted(name for name in found.keys() | self.expected_tree.keys() if found.get(name) != self.expected_tree.get(name))
            raise Wrong(f"other files than without a fault: {differ[:10]}")
        named = set()
        for manifest in (name for name in found if os.path.basename(name) == "_manifest.json"):
            with open(os.path.join(self.path(self.out), manifest)) as file:
                parts = json.load(file)["parts"]
            named |= {manifest, *(os.path.join(os.path.dirname(manifest), part["name"]) for part in parts)}
        if named != found.keys():
            raise Wrong(f"files that no manifest names: {sorted(named ^ found.keys())[:10]}")
        if self.beside(self.out):
            raise Wrong(f"left over: {self.beside(self.out)}")

    def fault(self, job, phase, fault):
        """A run with a fault."""
        run = Run(self, self.command(job.line, self.out), self.out)
        try:
            after = fault(run, phase)
            code = run.end()
            self.log = run.log.name
            has_hit = after()
            if code != 0:
                raise Wrong(f"exit code {code}")
            if not has_hit:
                raise Missed("the task was over")
            self.check()
        finally:
            run.stop()
            self.remove(self.out)

    def ending(self, job, phase, fault):
        """A run that does not survive, and one after it."""
        self.alone(job.old, self.out)
        old = tree(self.path(self.out))
        run = Run(self, self.command(job.line, self.out), self.out)
        try:
            expected, after = fault(run, phase)
            late = fault is late_worker
            code = run.process.wait(60) if late else run.end()
            if code != expected:
                raise Wrong(f"exit code {code}, not {expected}")
            if tree(self.path(self.out)) != old:
                raise Wrong("the old output is another one")
            self.alone(job.old + " --overwrite" * (not job.old.endswith("--overwrite")), self.out)
            after()
            if late:
                run.end()
            if tree(self.path(self.out)) != old:
                raise Wrong("the next run gives something else")
            if self.beside(self.out):
                raise Wrong(f"left over after the next run: {self.beside(self.out)}")
        finally:
            run.stop()
            self.remove(self.out)

    def cases(self, job_name, job, pattern):
        """The cases of a job with a pattern in their names: name and case."""
        cases = []
        for stage, phase in job.stages.items():
            ways = [(fault, self.fault) for fault in FAULTS]
            if phase.stage != 0 and phase.does != "reads":
                ways.remove((overtaken_executor, self.fault))  # no task gets what a stopped executor holds
            if phase.does == "writes":
                ways += [(fault, self.ending) for fault in ENDINGS]
            for fault, way in ways:
                name = f"{job_name}: {fault.__name__.replace('_', ' ')} in {stage}"
                if re.search(pattern, name):
                    cases.append((name, functools.partial(way, job, phase, fault)))
        return cases

    def tried(self, name, case):
        begin = time.monotonic()
        for number in range(1, TRIES + 1):
            try:
                case()
                print(f"passed  {name} (try {number}, {time.monotonic() - begin:.0f} s)", flush=True)
                return True
            except Missed:
                continue
            except Wrong as wrong:
                print(f"FAILED  {name}: {wrong}; see {self.directory}/{self.number}.log", flush=True)
                return False
        print(f"FAILED  {name}: missed {TRIES} times", flush=True)
        return False


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    binaries, spark_home, pattern = (*sys.argv[1:], "")[:3]
    # What ends us by a signal has to stop the cluster, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory = tempfile.mkdtemp(prefix="gristmill-kills-")
    failed = 0
    print(f"== Spark {version(spark_home)}", flush=True)
    inputs(directory)
    with Cluster(spark_home, os.path.join(directory, "cluster")) as cluster:
        bench = Bench(binaries, cluster, directory)
        for name, job in JOBS.items():
            cases = bench.cases(name, job, pattern)
            if cases:
                bench.learn(name, job)
            failed += sum(not bench.tried(*case) for case in cases)
    if failed:
        sys.exit(f"{failed} cases failed; see {directory}")
    shutil.rmtree(directory)


if __name__ == "__main__":
    main()
