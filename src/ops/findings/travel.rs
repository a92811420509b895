//! Findings as they travel between processes: as they are held, so that it is the process that plans which finds their lines, in one pass.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{File, Finding, Held, Of};
use crate::error::Result;
use crate::exec::memory::Reservation;
use crate::exec::sequence::List;
use crate::exec::task::{Computation, Run};
use crate::exec::wire::{damaged, rows_from_bytes, rows_to_bytes};
use crate::io::resolve::InputFile;

/// Whose finding it is, whatever the number of the run is in a process.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in crate::ops) enum Whose {
    Split(usize),
    Computation { job: usize, number: usize, split: usize },
}

impl Whose {
    pub(in crate::ops) fn from(of: Of) -> Whose {
        match of {
            Of::Split(split) => Whose::Split(split),
            Of::Computation(Computation { job, number, split, .. }) => {
                Whose::Computation { job, number, split }
            }
        }
    }

    pub(in crate::ops) fn in_run(self, run: &Run) -> Of {
        match self {
            Whose::Split(split) => Of::Split(split),
            Whose::Computation { job, number, split } => {
                Of::Computation(Computation { run: run.id, job, number, split })
            }
        }
    }
}

/// The first frame of a finding; lists of records follow.
#[derive(Debug, Serialize, Deserialize)]
struct Beginning {
    whose: Whose,
    good: u64,
    bad: u64,
    /// The bytes of the paths, and whether they are those of files of the input that can be looked into.
    files: Vec<(Vec<u8>, bool)>,
    /// The pipeline and the split in whose source lines are to be looked for.
    source: Option<(usize, usize)>,
}

impl Finding {
    /// As frames.
    pub(in crate::ops) fn pack(&self, of: Of, run: &Run) -> Result<Vec<Vec<u8>>> {
        let files = self.files.iter().map(|file| match file {
            File::Input(file) => (bytes_of(&file.path), true),
            File::Path(path) => (bytes_of(path), false),
        });
        let source = self.source.as_ref().map(|(source, split)| {
            let pipeline =
                run.job.pipelines.iter().position(|pipeline| Arc::ptr_eq(&pipeline.source, source));
            pipeline.map(|pipeline| (pipeline, *split)).ok_or_else(|| damaged("a finding has no pipeline"))
        });
        let (whose, good, bad) = (Whose::from(of), self.good, self.bad);
        let beginning = Beginning { whose, good, bad, files: files.collect(), source: source.transpose()? };
        let mut frames = vec![serde_json::to_vec(&beginning).map_err(damaged)?];
        for list in self.kept.lists() {
            frames.push(rows_to_bytes(&list?)?);
        }
        Ok(frames)
    }

    /// What frames bring; `input` finds a file of a split of the input.
    pub(in crate::ops) fn unpack(
        frames: &[&[u8]],
        run: &Run,
        reservation: Reservation,
        input: impl Fn(usize, &Path) -> Option<Arc<InputFile>>,
    ) -> Result<(Of, Finding)> {
        let (first, lists) = frames.split_first().ok_or_else(|| damaged("a finding has no frame"))?;
        let Beginning { whose, good, bad, files, source } = serde_json::from_slice(first).map_err(damaged)?;
        let mut finding = Finding { good, bad, ..Finding::new(true, reservation) };
        for (path, is_input) in files {
            let path = PathBuf::from(OsStr::from_bytes(&path));
            finding.files.push(match (is_input, whose) {
                (true, Whose::Split(split)) => {
                    let file = input(split, &path);
                    File::Input(file.ok_or_else(|| damaged("a finding is of a file that is no input"))?)
                }
                _ => File::Path(path),
            });
        }
        if let Some((pipeline, split)) = source {
            let pipeline = run.job.pipelines.get(pipeline);
            let pipeline = pipeline.ok_or_else(|| damaged("a finding is of no pipeline"))?;
            finding.source = Some((Arc::clone(&pipeline.source), split));
        }
        for list in lists {
            finding.list = List::of(rows_from_bytes::<Held>(list)?);
            finding.put_aside()?;
        }
        Ok((whose.in_run(run), finding))
    }

    /// A finding of which nothing but the numbers is known.
    pub(in crate::ops) fn of_numbers(good: u64, bad: u64, reservation: Reservation) -> Finding {
        Finding { good, bad, is_told: true, ..Finding::new(false, reservation) }
    }
}

fn bytes_of(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}
