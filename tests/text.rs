//! Every operation of `Text` against the one of `str` that it is named after.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use gristmill::Text;
use gristmill::text::{Block, Utf8Block};
use proptest::prelude::*;

/// Every kind of whitespace, its near misses, and characters of one to four bytes.
fn any_char() -> impl Strategy<Value = char> {
    let spaces = "\t\n\u{B}\u{C}\r \u{85}\u{A0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}\u{2007}\
        \u{2008}\u{2009}\u{200A}\u{2028}\u{2029}\u{202F}\u{205F}\u{3000}";
    let misses = "\0\u{8}\u{E}\u{1C}\u{1F}\u{7F}\u{84}\u{86}\u{9F}\u{A1}\u{1681}\u{167F}\u{180E}\u{200B}\u{2027}\u{202A}\
        \u{202E}\u{2030}\u{205E}\u{2060}\u{3001}\u{FEFF}\u{2FFF}";
    let others = "éßŁΣςДж中かア😀𝄞İǆ";
    let common = "aAzZ09,;=-\" \n\r\n";
    let all: Vec<char> =
        [spaces, misses, others].into_iter().chain([common; 8]).flat_map(str::chars).collect();
    prop_oneof![20 => prop::sample::select(all), 1 => any::<char>()]
}

/// Strings of all lengths, with many around the borders of what is inline and of what is marked at once.
fn any_string() -> impl Strategy<Value = String> {
    let lengths = prop_oneof![0..8usize, 20..27usize, 61..68usize, 125..132usize, 0..300usize];
    let chars =
        lengths.clone().prop_flat_map(|length| (Just(length), prop::collection::vec(any_char(), length)));
    let ascii = lengths.prop_flat_map(|length| prop::collection::vec(prop::char::range('\t', '~'), length));
    prop_oneof![
        2 => chars.prop_map(|(length, chars)| cut(chars, length)),
        1 => ascii.prop_map(String::from_iter),
    ]
}

/// The longest string of the first of `chars` that has at most `length` bytes.
fn cut(chars: Vec<char>, length: usize) -> String {
    let mut text = String::new();
    for char in chars {
        if text.len() + char.len_utf8() > length {
            break;
        }
        text.push(char);
    }
    text
}

fn utf8_block(text: &str) -> Utf8Block {
    let mut block = Block::with_capacity(text.len());
    block.buffer().extend_from_slice(text.as_bytes());
    Utf8Block::new(block).unwrap_or_else(|invalid| panic!("{invalid}"))
}

/// A string, and a text of it that may be alone or the middle of a block.
fn any_text() -> impl Strategy<Value = (String, Text)> {
    let around = (any_string(), any_string());
    (any_string(), prop::option::of(around)).prop_map(|(text, around)| {
        let made = match around {
            None => Text::new(&text),
            Some((before, after)) => {
                utf8_block(&format!("{before}{text}{after}")).text(before.len()..before.len() + text.len())
            }
        };
        (text, made)
    })
}

fn any_needle() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["", " ", ",", "a", "aa", ", ", "é", "\r\n", "\u{2028}", "中"])
            .prop_map(String::from),
        prop::collection::vec(any_char(), 1..4).prop_map(String::from_iter),
    ]
}

/// Asserts that an iterator of texts gives these strings, keeps to its size hint, and is fused.
fn assert_gives<'a>(texts: impl Iterator<Item = Text>, expected: impl Iterator<Item = &'a str>) {
    let expected: Vec<&str> = expected.collect();
    let mut texts = texts;
    for (index, expected_text) in expected.iter().enumerate() {
        let left = expected.len() - index;
        let (least, most) = texts.size_hint();
        assert!(least <= left && most.is_some_and(|most| left <= most), "{least}..={most:?} for {left}");
        assert_eq!(texts.next().as_deref(), Some(*expected_text), "part {index} of {expected:?}");
    }
    assert_eq!(texts.next(), None);
    assert_eq!(texts.next(), None);
    assert_eq!(texts.size_hint().0, 0);
}

fn owned(part: &str) -> Text {
    Text::new(part)
}

