//! What is read: made once, under `target/bench-data`.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::logs::Logs;
use super::orders::{self, Orders};
use crate::Outcome;

/// An input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A combined access log.
    Logs,
    /// A CSV file with quoted text.
    Orders,
    /// The log in files of 2 KiB.
    SmallFiles,
    /// The lines of these files in 16.
    LargeFiles,
}

/// The bytes of a small file.
const SMALL_BYTES: usize = 2 << 10;
/// Files in a directory, as whoever has very many of them would keep them.
const DIRECTORY_FILES: usize = 1000;

impl Input {
    /// Every input.
    pub const ALL: [Input; 4] = [Input::Logs, Input::Orders, Input::SmallFiles, Input::LargeFiles];

    /// Its name in arguments and paths.
    pub fn name(self) -> &'static str {
        match self {
            Input::Logs => "logs",
            Input::Orders => "orders",
            Input::SmallFiles => "small-files",
            Input::LargeFiles => "large-files",
        }
    }

    /// Where it lies.
    pub fn path(self, bytes: u64, data: &Path) -> PathBuf {
        let ending = match self {
            Input::Logs => ".log",
            Input::Orders => ".csv",
            _ => "",
        };
        data.join(format!("{}-{bytes}{ending}", self.name()))
    }

    /// Writes the input beside `path` first, so that an interrupted run leaves no half of it.
    pub fn generate(self, bytes: u64, path: &Path) -> Outcome<()> {
        let partial = path.with_extension("partial");
        if partial.is_dir() {
            fs::remove_dir_all(&partial)?;
        }
        let mut logs = Logs::new();
        match self {
            Input::Logs => write(&partial, "", bytes, |text| logs.line(text))?,
            Input::Orders => {
                let mut records = Orders::new();
                write(&partial, orders::HEADER, bytes, |text| records.record(text))?;
            }
            Input::SmallFiles => small_files(&mut logs, bytes, |number, text| {
                let dir = partial.join(format!("{:04}", number / DIRECTORY_FILES));
                fs::create_dir_all(&dir)?;
                Ok(fs::write(dir.join(format!("{number:06}.log")), text)?)
            })?,
            Input::LargeFiles => {
                fs::create_dir_all(&partial)?;
                let large =
                    (0..16).map(|n| File::create(partial.join(format!("{n:02}.log"))).map(BufWriter::new));
                let mut large = large.collect::<Result<Vec<_>, _>>()?;
                let each = (bytes as usize / SMALL_BYTES).div_ceil(16).max(1);
                small_files(&mut logs, bytes, |number, text| {
                    Ok(large[number / each].write_all(text.as_bytes())?)
                })?;
                large.iter_mut().try_for_each(Write::flush)?;
            }
        }
        Ok(fs::rename(partial, path)?)
    }
}

fn write(path: &Path, head: &str, bytes: u64, mut append: impl FnMut(&mut String)) -> Outcome<()> {
    let (mut file, mut text, mut written) = (File::create(path)?, head.to_owned(), 0);
    while written < bytes {
        while text.len() < 1 << 20 && written + (text.len() as u64) < bytes {
            append(&mut text);
        }
        file.write_all(text.as_bytes())?;
        written += text.len() as u64;
        text.clear();
    }
    Ok(())
}

/// The texts of files of about 2 KiB, each of whole lines.
fn small_files(logs: &mut Logs, bytes: u64, mut each: impl FnMut(usize, &str) -> Outcome<()>) -> Outcome<()> {
    let mut text = String::new();
    for number in 0..bytes as usize / SMALL_BYTES {
        text.clear();
        while text.len() < SMALL_BYTES {
            logs.line(&mut text);
        }
        each(number, &text)?;
    }
    Ok(())
}

/// The bytes of a file, or of all files below a directory. It reads them all, so that the first contestant does not pay for
/// bringing them into the page cache.
pub fn read_through(path: &Path) -> Outcome<u64> {
    if path.is_dir() {
        return fs::read_dir(path)?.try_fold(0, |sum, entry| Ok(sum + read_through(&entry?.path())?));
    }
    let (mut file, mut buffer, mut bytes) = (File::open(path)?, vec![0; 1 << 18], 0);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(bytes),
            count => bytes += count as u64,
        }
    }
}
