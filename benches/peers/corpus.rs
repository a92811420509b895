//! The two inputs, written once and then kept: real English text and a wide Zipf text.
//!
//! Both are functions of their size alone, so that figures of different days and machines compare.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::random::Random;
use crate::Outcome;

/// Writes real English to `path`: prose, technical documentation and the comments of a large C program, its paragraphs shuffled anew each
/// time that they are used up.
pub fn write_real(bytes: u64, path: &Path) -> Outcome<()> {
    let mut pool = Pool::default();
    read_bible(&mut pool)?;
    match kernel_source() {
        Some(archive) => read_kernel(&mut pool, &archive)?,
        None => eprintln!(
            "The real text lacks most of its sources; for the full vocabulary run\n  \
             sudo apt-get install bible-kjv bible-kjv-text linux-source\nand delete its file."
        ),
    }
    if pool.paragraphs.is_empty() {
        read_examples(&mut pool)?;
    }
    let (mut out, mut random) = (Sized::create(bytes, path)?, Random::new(1611));
    loop {
        for i in (1..pool.paragraphs.len()).rev() {
            let j = random.below(i + 1);
            pool.paragraphs.swap(i, j);
        }
        for paragraph in &pool.paragraphs {
            if !out.put(&pool.text[paragraph.clone()])? {
                return Ok(out.out.flush()?);
            }
        }
    }
}

/// A file that is complete after so many bytes.
struct Sized {
    out: BufWriter<File>,
    left: u64,
}

impl Sized {
    fn create(bytes: u64, path: &Path) -> Outcome<Sized> {
        Ok(Sized { out: BufWriter::with_capacity(1 << 20, File::create(path)?), left: bytes })
    }

    /// Writes `text`, which ends a line, or what still fits of it; says whether more fits.
    fn put(&mut self, text: &str) -> io::Result<bool> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(text.len());
        let fits = (0..=room).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        self.out.write_all(&text.as_bytes()[..fits])?;
        self.left -= fits as u64;
        Ok(fits == text.len() && self.left > 0)
    }
}

// --- real ---------------------------------------------------------------------------------------------------

/// Text and the paragraphs it consists of.
#[derive(Default)]
struct Pool {
    text: String,
    paragraphs: Vec<Range<usize>>,
}

impl Pool {
    /// Ends the paragraph that began where the last one ended.
    fn end_paragraph(&mut self) {
        let start = self.paragraphs.last().map_or(0, |last| last.end);
        if self.text.len() > start {
            self.text.push('\n');
            self.paragraphs.push(start..self.text.len());
        }
    }

    fn push_line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Adds what a command prints; `line` gets each line that is UTF-8. Nothing, where the command is missing.
    fn read_command(&mut self, command: &mut Command, mut line: impl FnMut(&mut Pool, &str)) -> Outcome<()> {
        let Ok(mut child) = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else {
            return Ok(());
        };
        let mut reader = BufReader::with_capacity(1 << 20, child.stdout.take().ok_or("no pipe")?);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes)? > 0 {
            if let Ok(text) = std::str::from_utf8(&bytes) {
                line(self, text.trim_end());
            }
            bytes.clear();
        }
        self.end_paragraph();
        child.wait()?;
        Ok(())
    }
}

/// The King James Bible, a chapter a paragraph, without the verse numbers.
fn read_bible(pool: &mut Pool) -> Outcome<()> {
    let mut chapter = String::new();
    pool.read_command(Command::new("bible").arg("gen1:1-rev22:21"), |pool, line| {
        let (place, verse) = line.split_once(' ').unwrap_or(("", line));
        let (current, _) = place.split_once(':').unwrap_or((place, ""));
        if current != chapter {
            pool.end_paragraph();
            current.clone_into(&mut chapter);
        }
        pool.push_line(verse);
    })
}

/// The packed Linux source that Debian installs.
fn kernel_source() -> Option<PathBuf> {
    let packed = |path: &PathBuf| path.to_string_lossy().ends_with(".tar.xz");
    let mut found: Vec<PathBuf> =
        fs::read_dir("/usr/src").ok()?.flatten().map(|entry| entry.path()).filter(packed).collect();
    found.sort();
    found.into_iter().find(|path| path.to_string_lossy().contains("linux-source"))
}

