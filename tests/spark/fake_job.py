#!/usr/bin/env python3
"""A job for the driver of spark/ that counts words, and does all that a broken one could: what tests/spark/driver.py runs.

usage: fake_job.py SCRATCH CHECK...; with GRISTMILL_DRIVER it asks for the stages of the checks, with GRISTMILL_STAGE it is a task of one.
Checks are the functions named check_*; "passed: NAME" is printed of each, or else the job ends.
"""
import collections
import glob
import hashlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib

MIB = 1 << 20
VERSION = 2


class Wire:
    """Messages: a byte that says the kind, four that say the length, the bytes."""

    def __init__(self, variable, wrong_first=False):
        port, self.token = os.environ[variable].split(":")
        self.port = int(port)
        if wrong_first:
            self.connect("0" * 32)
            assert self.receive() == (None, b""), "a wrong token was let in"
        self.connect(self.token)

    def connect(self, token):
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        self.stream = self.socket.makefile("rb", buffering=MIB)
        self.socket.sendall(token.encode())

    def send(self, kind, *parts):
        data = b"".join(parts)
        self.socket.sendall(struct.pack(">cI", kind.encode(), len(data)) + data)

    def receive(self):
        try:
            head = self.stream.read(5)
            if len(head) < 5:
                return None, b""
            kind, length = struct.unpack(">cI", head)
            data = self.stream.read(length)
            return (kind.decode(), data) if len(data) == length else (None, b"")
        except ConnectionError:
            return None, b""


def await_true(what, condition):
    """Waits for what happens in another process, which nobody tells us of."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, f"in vain waited for: {what}"
        time.sleep(0.02)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Failed(Exception):
    """The driver's answer is an error."""


class Driver:
    """The connection on which stages are asked for."""

    def __init__(self, scratch):
        self.scratch = scratch
        self.wire = Wire("GRISTMILL_DRIVER", wrong_first=True)
        kind, hello = self.wire.receive()
        self.hello = json.loads(hello)
        assert kind == "J" and self.hello["version"] == VERSION and self.hello["parallelism"] >= 1, hello
        self.stages = 0

    def ask(self, request, frames=()):
        self.wire.send("J", json.dumps({"version": VERSION, **request}).encode())
        for frame in frames:
            self.wire.send("F", frame)
        kind, answer = self.wire.receive()
        assert kind == "J", f"the driver hung up after {request}"
        answer = json.loads(answer)
        if "error" in answer:
            raise Failed(answer["error"])
        received = [self.wire.receive() for _ in range(answer.get("frames", 0))]
        assert all(kind == "F" for kind, _ in received)
        return [frame for _, frame in received]

    def stage(self, partitions, tasks, **more):
        """Runs a stage of tasks, each a description for the child and what it reads; returns its number and its frames for the driver."""
        self.stages += 1
        request = {
            "request": "stage",
            "id": self.stages,
            "name": f"stage {self.stages}: {tasks[0][0]['do'] if tasks else 'nothing'}",
            "stage": json.dumps({"partitions": partitions}),
            "for_driver": 1,
            "partitions": partitions,
            "tasks": [{"task": json.dumps(spec), "reads": reads} for spec, reads in tasks],
            "broadcasts": [],
            "env": {"FAKE_JOB": "zwölf"},
            "directory": self.scratch,
            "args": ["task", self.scratch, "with space", ""],
            **more,
        }
        return self.stages, self.ask(request)

    def fails(self, partitions, tasks, **more):
        try:
            self.stage(partitions, tasks, **more)
        except Failed as failed:
            return failed.args[0]
        raise AssertionError("the stage should have failed")


# What a task does.


def split(words, partitions):
    """Words as frames, each with its partition."""
    parts = collections.defaultdict(list)
    for word in words:
        parts[zlib.crc32(word.encode()) % partitions + 1].append(word)
    return [(partition, json.dumps(words).encode()) for partition, words in sorted(parts.items())]


