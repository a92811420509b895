"""DuckDB."""

import os

import duckdb


class Reader:
    def __init__(self):
        self.db = duckdb.connect()
        self.db.execute("SET TimeZone = 'UTC'")

    def skips(self, output):
        return None

    def omits(self, output):
        return []

    def rows(self, query, *arguments):
        # Through Arrow, since its own conversion of instants wants another package.
        return self.db.sql(query, params=arguments).to_arrow_table().to_pylist()

    def columns(self, types):
        """The columns of a Parquet file, as `read_csv` and `read_json` want them."""
        found = self.db.sql("DESCRIBE SELECT * FROM read_parquet($1)", params=[types]).fetchall()
        return "{" + ", ".join(f"{text(column)}: {text(type)}" for column, type, *_ in found) + "}"

    def parquet(self, path, hive):
        if hive:
            types = "hive_partitioning = true, hive_types = {day: DATE, country: VARCHAR}"
            return self.rows(f"FROM read_parquet($1, {types})", f"{path}/**/*.parquet")
        return self.rows("FROM read_parquet($1)", files(path, "parquet"))

    def csv(self, path, types, format):
        return self.rows(
            f"""FROM read_csv($1, columns = {self.columns(types)}, delim = {text(format["delimiter"])}, nullstr = {text(format["null"])},
                header = {format["header"]}, quote = '"', escape = '"', allow_quoted_nulls = false, auto_detect = false)""",
            files(path, "csv"))

    def json_lines(self, path, types):
        columns = self.columns(types)
        return self.rows(f"FROM read_json($1, format = 'newline_delimited', columns = {columns})", files(path, "jsonl"))


def files(path, extension):
    return f"{path}/*.{extension}" if os.path.isdir(path) else path


def text(value):
    return "'" + value.replace("'", "''") + "'"
