//! How an aggregate is computed: a [`Partial`] of the values that were seen, which is joined with those of later values and becomes a
//! value of the output at last.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    UInt64Array,
};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef, Float64Type, Int64Type, Schema,
    UInt64Type,
};

use gristmill_derive::Record;

use super::aggregate::{Aggregate, Function, What};
use super::grouping::Grouping;
use super::row_format::RowFormat;
use super::table::column_at;
use crate::error::{Error, ErrorKind, Result};
use crate::record::Bytes;

/// What is known of one aggregate of one group. Each aggregate needs a part of it; the rest stays as it began.
#[derive(Record, Debug, Clone)]
pub(super) struct Partial {
    /// Rows, or values that are no null.
    count: u64,
    /// The sum of integers, or of decimals without their points. Once it has reached the border of its type, it stays there.
    whole: i128,
    /// The sum of floats.
    float: f64,
    /// The smallest or the largest value, as a row of its column.
    extreme: Option<Bytes>,
}

impl Partial {
    /// That of no values. A float that is added to negative zero stays what it is.
    pub(super) const NONE: Partial = Partial { count: 0, whole: 0, float: -0.0, extreme: None };
}

/// One aggregate of a table whose columns are known.
pub(super) struct Measure {
    kind: Kind,
    /// Where its column stands; that of a number of rows does not matter.
    at: usize,
    /// The column of the output.
    field: FieldRef,
    /// As its user called it.
    aggregate: Aggregate,
}

enum Kind {
    Rows,
    Values,
    Sum(Numbers),
    Mean(Numbers),
    Extreme(Box<Extreme>),
}

/// Numbers of a kind, which are added up in one type that holds all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbers {
    Signed,
    Unsigned,
    Decimal { precision: u8, scale: i8 },
    Float,
}

/// The least or the greatest value of a column.
struct Extreme {
    /// How it compares with the others.
    wanted: Ordering,
    format: RowFormat,
    null: Bytes,
}

impl Numbers {
    fn of(data_type: &DataType) -> Option<Numbers> {
        match data_type {
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale) => {
                Some(Numbers::Decimal { precision: *precision, scale: *scale })
            }
            other if other.is_signed_integer() => Some(Numbers::Signed),
            other if other.is_unsigned_integer() => Some(Numbers::Unsigned),
            other if other.is_floating() => Some(Numbers::Float),
            DataType::Dictionary(_, values) => Numbers::of(values),
            _ => None,
        }
    }

    /// The type in which values are added up.
    fn widest(self) -> DataType {
        match self {
            Numbers::Signed => DataType::Int64,
            Numbers::Unsigned => DataType::UInt64,
            Numbers::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
            Numbers::Float => DataType::Float64,
        }
    }

    /// The type of the sum. Decimals get ten digits more, as in Spark and DataFusion.
    fn sum(self) -> DataType {
        match self {
            Numbers::Decimal { scale, .. } => DataType::Decimal128(self.digits(), scale),
            other => other.widest(),
        }
    }

    /// What one is, in the units that are added up.
    fn unit(self) -> f64 {
        match self {
            Numbers::Decimal { scale, .. } => 10_f64.powi(scale.into()),
            _ => 1.0,
        }
    }

    /// The digits that a sum of decimals may have.
    fn digits(self) -> u8 {
        match self {
            Numbers::Decimal { precision, .. } => precision.saturating_add(10).min(DECIMAL128_MAX_PRECISION),
            _ => DECIMAL128_MAX_PRECISION,
        }
    }
}

impl Kind {
    fn new(function: Function, schema: &Schema, at: usize) -> Result<Kind> {
        match function {
            Function::Count => Ok(Kind::Values),
            Function::Sum => numbers(function, schema.field(at)).map(Kind::Sum),
            Function::Mean => numbers(function, schema.field(at)).map(Kind::Mean),
            Function::Min => extreme(schema, at, Ordering::Less),
            Function::Max => extreme(schema, at, Ordering::Greater),
        }
    }

    /// The type of the output, given that of the column.
    fn data_type(&self, of: &DataType) -> DataType {
        match self {
            Kind::Rows | Kind::Values => DataType::Int64,
            Kind::Sum(numbers) => numbers.sum(),
            Kind::Mean(_) => DataType::Float64,
            Kind::Extreme(_) => of.clone(),
        }
    }
}

fn numbers(function: Function, field: &Field) -> Result<Numbers> {
    Numbers::of(field.data_type()).ok_or_else(|| {
        let (name, data_type) = (field.name().escape_debug(), field.data_type());
        let message = format!("the column `{name}` has no {}: it is {data_type}", function.name());
        Error::new(ErrorKind::Config, message)
            .hint("choose a column of numbers; of others there are count, min and max")
    })
}

fn extreme(schema: &Schema, at: usize, wanted: Ordering) -> Result<Kind> {
    let format = RowFormat::of_keys(schema, &[(at, SortOptions::default())])?;
    let null = format.null()?;
    Ok(Kind::Extreme(Box::new(Extreme { wanted, format, null })))
}

