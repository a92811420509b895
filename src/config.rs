//! Every knob of a context: unit in the name, default in the doc.

use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Result};

/// The settings of a `Context`. None of them but [`Config::split_bytes`] and the rule [`Rules::broadcast`] changes a
/// byte of any result.
#[derive(Debug, Clone)]
pub struct Config {
    /// Worker threads, at most [`MAX_THREADS`]. Default: `GRISTMILL_THREADS`, else all cores that the process may use.
    pub threads: usize,
    /// Bytes that all stateful operators, caches and writers of the context may hold together. Default: `GRISTMILL_MEMORY`, else 60 %
    /// of the memory of the machine or of its control group.
    pub memory_bytes: u64,
    /// The directory for data beyond the memory limit, and between stages: one file without a name, which vanishes with the process. Default:
    /// `GRISTMILL_SPILL_DIR`, else `TMPDIR`, else `/var/tmp`.
    pub spill_dir: PathBuf,
    /// Bytes that data beyond the memory limit, and between stages, may take on disk. Default: `GRISTMILL_SPILL_LIMIT`, else no limit but the disk.
    pub spill_limit_bytes: u64,
    /// Splits that a pipeline may read ahead of its oldest unfinished one. Default: twice the threads.
    pub in_flight_splits: usize,
    /// Elements that move between operators at once. Default: 512.
    pub chunk_rows: usize,
    /// Bytes of input a split. Default: by the size of the input, from 1 MiB to 32 MiB. It decides where output parts are
    /// cut and in which groups floats are added, and so belongs to what must be equal for two runs to be equal.
    pub split_bytes: Option<u64>,
    /// The longest line that is read, in bytes. Default: 16 MiB.
    pub max_line_bytes: usize,
    /// The largest file that is read as a whole, in bytes, inflated. Default: 256 MiB.
    pub max_file_bytes: u64,
    /// The most bytes that one compressed file may inflate to. Default: 1 TiB.
    pub max_inflated_bytes: u64,
    /// The most bytes that each byte of a compressed file may inflate to, looked at beyond the first 64 MiB. Default: 500;
    /// text gives 3 to 20.
    pub max_inflate_ratio: u64,
    /// The most bytes that inflating a file may need: the window of zstd, the memory of xz. Default: 128 MiB.
    pub max_inflate_window_bytes: u64,
    /// What the planner may do. Default: everything.
    pub rules: Rules,
    /// How graphs are run. Default: `GRISTMILL_EXECUTION`, else as dataflow.
    pub execution: Execution,
    /// The file that the totals of all runs are written to, as JSON, after each that ended well; see
    /// [`ContextBuilder::metrics_file`](crate::ContextBuilder::metrics_file). Default: `GRISTMILL_METRICS`, else none.
    pub metrics_file: Option<PathBuf>,
    /// How outputs are committed. Default: `GRISTMILL_COMMIT`, else as their file system allows.
    pub commit_by: CommitBy,
}

/// How outputs are committed.
///
/// # Examples
///
/// ```
/// use gristmill::config::CommitBy;
/// use gristmill::prelude::*;
///
/// # let dir = tempfile::tempdir()?;
/// let ctx = Context::builder().commit_by(CommitBy::Manifest).build()?;
/// ctx.range(0..9).write_csv(dir.path().join("out"), CsvOptions::default())?;
/// assert!(dir.path().join("out/_manifest-00000001.json").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CommitBy {
    /// By renames; by a manifest where the file system says that it renames no directories, which it is asked when a run begins, and in a directory of
    /// an object store that the table of mounts shows: those of s3fs, gcsfuse, rclone, goofys and their like rename by copying.
    #[default]
    Auto,
    /// By a new manifest in the directory of the output, and by no renames, wherever it lies: for file systems that rename directories by copying
    /// what is in them. What that means for other programs, and what is refused, is said in [`io::commit`](crate::io::commit#in-place).
    Manifest,
}

impl CommitBy {
    /// Its name, as in `GRISTMILL_COMMIT`.
    pub fn name(self) -> &'static str {
        match self {
            CommitBy::Auto => "auto",
            CommitBy::Manifest => "manifest",
        }
    }

    /// The way of this name, in small letters or capitals.
    pub fn named(name: &str) -> Option<CommitBy> {
        [CommitBy::Auto, CommitBy::Manifest].into_iter().find(|way| way.name().eq_ignore_ascii_case(name))
    }
}

