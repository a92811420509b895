//! What is done, and who can do it.

use super::contestant::Contestant::{
    self, DataFusion, DuckDb, Gristmill, Hadoop, Hand, LargeFiles, Parts, Plain, Polars, Records, Renoir,
    Spark, Timely,
};
use super::input::Input;
use crate::Outcome;

/// What is done. All write Parquet with Zstandard, but Hadoop and the plain program, which write text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// The counts of the words of real English.
    WordsReal,
    /// The counts of five million distinct words.
    WordsWide,
    /// A combined log, to Parquet.
    Logs,
    /// A CSV file with quoted text, to Parquet.
    Csv,
    /// The number, the sum and the largest of the values of each account.
    Group,
    /// Each event with the label of its account.
    Join,
    /// All events in the order of their numbers.
    Sort,
    /// Query 1 of TPC-H: one aggregate of nearly all rows.
    TpchQ1,
    /// Query 3 of TPC-H: two joins, an aggregate, and the first ten.
    TpchQ3,
    /// Query 6 of TPC-H: a filter and a sum.
    TpchQ6,
    /// A log in very many small files, to Parquet, beside the same lines in 16 files.
    Files,
}

impl Job {
    /// Every job.
    pub const ALL: [Job; 11] = [
        Job::WordsReal,
        Job::WordsWide,
        Job::Logs,
        Job::Csv,
        Job::Group,
        Job::Join,
        Job::Sort,
        Job::TpchQ1,
        Job::TpchQ3,
        Job::TpchQ6,
        Job::Files,
    ];

    /// Its name in arguments and tables.
    pub fn name(self) -> &'static str {
        match self {
            Job::WordsReal => "words-real",
            Job::WordsWide => "words-wide",
            Job::Logs => "logs",
            Job::Csv => "csv",
            Job::Group => "group",
            Job::Join => "join",
            Job::Sort => "sort",
            Job::TpchQ1 => "tpch-q1",
            Job::TpchQ3 => "tpch-q3",
            Job::TpchQ6 => "tpch-q6",
            Job::Files => "files",
        }
    }

    /// The name that its contestants know: which words are counted is of no concern to them.
    pub fn task(self) -> &'static str {
        match self {
            Job::WordsReal | Job::WordsWide => "words",
            other => other.name(),
        }
    }

    /// The job of that name.
    pub fn from_name(name: &str) -> Outcome<Job> {
        let found = Job::ALL.into_iter().find(|job| job.name() == name);
        found.ok_or_else(|| format!("no job is called {name}").into())
    }

    /// What it reads.
    pub fn input(self) -> Input {
        match self {
            Job::WordsReal => Input::Real,
            Job::WordsWide => Input::Wide,
            Job::Logs => Input::Logs,
            Job::Csv => Input::Orders,
            Job::Group | Job::Join | Job::Sort => Input::Events,
            Job::TpchQ1 | Job::TpchQ3 | Job::TpchQ6 => Input::Tpch,
            Job::Files => Input::SmallFiles,
        }
    }

    /// Those that can do it.
    pub fn contestants(self) -> &'static [Contestant] {
        match self {
            Job::WordsReal | Job::WordsWide => {
                &[Gristmill, Hand, Plain, Polars, DuckDb, DataFusion, Spark, Renoir, Timely, Hadoop]
            }
            Job::Logs => &[Gristmill, Records, Parts, Hand, Polars, DuckDb, DataFusion, Spark],
            Job::Csv => &[Gristmill, Records, Parts, Polars, DuckDb, DataFusion, Spark],
            Job::Group | Job::Join | Job::Sort => {
                &[Gristmill, Polars, DuckDb, DataFusion, Spark, Renoir, Timely]
            }
            Job::TpchQ1 | Job::TpchQ3 | Job::TpchQ6 => &[Gristmill, Polars, DuckDb, DataFusion, Spark],
            Job::Files => &[Gristmill, LargeFiles],
        }
    }

    /// Whether its rows have an order.
    pub fn sorts(self) -> bool {
        self == Job::Sort
    }

    /// Whether its fractions are money, which is compared to the cent: an average has as many digits as whoever computes it likes.
    pub fn in_cents(self) -> bool {
        self.input() == Input::Tpch
    }
}
