"""Polars."""

import os

import polars as pl


class Reader:
    def skips(self, output):
        if output["path"] == "tabs.csv":
            return "Polars takes a text for null that only looks like what stands for null, and is in quotes"
        return None

    def omits(self, output):
        # It would take them for floats, and then say that these are no decimals.
        return ["price", "wide"] if output["format"] == "json_lines" else []

    def parquet(self, path, hive):
        if hive:
            types = {"day": pl.Date, "country": pl.String}
            frame = pl.scan_parquet(path, hidden_file_prefix="_", hive_partitioning=True, hive_schema=types)
        elif os.path.isdir(path):
            frame = pl.scan_parquet(path, hidden_file_prefix="_")
        else:
            frame = pl.scan_parquet(path)
        return frame.collect().to_dicts()

    def csv(self, path, types, format):
        schema = pl.read_parquet_schema(types)
        frame = pl.scan_csv(
            files(path, "csv"), schema=schema, has_header=format["header"], separator=format["delimiter"],
            null_values=[format["null"]] if format["null"] else None,)
        return frame.collect().to_dicts()

    def json_lines(self, path, types):
        columns = pl.read_parquet_schema(types)
        columns = {name: type for name, type in columns.items() if not isinstance(type, pl.Decimal)}
        # It panics at integers of 8 and 16 bits.
        small = {name: pl.Int64 for name, type in columns.items() if type in (pl.Int8, pl.UInt8, pl.Int16, pl.UInt16)}
        frame = pl.scan_ndjson(files(path, "jsonl"), schema=columns | small).select(columns.keys())
        return frame.collect().cast({name: columns[name] for name in small}).to_dicts()


def files(path, extension):
    return f"{path}/*.{extension}" if os.path.isdir(path) else path
