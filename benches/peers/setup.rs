//! The peers that are installed under `target/bench-data` and built under `target/peers`, and their processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::contestant::{Contestant, Run};
use crate::Outcome;

/// Where the peers are.
pub struct Peers {
    /// The virtual environment of Python.
    dir: PathBuf,
    /// The program of renoir and timely.
    rust: PathBuf,
}

/// The files of the peers in the repository.
fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(name)
}

/// The most memory that a Java process may take, in bytes, if the machine has twice as much.
const JAVA_BYTES: u64 = 8 << 30;

impl Peers {
    /// Peers that are there already.
    pub fn present(data: &Path) -> Peers {
        let target = data.with_file_name("peers");
        Peers { dir: data.join("peers"), rust: target.join("release/rust-peers") }
    }

    /// Installs what is missing.
    pub fn install(data: &Path) -> Outcome<Peers> {
        let status = Command::new(source("setup.sh")).arg(data).arg(data.with_file_name("peers")).status()?;
        if status.success() {
            Ok(Peers::present(data))
        } else {
            Err(format!("benches/peers/setup.sh failed: {status}").into())
        }
    }

    /// Why a contestant cannot take part, if it cannot.
    pub fn missing(&self, contestant: Contestant) -> Option<String> {
        let needs = match contestant {
            Contestant::Renoir | Contestant::Timely => self.rust.clone(),
            Contestant::Hadoop => self.dir.join("hadoop/WordCount.class"),
            other if other.is_peer() => self.program("python"),
            _ => return None,
        };
        (!needs.exists()).then(|| format!("{} is missing", needs.display()))
    }

    /// A program of the environment.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join("bin").join(name)
    }

    /// The process of a Python program of the repository.
    pub fn script(&self, name: &str) -> Command {
        let mut command = Command::new(self.program("python"));
        command.arg(source("python").join(name));
        command
    }

    /// The process of a peer with an interface for Python.
    pub fn python(&self, name: &str, run: &Run) -> Command {
        let mut command = self.script(name);
        arguments(&mut command, run);
        command
    }

    /// The process of renoir or timely.
    pub fn rust(&self, name: &str, run: &Run) -> Command {
        let mut command = Command::new(&self.rust);
        command.arg(name);
        arguments(&mut command, run);
        command
    }

    /// Where `PySpark` is installed.
    fn spark_home(&self) -> Outcome<PathBuf> {
        let versions = fs::read_dir(self.dir.join("lib"))?.flatten();
        let mut homes = versions.map(|version| version.path().join("site-packages/pyspark"));
        Ok(homes.find(|home| home.exists()).ok_or("PySpark is not installed")?)
    }

    /// The process of Spark: spark-submit, which waits for Python, so that both are measured. Two to three tasks a core, as
    /// <https://spark.apache.org/docs/latest/tuning.html#level-of-parallelism> recommends.
    pub fn spark(&self, run: &Run) -> Outcome<Command> {
        let mut command = Command::new(self.spark_home()?.join("bin/spark-submit"));
        command.env("SPARK_HOME", self.spark_home()?).env("PYSPARK_PYTHON", self.program("python"));
        command.args(["--master", &format!("local[{}]", run.threads)]);
        command.args(["--driver-memory", &format!("{}m", java_bytes() >> 20)]);
        let conf = [
            format!("spark.driver.extraJavaOptions=-XX:ActiveProcessorCount={}", run.threads),
            format!("spark.sql.shuffle.partitions={}", 3 * run.threads),
            format!("spark.local.dir={}", run.output.join("spark").display()),
            "spark.sql.parquet.compression.codec=zstd".into(),
            "spark.hadoop.parquet.compression.codec.zstd.level=1".into(),
            "spark.sql.parquet.outputTimestampType=TIMESTAMP_MICROS".into(),
            "spark.sql.session.timeZone=UTC".into(),
            "spark.ui.enabled=false".into(),
        ];
        for conf in conf {
            command.args(["--conf", &conf]);
        }
        command.arg(source("python/by_spark.py"));
        arguments(&mut command, run);
        Ok(command)
    }

    /// The process of Hadoop, whose classes come with Spark.
    pub fn hadoop(&self, run: &Run) -> Outcome<Command> {
        let jars = self.spark_home()?.join("jars/*");
        let mut command = Command::new("java");
        command.arg(format!("-Xmx{}m", java_bytes() >> 20));
        command.arg(format!("-XX:ActiveProcessorCount={}", run.threads));
        command.arg(format!("-Dhadoop.tmp.dir={}", run.output.join("tmp").display()));
        command.args(["-cp", &format!("{}:{}", self.dir.join("hadoop").display(), jars.display())]);
        command.arg("WordCount").arg(run.input).arg(run.output.join("out")).arg(run.threads.to_string());
        Ok(command)
    }
}

/// The arguments that all programs of peers take.
fn arguments(command: &mut Command, run: &Run) {
    command.arg(run.job.task()).arg(run.input).arg(run.output).arg(run.threads.to_string());
}

/// What a Java process may take: half of the machine's memory, or `JAVA_BYTES`.
fn java_bytes() -> u64 {
    let memory = rustix::system::sysinfo();
    (memory.totalram * u64::from(memory.mem_unit) / 2).min(JAVA_BYTES)
}

/// The versions that are compared, one a line.
pub fn versions() -> Outcome<Vec<String>> {
    let packages = fs::read_to_string(source("requirements.txt"))?;
    let lock = fs::read_to_string(source("rust/Cargo.lock"))?;
    let mut versions: Vec<String> = packages
        .lines()
        .filter(|line| !line.starts_with('#') && !line.starts_with("tpchgen") && !line.starts_with("pyarrow"))
        .map(|line| line.replace("==", " "))
        .collect();
    for name in ["renoir", "timely"] {
        let version = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).map(|(_, rest)| rest);
        let version = version.and_then(|rest| rest.split('"').next()).ok_or("a peer is not in Cargo.lock")?;
        versions.push(format!("{name} {version}"));
    }
    Ok(versions)
}
