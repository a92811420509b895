//! The jobs of the PUMA suite on the bundled books, or on what is made of them, against plain loops over the same text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use gristmill::io::commit::manifest;
use gristmill::io::parquet::read_parquet;
use gristmill::record::from_batch;
use gristmill::{Record, Text};
use tempfile::TempDir;

use crate::{MAP_REDUCE, printed, run_with};

/// One with what the machine has, one with more threads than cores and so little memory that what is exchanged goes to disk, and both
/// in the MapReduce mode.
const SETTINGS: [&[(&str, &str)]; 4] = [
    &[],
    &[("GRISTMILL_THREADS", "3"), ("GRISTMILL_MEMORY", "4MB")],
    &[MAP_REDUCE],
    &[("GRISTMILL_THREADS", "3"), ("GRISTMILL_MEMORY", "4MB"), MAP_REDUCE],
];

fn book(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data").join(name)).unwrap()
}

/// Files in a directory of their own.
struct Place {
    dir: TempDir,
    files: Vec<(PathBuf, String)>,
}

impl Place {
    fn new(files: &[(&str, String)]) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let files = files.iter().map(|(name, text)| (dir.path().join(name), text.clone())).collect();
        let place = Place { dir, files };
        for (path, text) in &place.files {
            std::fs::write(path, text).unwrap();
        }
        place
    }

    /// Two books, of which one is repeated until it is longer than a split.
    fn books() -> Place {
        let long = book("genesis.txt").repeat(6);
        assert!(long.len() > 1 << 20);
        Place::new(&[("genesis.txt", long), ("psalms.txt", book("psalms.txt"))])
    }

    fn paths(&self) -> Vec<&Path> {
        self.files.iter().map(|(path, _)| path.as_path()).collect()
    }

    /// The name of each document, and its words.
    fn documents(&self) -> impl Iterator<Item = (Text, Vec<&str>)> {
        let name = |path: &Path| Text::from(path.to_str().unwrap());
        self.files.iter().map(move |(path, text)| (name(path), text.split_whitespace().collect()))
    }

    /// The rows that an example writes, in order, which must be the same under all settings.
    fn written<T: Record + Ord + std::fmt::Debug>(&self, name: &str, rows: &str) -> Vec<T> {
        let results = SETTINGS.map(|variables| {
            let out = self.dir.path().join("out");
            let arguments = [self.paths(), vec![out.as_path()]].concat();
            let output = run_with(name, &arguments, variables);
            let manifest = manifest::verify(&out).unwrap();
            assert_eq!(printed(&output), format!("{} {rows}\n", manifest.rows));
            let parts = manifest.parts.iter().map(|part| read_parquet(&out.join(&part.name), None).unwrap());
            parts.flatten().flat_map(|batch| from_batch::<T>(&batch.unwrap()).unwrap()).collect::<Vec<T>>()
        });
        let [mut rows, others @ ..] = results;
        assert!(others.iter().all(|other| *other == rows), "{name} depends on threads, memory or execution");
        rows.sort();
        rows
    }

    /// What an example prints, which must be the same under all settings.
    fn printed(&self, name: &str) -> String {
        let results = SETTINGS.map(|variables| printed(&run_with(name, &self.paths(), variables)).to_owned());
        let [first, others @ ..] = results;
        assert!(others.iter().all(|other| *other == first), "{name} depends on threads, memory or execution");
        first
    }
}

#[test]
fn grep_prints_the_lines_that_match() {
    let place = Place::books();
    let arguments = [vec![Path::new(r"\b[Dd]ay\b")], place.paths()].concat();
    let is_day = |word: &str| word == "day" || word == "Day";
    let matching = |line: &&str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(is_day);
    let lines = place.files.iter().flat_map(|(_, text)| text.lines()).filter(matching);
    let expected: String = lines.map(|line| format!("{line}\n")).collect();
    assert!(expected.contains("And God called the light Day,"));
    for variables in SETTINGS {
        assert_eq!(printed(&run_with("grep", &arguments, variables)), expected);
    }
}

