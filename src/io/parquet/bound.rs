//! A filter bound to the columns of one file: which row groups may have wanted rows, and which rows of a batch are wanted.
//!
//! Both are computed in the logic of SQL, which has true, false and null. Of a row group, statistics tell which of these three can occur.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Datum, Float32Array, Float64Array, RecordBatch, Scalar, new_null_array,
};
use arrow::compute::kernels::cmp;
use arrow::compute::{and_kleene, is_null, not, nullif, or_kleene};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Schema};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use super::filter::{Comparison, Condition, Filter};
use super::literal::scalar;
use crate::error::{Error, ErrorKind, Result};
use crate::record::nearest;

/// A filter of which each column is one of a file.
pub(super) struct BoundFilter {
    condition: Bound,
    /// The columns that it looks at, by their numbers in the file, in order.
    roots: Vec<usize>,
}

/// Columns are numbers in the list of those that the filter looks at.
enum Bound {
    Compare(usize, Comparison, Scalar<ArrayRef>),
    IsIn(usize, Vec<Scalar<ArrayRef>>),
    IsNull(usize),
    All(Vec<Bound>),
    Any(Vec<Bound>),
    Not(Box<Bound>),
}

/// What a condition can be of the rows of a row group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcomes {
    pub(super) yes: bool,
    pub(super) no: bool,
    pub(super) null: bool,
}

const YES: Outcomes = Outcomes { yes: true, no: false, null: false };
const NO: Outcomes = Outcomes { yes: false, no: true, null: false };

impl Outcomes {
    fn and(self, other: Outcomes) -> Outcomes {
        let is_null = |a: Outcomes, b: Outcomes| a.null && (b.null || b.yes);
        Outcomes {
            yes: self.yes && other.yes,
            no: self.no || other.no,
            null: is_null(self, other) || is_null(other, self),
        }
    }

    fn negated(self) -> Outcomes {
        Outcomes { yes: self.no, no: self.yes, null: self.null }
    }

    fn or(self, other: Outcomes) -> Outcomes {
        self.negated().and(other.negated()).negated()
    }
}

impl BoundFilter {
    /// Binds a filter to the columns of a file.
    ///
    /// # Errors
    ///
    /// If there is no such column, or a value is none of its column.
    pub(super) fn new(filter: &Filter, schema: &Schema) -> Result<BoundFilter> {
        let mut roots = Vec::new();
        each_column(&filter.0, &mut |name| roots.push(root(name, schema)));
        let mut roots: Vec<usize> = roots.into_iter().collect::<Result<_>>()?;
        roots.sort_unstable();
        roots.dedup();
        let condition = bind(&filter.0, schema, &roots)?;
        Ok(BoundFilter { condition, roots })
    }

    /// The columns that it looks at.
    pub(super) fn columns(&self, footer: &ArrowReaderMetadata) -> ProjectionMask {
        let schema = footer.metadata().file_metadata().schema_descr();
        ProjectionMask::roots(schema, self.roots.iter().copied())
    }

    /// Whether each row of a batch of [`BoundFilter::columns`] is wanted.
    pub(super) fn evaluate(&self, batch: &RecordBatch) -> Result<BooleanArray, ArrowError> {
        evaluate(&self.condition, batch)
    }

    /// What the condition can be of the rows of each row group.
    ///
    /// # Errors
    ///
    /// If the statistics of the file are damaged.
    pub(super) fn outcomes(&self, footer: &ArrowReaderMetadata) -> Result<Vec<Outcomes>, ParquetError> {
        let statistics = self.roots.iter().map(|&root| ColumnStatistics::of(footer, root));
        let statistics: Vec<ColumnStatistics> = statistics.collect::<Result<_, _>>()?;
        Ok(outcomes(&self.condition, &statistics, footer.metadata().num_row_groups())?)
    }
}

fn each_column<'a>(condition: &'a Condition, visit: &mut impl FnMut(&'a str)) {
    match condition {
        Condition::Compare(name, ..) | Condition::IsIn(name, _) | Condition::IsNull(name) => visit(name),
        Condition::All(conditions) | Condition::Any(conditions) => {
            for condition in conditions {
                each_column(condition, visit);
            }
        }
        Condition::Not(condition) => each_column(condition, visit),
    }
}

fn root(name: &str, schema: &Schema) -> Result<usize> {
    schema.index_of(name).map_err(|_| {
        let error = Error::new(
            ErrorKind::Config,
            format!("the file has no column `{name}`, which the filter is about"),
        );
        match nearest(name, schema.fields().iter().map(|field| field.name().as_str())) {
            Some(similar) => error.hint(format!("the nearest name is `{similar}`")),
            None => error,
        }
    })
}