class Task:
    def __init__(self, scratch):
        self.scratch = scratch
        self.wire = Wire("GRISTMILL_STAGE", wrong_first=True)
        kind, stage = self.wire.receive()
        assert kind == "S"
        kind, task = self.wire.receive()
        assert kind == "T" and task[0] in range(4), task
        self.is_again, self.spec = task[0] & 1 == 1, {**json.loads(stage), **json.loads(task[1:])}
        self.sent = 0
        self.broadcasts = []

    def input(self):
        """The frames of the input; broadcasts, which come first, are kept."""
        while True:
            kind, data = self.wire.receive()
            if kind == "B":
                self.broadcasts.append((struct.unpack(">I", data[:4])[0], data[4:]))
            elif kind == "F":
                yield data
            elif kind == "E":
                return
            else:
                sys.exit("no end of the input")

    def frame(self, partition, data):
        self.wire.send("F", struct.pack(">I", partition), data)
        self.sent += 1

    def end(self):
        self.wire.send("E", struct.pack(">Q", self.sent))
        while self.wire.receive()[0] is not None:
            pass

    def first(self, name):
        """Whether this is the first try of what has this name; it leaves its process number."""
        try:
            with open(os.path.join(self.scratch, name), "x") as file:
                file.write(str(os.getpid()))
            return True
        except FileExistsError:
            return False

    def wait_for_the_end(self):
        while self.wire.receive()[0] is not None:
            pass
        sys.exit("the connection ended")

    def do_map(self):
        assert sys.argv[3:] == ["with space", ""] and os.environ["FAKE_JOB"] == "zwölf" and os.getcwd() == os.path.realpath(self.scratch)
        assert list(self.input()) == []
        for name in ["maps", "maps-again"][: 1 + self.is_again]:
            with open(os.path.join(self.scratch, name), "a") as file:
                file.write("map\n")
        frames = split(self.spec["text"].split(), self.spec["partitions"])
        for number, (partition, data) in enumerate(frames):
            if number == len(frames) // 2 and "kill" in self.spec and self.first(self.spec["kill"]):
                if self.spec["kill"].startswith("executor"):
                    os.kill(os.getppid(), signal.SIGKILL)
                    self.wait_for_the_end()
                os.kill(os.getpid(), signal.SIGKILL)
            if "straggler" in self.spec and self.first(self.spec["straggler"]):
                self.wait_for_the_end()
            self.frame(partition, data)

    def do_reduce(self):
        frames = self.input()
        if "kill" in self.spec and self.first(self.spec["kill"]):
            os.kill(os.getppid(), signal.SIGKILL)
            self.wait_for_the_end()
        counts = collections.Counter(word for frame in frames for word in json.loads(frame))
        self.frame(0, json.dumps(counts).encode())

    def do_tell(self):
        """Says what the input and the broadcasts were."""
        frames = sorted(hashlib.sha256(frame).hexdigest() for frame in self.input())
        broadcasts = [[number, len(data), hashlib.sha256(data).hexdigest()] for number, data in self.broadcasts]
        self.frame(0, json.dumps([self.spec.get("name"), frames, broadcasts]).encode())

    def do_write(self):
        """Writes frames before it reads any."""
        for partition, number, size in self.spec["frames"]:
            for index in range(number):
                self.frame(partition, bytes([index % 251]) * size)
        if self.spec.get("read", True):
            assert sum(1 for _ in self.input()) == self.spec.get("input", 0)

    def do_print(self):
        for number in range(20_000):
            print("standard output", number)
            print("standard error", number, file=sys.stderr)
        sys.stdout.write("x" * 100_000)

    def do_fail(self):
        self.wire.send("X", self.spec["text"].encode())
        self.wait_for_the_end()

    def do_wait(self):
        """Waits, and so does a process that it started; their numbers are left in files."""
        sleeper = subprocess.Popen(["sleep", "600"])
        with open(os.path.join(self.scratch, self.spec["name"] + "-2"), "w") as file:
            file.write(str(sleeper.pid))
        assert self.first(self.spec["name"])
        self.wait_for_the_end()

    def do_fail_after(self):
        await_true("the other task", lambda: os.path.exists(os.path.join(self.scratch, self.spec["name"])))
        self.wire.send("X", b"one of two")

    def do_exit(self):
        print("these are my last words", file=sys.stderr)
        self.frame(1, b"half")
        sys.stderr.flush()
        os._exit(self.spec["code"])

    def do_die(self):
        self.frame(1, b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    def do_misnumber(self):
        self.frame(self.spec["partition"], b"frame")

    def do_miscount(self):
        self.sent += 1

    def do_fail_at_exit(self):
        self.end()
        os._exit(9)

    def do_oversize(self):
        self.wire.socket.sendall(struct.pack(">cI", b"F", 256 * MIB + 1))
        self.wait_for_the_end()

    def do_hang_up(self):
        print("I hang up", file=sys.stderr, flush=True)
        self.wire.stream.close()
        self.wire.socket.close()
        signal.pause()

    def do_babble(self):
        self.wire.send("Q", b"?")
        self.wait_for_the_end()


# What is checked.


WORDS = [f"{'wörd' if n % 3 else 'word'}{n * n % 97}" for n in range(6000)]
TEXTS = [" ".join(WORDS[start::4]) for start in range(4)]
COUNTS = dict(collections.Counter(WORDS))


def count(driver, partitions=3, maps=None, reduces=None, between=lambda: None):
    """Counts words in two stages and compares."""
    maps = maps or [{} for _ in TEXTS]
    tasks = [({"do": "map", "text": text, **more}, []) for text, more in zip(TEXTS, maps)]
    stage, none = driver.stage(partitions, tasks)
    assert none == []
    between()
    ranges = [(1 + partitions * n // 3, 1 + partitions * (n + 1) // 3) for n in range(3)]
    tasks = [({"do": "reduce"}, [[stage, first, end]]) for first, end in ranges]
    for task, more in zip(tasks, reduces or []):
        task[0].update(more)
    _, frames = driver.stage(0, tasks)
    counts = collections.Counter()
    for frame in frames:
        part = json.loads(frame)
        assert not counts.keys() & part.keys(), "a word was counted by two tasks"
        counts.update(part)
    assert counts == COUNTS, "wrong counts"
    return stage


def check_word_count(driver):
    stage = count(driver)
    # What a stage wrote can be read again, and be dropped.
    for _ in range(2):
        _, frames = driver.stage(0, [({"do": "reduce"}, [[stage, 1, 4]])])
        assert json.loads(frames[0]) == COUNTS
    driver.ask({"request": "drop", "stage": stage})
    error = driver.fails(0, [({"do": "reduce"}, [[stage, 1, 4]])])
    assert "did not run or was dropped" in error, error


def check_many_partitions(driver):
    count(driver, partitions=300)


def told(driver, tasks, partitions=0):
    """What tasks say of their input: the number of their frames by name."""
    _, frames = driver.stage(partitions, tasks)
    return {name: collections.Counter(hashes) for name, hashes, _ in map(json.loads, frames)}


def check_reads(driver):
    def content(index, size):
        return hashlib.sha256(bytes([index % 251]) * size).hexdigest()

    def written(number, size):
        return collections.Counter(content(index, size) for index in range(number))

    one, _ = driver.stage(4, [({"do": "write", "frames": [[p, 2, 10 * p] for p in range(1, 5)]}, [])])
    empty, frames = driver.stage(5, [])
    assert frames == []
    two, frames = driver.stage(2, [({"do": "write", "frames": [[0, 3, 5], [1, 1, 7], [2, 0, 0]]}, [])] * 2)
    assert len(frames) == 6 and len(set(frames)) == 3
    tasks = [
        ("all", [[one, 1, 5], [two, 1, 3], [empty, 1, 6]]),
        ("some", [[one, 4, 5], [one, 1, 2]]),
        ("twice", [[one, 1, 2], [one, 1, 2]]),
        ("nothing", []),
        ("none", [[empty, 2, 3], [two, 2, 2]]),
    ]
    got = told(driver, [({"do": "tell", "name": name}, reads) for name, reads in tasks])
    assert got["all"] == sum((written(2, 10 * p) for p in range(1, 5)), collections.Counter()) + written(1, 7) + written(1, 7)
    assert got["some"] == written(2, 40) + written(2, 10)
    assert got["twice"] == written(2, 10) + written(2, 10)
    assert got["nothing"] == got["none"] == collections.Counter()
    assert told(driver, [({"do": "tell", "name": "none"}, [[empty, 1, 6]])], partitions=1)["none"] == collections.Counter()
    for reads in [[one, 0, 2], [one, 1, 6], [99, 1, 2], [one, 3, 2]]:
        driver.fails(0, [({"do": "tell"}, [reads])])


def check_requests(driver):
    for request in [{"request": "stag"}, {"version": VERSION + 1, "request": "drop", "stage": 1}, {"request": "stage", "id": 1000}]:
        try:
            driver.ask(request)
        except Failed:
            continue
        raise AssertionError(f"{request} was answered")
    driver.stage(1, [])
    driver.stages -= 1
    assert "already" in driver.fails(1, [])


def check_broadcast(driver):
    small, large = [b"a", b"", b"bc"], [bytes([n]) * (5 * MIB) for n in range(3)]
    driver.ask({"request": "broadcast", "id": 1, "frames": 3}, small)
    driver.ask({"request": "broadcast", "id": 7, "frames": 3}, large)
    stage, _ = driver.stage(1, [({"do": "write", "frames": [[1, 1, 1]]}, [])])
    _, frames = driver.stage(0, [({"do": "tell", "name": n}, [[stage, 1, 2]]) for n in range(3)], broadcasts=[7, 1])
    expected = [[number, len(data), hashlib.sha256(data).hexdigest()] for number, list_ in [(7, large), (1, small)] for data in list_]
    for frame in frames:
        _, hashes, broadcasts = json.loads(frame)
        assert len(hashes) == 1 and broadcasts == expected, broadcasts
    driver.ask({"request": "drop", "broadcast": 7})
    assert "no broadcast 7" in driver.fails(0, [({"do": "tell"}, [])], broadcasts=[7])


def check_large_frames(driver):
    # As large as a message may be; and both ways at once, more than any buffer takes.
    largest = 256 * MIB - 4
    for partitions in (1, 300):
        stage, _ = driver.stage(partitions, [({"do": "write", "frames": [[1, 1, largest]]}, [])])
        got = told(driver, [({"do": "tell", "name": "largest"}, [[stage, 1, 2]])])
        assert sum(got["largest"].values()) == 1
    stage, _ = driver.stage(1, [({"do": "write", "frames": [[1, 100, MIB]]}, [])])
    driver.stage(1, [({"do": "write", "frames": [[1, 100, MIB]], "input": 100}, [[stage, 1, 2]])])
    # A task need not read its input.
    driver.stage(1, [({"do": "write", "frames": [[1, 20, MIB]], "read": False}, [[stage, 1, 2]])])


def check_printing(driver):
    driver.stage(0, [({"do": "print"}, [])])


def check_errors(driver):
    text = 'panic at src/main.rs:7: "ä"\n  [gristmill:3] not the end\n\tat the line'
    error = driver.fails(2, [({"do": "fail", "text": text}, [])])
    assert error == text, error
    # With input that the task does not read.
    stage, _ = driver.stage(1, [({"do": "write", "frames": [[1, 20, MIB]]}, [])])
    error = driver.fails(2, [({"do": "fail", "text": ""}, [[stage, 1, 2]])])
    assert error == "", error
    cases = [
        ({"do": "die"}, ["without an end frame, exit code 137"]),
        ({"do": "exit", "code": 3}, ["without an end frame, exit code 3; its last words: these are my last words"]),
        ({"do": "exit", "code": 0}, ["without an end frame, exit code 0"]),
        ({"do": "misnumber", "partition": 3}, ["partition 3 of 3"]),
        ({"do": "misnumber", "partition": 0xFFFFFFFF}, ["partition 4294967295 of 3"]),
        ({"do": "miscount"}, ["it sent 1 frames, and 0 arrived"]),
        ({"do": "fail_at_exit"}, ["exit code 9 after its end frame"]),
        ({"do": "oversize"}, ["268435457 bytes"]),
        ({"do": "babble"}, ["kind 81"]),
        ({"do": "hang_up"}, ["hung up without an end frame; its last words: I hang up"]),
    ]
    for spec, words in cases:
        error = driver.fails(2, [(spec, [])])
        assert all(word in error for word in words) and "task 0 of stage" in error, error
    error = driver.fails(0, [({"do": "map"}, [])], directory="/not/here")
    assert "the directory /not/here of the driver is not on host" in error, error
    error = driver.fails(0, [({"do": "map"}, [])], args=["never-connect"])
    assert "without connecting, exit code 5; its last words: I never connect" in error, error


def check_canceled(driver):
    """A task that still runs when its stage fails is ended, and its child."""
    error = driver.fails(1, [({"do": "wait", "name": "waiting"}, []), ({"do": "fail_after", "name": "waiting"}, [])])
    assert error == "one of two", error
    await_gone(driver, "waiting")
    await_gone(driver, "waiting-2")


def await_gone(driver, name):
    with open(os.path.join(driver.scratch, name)) as file:
        pid = int(file.read())
    await_true(f"the end of {name}", lambda: not alive(pid))


def maps(driver, name="maps"):
    path = os.path.join(driver.scratch, name)
    if not os.path.exists(path):
        return 0
    with open(path) as file:
        return len(file.readlines())


def check_lost_files(driver):
    """The reads of a stage fail, so that Spark computes again what it reads."""
    def lose():
        found = glob.glob(os.path.join(glob.escape(driver.scratch), "local*/**/shuffle_*"), recursive=True)
        assert found, "there are no files of a shuffle"
        for path in found:
            os.unlink(path)

    before, again_before = maps(driver), maps(driver, "maps-again")
    count(driver, between=lose)
    again = maps(driver, "maps-again") - again_before
    assert again > 0 and maps(driver) == before + len(TEXTS) + again, "no task was run again, or one did not know that the driver has its share"


def check_killed_child(driver):
    count(driver, maps=[{}, {"kill": "child-1"}, {}, {"kill": "child-3"}])
    assert os.path.exists(os.path.join(driver.scratch, "child-3"))
    error = driver.fails(2, [({"do": "fail", "text": "always"}, [])])
    assert error == "always", error


def check_killed_executor_in_map(driver):
    count(driver, maps=[{}, {}, {}, {"kill": "executor-map"}])
    await_gone(driver, "executor-map")


def check_killed_executor_in_reduce(driver):
    before = maps(driver)
    count(driver, reduces=[{}, {"kill": "executor-reduce"}, {}])
    await_gone(driver, "executor-reduce")
    assert maps(driver) > before + len(TEXTS), "no task of the first stage was run again"


def check_speculation(driver):
    count(driver, maps=[{}, {}, {}, {"straggler": "straggler"}])
    await_gone(driver, "straggler")


def check_ended(driver):
    """What this process does not survive: driver.py looks at what is left."""
    driver.stage(1, [({"do": "wait", "name": "left"}, [])])


def check_character_set(driver):
    """Run where Java knows ASCII only."""
    error = driver.fails(0, [({"do": "tell"}, [])])
    assert 'cannot pass "zwölf"' in error and "LC_ALL=C.UTF-8" in error, error


def check_garbage(driver):
    driver.wire.send("Z", b"")
    assert driver.wire.receive() == (None, b""), "garbage was answered"


def main():
    if "GRISTMILL_STAGE" in os.environ:
        if sys.argv[1] == "never-connect":
            print("I never connect", file=sys.stderr)
            sys.exit(5)
        assert "GRISTMILL_DRIVER" not in os.environ
        task = Task(sys.argv[2])
        getattr(task, "do_" + task.spec["do"])()
        task.end()
        return
    scratch, *checks = sys.argv[1:]
    if checks[0].startswith("exit-"):
        sys.exit(int(checks[0][5:]))
    driver = Driver(scratch)
    for check in checks:
        if check.startswith("exit-"):
            sys.exit(int(check[5:]))
        globals()["check_" + check](driver)
        print("passed:", check, flush=True)


if __name__ == "__main__":
    main()