#[test]
fn grep_tells_by_its_code_that_nothing_matches() {
    let place = Place::books();
    let arguments = [vec![Path::new("aeroplane")], place.paths()].concat();
    for variables in SETTINGS {
        let output = run_with("grep", &arguments, variables);
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), b"".as_slice()));
    }
}

#[test]
fn inverted_index_has_the_documents_of_each_word() {
    let place = Place::books();
    let mut model: BTreeMap<Text, BTreeSet<Text>> = BTreeMap::new();
    for (document, words) in place.documents() {
        for word in words {
            model.entry(word.into()).or_default().insert(document.clone());
        }
    }
    assert!(model["God"].len() == 2 && model["Eden"].len() == 1 && model.len() > 3000);
    let model: Vec<_> =
        model.into_iter().map(|(word, documents)| (word, Vec::from_iter(documents))).collect();
    assert_eq!(place.written::<(Text, Vec<Text>)>("inverted_index", "words"), model);
}

#[test]
fn ranked_inverted_index_begins_with_the_document_that_has_the_word_most_often() {
    let place = Place::books();
    let mut counts: BTreeMap<Text, BTreeMap<Text, u64>> = BTreeMap::new();
    for (document, words) in place.documents() {
        for word in words {
            *counts.entry(word.into()).or_default().entry(document.clone()).or_default() += 1;
        }
    }
    let ranked = |documents: BTreeMap<Text, u64>| {
        let mut ranked: Vec<(u64, Text)> =
            documents.into_iter().map(|(document, count)| (count, document)).collect();
        ranked.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        ranked
    };
    let model: Vec<_> = counts.into_iter().map(|(word, documents)| (word, ranked(documents))).collect();
    let firsts: BTreeSet<&Text> = model.iter().map(|(_, ranked)| &ranked[0].1).collect();
    assert!(firsts.len() == 2 && model.len() > 3000, "both documents have words that they are the first for");
    assert_eq!(place.written::<(Text, Vec<(u64, Text)>)>("ranked_inverted_index", "words"), model);
}

