//! The jobs: which program does them, on what, and what it leaves.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::generate::word;
use super::input::Input;
use crate::Outcome;

/// A job, which is the example of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    WordCount,
    Grep,
    InvertedIndex,
    RankedInvertedIndex,
    TermVector,
    SequenceCount,
    SelfJoin,
    AdjacencyList,
    Histogram,
    TeraSort,
    KMeans,
    PageRank,
    ConnectedComponents,
}

/// A job with a number of rounds, if it has rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    pub job: Job,
    pub rounds: Option<usize>,
}

/// Clusters of k-means.
const CLUSTERS: usize = 8;

/// The rank of the word that is searched for: about one line in a hundred has it.
const SEARCHED: usize = 150;

impl Job {
    /// Every job, in the order of the table.
    pub const ALL: [Job; 13] = [
        Job::WordCount,
        Job::Grep,
        Job::InvertedIndex,
        Job::RankedInvertedIndex,
        Job::TermVector,
        Job::SequenceCount,
        Job::SelfJoin,
        Job::AdjacencyList,
        Job::Histogram,
        Job::TeraSort,
        Job::KMeans,
        Job::PageRank,
        Job::ConnectedComponents,
    ];

    /// Its name in arguments and tables, which is that of the example.
    pub fn name(self) -> &'static str {
        match self {
            Job::WordCount => "wordcount",
            Job::Grep => "grep",
            Job::InvertedIndex => "inverted_index",
            Job::RankedInvertedIndex => "ranked_inverted_index",
            Job::TermVector => "term_vector",
            Job::SequenceCount => "sequence_count",
            Job::SelfJoin => "self_join",
            Job::AdjacencyList => "adjacency_list",
            Job::Histogram => "histogram",
            Job::TeraSort => "terasort",
            Job::KMeans => "kmeans",
            Job::PageRank => "pagerank",
            Job::ConnectedComponents => "connected_components",
        }
    }

    /// The job of that name.
    pub fn from_name(name: &str) -> Outcome<Job> {
        let found = Job::ALL.into_iter().find(|job| job.name() == name);
        let names = Job::ALL.map(Job::name).join(", ");
        found.ok_or_else(|| format!("no job is called {name}; there are {names}").into())
    }

    /// What it reads.
    pub fn input(self) -> Input {
        match self {
            Job::SelfJoin => Input::Associations,
            Job::AdjacencyList | Job::PageRank => Input::Links,
            Job::Histogram => Input::Ratings,
            Job::TeraSort => Input::Records,
            Job::KMeans => Input::Points,
            Job::ConnectedComponents => Input::Roads,
            _ => Input::Text,
        }
    }

    /// How large its input is, where `bytes` are asked for: the less, the more is done with each.
    pub fn bytes(self, bytes: u64) -> u64 {
        match self {
            Job::Grep => bytes * 4,
            Job::WordCount | Job::Histogram | Job::TeraSort => bytes,
            Job::InvertedIndex | Job::RankedInvertedIndex | Job::TermVector => bytes / 2,
            Job::SelfJoin | Job::AdjacencyList | Job::KMeans => bytes / 4,
            Job::SequenceCount | Job::PageRank => bytes / 10,
            Job::ConnectedComponents => bytes / 30,
        }
    }

    /// Whether it has rounds.
    pub fn is_loop(self) -> bool {
        matches!(self, Job::KMeans | Job::PageRank | Job::ConnectedComponents)
    }

    /// Whether it prints its answer, and writes no files.
    pub fn prints(self) -> bool {
        matches!(self, Job::Grep | Job::TermVector | Job::Histogram | Job::KMeans | Job::PageRank)
    }
}

impl Case {
    /// What the program of the job is told.
    pub fn arguments(&self, input: &[PathBuf], output: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        if self.job == Job::Grep {
            arguments.push(format!(r"\b{}\b", word(SEARCHED)).into());
        }
        arguments.extend(input.iter().map(|path| path.as_os_str().to_owned()));
        if self.job == Job::KMeans {
            arguments.push(CLUSTERS.to_string().into());
        }
        if !self.job.prints() {
            arguments.push(output.into());
        }
        arguments.extend(self.rounds.map(|rounds| rounds.to_string().into()));
        arguments
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rounds {
            None => write!(f, "{}", self.job.name()),
            Some(1) => write!(f, "{}, 1 round", self.job.name()),
            Some(rounds) => write!(f, "{}, {rounds} rounds", self.job.name()),
        }
    }
}