fn pair((left, right): (&str, &str)) -> (Text, Text) {
    (owned(left), owned(right))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn holds_its_bytes((string, text) in any_text()) {
        let string = string.as_str();
        prop_assert_eq!(text.as_str(), string);
        prop_assert_eq!((text.len(), text.is_empty()), (string.len(), string.is_empty()));
        prop_assert_eq!(text.as_bytes(), string.as_bytes());
        prop_assert_eq!(text.inline_words().is_some(), string.len() <= 23);
        prop_assert_eq!(text.heap_bytes() == 0, string.len() <= 23);
        prop_assert_eq!((text.to_string(), format!("{text:?}")), (string.to_string(), format!("{string:?}")));
        prop_assert_eq!(AsRef::<std::path::Path>::as_ref(&text), std::path::Path::new(string));
        let some = Some(text);
        prop_assert_eq!(some.as_deref(), Some(string));
    }

    #[test]
    fn all_ways_to_make_one_agree((string, text) in any_text()) {
        let same = [
            Text::from(string.as_str()), Text::from(&string), Text::from(string.clone()), string.parse().unwrap(),
            Text::from(Cow::Borrowed(string.as_str())), Text::from(Cow::<str>::Owned(string.clone())),
            string.chars().collect(), text.clone(), Text::from(&text), text.slice(..), utf8_block(&string).text(0..string.len()),
        ];
        for other in &same {
            prop_assert_eq!(other, &text);
            prop_assert_eq!(other.inline_words(), text.inline_words());
        }
        prop_assert_eq!(String::from(text), string);
    }

    #[test]
    fn compares_and_hashes_as_str((a, text_a) in any_text(), (b, text_b) in any_text()) {
        let state = RandomState::new();
        prop_assert_eq!(text_a == text_b, a == b);
        prop_assert_eq!(text_a == b, a == b);
        prop_assert_eq!(b == text_a, a == b);
        prop_assert_eq!(text_a.cmp(&text_b), a.cmp(&b));
        prop_assert_eq!(text_a.partial_cmp(&text_b), a.partial_cmp(&b));
        prop_assert_eq!(state.hash_one(&text_a), state.hash_one(a.as_str()));
        let map = HashMap::from([(text_a, 1)]);
        prop_assert_eq!(map.get(a.as_str()), Some(&1));
    }

    #[test]
    fn serialises_as_str((string, text) in any_text()) {
        let json = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(&json, &serde_json::to_string(&string).unwrap());
        prop_assert_eq!(serde_json::from_str::<Text>(&json).unwrap(), text.clone());
        prop_assert_eq!(serde_json::from_value::<Text>(string.into()).unwrap(), text);
    }

    #[test]
    fn splits_at_whitespace((string, text) in any_text()) {
        assert_gives(text.split_whitespace(), string.split_whitespace());
    }

    #[test]
    fn splits_at_patterns((string, text) in any_text(), needle in any_needle(), char in any_char(), count in 0..5usize) {
        assert_gives(text.split(char), string.split(char));
        assert_gives(text.split(needle.as_str()), string.split(needle.as_str()));
        assert_gives(text.split(['a', ',', char]), string.split(['a', ',', char]));
        assert_gives(text.split(char::is_whitespace), string.split(char::is_whitespace));
        assert_gives(text.splitn(count, char), string.splitn(count, char));
        assert_gives(text.splitn(count, &needle), string.splitn(count, &needle));
        assert_gives(text.splitn(count, char::is_alphanumeric), string.splitn(count, char::is_alphanumeric));
        assert_gives(text.lines(), string.lines());
    }

    #[test]
    fn splits_once((string, text) in any_text(), needle in any_needle(), char in any_char()) {
        prop_assert_eq!(text.split_once(char), string.split_once(char).map(pair));
        prop_assert_eq!(text.split_once(needle.clone()), string.split_once(&needle).map(pair));
        prop_assert_eq!(text.split_once([char]), string.split_once([char]).map(pair));
        prop_assert_eq!(text.rsplit_once(char), string.rsplit_once(char).map(pair));
        prop_assert_eq!(text.rsplit_once(Text::new(&needle)), string.rsplit_once(&needle).map(pair));
        prop_assert_eq!(text.rsplit_once([char]), string.rsplit_once([char]).map(pair));
        prop_assert_eq!(text.rsplit_once(char::is_uppercase), string.rsplit_once(char::is_uppercase).map(pair));
    }

    #[test]
    fn trims((string, text) in any_text(), char in any_char()) {
        prop_assert_eq!(text.trim(), string.trim());
        prop_assert_eq!(text.trim_start(), string.trim_start());
        prop_assert_eq!(text.trim_end(), string.trim_end());
        prop_assert_eq!(text.trim_matches(char), string.trim_matches(char));
        prop_assert_eq!(text.trim_matches(""), string.as_str());
        prop_assert_eq!(text.trim_matches(char::is_whitespace), string.trim());
        prop_assert_eq!(text.trim_matches(['a', 'A', char]), string.trim_matches(['a', 'A', char]));
    }

    #[test]
    fn strips((string, text) in any_text(), end in any_text(), char in any_char()) {
        let (string, text) = (format!("{string}{}", end.0), Text::from(format!("{text}{}", end.1)));
        for part in [&string[..string.len() - end.0.len()], end.0.as_str(), ""] {
            prop_assert_eq!(text.strip_prefix(part), string.strip_prefix(part).map(owned));
            prop_assert_eq!(text.strip_suffix(part), string.strip_suffix(part).map(owned));
        }
        prop_assert_eq!(text.strip_prefix(char), string.strip_prefix(char).map(owned));
        prop_assert_eq!(text.strip_suffix(['a', char]), string.strip_suffix(['a', char]).map(owned));
        prop_assert_eq!(text.strip_prefix(char::is_numeric), string.strip_prefix(char::is_numeric).map(owned));
        prop_assert_eq!(text.strip_suffix(char::is_numeric), string.strip_suffix(char::is_numeric).map(owned));
    }

    #[test]
    fn changes_case((string, text) in any_text()) {
        prop_assert_eq!(text.is_ascii(), string.is_ascii());
        prop_assert_eq!(text.to_lowercase(), string.to_lowercase());
        prop_assert_eq!(text.to_uppercase(), string.to_uppercase());
        prop_assert_eq!(text.to_ascii_lowercase(), string.to_ascii_lowercase());
        prop_assert_eq!(text.to_ascii_uppercase(), string.to_ascii_uppercase());
    }

    #[test]
    fn slices((string, text) in any_text(), start in 0..310usize, end in 0..310usize) {
        prop_assert_eq!(text.get(start..end), string.get(start..end).map(owned));
        prop_assert_eq!(text.get(start..=end), string.get(start..=end).map(owned));
        prop_assert_eq!(text.get(start..), string.get(start..).map(owned));
        prop_assert_eq!(text.get(..end), string.get(..end).map(owned));
        prop_assert_eq!(text.get(..=usize::MAX), None);
        let borders: Vec<usize> = (0..=string.len()).filter(|&at| string.is_char_boundary(at)).collect();
        let (a, b) = (borders[start % borders.len()], borders[end % borders.len()]);
        let (a, b) = (a.min(b), a.max(b));
        prop_assert_eq!(text.slice(a..b), &string[a..b]);
        let middle = borders[(start + end) % borders.len()].clamp(a, b);
        prop_assert_eq!(text.slice(a..b).slice(middle - a..), &string[middle..b]);
    }

    #[test]
    fn detaches((string, text) in any_text()) {
        let mut detached = text.clone();
        detached.detach();
        prop_assert_eq!(&detached, &text);
        let most = if string.len() <= 23 { 0 } else { string.len() + 100 };
        prop_assert!(detached.heap_bytes() <= most);
    }

    #[test]
    fn blocks_say_where_bytes_are_invalid(bytes in prop::collection::vec(any::<u8>(), 0..40), before in any_string()) {
        let bytes = [before.as_bytes(), &bytes].concat();
        let mut block = Block::default();
        block.buffer().extend_from_slice(&bytes);
        match (Utf8Block::new(block), std::str::from_utf8(&bytes)) {
            (Ok(block), Ok(text)) => prop_assert_eq!(block.as_str(), text),
            (Err(mut invalid), Err(error)) => {
                prop_assert_eq!(invalid.valid_up_to, error.valid_up_to());
                prop_assert_eq!(invalid.block.buffer(), &bytes);
            }
            (block, text) => prop_assert!(false, "{block:?} but {text:?}"),
        }
    }
}