impl Measure {
    /// The aggregate of a table with these columns.
    ///
    /// # Errors
    ///
    /// If its column is not there, or its values have no such aggregate.
    pub(super) fn new(schema: &Schema, aggregate: &Aggregate) -> Result<Measure> {
        let (kind, at, data_type) = match aggregate.what() {
            What::Rows => (Kind::Rows, 0, DataType::Int64),
            What::Of(function, column) => {
                let at = column_at(schema, column)?;
                let kind = Kind::new(*function, schema, at)?;
                let data_type = kind.data_type(schema.field(at).data_type());
                (kind, at, data_type)
            }
        };
        let nullable = !matches!(kind, Kind::Rows | Kind::Values);
        let field = Arc::new(Field::new(aggregate.name(), data_type, nullable));
        Ok(Measure { kind, at, field, aggregate: aggregate.clone() })
    }

    /// The column of the output.
    pub(super) fn field(&self) -> &FieldRef {
        &self.field
    }

    /// What a batch tells of each group.
    ///
    /// # Errors
    ///
    /// If the batch has other columns.
    pub(super) fn partials(&self, batch: &RecordBatch, groups: &Grouping) -> Result<Vec<Partial>> {
        let mut partials = vec![Partial::NONE; groups.len()];
        match &self.kind {
            Kind::Rows => groups.rows().for_each(|(_, group)| partials[group].count += 1),
            Kind::Values => {
                valid_rows(batch.column(self.at), groups).for_each(|(_, group)| partials[group].count += 1);
            }
            Kind::Sum(numbers) | Kind::Mean(numbers) => {
                let values = cast(batch.column(self.at), &numbers.widest()).map_err(internal)?;
                add_numbers(*numbers, &values, groups, &mut partials);
            }
            Kind::Extreme(extreme) => extreme.add(batch, self.at, groups, &mut partials)?,
        }
        Ok(partials)
    }

    /// Joins what later values tell.
    pub(super) fn join(&self, partial: &mut Partial, later: Partial) {
        partial.count += later.count;
        partial.whole = sum(partial.whole, later.whole);
        partial.float += later.float;
        if let Kind::Extreme(extreme) = &self.kind {
            extreme.join(&mut partial.extreme, later.extreme);
        }
    }

    /// The values of the output. What is wrong with one is said of the `group` of its row.
    ///
    /// # Errors
    ///
    /// If a sum does not fit its type.
    pub(super) fn finish(&self, partials: &[&Partial], group: impl Fn(usize) -> String) -> Result<ArrayRef> {
        Ok(match &self.kind {
            Kind::Rows | Kind::Values => {
                let counts = partials.iter().map(|partial| partial.count.cast_signed());
                Arc::new(Int64Array::from_iter_values(counts))
            }
            Kind::Sum(Numbers::Float) => {
                let sum = |partial: &&Partial| partial.sum_of_floats();
                Arc::new(partials.iter().map(sum).collect::<Float64Array>())
            }
            Kind::Sum(Numbers::Signed) => {
                Arc::new(Int64Array::from(self.sums(partials, group, |sum| sum.try_into().ok())?))
            }
            Kind::Sum(Numbers::Unsigned) => {
                Arc::new(UInt64Array::from(self.sums(partials, group, |sum| sum.try_into().ok())?))
            }
            Kind::Sum(decimals @ Numbers::Decimal { .. }) => {
                let end = 10_u128.pow(decimals.digits().into());
                let fit = |sum: i128| (sum.unsigned_abs() < end).then_some(sum);
                let sums = Decimal128Array::from(self.sums(partials, group, fit)?);
                Arc::new(sums.with_data_type(decimals.sum()))
            }
            Kind::Mean(Numbers::Float) => {
                let mean = |partial: &&Partial| partial.sum_of_floats().map(|sum| sum / partial.count as f64);
                Arc::new(partials.iter().map(mean).collect::<Float64Array>())
            }
            Kind::Mean(numbers) => {
                let fit = |sum: i128| (!is_border(sum)).then(|| sum as f64 / numbers.unit());
                let sums = self.sums(partials, group, fit)?;
                let mean =
                    |(sum, partial): (Option<f64>, &&Partial)| sum.map(|sum| sum / partial.count as f64);
                Arc::new(sums.into_iter().zip(partials).map(mean).collect::<Float64Array>())
            }
            Kind::Extreme(extreme) => extreme.values(partials)?,
        })
    }

    /// The sums of the groups that have values, of each what `fit` makes of it.
    fn sums<T>(
        &self,
        partials: &[&Partial],
        group: impl Fn(usize) -> String,
        fit: impl Fn(i128) -> Option<T>,
    ) -> Result<Vec<Option<T>>> {
        let sum = |(row, partial): (usize, &&Partial)| match partial.count {
            0 => Ok(None),
            _ => fit(partial.whole).map(Some).ok_or_else(|| self.too_large(&group(row))),
        };
        partials.iter().enumerate().map(sum).collect()
    }