#[test]
fn term_vector_prints_the_ten_most_frequent_words_of_each_document() {
    let place = Place::books();
    let line = |(document, words): (Text, Vec<&str>)| {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for word in words {
            *counts.entry(word).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let terms: Vec<String> =
            counts.iter().take(10).map(|(word, count)| format!("{word} {count}")).collect();
        format!("{document}: {}\n", terms.join(", "))
    };
    let expected: String = place.documents().map(line).collect();
    assert!(expected.contains("genesis.txt: the ") && expected.contains("psalms.txt: the "), "{expected}");
    assert_eq!(place.printed("term_vector"), expected);
}

/// Words that stand in different lines follow one another, too; the last words of a document have no successors.
#[test]
fn sequence_count_counts_over_the_ends_of_lines() {
    let place = Place::books();
    let mut model: BTreeMap<(Text, Text), u64> = BTreeMap::new();
    for (document, words) in place.documents() {
        for three in words.windows(3) {
            *model.entry((document.clone(), three.join(" ").into())).or_default() += 1;
        }
    }
    let over_a_line_end = "the face of"; // "And darkness was upon the / face of the deep"
    let genesis = place.documents().next().unwrap().0;
    assert!(model[&(genesis, over_a_line_end.into())] > 6 && model.len() > 30_000);
    let model: Vec<_> =
        model.into_iter().map(|((document, three), count)| (document, three, count)).collect();
    assert_eq!(place.written::<(Text, Text, u64)>("sequence_count", "sequences"), model);
}

/// The associations are the sets of three different words that stand together in a line.
#[test]
fn self_join_makes_candidates_of_four_items() {
    let lines = [book("genesis.txt"), book("psalms.txt")].concat();
    let letters = |word: &str| word.chars().filter(|c| c.is_alphabetic()).collect::<String>().to_lowercase();
    let mut associations = String::new();
    let mut by_prefix: BTreeMap<Vec<String>, BTreeSet<String>> = BTreeMap::new();
    for line in lines.lines().step_by(4) {
        let words: Vec<String> =
            line.split_whitespace().map(letters).filter(|word| !word.is_empty()).collect();
        for three in words.windows(3) {
            let items = Vec::from_iter(three.iter().cloned().collect::<BTreeSet<_>>());
            if let [first, second, third] = items.as_slice() {
                writeln!(associations, "{}", items.join(",")).unwrap();
                by_prefix.entry(vec![first.clone(), second.clone()]).or_default().insert(third.clone());
            }
        }
    }
    let mut model: Vec<Text> = Vec::new();
    for (prefix, lasts) in &by_prefix {
        for last in lasts {
            for other in lasts.range(last.clone()..).skip(1) {
                model.push(format!("{},{last},{other}", prefix.join(",")).into());
            }
        }
    }
    model.sort();
    assert!(model.len() > 1000, "{}", model.len());
    let place = Place::new(&[("associations.txt", associations)]);
    assert_eq!(place.written::<Text>("self_join", "candidates"), model);
}

/// The nodes are words, and an edge leads from each to the one that follows it.
#[test]
fn adjacency_list_has_the_neighbours_of_each_node_on_both_sides() {
    let text = book("psalms.txt");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut edges = String::new();
    let mut model: BTreeMap<Text, (BTreeSet<Text>, BTreeSet<Text>)> = BTreeMap::new();
    for pair in words.windows(2) {
        writeln!(edges, "{}\t{}", pair[0], pair[1]).unwrap();
        model.entry(pair[0].into()).or_default().0.insert(pair[1].into());
        model.entry(pair[1].into()).or_default().1.insert(pair[0].into());
    }
    edges += "only_a_source only_a_target\n";
    model.insert("only_a_source".into(), (["only_a_target".into()].into(), [].into()));
    model.insert("only_a_target".into(), ([].into(), ["only_a_source".into()].into()));
    assert!(model.len() > 4000 && model["the"].0.len() > 100);
    let list = |nodes: BTreeSet<Text>| Vec::from_iter(nodes);
    let model: Vec<_> = model.into_iter().map(|(node, (to, from))| (node, list(to), list(from))).collect();
    let place = Place::new(&[("edges.txt", edges)]);
    assert_eq!(place.written::<(Text, Vec<Text>, Vec<Text>)>("adjacency_list", "nodes"), model);
}

#[test]
fn adjacency_list_says_which_line_is_no_edge() {
    let place = Place::new(&[("edges.txt", "a b\nb c\nc\n".to_owned())]);
    let out = place.dir.path().join("out");
    let output = run_with("adjacency_list", &[place.paths()[0], &out], &[]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && !out.exists());
    assert!(message.contains("\"c\" is no edge") && message.contains("edges.txt, line 3"), "{message}");
}

/// A film is a line of the books; its ratings are the lengths of its words, and of longer words nobody thinks much.
#[test]
fn histogram_counts_averages_and_ratings() {
    let lines = book("genesis.txt").repeat(4);
    let mut films = String::new();
    let mut averages = [0; 9];
    let mut ratings = [0; 5];
    for (film, line) in lines.lines().enumerate() {
        let of_film: Vec<usize> =
            line.split_whitespace().map(|word| if word.len() > 5 { 1 } else { word.len() }).collect();
        let users = of_film.iter().enumerate().map(|(user, rating)| format!("{}_{rating}", film + user));
        writeln!(films, "{film}:{}", users.collect::<Vec<_>>().join(",")).unwrap();
        for rating in &of_film {
            ratings[rating - 1] += 1;
        }
        let (sum, count) = (of_film.iter().sum::<usize>(), of_film.len());
        if count > 0 {
            averages[(4 * sum + count) / (2 * count) - 2] += 1; // the nearest half, upwards in the middle of two
        }
    }
    assert!(films.len() > 1 << 20 && averages.iter().filter(|count| **count > 0).count() > 5);
    let average =
        |(bin, count): (usize, &u64)| format!("{count} films of about {}\n", 1.0 + bin as f64 / 2.0);
    let rating = |(index, count): (usize, &u64)| format!("{count} ratings of {}\n", index + 1);
    let expected: String =
        averages.iter().enumerate().map(average).chain(ratings.iter().enumerate().map(rating)).collect();
    let place = Place::new(&[("ratings.txt", films)]);
    assert_eq!(place.printed("histogram"), expected);
}
