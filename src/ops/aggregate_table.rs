//! `Table::aggregate`: one row for each group of rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::SortOptions;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::aggregate::Aggregate;
use super::batching::Batching;
use super::grouping::Grouping;
use super::measure::{Measure, Partial};
use super::row_format::RowFormat;
use super::sort_table::batch_of;
use super::table::{Table, column_at};
use crate::dataset::Dataset;
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::exec::aggregate::{ByKey, Combine};
use crate::exec::narrow::FlatMap;
use crate::exec::sort::Sort;
use crate::exec::sort::order::ByBytes;
use crate::plan::graph::Shape;
use crate::record::Bytes;

/// The columns of a group as bytes, and what is known of each of its aggregates.
type Group = (Bytes, Vec<Partial>);

impl Table {
    /// One row for each group of rows that have the same values in some columns: these columns, and the aggregates of the group.
    ///
    /// Nulls are a group, as in SQL; so are all NaNs, and `-0.0` belongs to `0.0`. Without columns to group by there is one row, also of a table
    /// that has none. Each task combines what it reads before it is exchanged; where there are more groups than the memory holds, they go to
    /// disk. [`Aggregate`] says what there is.
    ///
    /// # Ordering
    ///
    /// By the columns of the group, ascending, nulls last: as [`Table::sort_by`].
    ///
    /// # Errors
    ///
    /// If a column is not there, is grouped by twice, or has no such aggregate; if two columns of the result have one name; and if there would be
    /// none. The run fails if a sum does not fit its type.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// # let (path, out) = (dir.path().join("hits.csv"), dir.path().join("days.csv"));
    /// use gristmill::{Aggregate, TableFormat};
    ///
    /// std::fs::write(&path, "day,bytes\n2,10\n1,\n1,20\n1,30\n")?;
    /// let ctx = Context::new()?;
    /// let csv = TableFormat::Csv(CsvFormat::default());
    /// let schema = ctx.infer_schema(&path, &csv, 1000)?;
    /// let hits = ctx.read_table(&path, csv, schema)?;
    /// let days = hits.aggregate(&["day"], &[Aggregate::rows(), Aggregate::sum("bytes").named("bytes")])?;
    /// days.to_csv(&out, CsvOptions::default()).run()?;
    /// assert_eq!(std::fs::read_to_string(&out)?, "day,count,bytes\n1,3,50\n2,1,10\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn aggregate(&self, group_by: &[impl AsRef<str>], aggregates: &[Aggregate]) -> Result<Table> {
        let call = CallSite::here("aggregate");
        let layout = Layout::new(self.schema(), group_by, aggregates).map_err(|error| error.in_call(call))?;
        let layout = Arc::new(layout);
        let groups = groups(self.batches(), &layout, call, describe(group_by, aggregates));
        let schema = Arc::clone(&layout.schema);
        let batches =
            groups.narrow(call, Batching::new(bytes_of, move |groups: &[Group]| layout.finish(groups)));
        Ok(Table::new(batches, schema))
    }
}

fn describe(group_by: &[impl AsRef<str>], aggregates: &[Aggregate]) -> String {
    let by = group_by.iter().map(|column| format!("by {}", column.as_ref().escape_debug()));
    let aggregates = aggregates.iter().map(|aggregate| aggregate.to_string().escape_debug().to_string());
    by.chain(aggregates).collect::<Vec<_>>().join(", ")
}

/// The groups of all batches, in their order.
#[track_caller]
fn groups(
    batches: &Dataset<RecordBatch>,
    layout: &Arc<Layout>,
    call: CallSite,
    detail: String,
) -> Dataset<Group> {
    let ctx = batches.context();
    let encoding = Arc::clone(layout);
    let group = move |batch: RecordBatch| encoding.groups_of(&batch);
    let mut parts: Dataset<Group> = batches.narrow(call, FlatMap::new(group));
    if layout.is_whole() {
        // The one group is there even if no row is.
        let whole = (Bytes::default(), vec![Partial::NONE; layout.measures.len()]);
        parts = parts.followed_by(call, &ctx.from_vec(vec![whole]));
    }
    let join = Shape::Wide(Arc::new(ByKey::<Group, _>::new(Joining(Arc::clone(layout)))));
    let inputs = vec![Arc::clone(parts.node())];
    let groups: Dataset<Group> = Dataset::of_records(ctx, call, detail, join, inputs);
    // What is exchanged comes in the order of a hash of its bytes, which another release of arrow may lay out otherwise.
    if layout.is_whole() { groups } else { groups.wide(call, Sort::new(ByBytes(key_of))) }
}

fn bytes_of((key, partials): &Group) -> usize {
    key.as_slice().len() + partials.iter().map(Partial::bytes).sum::<usize>()
}