#[test]
fn char_gives_a_text_of_one() {
    for char in ['a', 'é', '中', '😀'] {
        assert_eq!(Text::from(char), char.to_string());
    }
}

#[test]
#[should_panic(expected = "bytes 0..2 are no whole characters of a text of 3 bytes")]
fn a_slice_in_the_middle_of_a_character_panics() {
    let _ = Text::new("aé").slice(0..2);
}

#[test]
#[should_panic(expected = "out of bounds")]
fn a_block_gives_no_text_of_its_slack() {
    let _ = utf8_block("block").text(0..6);
}

#[test]
fn a_block_is_used_again_when_no_text_holds_it() {
    let block = utf8_block(&"a text of the block ".repeat(10));
    let address = block.as_str().as_ptr();
    let (short, mut long) = (block.text(0..23), block.text(0..24));
    assert_ne!(block.recycle().buffer().as_ptr(), address, "the long text holds it");
    assert_eq!((&*short, &*long), ("a text of the block a t", "a text of the block a te"));

    let block = utf8_block(&"a text of the block ".repeat(10));
    let address = block.as_str().as_ptr();
    long = block.text(0..24);
    long.detach();
    let mut again = block.recycle();
    assert_eq!(again.buffer().as_ptr(), address, "a detached text does not");
    assert!(again.buffer().is_empty() && again.buffer().capacity() >= 200);
    assert_eq!(long, "a text of the block a te");
}

#[test]
fn iterators_outlive_their_text_and_cross_threads() {
    let words = Text::new("more words than lie inline in one text, here and there").split_whitespace();
    let fields = Text::new("x, y").split(String::from(", "));
    let counts = std::thread::spawn(move || (words.count(), fields.count())).join().unwrap();
    assert_eq!(counts, (11, 2));
}

#[test]
fn threads_clone_and_drop_the_same_block() {
    let text = Text::new(&"shared between all of the threads ".repeat(8));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    let copy = text.clone();
                    let parts: Vec<Text> = copy.splitn(3, "of").collect();
                    drop(copy);
                    assert_eq!(parts.iter().map(Text::len).sum::<usize>(), text.len() - 4);
                }
            });
        }
    });
    assert_eq!(text.len(), 272);
}
