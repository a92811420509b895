"""Reads the outputs that tests/consumers.rs has written with one program, and compares all values with the model.

usage: check.py PROGRAM DIR

PROGRAM is one of the modules beside this file. Each has a class `Reader`, with the methods `parquet`, `csv` and `json_lines`,
which give the rows of an output as dicts (`types` is a Parquet file with the same columns); `skips`, which gives the reason why an
output is not for this program; and `omits`, which gives the columns of an output that this program cannot read.
"""

import datetime
import decimal
import importlib
import json
import math
import pathlib
import sys

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)

# Decimals have up to 38 digits.
decimal.getcontext().prec = 76


def python_value(value):
    """What the model has as an object of one member, because JSON has no type for it, as what Python has for it."""
    if "$days" in value:
        return EPOCH.date() + datetime.timedelta(days=value["$days"])
    if "$micros" in value:
        return EPOCH + datetime.timedelta(microseconds=value["$micros"])
    if "$unscaled" in value:
        return decimal.Decimal(value["$unscaled"]).scaleb(-value["scale"])
    return value


def plain(value):
    """A value that a program gave, with instants in UTC and pairs of lists and tuples as what they mean."""
    if isinstance(value, datetime.datetime):
        # The programs are told to work in UTC; some leave the zone away then.
        if value.tzinfo is None:
            return value.replace(tzinfo=datetime.timezone.utc)
        return value.astimezone(datetime.timezone.utc)
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def same(found, expected):
    """Whether two values are equal and of one kind: 1 is not True, and not 1.0."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and found.keys() == expected.keys() and all(
            same(found[name], member) for name, member in expected.items())
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, float) and math.isnan(expected):
        return isinstance(found, float) and math.isnan(found)
    if type(expected) is int and isinstance(found, decimal.Decimal):
        return found == expected  # Spark has no integers of 64 bits without a sign
    return type(found) is type(expected) and found == expected


def compare(found, expected):
    """The first difference of two lists of rows, or nothing."""
    for number, (row, model) in enumerate(zip(found, expected)):
        if row.keys() != model.keys():
            return f"row {number} has the columns {list(row)}, not {list(model)}"
        for name in model:
            if not same(row[name], model[name]):
                return f"row {number}, column {name}: {row[name]!r}, not {model[name]!r}"
    if len(found) != len(expected):
        return f"{len(found)} rows, not {len(expected)}"
    return None


def by_id(rows):
    """Rows in an order that does not depend on who read them."""
    return sorted(rows, key=lambda row: row["id"])


def check(reader, dir, output, model):
    path = str(dir / output["path"])
    # Text does not say the types of its columns: they are what the program takes those of the Parquet file to be.
    types = str(dir / f"{output['model']}.parquet")
    if output["format"] == "csv":
        rows = reader.csv(path, types, output["csv"])
    elif output["format"] == "json_lines":
        rows = reader.json_lines(path, types)
    else:
        rows = reader.parquet(path, output.get("hive", False))
    rows = [plain(row) for row in rows]
    # Files are read in their order; programs promise none of several files or threads.
    omitted = reader.omits(output)
    model = [{name: value for name, value in row.items() if name not in omitted} for row in model]
    return compare(by_id(rows), by_id(model))


def main():
    program, dir = sys.argv[1], pathlib.Path(sys.argv[2])
    reader = importlib.import_module(f"read_{program}").Reader()
    models = json.loads((dir / "models.json").read_text(), object_hook=python_value)
    faults = read = 0
    for output in json.loads((dir / "outputs.json").read_text()):
        reason = reader.skips(output)
        if reason:
            print(f"{program} {output['path']}: not read, since {reason}")
            continue
        try:
            fault = check(reader, dir, output, models[output["model"]])
        except Exception as error:  # what a program cannot read is what we look for
            fault = f"{type(error).__name__}: {error}"
        read += 1
        if fault:
            faults += 1
            print(f"{program} {output['path']}: {fault}")
    print(f"{program} read {read} outputs, {faults} of them wrong")
    sys.exit(faults > 0 or read == 0)


main()