/// How graphs are run.
///
/// Both give the same results, and the same bytes where files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Execution {
    /// Everything runs as soon as its input is there: stages overlap, and what they hand over stays in memory as long as it fits.
    #[default]
    Dataflow,
    /// One map-shuffle-reduce cycle after the other, as Hadoop runs jobs: for comparisons.
    ///
    /// A cycle reads files, maps, combines, sorts by partition and key, and writes to local disk (`spill_dir`); when all its map tasks have
    /// ended, its reduce tasks read their partition of each, merge, and reduce. Whatever a later cycle reads is written to disk
    /// between: results of cycles, caches, the state of loops, the sides of broadcasts, of which each task loads its own
    /// copy, or, if the memory limit does not allow a copy for each thread, all running tasks one together.
    ///
    /// Input that several cycles need is read by each of them, as several jobs would: standard input, which can be read once, is an error
    /// then, unless a `cache` holds it. Map tasks are the splits of the input, reduce tasks the partitions of an exchange.
    ///
    /// What goes beyond Hadoop, and makes this mode faster: a map task combines in a hash table before it sorts. Hadoop sorts all that a map
    /// emits, and combines then.
    ///
    /// Closures that join states must be associative, as they must for dataflow, too: states are joined in the order of the input, but in
    /// other groups, because a map task combines again when it sorts and when it merges. A closure that is not associative can give other
    /// results than in dataflow. Addition of floats is not: states with floats in them are joined once, in the reduce task, in the
    /// groups of dataflow, and give the same bits.
    ///
    /// Parsers, codecs, threads, memory limit and the operators' own code are those of the dataflow mode. Elements between two cycles that are no
    /// [`Record`](crate::record::Record) cannot be written; they stay in memory. What a record does not store (`#[record(skip)]`) is its
    /// default after an exchange.
    MapReduce,
    /// On a cluster of Apache Spark: the driver runs the stages of the graph there, and this process, or one like it on each executor, does their work. A
    /// program comes to run so by `--master`, and not by this setting.
    Spark,
}

impl Execution {
    /// Its name, as in `GRISTMILL_EXECUTION` and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Execution::Dataflow => "dataflow",
            Execution::MapReduce => "mapreduce",
            Execution::Spark => "spark",
        }
    }

    /// Whether what is exchanged goes to disk from the beginning, ordered by the tasks that leave it.
    pub(crate) fn stores_exchanges(self) -> bool {
        self != Execution::Dataflow
    }

    /// The execution of this name, in small letters or capitals.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::config::Execution;
    ///
    /// assert_eq!(Execution::named("mapreduce"), Some(Execution::MapReduce));
    /// assert_eq!(Execution::named("MapReduce"), Some(Execution::MapReduce));
    /// assert_eq!(Execution::named("magic"), None);
    /// ```
    pub fn named(name: &str) -> Option<Execution> {
        [Execution::Dataflow, Execution::MapReduce]
            .into_iter()
            .find(|execution| execution.name().eq_ignore_ascii_case(name))
    }
}

/// What the planner may do; each rule can be switched off, so that tests can show that it changes no result, but for the order of
/// what a join gives.
#[allow(clippy::struct_excessive_bools, reason = "each rule is on or off by itself")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Run chains of narrow operators as one pipeline.
    pub fuse: bool,
    /// Combine values by key within a split before they are exchanged.
    pub combine: bool,
    /// Compute once what several consumers need.
    pub share: bool,
    /// Hold the small side of a join in memory instead of exchanging both sides. It changes the order in which a join's rows come.
    pub broadcast: bool,
}

impl Rules {
    /// Every rule, which is the default.
    pub const ALL: Rules = Rules { fuse: true, combine: true, share: true, broadcast: true };

    /// No rule: every operator for itself.
    pub const NONE: Rules = Rules { fuse: false, combine: false, share: false, broadcast: false };
}

/// The most worker threads of a context. More are a mistake: the machine would spend its time and memory on starting them.
pub const MAX_THREADS: usize = 1024;

const DEFAULT_CHUNK_ROWS: usize = 512;
const DEFAULT_MAX_LINE_BYTES: usize = 16 << 20;
const DEFAULT_MAX_FILE_BYTES: u64 = 256 << 20;
const DEFAULT_MAX_INFLATED_BYTES: u64 = 1 << 40;
const DEFAULT_MAX_INFLATE_RATIO: u64 = 500;
const DEFAULT_MAX_INFLATE_WINDOW_BYTES: u64 = 128 << 20;

