//! Pieces of an input, of which each is read by one task.
//!
//! They depend on the input only, never on the number of threads: results that are combined in the order of the splits
//! are then the same on every machine.

use std::ops::Range;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::inflate::Codec;
use super::input::open_unchanged;
use super::relay::{Relay, RelayedPiece};
use super::resolve::InputFile;

/// How large splits are.
///
/// # Examples
///
/// ```
/// use gristmill::io::split::SplitOptions;
///
/// let options = SplitOptions { target_bytes: Some(64 << 20), ..SplitOptions::default() };
/// assert_eq!(options.max_files, 10_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitOptions {
    /// The size that splits should have; at least 1. Without one, a 32nd of the input between the next two.
    pub target_bytes: Option<u64>,
    /// The least target that is chosen. Default: 1 MiB.
    pub min_target_bytes: u64,
    /// The greatest target that is chosen. Default: 32 MiB.
    pub max_target_bytes: u64,
    /// The greatest number of files in a split. Default: 10,000.
    pub max_files: usize,
    /// How large compressed files are read. Default: as a whole.
    pub compressed: CompressedFiles,
}

/// How compressed files are read that are larger than the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CompressedFiles {
    /// As one piece, which is one for any reader.
    #[default]
    Whole,
    /// In pieces of compressed bytes, of which a [`LineReader`](super::text::LineReader) knows how to read the lines: while one task
    /// inflates, the others parse. Since text inflates to a multiple, they are a quarter of the target, and 1 MiB at the most.
    Relayed,
}

impl Default for SplitOptions {
    fn default() -> SplitOptions {
        SplitOptions {
            target_bytes: None,
            min_target_bytes: 1 << 20,
            max_target_bytes: 32 << 20,
            max_files: 10_000,
            compressed: CompressedFiles::Whole,
        }
    }
}

impl SplitOptions {
    /// The target for an input of so many bytes.
    fn target(&self, total: u64) -> u64 {
        let chosen = || (total / 32).max(self.min_target_bytes).min(self.max_target_bytes);
        self.target_bytes.unwrap_or_else(chosen).max(1)
    }
}

/// A range of bytes of a file: compressed ones, where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The file.
    pub file: Arc<InputFile>,
    /// The first byte.
    pub start: u64,
    /// The byte after the last one.
    pub end: u64,
    /// Of a compressed file that is read in several pieces: which one.
    pub(super) relayed: Option<RelayedPiece>,
}

impl Piece {
    /// Whether its bytes are compressed ones, which only a [`LineReader`](super::text::LineReader) can make something of.
    pub fn is_relayed(&self) -> bool {
        self.relayed.is_some()
    }

    /// Whether it is all of its file.
    pub fn is_whole(&self) -> bool {
        self.start == 0 && self.end == self.file.bytes()
    }
}

/// What one task reads: parts of large files, or many small files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// The pieces, in the order in which they are read.
    pub pieces: Vec<Piece>,
}

impl Split {
    /// The bytes of all pieces.
    pub fn bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.end - piece.start).sum()
    }

    /// The same split for a single reader of this and others, in order: no other task is about to read what comes before.
    #[must_use]
    pub fn alone(&self) -> Split {
        let mut split = self.clone();
        let relayed = split.pieces.iter_mut().filter_map(|piece| piece.relayed.as_mut());
        relayed.for_each(|piece| piece.is_alone = true);
        split
    }
}

/// Cuts files that are larger than the target into even pieces, and groups smaller ones up to the target.
///
/// The order of the files stays, and every byte is in exactly one piece. Before a file is cut, its first bytes are looked at:
/// one that is compressed is not cut as text, but [as the options say](CompressedFiles). Smaller ones are not opened. Standard input is a split of its own.
///
/// # Examples
///
/// ```
/// use gristmill::io::{resolve::resolve, split::{SplitOptions, splits}};
///
/// let inputs = resolve(&["Cargo.toml"])?;
/// let options = SplitOptions { target_bytes: Some(1000), ..SplitOptions::default() };
/// assert!(splits(inputs.files, &options).len() > 1);
/// # Ok::<(), gristmill::Error>(())
/// ```
pub fn splits(files: Vec<InputFile>, options: &SplitOptions) -> Vec<Split> {
    cut(files, options, form)
}

/// A hash of splits, and of the state of their files, which is the same on all hosts that share the file system.
pub(crate) fn state_of(splits: &[Split]) -> u64 {
    let mut hash = Xxh3::new();
    for split in splits {
        for Piece { file, start, end, .. } in &split.pieces {
            for number in [file.state(), *start, *end] {
                hash.update(&number.to_le_bytes());
            }
        }
        hash.update(b";");
    }
    hash.digest()
}

/// What a large file is found to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Compressed,
    /// It cannot be read, or is not the one any more that was found. It is not cut: whoever reads it will fail if he must.
    Unknown,
}

fn form(file: &InputFile) -> Form {
    match open_unchanged(file).ok().and_then(|opened| Codec::of_file(&opened).ok()) {
        Some(None) => Form::Plain,
        Some(Some(_)) => Form::Compressed,
        None => Form::Unknown,
    }
}