/// The documents of the kernel, then the comments in its source; not those of the headers, half of which number
/// registers in words that no other text has.
fn read_kernel(pool: &mut Pool, archive: &Path) -> Outcome<()> {
    let unpack = |patterns: &[&str]| {
        let mut tar = Command::new("tar");
        tar.arg("-xJOf").arg(archive).arg("--wildcards").args(patterns);
        tar
    };
    pool.read_command(&mut unpack(&["*/Documentation/*.rst", "*/Documentation/*.txt"]), |pool, line| {
        if line.is_empty() { pool.end_paragraph() } else { pool.push_line(line) }
    })?;
    let mut inside = false;
    pool.read_command(&mut unpack(&["*.c"]), |pool, line| {
        if let Some(text) = comment(line, &mut inside) {
            pool.push_line(text);
        }
        if !inside {
            pool.end_paragraph();
        }
    })
}

/// What a line of C says in a comment. A `/*` in a string literal fools it; the corpus does not mind.
fn comment<'a>(line: &'a str, inside: &mut bool) -> Option<&'a str> {
    let body = if *inside {
        line
    } else if let Some((_, body)) = line.split_once("/*") {
        *inside = true;
        body
    } else {
        return line.split_once("//").map(|(_, body)| body.trim()).filter(|body| !body.is_empty());
    };
    let body = body.split_once("*/").map_or(body, |(body, _)| {
        *inside = false;
        body
    });
    let body = body.trim_matches(|c: char| c == '*' || c.is_whitespace());
    (!body.is_empty()).then_some(body)
}

/// The books that come with the repository: a small vocabulary, but a text.
fn read_examples(pool: &mut Pool) -> Outcome<()> {
    let mut books: Vec<PathBuf> = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data"))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    books.sort();
    for book in books {
        for line in fs::read_to_string(&book)?.lines() {
            if line.is_empty() { pool.end_paragraph() } else { pool.push_line(line) }
        }
        pool.end_paragraph();
    }
    if pool.paragraphs.is_empty() { Err("no text in examples/data".into()) } else { Ok(()) }
}

// --- wide ---------------------------------------------------------------------------------------------------

/// Words to draw from. A text of 1 GiB meets some five million of them.
const VOCABULARY: usize = 5_500_000;
/// A line is ended after so many bytes.
const LINE_BYTES: usize = 80;
/// One word in so many contains letters of several bytes.
const MULTI_BYTE: usize = 100;
/// One line in so many ends in an ideographic space, so that a contestant that splits at ASCII is found out.
const WIDE_SPACE: usize = 1000;

/// Writes words to `path`, drawn with a probability of one over their rank (Zipf with exponent 1).
pub fn write_wide(bytes: u64, path: &Path) -> Outcome<()> {
    let (mut out, mut random) = (Sized::create(bytes, path)?, Random::new(5_300_000));
    let words = Words::invent(&mut random);
    // The rank of a Zipf draw with exponent 1 is, continuously, n to the power of a uniform number.
    let scale = (VOCABULARY as f64).ln();
    let mut line = String::new();
    loop {
        line.clear();
        while line.len() < LINE_BYTES {
            #[allow(clippy::cast_sign_loss)] // no power is negative
            let rank = (random.unit() * scale).exp() as usize;
            line.push_str(words.get(rank.min(VOCABULARY) - 1));
            line.push(' ');
        }
        line.pop();
        if random.below(WIDE_SPACE) == 0 {
            line.push('\u{3000}');
        }
        line.push('\n');
        if !out.put(&line)? {
            return Ok(out.out.flush()?);
        }
    }
}

/// All words by rank, in one string.
struct Words {
    text: String,
    ends: Vec<u32>,
}

impl Words {
    /// Distinct words of 2 to 14 letters; the frequent ones are short, as in a language.
    fn invent(random: &mut Random) -> Words {
        let mut seen = std::collections::HashSet::with_capacity(VOCABULARY);
        let mut words = Words { text: String::new(), ends: Vec::with_capacity(VOCABULARY) };
        while words.ends.len() < VOCABULARY {
            let shortest = 2 + words.ends.len().checked_ilog10().unwrap_or(0) as usize / 2;
            let longer = 1 + random.below(12);
            let letters = (shortest + random.below(longer)).min(14);
            let start = words.text.len();
            push_word(&mut words.text, letters, random);
            if seen.insert(words.text[start..].to_owned()) {
                words.ends.push(words.text.len() as u32);
            } else {
                words.text.truncate(start);
            }
        }
        words
    }

    fn get(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.text[start..self.ends[index] as usize]
    }
}

fn push_word(text: &mut String, letters: usize, random: &mut Random) {
    const OTHERS: [char; 8] = ['é', 'ü', 'ß', 'ø', 'ж', 'λ', '語', 'ñ'];
    let foreign = random.below(MULTI_BYTE) == 0;
    for _ in 0..letters {
        let letter = if foreign && random.below(4) == 0 {
            OTHERS[random.below(OTHERS.len())]
        } else {
            char::from(b'a' + random.below(26) as u8)
        };
        text.push(letter);
    }
}
