//! What one task finds that cannot be used: records that its source cannot read, elements that a closure refuses.
//!
//! A task knows of an element that a closure refuses only which row of its split it stems from. Its line is found when the run has
//! succeeded, for all elements of a split in one pass over it.

mod travel;

use std::path::PathBuf;
use std::sync::Arc;

use gristmill_derive::Record;

use crate::Text;
use crate::error::{CallSite, Error, ErrorKind, Place, Result, printable};
use crate::exec::chunk::Rows;
use crate::exec::memory::Reservation;
use crate::exec::sequence::{List, Sequence};
use crate::exec::source::AnySource;
use crate::exec::task::{Computation, RunId, TaskCx};
use crate::io::line_finder::LineFinder;
use crate::io::origin::{Origin, Origins, Raw};
use crate::io::parsed::BadRecord;
use crate::io::resolve::InputFile;
pub(super) use travel::Whose;

/// A rejected record as it is written.
#[derive(Record, Clone)]
pub(super) struct Reject {
    file: Option<Text>,
    line: Option<u64>,
    offset: Option<u64>,
    reason: Text,
    raw: Option<Text>,
}

/// A record as it is held.
#[derive(Record, Clone)]
struct Held {
    /// The number of its file among those that are known of its split.
    file: Option<u32>,
    line: Option<u64>,
    offset: Option<u64>,
    /// Of an element whose line is yet to be found: the row of its split.
    row: Option<u64>,
    reason: Text,
    raw: Option<Vec<u8>>,
}

/// Bytes of records that a task puts aside together.
const LIST_BYTES: usize = 256 << 10;

/// Whose finding it is; findings are in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    /// A source's, in this split: each run finds the same there, as far as it reads it.
    Split(usize),
    /// A closure's.
    Computation(Computation),
}

impl Of {
    /// The run that it is of, if another one may find something else.
    pub(super) fn run(self) -> Option<RunId> {
        match self {
            Of::Split(_) => None,
            Of::Computation(computation) => Some(computation.run),
        }
    }
}

/// A file as it is known.
enum File {
    Input(Arc<InputFile>),
    Path(PathBuf),
}

impl File {
    fn name(&self) -> Text {
        match self {
            File::Input(file) => Text::from(printable(&file.path)),
            File::Path(path) => Text::from(printable(path)),
        }
    }
}

/// What a task finds in its split.
pub(super) struct Finding {
    pub(super) good: u64,
    pub(super) bad: u64,
    /// Whether the records themselves are to be written.
    keeps: bool,
    /// Whether it is not of this process, which was told the numbers.
    pub(super) is_told: bool,
    files: Vec<File>,
    /// Where to look for the lines of elements, and the split there.
    source: Option<(Arc<dyn AnySource>, usize)>,
    list: List<Held>,
    kept: Sequence<Held>,
    reservation: Reservation,
}

impl Finding {
    /// Nothing yet; what is kept takes memory from `reservation`.
    pub(super) fn new(keeps: bool, reservation: Reservation) -> Finding {
        Finding {
            good: 0,
            bad: 0,
            keeps,
            is_told: false,
            files: Vec::new(),
            source: None,
            list: List::default(),
            kept: Sequence::default(),
            reservation,
        }
    }

    /// What a task finds whose elements a closure refuses.
    pub(super) fn of_closure(keeps: bool, reservation: Reservation, cx: &TaskCx) -> Finding {
        let (source, split) = (cx.source(), cx.split());
        let can_look = keeps && source.origins(split).is_some();
        Finding { source: can_look.then(|| (Arc::clone(source), split)), ..Finding::new(keeps, reservation) }
    }

    /// Whether the text of refused elements is needed, because nobody can look for their lines.
    pub(super) fn needs_text(&self) -> bool {
        self.keeps && self.source.is_none()
    }

    /// All records that it tells of.
    pub(super) fn records(&self) -> u64 {
        self.good + self.bad
    }

    /// Notes records of a file.
    pub(super) fn note(&mut self, file: &Arc<InputFile>, good: usize, bad: Vec<BadRecord>) -> Result<()> {
        self.good += good as u64;
        self.bad += bad.len() as u64;
        if bad.is_empty() || !self.keeps {
            return Ok(());
        }
        if !matches!(self.files.last(), Some(File::Input(last)) if Arc::ptr_eq(last, file)) {
            self.files.push(File::Input(Arc::clone(file)));
        }
        let file = self.last_file();
        for BadRecord { offset, line, raw, reason } in bad {
            let (offset, reason, raw) = (Some(offset), Text::from(reason), Some(raw));
            self.list.push(Held { file, line, offset, row: None, reason, raw });
        }
        self.put_aside_if_large()
    }