/// The bytes of the text of all files, as far as it is known: not of compressed files, nor of standard input.
///
/// It is a bound for what is small, and a measure for what is not: only if all files together have less than 64 MiB their
/// first bytes are looked at.
pub fn text_bytes(files: &[InputFile]) -> Option<u64> {
    const SMALL_BYTES: u64 = 64 << 20;
    let total = files.iter().map(InputFile::bytes).sum();
    let is_known =
        |file: &InputFile| !file.is_standard_input() && (total > SMALL_BYTES || form(file) == Form::Plain);
    files.iter().all(is_known).then_some(total)
}

fn cut(files: Vec<InputFile>, options: &SplitOptions, form: impl Fn(&InputFile) -> Form) -> Vec<Split> {
    let target = options.target(files.iter().map(InputFile::bytes).sum());
    let mut splits = Vec::new();
    let mut group = Split::default();
    let mut grouped = 0;
    for file in files.into_iter().map(Arc::new) {
        let bytes = file.bytes();
        if file.is_standard_input() {
            flush(&mut group, &mut splits);
            splits.push(Split { pieces: vec![piece(&file, 0..0)] });
            grouped = 0;
            continue;
        }
        if grouped + bytes > target || group.pieces.len() >= options.max_files {
            flush(&mut group, &mut splits);
            grouped = 0;
        }
        let form = if bytes > target && file.splittable { form(&file) } else { Form::Unknown };
        match (form, options.compressed) {
            (Form::Plain, _) => {
                splits.extend(ranges(bytes, target).map(|range| Split { pieces: vec![piece(&file, range)] }));
            }
            (Form::Compressed, CompressedFiles::Relayed) => splits.extend(relayed(&file, target)),
            _ => {
                grouped += bytes;
                group.pieces.push(piece(&file, 0..bytes));
            }
        }
    }
    flush(&mut group, &mut splits);
    splits
}

fn flush(group: &mut Split, splits: &mut Vec<Split>) {
    if !group.pieces.is_empty() {
        splits.push(std::mem::take(group));
    }
}

fn piece(file: &Arc<InputFile>, range: Range<u64>) -> Piece {
    Piece { file: Arc::clone(file), start: range.start, end: range.end, relayed: None }
}

/// The pieces of a compressed file, of which each is a split.
fn relayed(file: &Arc<InputFile>, target: u64) -> Vec<Split> {
    const MAX_BYTES: u64 = 1 << 20;
    let ranges: Vec<Range<u64>> = ranges(file.bytes(), (target / 4).clamp(1, MAX_BYTES)).collect();
    let relay = Arc::new(Relay::new(Arc::clone(file), ranges.clone()));
    let piece = |(index, range)| Piece {
        relayed: Some(RelayedPiece { relay: Arc::clone(&relay), index, is_alone: false }),
        ..piece(file, range)
    };
    ranges.into_iter().enumerate().map(|place| Split { pieces: vec![piece(place)] }).collect()
}

/// The fewest ranges of at most `target` bytes, which differ by one byte at most.
fn ranges(bytes: u64, target: u64) -> impl Iterator<Item = Range<u64>> {
    let count = bytes.div_ceil(target);
    // In 128 bits, because the product of a length and a count can be beyond 64.
    let border = move |index: u64| (u128::from(bytes) * u128::from(index) / u128::from(count)) as u64;
    (0..count).map(move |index| border(index)..border(index + 1))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::io::resolve::Identity;

    fn file(bytes: u64) -> InputFile {
        let identity = Identity { device: 0, inode: 0, modified: (0, 0), bytes };
        InputFile { path: PathBuf::from(format!("file of {bytes}")), identity, splittable: true }
    }

    fn lengths(files: Vec<InputFile>, target: u64, max_files: usize) -> Vec<Vec<u64>> {
        let options = SplitOptions { target_bytes: Some(target), max_files, ..SplitOptions::default() };
        let lengths = |split: Split| split.pieces.iter().map(|piece| piece.end - piece.start).collect();
        cut(files, &options, |_| Form::Plain).into_iter().map(lengths).collect()
    }

    #[test]
    fn large_files_are_cut_evenly_and_small_ones_grouped() {
        let files = [3, 3, 4, 1, 25, 2].map(file).to_vec();
        assert_eq!(lengths(files, 10, 100), [vec![3, 3, 4], vec![1], vec![8], vec![8], vec![9], vec![2]]);
    }

    #[test]
    fn a_group_has_a_greatest_number_of_files() {
        assert_eq!(lengths(vec![file(0); 5], 10, 2), [vec![0, 0], vec![0, 0], vec![0]]);
    }

    #[test]
    fn what_cannot_be_split_stays_whole() {
        let mut whole = file(25);
        whole.splittable = false;
        assert_eq!(lengths(vec![file(1), whole, file(1)], 10, 100), [vec![1], vec![25], vec![1]]);
    }

    #[test]
    fn the_target_follows_the_input() {
        let options = SplitOptions::default();
        assert_eq!([0, 64 << 20, 256 << 20, 1 << 40].map(|total| options.target(total) >> 20), [1, 2, 8, 32]);
    }

    #[test]
    fn borders_are_right_for_any_length() {
        let last = ranges(u64::MAX, u64::MAX / 3).last();
        assert_eq!(last.map(|range| range.end), Some(u64::MAX));
    }
}
