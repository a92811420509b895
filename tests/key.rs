//! The stable hash: the same for ever, the same for what is equal, and even in all its bits.

use gristmill::{Key, Record, Text};
use proptest::prelude::*;

#[derive(Record, Key, Clone)]
struct Cell {
    x: i32,
    #[allow(dead_code, reason = "only there to be skipped")]
    #[record(skip)]
    note: String,
    y: f64,
}

/// How far a count is from even, in standard deviations of chance; `bits` are the 64 buckets' place in the hash.
fn unevenness(hashes: &[u64], bits: u32) -> f64 {
    let mut counts = [0_u32; 64];
    for hash in hashes {
        counts[(hash >> bits) as usize & 63] += 1;
    }
    let expected = hashes.len() as f64 / 64.0;
    let chi_square: f64 = counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
    (chi_square - 63.0) / 126.0_f64.sqrt()
}

fn assert_even(what: &str, hashes: &[u64]) {
    for bits in [0, 6, 20, 40, 52, 58] {
        let unevenness = unevenness(hashes, bits);
        assert!(unevenness < 6.0, "{what}: {unevenness} at bit {bits}");
    }
    let mut distinct = hashes.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), hashes.len(), "{what}: two keys have one hash");
}

/// Words as in a text: stems with endings and compounds, in lower and upper case.
fn words() -> Vec<String> {
    let stems = [
        "mill", "grist", "water", "stone", "count", "wheel", "grain", "flour", "read", "turn", "st", "a",
        "pre",
    ];
    let ends = [
        "",
        "s",
        "ed",
        "ing",
        "er",
        "ers",
        "ly",
        "ness",
        "able",
        "'s",
        "wright",
        "ground",
        "é",
        "-upon-the-river",
    ];
    let mut words = Vec::new();
    for first in stems {
        for second in stems {
            for third in stems {
                words.extend(ends.iter().flat_map(|end| {
                    [format!("{first}{second}{third}{end}"), format!("{first}-{second} {third}{end}")]
                }));
            }
        }
    }
    words.sort();
    words.dedup();
    words
}

#[test]
fn hashes_are_even() {
    let numbers =
        |step: u64| (0..100_000_u64).map(move |number| (number * step).key_hash()).collect::<Vec<_>>();
    for step in [1, 2, 64, 1 << 20, 1 << 32, 1 << 46, 3, 1_000_000_007] {
        assert_even(&format!("every {step}th number"), &numbers(step));
    }
    assert_even(
        "negative numbers",
        &(-50_000..50_000_i64).map(|number| number.key_hash()).collect::<Vec<_>>(),
    );
    assert_even("floats", &(0..100_000).map(|number| f64::from(number).key_hash()).collect::<Vec<_>>());
    assert_even("words", &words().iter().map(Key::key_hash).collect::<Vec<_>>());
    assert_even("names", &(0..100_000).map(|n| format!("user{n}").key_hash()).collect::<Vec<_>>());
    assert_even(
        "long names",
        &(0..100_000)
            .map(|n| format!("https://example.org/users/{n}/profile").key_hash())
            .collect::<Vec<_>>(),
    );
    let pairs = |n: u32| (n % 300, Text::from((n / 300).to_string().as_str()));
    assert_even("pairs", &(0..100_000).map(|n| pairs(n).key_hash()).collect::<Vec<_>>());
}

#[test]
fn no_integer_makes_others_collide() {
    for constant in [0, 1, u64::MAX, 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db, 0x5899_65cc_7537_4cc3] {
        let hashes = |pair: &dyn Fn(u64) -> (u64, u64)| {
            (0..1000).map(|n| pair(n).key_hash()).collect::<std::collections::HashSet<_>>().len()
        };
        assert_eq!(hashes(&|n| (n, constant)), 1000, "{constant:#x} after");
        assert_eq!(hashes(&|n| (constant, n)), 1000, "{constant:#x} before");
    }
}

#[test]
fn golden_values() {
    assert_eq!((1_u8, -1_i64, true).key_hash(), 0xc00f_a730_2af6_522d);
    assert_eq!(1.5_f64.key_hash(), 0x43a8_ac4a_afca_05e3);
    assert_eq!((Some(7_u32), None::<u32>).key_hash(), 0xeb44_6710_8bb1_8571);
    assert_eq!(vec!["a".to_owned(), "b".to_owned()].key_hash(), 0x2c7e_fd26_0032_bd3e);
    assert_eq!((1_i128 << 100).key_hash(), 0xa248_1531_f7bc_a14a);
    assert_eq!(Text::from("word").key_hash(), 0x398b_7d24_45c4_8191);
}

#[test]
fn floats_are_equal_as_values() {
    let nan = f64::from_bits(0xfff8_0000_0000_1234);
    assert!(nan.key_eq(&f64::NAN) && nan.key_hash() == f64::NAN.key_hash());
    assert!(0.0_f32.key_eq(&-0.0) && 0.0_f32.key_hash() == (-0.0_f32).key_hash());
    assert!(!1.0_f64.key_eq(&2.0) && !f64::NAN.key_eq(&1.0));
}

#[test]
fn skipped_fields_take_no_part() {
    let cell = |note: &str, y| Cell { x: 1, note: note.to_owned(), y };
    assert!(cell("a", 0.0).key_eq(&cell("b", -0.0)));
    assert_eq!(cell("a", 0.0).key_hash(), cell("b", -0.0).key_hash());
    assert!(!cell("a", 0.0).key_eq(&cell("a", 1.0)));
    assert_eq!(cell("a", 2.0).key_hash(), (1_i32, 2.0_f64).key_hash());
}

#[test]
fn nesting_is_kept_apart() {
    let lists = |lists: &[&[u8]]| lists.iter().map(|list| list.to_vec()).collect::<Vec<_>>().key_hash();
    assert_ne!(lists(&[&[1], &[2]]), lists(&[&[1, 2], &[]]));
    assert_ne!((Some(0_u8), None::<u8>).key_hash(), (None::<u8>, Some(0_u8)).key_hash());
    assert_ne!(("ab".to_owned(), "c".to_owned()).key_hash(), ("a".to_owned(), "bc".to_owned()).key_hash());
}

proptest! {
    #[test]
    fn a_text_hashes_as_its_string(text in "\\PC{0,40}") {
        prop_assert_eq!(Text::from(text.as_str()).key_hash(), text.key_hash());
    }

    #[test]
    fn every_byte_counts(text in "[a-z]{1,60}", at: prop::sample::Index) {
        let mut bytes = text.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1;
        let changed = String::from_utf8(bytes).unwrap();
        prop_assert_ne!(text.key_hash(), changed.key_hash());
        prop_assert!(!text.key_eq(&changed));
    }
}
