"""PostgreSQL: `COPY` loads the CSV into a table of a server of our own, on a Unix socket in a temporary directory."""

import atexit
import datetime
import decimal
import glob
import json
import os
import shutil
import subprocess
import tempfile

# The columns of the model `flat`, and how they are selected as JSON.
COLUMNS = {
    "id": ("bigint", "id"),
    "small": ("smallint", "small"),
    "large": ("numeric(20,0)", "large::text"),
    "ratio": ("double precision", "ratio"),
    "flag": ("boolean", "flag"),
    "text": ("text", "text"),
    "note": ("text", "note"),
    "day": ("date", "day::text"),
    "at": ("timestamptz", "(extract(epoch FROM at) * 1000000)::bigint"),
    "price": ("numeric(15,2)", "price::text"),
}

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
CONVERT = {
    "large": decimal.Decimal,
    "ratio": float,
    "day": datetime.date.fromisoformat,
    "at": lambda micros: EPOCH + datetime.timedelta(microseconds=micros),
    "price": decimal.Decimal,
}


class Reader:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="postgres-")
        atexit.register(shutil.rmtree, self.dir)
        # The server refuses to run as root.
        self.user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        if self.user:
            shutil.chown(self.dir, "nobody", "nogroup")
        data = f"{self.dir}/data"
        self.run("initdb", "-D", data, "-U", "test", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync")
        options = f"-k {self.dir} -c listen_addresses= -c timezone=UTC -c fsync=off"
        self.run("pg_ctl", "start", "-w", "-D", data, "-l", f"{self.dir}/log", "-o", options)
        atexit.register(self.run, "pg_ctl", "stop", "-m", "immediate", "-D", data)

    def run(self, program, *arguments, **more):
        command = [find(program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", **self.user, **more)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def sql(self, query, **more):
        arguments = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.dir, "-U", "test", "-d", "postgres"]
        return self.run("psql", *arguments, "-c", query, **more)

    def skips(self, output):
        if output["format"] != "csv":
            return "COPY reads CSV"
        return "COPY does not inflate" if output["path"].endswith(".gz") else None

    def omits(self, output):
        return []

    def csv(self, path, types, format):
        columns = ", ".join(f"{name} {type}" for name, (type, _) in COLUMNS.items())
        self.sql(f"DROP TABLE IF EXISTS flat; CREATE TABLE flat ({columns})")
        names = sorted(glob.glob(f"{path}/*.csv")) if os.path.isdir(path) else [path]
        for name in names:
            with open(name, encoding="utf-8", newline="") as file:
                self.sql(
                    f"""COPY flat FROM STDIN WITH (FORMAT csv, HEADER {format["header"]}, DELIMITER E'{format["delimiter"]}',
                    NULL '{format["null"]}', ENCODING 'UTF8')""", stdin=file)
        members = ", ".join(f"'{name}', {select}" for name, (_, select) in COLUMNS.items())
        lines = self.sql(f"SELECT json_build_object({members}) FROM flat").splitlines()
        return [converted(json.loads(line)) for line in lines]


def converted(row):
    for name, convert in CONVERT.items():
        if row[name] is not None:
            row[name] = convert(row[name])
    return row


def find(program):
    """Debian keeps the programs of the server out of the path."""
    places = [shutil.which(program), *sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{program}"), reverse=True)]
    found = [place for place in places if place]
    if not found:
        raise RuntimeError(f"{program} is not there: install PostgreSQL, on Debian `apt-get install postgresql`")
    return found[0]
