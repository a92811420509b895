//! Files of records, as a source.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;

use super::findings::Of;
use super::on_error::{Action, OnError};
use super::read_text::describe;
use super::rejects::{FilesOf, Rejects};
use super::with_origin::Elements;
use crate::context::Context;
use crate::dataset::Dataset;
use crate::error::{CallSite, Place, Result};
use crate::exec::out::Out;
use crate::exec::push::Demand;
use crate::exec::source::Source;
use crate::io::line_counts::SplitLineCounts;
use crate::io::line_finder::LineFinder;
use crate::io::origin::{Origins, RecordOrigins};
use crate::io::parsed::{FileRecords, Format, Parsed, place};
use crate::io::resolve::{InputFile, resolve};
use crate::io::split::{CompressedFiles, Split, SplitOptions, splits, state_of, text_bytes};

/// The records of files.
struct RecordFiles<U, F> {
    files: Arc<Files<F>>,
    /// What takes the records that cannot be read; without it, they are errors.
    rejects: Option<Rejects>,
    elements: PhantomData<fn() -> U>,
}

struct Files<F> {
    format: F,
    splits: Vec<Split>,
    counts: SplitLineCounts,
    /// The same, to be read again for messages and rejects.
    again: Vec<Split>,
    /// Of the files, and where other files would be found by the next run.
    paths: Vec<PathBuf>,
    bytes: Option<u64>,
}

/// A dataset of the records of files.
pub(super) fn read_records<U: Elements, F: Format>(
    ctx: &Context,
    call: CallSite,
    patterns: &[PathBuf],
    whole_files: bool,
    format: F,
) -> Result<Dataset<U::Item>> {
    let mut found = resolve(patterns).map_err(|error| error.in_call(call))?;
    if whole_files {
        found.files.iter_mut().for_each(|file| file.splittable = false);
    }
    let detail = describe(patterns, &found.files, found.notes.len());
    let paths = found.claimed;
    let bytes = text_bytes(&found.files);
    // To find lines in the middle of a compressed file is to inflate it again from its beginning.
    let compressed = if U::HAVE_ORIGINS { CompressedFiles::Whole } else { format.compressed_files() };
    let target_bytes = ctx.config().split_bytes;
    let options = SplitOptions { target_bytes, compressed, ..SplitOptions::default() };
    let splits = splits(found.files, &options);
    let again = splits.iter().map(Split::alone).collect();
    let counts = SplitLineCounts::new(&splits);
    let files = Arc::new(Files { format, splits, counts, again, paths, bytes });
    let ctx = ctx.clone();
    let with_policy = move |policy: OnError| {
        let rejects = (policy.action != Action::Fail).then(|| {
            let of_split = Arc::clone(&files);
            let of_split: FilesOf = Box::new(move |split| of_split.files_of(split));
            Rejects::new(call, policy, ctx.budget(), ctx.counter(OnError::BAD_RECORDS), Some(of_split))
        });
        let attached = rejects.as_ref().map(Rejects::attached);
        let source = RecordFiles::<U, F> { files: Arc::clone(&files), rejects, elements: PhantomData };
        let (detail, notes) = (detail.clone(), found.notes.clone());
        let dataset = Dataset::from_noted_source(&ctx, call, detail, notes, source);
        match attached {
            Some(attached) => dataset.with_attached(attached),
            None => dataset,
        }
    };
    let strict = with_policy(OnError::fail());
    Ok(strict.with_tolerant(Arc::new(with_policy)))
}

impl<F: Format> Files<F> {
    /// The files of a split.
    fn files_of(&self, split: usize) -> Vec<Arc<InputFile>> {
        let pieces = self.splits.get(split).map(|split| split.pieces.as_slice()).unwrap_or_default();
        pieces.iter().map(|piece| Arc::clone(&piece.file)).collect()
    }

    /// Hands batches to `visit` until it has enough.
    fn each(&self, split: &Split, visit: &mut impl FnMut(Parsed) -> Result<Demand>) -> Result<()> {
        let mut reader = self.format.reader(split);
        while let Some(parsed) = reader.next()? {
            if visit(parsed)? == Demand::Enough {
                break;
            }
        }
        Ok(())
    }
}

impl<U: Elements, F: Format> Source<U::Item> for RecordFiles<U, F> {
    fn splits(&self) -> usize {
        self.files.splits.len()
    }

    fn read(&self, split: usize, out: &mut Out<U::Item>) -> Result<()> {
        let mut finding = self.rejects.as_ref().map(Rejects::finding);
        let mut lines = LineFinder::default();
        if U::HAVE_ORIGINS
            && let (Some(before), Some(first)) =
                (self.files.counts.before(split)?, self.files.splits[split].pieces.first())
        {
            lines.begin_at(first, before)?;
        }
        self.files.each(&self.files.splits[split], &mut |mut parsed| {
            for FileRecords { file, offsets, bad } in &mut parsed.files {
                match (&mut finding, bad.first()) {
                    (Some(finding), _) => finding.note(file, offsets.len(), std::mem::take(bad))?,
                    (None, Some(bad)) => return Err(bad.error(file)),
                    (None, None) => {}
                }
            }
            U::emit(parsed, &mut lines, out)
        })?;
        match (&self.rejects, finding) {
            (Some(rejects), Some(finding)) => rejects.take(Of::Split(split), finding),
            _ => Ok(()),
        }
    }

    fn size_bytes(&self) -> Option<u64> {
        self.files.bytes
    }

    fn split_bytes(&self, split: usize) -> u64 {
        self.files.splits[split].bytes()
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.files.paths.clone()
    }

    fn state(&self) -> u64 {
        state_of(&self.files.splits)
    }

    fn origins(&self, split: usize) -> Option<Box<dyn Origins + '_>> {
        let of_split = &self.files.again[split];
        let can_be_read = of_split.pieces.iter().all(|piece| !piece.file.is_standard_input());
        (can_be_read && U::ARE_ROWS)
            .then(|| -> Box<dyn Origins + '_> { Box::new(RecordOrigins::new(&self.files.format, of_split)) })
    }

    fn place(&self, split: usize, element: u64) -> Place {
        let (mut before, mut found) = (0, None);
        let read = self.files.each(&self.files.again[split], &mut |parsed| {
            let elements = U::elements(parsed.rows.num_rows() as u64);
            if element < before + elements {
                found = parsed.origin(element - before).map(|(file, offset)| place(file, offset));
                return Ok(Demand::Enough);
            }
            before += elements;
            Ok(Demand::More)
        });
        // The element is known, and if its record cannot be found again, because the file is gone by now, it has to do.
        read.ok().and(found).unwrap_or_else(|| Place::row(element))
    }
}
