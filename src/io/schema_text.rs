//! The columns of a table as text, for people to read, keep and change.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, ErrorKind, Result};

/// A schema as it stands in a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SchemaText {
    columns: Vec<ColumnText>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnText {
    name: String,
    r#type: String,
    #[serde(default = "nullable")]
    nullable: bool,
}

fn nullable() -> bool {
    true
}

/// The columns as JSON: an array of objects with `name`, `type` (as arrow writes it) and `nullable`.
pub fn columns_json(schema: &Schema) -> Value {
    let fields = schema.fields().iter().map(|field| {
        json!({ "name": field.name(), "type": field.data_type().to_string(), "nullable": field.is_nullable() })
    });
    Value::Array(fields.collect())
}

/// A schema as text that [`schema_from_text`] reads: JSON, one column a line.
///
/// # Examples
///
/// ```
/// use arrow::datatypes::{DataType, Field, Schema};
/// use gristmill::io::schema_text::{schema_from_text, schema_to_text};
///
/// let schema = Schema::new(vec![Field::new("price", DataType::Decimal128(18, 2), true)]);
/// let text = schema_to_text(&schema);
/// assert_eq!(text, "{\"columns\": [\n  {\"name\":\"price\",\"nullable\":true,\"type\":\"Decimal128(18, 2)\"}\n]}\n");
/// assert_eq!(*schema_from_text(&text)?, schema);
/// # Ok::<(), gristmill::Error>(())
/// ```
pub fn schema_to_text(schema: &Schema) -> String {
    let Value::Array(columns) = columns_json(schema) else { return String::new() };
    let lines: Vec<_> = columns.iter().map(|column| format!("  {column}")).collect();
    format!("{{\"columns\": [\n{}\n]}}\n", lines.join(",\n"))
}

/// The schema that a text describes.
///
/// `type` is the name of an Arrow type, such as `Boolean`, `Int64`, `UInt8`, `Float64`, `Utf8`, `Date32`, `Decimal128(18, 2)`,
/// `Timestamp(µs)`, `Timestamp(µs, "UTC")`, `List(Int64)`; `nullable` is true if it is not given.
///
/// # Errors
///
/// If the text is something else, a type is not known, or two columns have one name.
pub fn schema_from_text(text: &str) -> Result<SchemaRef> {
    let wrong = |message: String| {
        Error::new(ErrorKind::Config, message)
            .hint("`gristmill schema FILE` prints one that can be changed, such as {\"columns\": [{\"name\": \"a\", \"type\": \"Int64\"}]}")
    };
    let parsed: SchemaText =
        serde_json::from_str(text).map_err(|error| wrong(format!("the schema cannot be read: {error}")))?;
    let mut fields: Vec<Field> = Vec::with_capacity(parsed.columns.len());
    for column in parsed.columns {
        let data_type: DataType = column.r#type.parse().map_err(|_| {
            let (name, data_type) = (column.name.escape_debug(), column.r#type.escape_debug());
            wrong(format!("the type of column `{name}` is not known: `{data_type}`"))
        })?;
        if fields.iter().any(|field| *field.name() == column.name) {
            return Err(wrong(format!("two columns are named `{}`", column.name.escape_debug())));
        }
        fields.push(Field::new(column.name, data_type, column.nullable));
    }
    if fields.is_empty() {
        return Err(wrong("the schema has no columns".to_owned()));
    }
    Ok(Arc::new(Schema::new(fields)))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Fields, TimeUnit};

    use super::*;

    #[test]
    fn what_is_printed_is_read() {
        let nested = Fields::from(vec![Field::new("x", DataType::Int64, true)]);
        let types = [
            DataType::Boolean,
            DataType::UInt64,
            DataType::Float32,
            DataType::Utf8,
            DataType::Date32,
            DataType::Decimal128(38, 2),
            DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            DataType::new_list(DataType::Float64, true),
            DataType::Struct(nested),
        ];
        let field = |(at, data_type)| Field::new(format!("\"{at}\n"), data_type, at % 2 == 0);
        let schema = Schema::new(types.into_iter().enumerate().map(field).collect::<Vec<_>>());
        assert_eq!(*schema_from_text(&schema_to_text(&schema)).unwrap(), schema);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let fault = |text: &str| schema_from_text(text).unwrap_err().to_string();
        assert!(fault("[]").contains("the schema cannot be read"));
        assert!(fault(r#"{"columns": []}"#).contains("no columns"));
        assert!(fault(r#"{"columns": [{"name": "a", "type": "Int65"}]}"#).contains("`Int65`"));
        let twice = r#"{"columns": [{"name": "a", "type": "Utf8"}, {"name": "a", "type": "Utf8"}]}"#;
        assert!(fault(twice).contains("two columns are named `a`"));
    }
}
