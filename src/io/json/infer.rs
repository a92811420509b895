//! The columns of JSON lines, told from the first objects.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, ErrorKind, Result};
use crate::io::infer::sample_lines;
use crate::io::lines::LineOptions;
use crate::io::resolve::InputFile;

/// The columns that the objects of the first `rows` lines have, in the order in which they first occur. All of them can be null.
///
/// Whole numbers are `Int64`, or `UInt64` where these are too small; with fractions they are `Float64`; objects are structs and arrays lists. What has
/// values of different kinds, or only nulls, is a text. Lines that are no objects are left out.
///
/// # Errors
///
/// If a file cannot be read, or no line is an object with a field.
pub fn infer_json(files: &[InputFile], lines: LineOptions, rows: usize) -> Result<SchemaRef> {
    let mut kind = Kind::Null;
    sample_lines(files, lines, rows, |line| {
        let mut object = Kind::Null;
        let mut json = serde_json::Deserializer::from_str(line);
        if Observed(&mut object).deserialize(&mut json).is_ok() && matches!(object, Kind::Object(_)) {
            kind.merge(object);
        }
    })?;
    match kind.data_type() {
        DataType::Struct(fields) if !fields.is_empty() => Ok(Arc::new(Schema::new(fields))),
        _ => Err(Error::new(ErrorKind::Input, "there is no object to tell the columns of JSON lines from")
            .hint("give a schema, or look at whether there is one object a line")),
    }
}

/// What the values at one place have in common.
#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Null,
    Bool,
    Int,
    /// A whole number that only an unsigned one can be.
    Unsigned,
    Float,
    Text,
    Mixed,
    List(Box<Kind>),
    Object(Vec<(String, Kind)>),
}

impl Kind {
    fn merge(&mut self, other: Kind) {
        match (&mut *self, other) {
            (_, Kind::Null) => {}
            (Kind::Null, other) => *self = other,
            (Kind::List(items), Kind::List(other)) => items.merge(*other),
            (Kind::Object(fields), Kind::Object(other)) => {
                for (name, kind) in other {
                    field_of(fields, name).merge(kind);
                }
            }
            (mine, other) if *mine == other => {}
            (Kind::Int, Kind::Unsigned) | (Kind::Unsigned, Kind::Int) => *self = Kind::Unsigned,
            (Kind::Int | Kind::Unsigned, Kind::Float) | (Kind::Float, Kind::Int | Kind::Unsigned) => {
                *self = Kind::Float;
            }
            _ => *self = Kind::Mixed,
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Kind::Bool => DataType::Boolean,
            Kind::Int => DataType::Int64,
            Kind::Unsigned => DataType::UInt64,
            Kind::Float => DataType::Float64,
            Kind::Null | Kind::Text | Kind::Mixed => DataType::Utf8,
            Kind::List(item) => DataType::new_list(item.data_type(), true),
            Kind::Object(fields) => {
                let field = |(name, kind): &(String, Kind)| Field::new(name, kind.data_type(), true);
                DataType::Struct(fields.iter().map(field).collect::<Fields>())
            }
        }
    }
}

fn field_of(fields: &mut Vec<(String, Kind)>, name: String) -> &mut Kind {
    let at = fields.iter().position(|(known, _)| *known == name).unwrap_or(fields.len());
    if at == fields.len() {
        fields.push((name, Kind::Null));
    }
    &mut fields[at].1
}

/// Notes the kind of a value while it is parsed: no value is kept, and fields are seen in their order.
struct Observed<'a>(&'a mut Kind);

impl<'de> DeserializeSeed<'de> for Observed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Observed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.0.merge(Kind::Bool);
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.0.merge(Kind::Int);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.0.merge(if i64::try_from(number).is_ok() { Kind::Int } else { Kind::Unsigned });
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.0.merge(Kind::Float);
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.0.merge(Kind::Text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut item = Kind::Null;
        while items.next_element_seed(Observed(&mut item))?.is_some() {}
        self.0.merge(Kind::List(Box::new(item)));
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = entries.next_key::<String>()? {
            entries.next_value_seed(Observed(field_of(&mut fields, name)))?;
        }
        self.0.merge(Kind::Object(fields));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_of(values: &[&str]) -> DataType {
        let mut kind = Kind::Null;
        for value in values {
            let mut json = serde_json::Deserializer::from_str(value);
            Observed(&mut kind).deserialize(&mut json).unwrap();
        }
        kind.data_type()
    }

    #[test]
    fn kinds_of_values_are_merged() {
        for (values, expected) in [
            (&["null"][..], DataType::Utf8),
            (&["true", "null"], DataType::Boolean),
            (&["1", "-2"], DataType::Int64),
            (&["18446744073709551615", "1"], DataType::UInt64),
            (&["1", "1.5"], DataType::Float64),
            (&["1", "\"a\""], DataType::Utf8),
            (&["[]", "[1]", "[null, 2.5]"], DataType::new_list(DataType::Float64, true)),
            (&["[]"], DataType::new_list(DataType::Utf8, true)),
            (&["[1]", "{}"], DataType::Utf8),
        ] {
            assert_eq!(type_of(values), expected, "{values:?}");
        }
        let DataType::Struct(fields) = type_of(&[r#"{"b": 1}"#, r#"{"a": {"c": []}, "b": 2.5}"#]) else {
            panic!("no struct")
        };
        assert_eq!(fields[0], Arc::new(Field::new("b", DataType::Float64, true)));
        assert_eq!(fields[1].name(), "a");
    }
}