impl Config {
    /// The defaults, with the environment's say.
    ///
    /// # Errors
    ///
    /// If a variable is set to something that is no number of threads or bytes, no execution, or no way to commit.
    pub fn from_env() -> Result<Config> {
        let threads = match variable("GRISTMILL_THREADS") {
            Some(text) => {
                text.parse().map_err(|_| bad_variable("GRISTMILL_THREADS", &text, "a number such as 4"))?
            }
            None => std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS),
        };
        Ok(Config {
            threads,
            memory_bytes: size_variable("GRISTMILL_MEMORY")?.unwrap_or_else(default_memory_bytes),
            spill_dir: default_spill_dir(),
            spill_limit_bytes: size_variable("GRISTMILL_SPILL_LIMIT")?.unwrap_or(u64::MAX),
            in_flight_splits: threads.saturating_mul(2),
            chunk_rows: DEFAULT_CHUNK_ROWS,
            split_bytes: None,
            max_line_bytes: DEFAULT_MAX_LINE_BYTES,
            max_file_bytes: DEFAULT_MAX_FILE_BYTES,
            max_inflated_bytes: DEFAULT_MAX_INFLATED_BYTES,
            max_inflate_ratio: DEFAULT_MAX_INFLATE_RATIO,
            max_inflate_window_bytes: DEFAULT_MAX_INFLATE_WINDOW_BYTES,
            rules: Rules::ALL,
            execution: execution_variable()?,
            metrics_file: std::env::var_os("GRISTMILL_METRICS")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            commit_by: commit_variable()?,
        })
    }

    /// Refuses settings that cannot work.
    ///
    /// # Errors
    ///
    /// If a number that must be positive is 0, or there are more threads than [`MAX_THREADS`].
    pub fn check(&self) -> Result<()> {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let positive = [
            ("threads", self.threads),
            ("in_flight_splits", self.in_flight_splits),
            ("chunk_rows", self.chunk_rows),
            ("max_line_bytes", self.max_line_bytes),
            ("split_bytes", self.split_bytes.map_or(1, size)),
            ("max_inflated_bytes", size(self.max_inflated_bytes)),
            ("max_inflate_ratio", size(self.max_inflate_ratio)),
            ("max_inflate_window_bytes", size(self.max_inflate_window_bytes)),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(Error::new(ErrorKind::Config, format!("{name} is 0")).hint("give 1 or more"));
        }
        if self.threads > MAX_THREADS {
            let message = format!("threads is {}", self.threads);
            return Err(Error::new(ErrorKind::Config, message).hint(format!("give {MAX_THREADS} or less")));
        }
        Ok(())
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

fn size_variable(name: &str) -> Result<Option<u64>> {
    let Some(text) = variable(name) else { return Ok(None) };
    parse_bytes(&text).map(Some).ok_or_else(|| bad_variable(name, &text, "a size such as 4GiB"))
}

fn execution_variable() -> Result<Execution> {
    let set = variable("GRISTMILL_EXECUTION").filter(|text| !text.is_empty());
    let Some(text) = set else { return Ok(Execution::default()) };
    Execution::named(&text).ok_or_else(|| bad_variable("GRISTMILL_EXECUTION", &text, "dataflow or mapreduce"))
}

fn commit_variable() -> Result<CommitBy> {
    let set = variable("GRISTMILL_COMMIT").filter(|text| !text.is_empty());
    let Some(text) = set else { return Ok(CommitBy::default()) };
    CommitBy::named(&text).ok_or_else(|| bad_variable("GRISTMILL_COMMIT", &text, "auto or manifest"))
}

/// `/tmp` is memory on some systems, `/var/tmp` is a disk.
fn default_spill_dir() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let disk = || Some(PathBuf::from("/var/tmp")).filter(|dir| dir.is_dir());
    set("GRISTMILL_SPILL_DIR").or_else(|| set("TMPDIR")).or_else(disk).unwrap_or_else(std::env::temp_dir)
}

fn bad_variable(name: &str, value: &str, wanted: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{name} is {value:?}"))
        .hint(format!("set it to {wanted}, or unset it"))
}

/// Reads a size such as `512MiB`, `2GB`, `1.5 GiB` or `1048576`: decimal and binary units, case ignored.
///
/// # Examples
///
/// ```
/// use gristmill::config::parse_bytes;
///
/// assert_eq!(parse_bytes("256MiB"), Some(256 << 20));
/// assert_eq!(parse_bytes("1.5 kb"), Some(1500));
/// assert_eq!(parse_bytes("many"), None);
/// ```
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "kib" => 1 << 10,
        "m" | "mb" => 1_000_000,
        "mib" => 1 << 20,
        "g" | "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        "t" | "tb" => 1_000_000_000_000,
        "tib" => 1 << 40,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    let bytes = number.parse::<f64>().ok()? * factor as f64;
    #[allow(clippy::cast_sign_loss)] // a parsed number without a sign
    (bytes < 9e18).then_some(bytes as u64)
}

/// 60 % of what the process may use: the smallest of physical memory and the limits of its control group.
fn default_memory_bytes() -> u64 {
    let physical = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
    });
    let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let group =
        group.iter().filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    let usable = physical.into_iter().chain(group).min().unwrap_or(4 << 30);
    usable / 10 * 6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        assert_eq!(parse_bytes("0"), Some(0));
        assert_eq!(parse_bytes("2GB"), Some(2_000_000_000));
        assert_eq!(parse_bytes("2 gib"), Some(2 << 30));
        assert_eq!(parse_bytes("0.5MiB"), Some(512 << 10));
        for bad in ["", "-1", "1.2.3", "GB", "99999999999999999999", "1 PB"] {
            assert_eq!(parse_bytes(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_zero_and_too_many_threads_are_refused() {
        let mut config = Config::from_env().unwrap();
        config.check().unwrap();
        config.chunk_rows = 0;
        assert_eq!(config.check().unwrap_err().to_string(), "chunk_rows is 0; give 1 or more");
        config.chunk_rows = 1;
        config.threads = MAX_THREADS;
        config.check().unwrap();
        config.threads += 1;
        assert_eq!(config.check().unwrap_err().to_string(), "threads is 1025; give 1024 or less");
    }
}
