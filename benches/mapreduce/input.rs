//! What is read: made once, under `target/bench-data`.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::generate::{self, Lines};
use super::options;
use super::programs::Programs;
use crate::Outcome;
use crate::harness::files::{cleared, dir};
use crate::harness::measure;
use crate::page_cache::read_through;

/// An input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Documents of words, as frequent as in a language.
    Text,
    /// Films and their ratings.
    Ratings,
    /// Associations of three items.
    Associations,
    /// Links between pages, of which few have very many.
    Links,
    /// Roads between neighbouring places of a map.
    Roads,
    /// Points around some centres.
    Points,
    /// Records as `gensort -a` writes them.
    Records,
}

/// An input that has been made.
#[derive(Debug, Clone)]
pub struct Made {
    pub files: Vec<PathBuf>,
    pub bytes: u64,
}

/// The documents of a text.
const DOCUMENTS: u64 = 16;

impl Input {
    /// Every input.
    pub const ALL: [Input; 7] = [
        Input::Text,
        Input::Ratings,
        Input::Associations,
        Input::Links,
        Input::Roads,
        Input::Points,
        Input::Records,
    ];

    /// Its name in arguments and paths.
    pub fn name(self) -> &'static str {
        match self {
            Input::Text => "text",
            Input::Ratings => "ratings",
            Input::Associations => "associations",
            Input::Links => "links",
            Input::Roads => "roads",
            Input::Points => "points",
            Input::Records => "records",
        }
    }

    /// The input of that size, which is made where it is missing, and read once, so that the first run does not pay for the others.
    pub fn made(self, bytes: u64, programs: &Programs) -> Outcome<Made> {
        let dir = dir()?.join(format!("mapreduce-{}-{bytes}", self.name()));
        if !dir.exists() {
            eprintln!("writing {} (once)", dir.display());
            self.make(bytes, &dir, programs)?;
        }
        let mut files = fs::read_dir(&dir)?.map(|entry| Ok(entry?.path())).collect::<Outcome<Vec<_>>>()?;
        files.sort();
        let bytes = files.iter().map(|path| read_through(path)).sum::<Outcome<u64>>()?;
        Ok(Made { files, bytes })
    }

    /// Writes the input in a process of its own, since what a process once held counts as the peak of those that it starts.
    fn make(self, bytes: u64, dir: &Path, programs: &Programs) -> Outcome<()> {
        let partial = cleared(dir.with_extension("partial"))?;
        fs::create_dir_all(&partial)?;
        let mut command = if self == Input::Records {
            let count = (bytes / 100).max(1).to_string();
            let mut terasort = programs.command("terasort");
            terasort.args(["--generate", &count]).arg(partial.join("records.txt"));
            terasort
        } else {
            measure::this_program(options::generate_args(self, bytes, &partial))?
        };
        measure::run(&mut command, |_| Ok(()))?;
        Ok(fs::rename(partial, dir)?)
    }

    /// Writes the files of the input into a directory.
    pub fn generate(self, bytes: u64, dir: &Path) -> Outcome<()> {
        let file = dir.join(format!("{}.txt", self.name()));
        match self {
            Input::Text => (0..DOCUMENTS).try_for_each(|number| {
                let file = dir.join(format!("document-{number:02}.txt"));
                write(&file, bytes / DOCUMENTS, generate::text(number))
            }),
            Input::Ratings => write(&file, bytes, generate::ratings()),
            Input::Associations => write(&file, bytes, generate::associations(bytes)),
            Input::Links => write(&file, bytes, generate::links(bytes)),
            Input::Roads => write(&file, u64::MAX, generate::roads(bytes)),
            Input::Points => write(&file, bytes, generate::points()),
            Input::Records => Err("records are written by terasort".into()),
        }
    }
}

/// Writes lines until there are so many bytes, or no more lines.
fn write(path: &Path, bytes: u64, mut lines: impl Lines) -> Outcome<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let (mut line, mut written) = (String::new(), 0);
    while written < bytes && lines(&mut line) {
        line.push('\n');
        file.write_all(line.as_bytes())?;
        written += line.len() as u64;
        line.clear();
    }
    Ok(file.flush()?)
}