    fn too_large(&self, group: &str) -> Error {
        let (aggregate, data_type) = (self.aggregate.to_string(), self.field.data_type());
        let message = format!("{} of {group} does not fit {data_type}", aggregate.escape_debug());
        Error::new(ErrorKind::Input, message).hint(match data_type {
            DataType::Decimal128(..) => "let the column be Float64, whose sums are rounded (--schema)",
            _ => "let the column be a decimal, such as Decimal128(20, 0), or Float64 (--schema)",
        })
    }
}

impl Partial {
    /// The bytes of what it knows.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Partial>() + self.extreme.as_ref().map_or(0, |extreme| extreme.as_slice().len())
    }

    fn sum_of_floats(&self) -> Option<f64> {
        (self.count > 0).then_some(self.float)
    }
}

impl Extreme {
    fn add(&self, batch: &RecordBatch, at: usize, groups: &Grouping, partials: &mut [Partial]) -> Result<()> {
        let encoded = self.format.encode(batch)?;
        let mut found: Vec<Option<usize>> = vec![None; partials.len()];
        for (row, group) in valid_rows(batch.column(at), groups) {
            let is_better = |best| encoded.row(row).cmp(encoded.row(best)) == self.wanted;
            if found[group].is_none_or(is_better) {
                found[group] = Some(row);
            }
        }
        for (partial, row) in partials.iter_mut().zip(found) {
            partial.extreme = row.map(|row| Bytes::from(encoded.row(row)));
        }
        Ok(())
    }

    fn join(&self, extreme: &mut Option<Bytes>, later: Option<Bytes>) {
        let is_better = match (&extreme, &later) {
            (Some(extreme), Some(later)) => later.as_slice().cmp(extreme.as_slice()) == self.wanted,
            (None, _) => true,
            (Some(_), None) => false,
        };
        if is_better {
            *extreme = later;
        }
    }

    fn values<'a>(&'a self, partials: &'a [&'a Partial]) -> Result<ArrayRef> {
        let row = |partial: &'a &Partial| partial.extreme.as_ref().unwrap_or(&self.null).as_slice();
        let mut columns = self.format.decode(partials.iter().map(row))?;
        columns.pop().ok_or_else(|| Error::new(ErrorKind::Internal, "the row of a column has none"))
    }
}

/// The rows in which a column is not null, each with its group.
fn valid_rows(column: &ArrayRef, groups: &Grouping) -> impl Iterator<Item = (usize, usize)> {
    let nulls = column.logical_nulls();
    groups.rows().filter(move |(row, _)| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row)))
}

fn add_numbers(numbers: Numbers, values: &ArrayRef, groups: &Grouping, partials: &mut [Partial]) {
    let add_whole = |partial: &mut Partial, value| partial.whole = sum(partial.whole, value);
    match numbers {
        Numbers::Signed => {
            add_each::<Int64Type>(values, groups, partials, |partial, n| add_whole(partial, n.into()));
        }
        Numbers::Unsigned => {
            add_each::<UInt64Type>(values, groups, partials, |partial, n| add_whole(partial, n.into()));
        }
        Numbers::Decimal { .. } => add_each::<Decimal128Type>(values, groups, partials, add_whole),
        Numbers::Float => add_each::<Float64Type>(values, groups, partials, |partial, x| partial.float += x),
    }
}

fn add_each<P: ArrowPrimitiveType>(
    values: &ArrayRef,
    groups: &Grouping,
    partials: &mut [Partial],
    add: impl Fn(&mut Partial, P::Native),
) {
    let values = values.as_primitive::<P>();
    for (row, group) in groups.rows() {
        if values.is_valid(row) {
            partials[group].count += 1;
            add(&mut partials[group], values.value(row));
        }
    }
}

/// The sum of two, which stays at the border of the type once it is there.
fn sum(a: i128, b: i128) -> i128 {
    match (is_border(a), is_border(b)) {
        (true, _) => a,
        (_, true) => b,
        (false, false) => a.saturating_add(b),
    }
}

fn is_border(sum: i128) -> bool {
    sum == i128::MIN || sum == i128::MAX
}

/// An error of arrow about numbers that all have room where they are put.
fn internal(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Internal, format!("numbers cannot be added up: {error}")).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_that_has_left_its_type_stays_outside() {
        assert_eq!(sum(i128::MAX - 1, 5), i128::MAX);
        assert_eq!(sum(sum(i128::MAX, 5), -7), i128::MAX);
        assert_eq!(sum(-7, sum(i128::MIN, -5)), i128::MIN);
        assert_eq!(sum(-7, 5), -2);
    }

    #[test]
    fn what_is_said_of_the_sum_and_the_mean_of_texts() {
        let schema = Schema::new(vec![Field::new("path", DataType::Utf8, true)]);
        let fault = |aggregate: Aggregate| Measure::new(&schema, &aggregate).err().unwrap().to_string();
        assert!(fault(Aggregate::sum("path")).contains("the column `path` has no sum: it is Utf8; choose"));
        assert!(fault(Aggregate::mean("path")).contains("no mean"));
        assert!(fault(Aggregate::max("pat")).contains("no column `pat`; the nearest name is `path`"));
    }
}
