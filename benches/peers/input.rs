//! What is read: made once, under `target/bench-data`, as a function of its size alone.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::corpus;
use super::events;
use super::logs::Logs;
use super::orders::{self, Orders};
use super::setup::Peers;
use crate::Outcome;

/// An input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Prose and technical English.
    Real,
    /// A text of millions of distinct words.
    Wide,
    /// A combined access log, each line whole and without quotes in quotes, because the peers do not read those alike.
    Logs,
    /// A CSV file with quoted text.
    Orders,
    /// The Parquet files of events and their accounts.
    Events,
    /// The Parquet files of TPC-H.
    Tpch,
    /// A log with broken lines in files of 2 KiB.
    SmallFiles,
    /// The lines of these files in 16.
    LargeFiles,
}

/// The bytes of a small file.
const SMALL_BYTES: usize = 2 << 10;
/// No more small files than this: directories take longer than their data.
const SMALL_FILES: u64 = 100_000;
/// Files in a directory, as whoever has very many of them would keep them.
const DIRECTORY_FILES: usize = 1000;
/// The bytes of an event in memory.
const EVENT_BYTES: u64 = 128;

impl Input {
    /// Every input.
    pub const ALL: [Input; 8] = [
        Input::Real,
        Input::Wide,
        Input::Logs,
        Input::Orders,
        Input::Events,
        Input::Tpch,
        Input::SmallFiles,
        Input::LargeFiles,
    ];

    /// Its name in arguments and paths.
    pub fn name(self) -> &'static str {
        match self {
            Input::Real => "real",
            Input::Wide => "wide",
            Input::Logs => "whole-logs",
            Input::Orders => "orders",
            Input::Events => "events",
            Input::Tpch => "tpch",
            Input::SmallFiles => "small-files",
            Input::LargeFiles => "large-files",
        }
    }

    /// Where it lies.
    pub fn path(self, bytes: u64, data: &Path) -> PathBuf {
        let ending = match self {
            Input::Real | Input::Wide => ".txt",
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
        match self {
            Input::Real => corpus::write_real(bytes, &partial)?,
            Input::Wide => corpus::write_wide(bytes, &partial)?,
            Input::Logs => {
                let mut logs = Logs::whole();
                write(&partial, "", bytes, |text| logs.line(text))?;
            }
            Input::Orders => {
                let mut records = Orders::new();
                write(&partial, orders::HEADER, bytes, |text| records.record(text))?;
            }
            Input::Events => events::write((bytes / EVENT_BYTES).max(10), &partial)?,
            Input::Tpch => tpch(bytes, &partial, path.parent().ok_or("a path of data")?)?,
            Input::SmallFiles => small_files(bytes, |number, text| {
                let dir = partial.join(format!("{:04}", number / DIRECTORY_FILES));
                fs::create_dir_all(&dir)?;
                Ok(fs::write(dir.join(format!("{number:06}.log")), text)?)
            })?,
            Input::LargeFiles => large_files(bytes, &partial)?,
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

/// How many small files so many bytes are.
fn small_count(bytes: u64) -> usize {
    (bytes / SMALL_BYTES as u64).clamp(1, SMALL_FILES) as usize
}

/// The texts of files of about 2 KiB, each of whole lines.
fn small_files(bytes: u64, mut each: impl FnMut(usize, &str) -> Outcome<()>) -> Outcome<()> {
    let (mut logs, mut text) = (Logs::new(), String::new());
    for number in 0..small_count(bytes) {
        text.clear();
        while text.len() < SMALL_BYTES {
            logs.line(&mut text);
        }
        each(number, &text)?;
    }
    Ok(())
}

fn large_files(bytes: u64, dir: &Path) -> Outcome<()> {
    fs::create_dir_all(dir)?;
    let files = (0..16).map(|n| File::create(dir.join(format!("{n:02}.log"))).map(BufWriter::new));
    let mut files = files.collect::<Result<Vec<_>, _>>()?;
    let each = small_count(bytes).div_ceil(16);
    small_files(bytes, |number, text| Ok(files[number / each].write_all(text.as_bytes())?))?;
    Ok(files.iter_mut().try_for_each(Write::flush)?)
}

/// The tables of a scale factor that makes about so many bytes: those of tpchgen, with whole numbers for whole quantities, written by DuckDB.
fn tpch(bytes: u64, dir: &Path, data: &Path) -> Outcome<()> {
    let peers = Peers::present(data);
    let made = dir.join("made");
    fs::create_dir_all(&made)?;
    let scale = (bytes as f64 / f64::from(1 << 30)).max(0.001);
    let mut generate = Command::new(peers.program("tpchgen-cli"));
    generate.args([
        "parquet",
        "--quiet",
        "-s",
        &format!("{scale:.3}"),
        "-T",
        "customer,orders,lineitem",
        "-o",
    ]);
    succeed(generate.arg(&made))?;
    succeed(peers.script("tpch_tables.py").arg(&made).arg(dir))?;
    Ok(fs::remove_dir_all(made)?)
}

fn succeed(command: &mut Command) -> Outcome<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed: {status}").into()) }
}