fn bind(condition: &Condition, schema: &Schema, roots: &[usize]) -> Result<Bound> {
    let column = |name: &str| -> Result<(usize, &Field)> {
        let root = root(name, schema)?;
        Ok((roots.partition_point(|&other| other < root), schema.field(root)))
    };
    let bind_all = |conditions: &[Condition]| -> Result<Vec<Bound>> {
        conditions.iter().map(|condition| bind(condition, schema, roots)).collect()
    };
    Ok(match condition {
        Condition::Compare(name, comparison, literal) => {
            let (column, field) = column(name)?;
            Bound::Compare(column, *comparison, scalar(literal, field)?)
        }
        Condition::IsIn(name, literals) => {
            let (column, field) = column(name)?;
            Bound::IsIn(column, literals.iter().map(|literal| scalar(literal, field)).collect::<Result<_>>()?)
        }
        Condition::IsNull(name) => Bound::IsNull(column(name)?.0),
        Condition::All(conditions) => Bound::All(bind_all(conditions)?),
        Condition::Any(conditions) => Bound::Any(bind_all(conditions)?),
        Condition::Not(condition) => Bound::Not(Box::new(bind(condition, schema, roots)?)),
    })
}

fn evaluate(condition: &Bound, batch: &RecordBatch) -> Result<BooleanArray, ArrowError> {
    let all = |value: bool| BooleanArray::from(vec![value; batch.num_rows()]);
    match condition {
        Bound::Compare(column, comparison, value) => compare(*comparison, batch.column(*column), value),
        Bound::IsIn(column, values) => values.iter().try_fold(all(false), |any, value| {
            or_kleene(&any, &compare(Comparison::Eq, batch.column(*column), value)?)
        }),
        Bound::IsNull(column) => is_null(batch.column(*column)),
        Bound::All(conditions) => conditions
            .iter()
            .try_fold(all(true), |all, condition| and_kleene(&all, &evaluate(condition, batch)?)),
        Bound::Any(conditions) => conditions
            .iter()
            .try_fold(all(false), |any, condition| or_kleene(&any, &evaluate(condition, batch)?)),
        Bound::Not(condition) => not(&evaluate(condition, batch)?),
    }
}

/// Compares each value. Floats as Rust does, since Arrow has them in a total order.
fn compare(
    comparison: Comparison,
    column: &ArrayRef,
    value: &Scalar<ArrayRef>,
) -> Result<BooleanArray, ArrowError> {
    let float = || value.get().0.as_primitive::<Float64Type>().value(0);
    if let Some(floats) = column.as_primitive_opt::<Float64Type>() {
        let value = float();
        return Ok(BooleanArray::from_unary(floats, |float| comparison.holds(float, value)));
    }
    if let Some(floats) = column.as_primitive_opt::<Float32Type>() {
        let value = float();
        return Ok(BooleanArray::from_unary(floats, |float| comparison.holds(f64::from(float), value)));
    }
    match comparison {
        Comparison::Eq => cmp::eq(column, value),
        Comparison::NotEq => cmp::neq(column, value),
        Comparison::Lt => cmp::lt(column, value),
        Comparison::LtEq => cmp::lt_eq(column, value),
        Comparison::Gt => cmp::gt(column, value),
        Comparison::GtEq => cmp::gt_eq(column, value),
    }
}

/// What a file says of a column, by row group.
struct ColumnStatistics {
    min: ArrayRef,
    max: ArrayRef,
    /// Whether any row is null, and whether all are; `None` where that is not known.
    nulls: Vec<Option<(bool, bool)>>,
    is_float: bool,
}

impl ColumnStatistics {
    fn of(footer: &ArrowReaderMetadata, root: usize) -> Result<ColumnStatistics, ParquetError> {
        let (metadata, schema) = (footer.metadata(), footer.schema());
        let field = schema.field(root);
        let columns = metadata.file_metadata().schema_descr();
        let groups = metadata.row_groups();
        // A nested column has no statistics of its own.
        let leaf = (0..columns.num_columns()).find(|&leaf| columns.get_column_root_idx(leaf) == root);
        let nested = field.data_type().is_nested();
        let Some(leaf) = leaf.filter(|_| !nested) else {
            let unknown = new_null_array(field.data_type(), groups.len());
            let nulls = vec![None; groups.len()];
            return Ok(ColumnStatistics { min: Arc::clone(&unknown), max: unknown, nulls, is_float: false });
        };
        let converter = StatisticsConverter::from_column_index(leaf, field, columns)?
            .with_missing_null_counts_as_zero(false);
        let counts = converter.row_group_null_counts(groups)?;
        let nulls = groups.iter().zip(&counts).map(|(group, nulls)| {
            let rows = group.num_rows().cast_unsigned();
            nulls.map(|nulls| (nulls > 0, nulls >= rows))
        });
        let is_float = matches!(field.data_type(), DataType::Float32 | DataType::Float64);
        let (min, max) = (converter.row_group_mins(groups)?, converter.row_group_maxes(groups)?);
        let unknown: Vec<bool> = groups.iter().map(|group| in_unknown_order(group, leaf, field)).collect();
        let unknown = BooleanArray::from(unknown);
        let [min, max] = [min, max].map(|bounds| nullif(&without_nan(bounds), &unknown));
        Ok(ColumnStatistics { min: min?, max: max?, nulls: nulls.collect(), is_float })
    }
}