fn key_of((key, _): &Group) -> &[u8] {
    key.as_slice()
}

/// Which columns of a table make which of the groups.
struct Layout {
    keys: RowFormat,
    measures: Vec<Measure>,
    /// The columns of the groups.
    schema: SchemaRef,
}

impl Layout {
    fn new(schema: &Schema, group_by: &[impl AsRef<str>], aggregates: &[Aggregate]) -> Result<Layout> {
        let mut keys = Vec::with_capacity(group_by.len());
        for name in group_by.iter().map(AsRef::as_ref) {
            keys.push((column_at(schema, name)?, SortOptions { descending: false, nulls_first: false }));
        }
        let measures = aggregates.iter().map(|aggregate| Measure::new(schema, aggregate));
        let measures = measures.collect::<Result<Vec<_>>>()?;
        let group_fields = keys.iter().map(|(at, _)| Arc::clone(&schema.fields()[*at]));
        let fields: Vec<FieldRef> =
            group_fields.chain(measures.iter().map(|measure| Arc::clone(measure.field()))).collect();
        check_names(&fields)?;
        let keys = RowFormat::of_keys(schema, &keys)?;
        Ok(Layout { keys, measures, schema: Arc::new(Schema::new(fields)) })
    }

    /// Whether all rows are one group.
    fn is_whole(&self) -> bool {
        self.keys.columns().next().is_none()
    }

    /// The groups of a batch.
    fn groups_of(&self, batch: &RecordBatch) -> Result<Vec<Group>> {
        let keys = self.keys.encode(batch)?;
        let groups = Grouping::of(&keys, batch.num_rows());
        let partials = self.measures.iter().map(|measure| measure.partials(batch, &groups));
        let mut partials =
            partials.map(|of_groups| Ok(of_groups?.into_iter())).collect::<Result<Vec<_>>>()?;
        let group = |key| {
            let mut of_group = Vec::with_capacity(partials.len()); // no more: there can be many groups
            of_group.extend(partials.iter_mut().filter_map(Iterator::next));
            (key, of_group)
        };
        Ok(groups.keys(&keys).map(group).collect())
    }

    /// The rows of some groups.
    fn finish(&self, groups: &[Group]) -> Result<RecordBatch> {
        let mut columns = self.keys.decode(groups.iter().map(key_of))?;
        let keys = columns.clone();
        for (at, measure) in self.measures.iter().enumerate() {
            let partials: Vec<&Partial> =
                groups.iter().filter_map(|(_, partials)| partials.get(at)).collect();
            columns.push(measure.finish(&partials, |row| self.name_of(&keys, row))?);
        }
        batch_of(&self.schema, columns, groups.len())
    }

    /// A group as an error names it.
    fn name_of(&self, keys: &[ArrayRef], row: usize) -> String {
        let options = FormatOptions::new().with_null("null");
        let value = |(field, column): (&FieldRef, &ArrayRef)| {
            let value = ArrayFormatter::try_new(column, &options).map(|column| column.value(row).to_string());
            format!("{}={}", field.name().escape_debug(), value.unwrap_or_default().escape_debug())
        };
        let values: Vec<_> = self.schema.fields().iter().zip(keys).map(value).collect();
        if values.is_empty() { "all rows".to_owned() } else { format!("the group {}", values.join(", ")) }
    }
}

fn check_names(fields: &[FieldRef]) -> Result<()> {
    if fields.is_empty() {
        return Err(Error::new(ErrorKind::Config, "there is nothing to group by and no aggregate")
            .hint("give one of them"));
    }
    for (at, field) in fields.iter().enumerate() {
        if fields[..at].iter().any(|other| other.name() == field.name()) {
            let message = format!("two columns of the result are named `{}`", field.name().escape_debug());
            return Err(Error::new(ErrorKind::Config, message)
                .hint("name a column to group by once, and give an aggregate another name: 'count as n'"));
        }
    }
    Ok(())
}

/// Joins what the parts of the input tell of a group.
struct Joining(Arc<Layout>);

impl Joining {
    fn join(&self, partials: &mut [Partial], later: Vec<Partial>) {
        for ((measure, partial), later) in self.0.measures.iter().zip(partials).zip(later) {
            measure.join(partial, later);
        }
    }
}

impl Combine<Group> for Joining {
    type Key = Bytes;
    type State = Vec<Partial>;

    #[inline]
    fn key<'a>(&self, group: &'a Group) -> &'a Bytes {
        &group.0
    }

    fn start(&self, group: Group) -> Group {
        group
    }

    fn add(&self, partials: &mut Vec<Partial>, (_, later): Group) {
        self.join(partials, later);
    }

    fn merge(&self, partials: &mut Vec<Partial>, later: Vec<Partial>) {
        self.join(partials, later);
    }
}