    /// Notes an element that stems from a row, and that the closure of a call refuses.
    #[cold]
    pub(super) fn refuse(
        &mut self,
        cx: &TaskCx,
        call: CallSite,
        row: u64,
        reason: &str,
        text: Option<Vec<u8>>,
    ) -> Result<()> {
        self.bad += 1;
        if !self.keeps {
            return Ok(());
        }
        let is_known = row != Rows::UNKNOWN;
        if self.source.is_some() && is_known {
            let (reason, row) = (Text::from(reason.to_string()), Some(row));
            self.list.push(Held { file: None, line: None, offset: None, row, reason, raw: None });
            return self.put_aside_if_large();
        }
        let place = is_known.then(|| cx.source().place(cx.split(), row));
        let reason = Text::from(reason_without_line(reason, call, place.as_ref()));
        let (path, line, offset) = place.map_or((None, None, None), |at| (at.path, at.line, at.offset));
        let file = path.and_then(|path| {
            if !matches!(self.files.last(), Some(File::Path(last)) if *last == path) {
                self.files.push(File::Path(path));
            }
            self.last_file()
        });
        self.list.push(Held { file, line, offset, row: None, reason, raw: text });
        self.put_aside_if_large()
    }

    fn last_file(&self) -> Option<u32> {
        u32::try_from(self.files.len()).ok()?.checked_sub(1)
    }

    fn put_aside_if_large(&mut self) -> Result<()> {
        if self.list.bytes >= LIST_BYTES { self.put_aside() } else { Ok(()) }
    }

    /// Holds what was noted last with what was noted before; it is spilled where there is no memory.
    pub(super) fn put_aside(&mut self) -> Result<()> {
        self.kept.push(std::mem::take(&mut self.list));
        if !self.reservation.try_resize_free(self.kept.memory_bytes() as u64) {
            self.kept.spill(self.reservation.budget().disk())?;
            self.reservation.resize(0)?;
        }
        Ok(())
    }

    /// Hands on everything that was kept, as it is written, list by list.
    pub(super) fn each_list(
        &self,
        lines: &mut LineFinder,
        mut take: impl FnMut(Vec<Reject>) -> Result<()>,
    ) -> Result<()> {
        let origins = self.source.as_ref().and_then(|(source, split)| source.origins(*split));
        let mut places = Places { files: &self.files, origins, last: None, lines };
        for list in self.kept.lists() {
            take(list?.into_iter().map(|held| places.reject(held)).collect::<Result<_>>()?)?;
        }
        Ok(())
    }
}

/// What is known of an element that has no line: the call instead, and its row.
fn reason_without_line(reason: &str, call: CallSite, place: Option<&Place>) -> String {
    let call = place.is_none_or(|place| place.path.is_none()).then(|| call.to_string());
    let row = place.and_then(|place| place.row).map(|row| format!("row {row}"));
    let known: Vec<String> = call.into_iter().chain(row).collect();
    if known.is_empty() { reason.to_string() } else { format!("{reason} ({})", known.join(", ")) }
}

/// Finds where records are.
struct Places<'a> {
    files: &'a [File],
    origins: Option<Box<dyn Origins + 'a>>,
    /// The row that was looked for last: several elements may stem from one.
    last: Option<(u64, Reject)>,
    lines: &'a mut LineFinder,
}

impl Places<'_> {
    fn reject(&mut self, held: Held) -> Result<Reject> {
        let Held { file, line, offset, row, reason, raw } = held;
        if let Some(row) = row {
            return Ok(Reject { reason, ..self.of_row(row)? });
        }
        let file = file.and_then(|file| self.files.get(file as usize));
        let line = match (line, file, offset) {
            (None, Some(File::Input(file)), Some(offset)) => self.lines.line(file, offset)?,
            _ => line,
        };
        Ok(Reject { file: file.map(File::name), line, offset, reason, raw: raw.as_deref().map(lossy) })
    }

    /// A reject without a reason.
    fn of_row(&mut self, row: u64) -> Result<Reject> {
        if let Some((_, reject)) = self.last.as_ref().filter(|(last, _)| *last == row) {
            return Ok(reject.clone());
        }
        let origins = self.origins.as_mut();
        let origins =
            origins.ok_or_else(|| Error::new(ErrorKind::Internal, "a rejected row has no source"))?;
        let Origin { file, offset, line, raw } = origins.origin(row)?;
        let line = match line {
            Some(line) => Some(line),
            None => self.lines.line(&file, offset)?,
        };
        let raw = match raw {
            Raw::Known(raw) => Some(raw),
            Raw::InFile { quote } => self.lines.record(&file, offset, quote)?,
        };
        let (file, raw) = (Some(Text::from(printable(&file.path))), raw.as_deref().map(lossy));
        let reject = Reject { file, line, offset: Some(offset), reason: Text::default(), raw };
        Ok(self.last.insert((row, reject)).1.clone())
    }
}

fn lossy(raw: &[u8]) -> Text {
    Text::from(String::from_utf8_lossy(raw).into_owned())
}