/// Some programs have written NaN where they should have written nothing.
fn without_nan(bounds: ArrayRef) -> ArrayRef {
    if let Some(floats) = bounds.as_primitive_opt::<Float64Type>() {
        let floats: Float64Array = floats.unary_opt(|float| (!float.is_nan()).then_some(float));
        return Arc::new(floats);
    }
    if let Some(floats) = bounds.as_primitive_opt::<Float32Type>() {
        let floats: Float32Array = floats.unary_opt(|float| (!float.is_nan()).then_some(float));
        return Arc::new(floats);
    }
    bounds
}

/// Whether the least and greatest value of a column were written in the old fields, whose order is that of signed numbers for every type.
fn in_unknown_order(group: &RowGroupMetaData, leaf: usize, field: &Field) -> bool {
    let is_old = group.column(leaf).statistics().is_some_and(Statistics::is_min_max_deprecated);
    is_old && !(field.data_type().is_signed_integer() || field.data_type().is_floating())
}

fn outcomes(
    condition: &Bound,
    statistics: &[ColumnStatistics],
    groups: usize,
) -> Result<Vec<Outcomes>, ArrowError> {
    let fold = |conditions: &[Bound], start: Outcomes, with: fn(Outcomes, Outcomes) -> Outcomes| {
        conditions.iter().try_fold(vec![start; groups], |so_far, condition| {
            let next = outcomes(condition, statistics, groups)?;
            Ok(so_far.into_iter().zip(next).map(|(a, b)| with(a, b)).collect())
        })
    };
    match condition {
        Bound::Compare(column, comparison, value) => of_comparison(&statistics[*column], *comparison, value),
        Bound::IsIn(column, values) => values.iter().try_fold(vec![NO; groups], |any, value| {
            let next = of_comparison(&statistics[*column], Comparison::Eq, value)?;
            Ok(any.into_iter().zip(next).map(|(a, b)| a.or(b)).collect())
        }),
        Bound::IsNull(column) => {
            let of = |nulls: &Option<(bool, bool)>| match *nulls {
                Some((any, all)) => Outcomes { yes: any, no: !all, null: false },
                None => Outcomes { yes: true, no: true, null: false },
            };
            Ok(statistics[*column].nulls.iter().map(of).collect())
        }
        Bound::All(conditions) => fold(conditions, YES, Outcomes::and),
        Bound::Any(conditions) => fold(conditions, NO, Outcomes::or),
        Bound::Not(condition) => {
            let inner = outcomes(condition, statistics, groups)?;
            Ok(inner.into_iter().map(Outcomes::negated).collect())
        }
    }
}

fn of_comparison(
    column: &ColumnStatistics,
    comparison: Comparison,
    value: &Scalar<ArrayRef>,
) -> Result<Vec<Outcomes>, ArrowError> {
    let yes = may_hold(column, comparison, value)?;
    let no = may_hold(column, comparison.negated(), value)?;
    let of = |((yes, no), nulls): ((bool, bool), &Option<(bool, bool)>)| match *nulls {
        Some((_, true)) => Outcomes { yes: false, no: false, null: true },
        // A NaN is in no statistics, and no comparison with it holds.
        Some((any, false)) => Outcomes { yes, no: no || column.is_float, null: any },
        None => Outcomes { yes, no: no || column.is_float, null: true },
    };
    Ok(yes.into_iter().zip(no).zip(&column.nulls).map(of).collect())
}

/// Whether a comparison may hold for a value of each row group. The bounds may be wider than the values, as those of long texts are.
fn may_hold(
    column: &ColumnStatistics,
    comparison: Comparison,
    value: &Scalar<ArrayRef>,
) -> Result<Vec<bool>, ArrowError> {
    // What is not known may be anything.
    let bound = |comparison, bounds: &ArrayRef, unknown: bool| -> Result<Vec<bool>, ArrowError> {
        Ok(compare(comparison, bounds, value)?.iter().map(|holds| holds.unwrap_or(unknown)).collect())
    };
    let both = |(a, b): (Vec<bool>, Vec<bool>)| a.into_iter().zip(b).map(|(a, b)| a && b);
    Ok(match comparison {
        Comparison::Lt | Comparison::LtEq => bound(comparison, &column.min, true)?,
        Comparison::Gt | Comparison::GtEq => bound(comparison, &column.max, true)?,
        Comparison::Eq => {
            let bounds =
                (bound(Comparison::LtEq, &column.min, true)?, bound(Comparison::GtEq, &column.max, true)?);
            both(bounds).collect()
        }
        Comparison::NotEq if column.is_float => vec![true; column.nulls.len()],
        Comparison::NotEq => {
            let bounds =
                (bound(Comparison::Eq, &column.min, false)?, bound(Comparison::Eq, &column.max, false)?);
            both(bounds).map(|all_equal| !all_equal).collect()
        }
    })
}
