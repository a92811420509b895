"""pyarrow."""

import os

import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.json
import pyarrow.parquet


class Reader:
    def skips(self, output):
        return None

    def omits(self, output):
        return []

    def parquet(self, path, hive):
        types = pa.schema([("day", pa.date32()), ("country", pa.string())])
        partitioning = pa.dataset.partitioning(types, flavor="hive") if hive else None
        return pa.dataset.dataset(path, partitioning=partitioning).to_table().to_pylist()

    def csv(self, path, types, format):
        schema = pa.parquet.read_schema(types)
        read = pa.csv.ReadOptions(column_names=None if format["header"] else schema.names)
        parse = pa.csv.ParseOptions(delimiter=format["delimiter"], newlines_in_values=True)
        convert = pa.csv.ConvertOptions(
            column_types=schema, null_values=[format["null"]], strings_can_be_null=True, quoted_strings_can_be_null=False)
        return tables(path, lambda file: pa.csv.read_csv(file, read, parse, convert))

    def json_lines(self, path, types):
        schema = pa.parquet.read_schema(types)
        readable = pa.schema([nullable(field, pa.timestamp("s")) for field in schema])
        schema = pa.schema([nullable(field, pa.date32()) for field in schema])
        parse = pa.json.ParseOptions(explicit_schema=readable)
        return tables(path, lambda file: pa.json.read_json(file, parse_options=parse).cast(schema))


def nullable(field, date):
    """A field for reading JSON. Fields that are never null fail in structs that are, and dates are read as instants only."""
    type = field.type
    if pa.types.is_date32(type):
        type = date
    elif pa.types.is_struct(type):
        type = pa.struct([nullable(member, date) for member in type])
    elif pa.types.is_list(type):
        type = pa.list_(nullable(type.value_field, date))
    return pa.field(field.name, type)


def tables(path, read):
    """The rows of a file, or of the files in a directory but those that begin with `_` or `.`."""
    names = [name for name in sorted(os.listdir(path)) if name[0] not in "_."] if os.path.isdir(path) else [""]
    return [row for name in names for row in read(os.path.join(path, name).rstrip("/")).to_pylist()]
