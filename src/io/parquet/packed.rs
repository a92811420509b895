//! Row groups as bytes, to travel between processes: each is a file of its own, from which its pages are copied as they are.

use std::io::Write;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader,
    RowGroupMetaData,
};
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedRowGroupWriter;

use super::{EncodedRowGroup, ParquetFileWriter, ParquetOptions, RowGroup};
use crate::error::{Error, ErrorKind, Result};

/// A row group as the only one of a file.
#[derive(Debug)]
pub(super) struct PackedRowGroup {
    file: Bytes,
    metadata: ParquetMetaData,
}

impl EncodedRowGroup {
    /// As the only one of a file.
    ///
    /// # Errors
    ///
    /// If it has another schema, or its pages cannot be read back from disk.
    pub(crate) fn into_file(self, schema: &SchemaRef, options: &ParquetOptions) -> Result<Vec<u8>> {
        let mut file = ParquetFileWriter::new(Vec::new(), schema, options)?;
        file.append(self)?;
        file.finish()
    }

    /// That of such a file.
    ///
    /// # Errors
    ///
    /// If they are not those of a row group.
    pub(crate) fn of_file(bytes: Vec<u8>) -> Result<EncodedRowGroup> {
        let file = Bytes::from(bytes);
        // The footer of the file that it is copied to says of its pages all that this one says.
        let options = ParquetMetaDataOptions::default().with_encoding_stats_as_mask(false);
        // Damage may lead the reader of footers anywhere.
        let metadata = super::read::caught(|| {
            ParquetMetaDataReader::new()
                .with_page_index_policy(PageIndexPolicy::Optional)
                .with_metadata_options(Some(options))
                .parse_and_finish(&file)
        });
        let metadata = metadata.map_err(|fault| {
            let message = format!("a row group of another process cannot be read: {fault}");
            Error::new(ErrorKind::Internal, message)
        })?;
        let rows = usize::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
        Ok(EncodedRowGroup { row_group: RowGroup::Packed(PackedRowGroup { file, metadata }), rows })
    }
}

impl PackedRowGroup {
    /// The bytes of its pages.
    pub(super) fn bytes(&self) -> u64 {
        let columns = self.metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
        columns.map(|column| u64::try_from(column.compressed_size()).unwrap_or(0)).sum()
    }

    /// Copies its pages.
    pub(super) fn append_to<W: Write + Send>(
        self,
        to: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        let PackedRowGroup { file, metadata } = self;
        let columns = metadata.row_groups().first().map(RowGroupMetaData::columns).unwrap_or_default();
        let rows = metadata.file_metadata().num_rows();
        let of_column = |number: usize| {
            let column_index = metadata.column_index().and_then(|groups| groups.first()?.get(number));
            let offset_index = metadata.offset_index().and_then(|groups| groups.first()?.get(number));
            (column_index.cloned(), offset_index.cloned())
        };
        for (number, column) in columns.iter().enumerate() {
            let (column_index, offset_index) = of_column(number);
            let close = ColumnCloseResult {
                bytes_written: u64::try_from(column.compressed_size())?,
                rows_written: u64::try_from(rows)?,
                metadata: with_old_fields(column)?,
                bloom_filter: Sbbf::read_from_column_chunk(column, &file)?,
                column_index,
                offset_index,
            };
            to.append_column(&file, close)?;
        }
        Ok(())
    }
}

/// A column with the least and the greatest value in the fields of old readers, too, where its writer has put them there: whoever reads a file does not
/// learn of it.
fn with_old_fields(column: &ColumnChunkMetaData) -> Result<ColumnChunkMetaData, ParquetError> {
    let is_signed = column.column_descr().sort_order().is_signed();
    let old = |statistics: &Statistics| match statistics.clone() {
        Statistics::Boolean(values) => values.with_backwards_compatible_min_max(is_signed).into(),
        Statistics::Int32(values) => values.with_backwards_compatible_min_max(is_signed).into(),
        Statistics::Int64(values) => values.with_backwards_compatible_min_max(is_signed).into(),
        Statistics::Int96(values) => values.with_backwards_compatible_min_max(is_signed).into(),
        Statistics::Float(values) => values.with_backwards_compatible_min_max(is_signed).into(),
        Statistics::Double(values) => values.with_backwards_compatible_min_max(is_signed).into(),
        Statistics::ByteArray(values) => values.with_backwards_compatible_min_max(is_signed).into(),
        Statistics::FixedLenByteArray(values) => values.with_backwards_compatible_min_max(is_signed).into(),
    };
    match column.statistics().map(old) {
        Some(statistics) => column.clone().into_builder().set_statistics(statistics).build(),
        None => Ok(column.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{RowGroupEncoder, Statistics as Kept};
    use super::*;
    use crate::record::{schema, to_batch};

    type Row = (u64, i64, f64, Option<String>, Vec<i32>, bool);

    fn encoded(start: u64, options: &ParquetOptions) -> EncodedRowGroup {
        let row = |n: u64| -> Row {
            let list = (0..n as i32 % 4).collect();
            (
                n,
                -n.cast_signed(),
                n as f64 / 3.0,
                (!n.is_multiple_of(5)).then(|| format!("text {n}")),
                list,
                n.is_multiple_of(2),
            )
        };
        let mut encoder = RowGroupEncoder::new(&schema::<Row>(), options).unwrap();
        encoder.write(&to_batch(&(start..start + 40_000).map(row).collect::<Vec<_>>()).unwrap()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_file_of_packed_row_groups_is_that_of_the_row_groups_to_the_byte() {
        for statistics in [Kept::None, Kept::RowGroup, Kept::Page] {
            let options = ParquetOptions::default().statistics(statistics).bloom_filters(["_1", "_4"]);
            let file = |pack: bool| {
                let mut file = ParquetFileWriter::new(Vec::new(), &schema::<Row>(), &options).unwrap();
                for start in [0, 1_000_000] {
                    let mut group = encoded(start, &options);
                    if pack {
                        let bytes = group.bytes();
                        group =
                            EncodedRowGroup::of_file(group.into_file(&schema::<Row>(), &options).unwrap())
                                .unwrap();
                        assert_eq!((group.rows(), group.bytes()), (40_000, bytes));
                    }
                    file.append(group).unwrap();
                }
                assert_eq!(file.rows(), 80_000);
                file.finish().unwrap()
            };
            assert!(file(true) == file(false), "{statistics:?}");
        }
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let options = ParquetOptions::default();
        let bytes = encoded(0, &options).into_file(&schema::<Row>(), &options).unwrap();
        for length in [0, 3, bytes.len() / 2, bytes.len() - 1] {
            assert!(EncodedRowGroup::of_file(bytes[..length].to_vec()).is_err());
        }
    }
}
