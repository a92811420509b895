//! Compressed inputs: told by their first bytes, read to their end or not at all.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what helps a test may fail as the test may")]

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use gristmill::io::inflate::{Codec, InflateFault, InflateFaultKind, InflateLimits, Inflater};
use gristmill::prelude::*;
use gristmill::{Error, ErrorKind};
use proptest::prelude::*;

const CODECS: [Codec; 4] = [Codec::Gzip, Codec::Zstd, Codec::Bzip2, Codec::Xz];

fn compress(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    match codec {
        Codec::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Codec::Zstd => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Codec::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Codec::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
    }
}

fn inflate(codec: Codec, bytes: &[u8], limits: InflateLimits) -> Result<Vec<u8>, InflateFault> {
    let mut inflated = Vec::new();
    match Inflater::new(bytes, codec, limits).read_to_end(&mut inflated) {
        Ok(_) => Ok(inflated),
        Err(error) => Err(InflateFault::of(&error).expect("nothing else can fail").clone()),
    }
}

fn fault(codec: Codec, bytes: &[u8]) -> InflateFault {
    inflate(codec, bytes, InflateLimits::default()).expect_err("the data is bad")
}

/// The lines of a file of this content.
fn lines(name: &str, content: &[u8]) -> Result<Vec<Text>, Error> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, content).unwrap();
    Context::builder().threads(2).build().unwrap().read_text(&path)?.collect()
}

#[test]
fn the_first_bytes_decide_and_not_the_name() {
    for codec in CODECS {
        let compressed = compress(codec, b"one\ntwo");
        assert_eq!(Codec::of(&compressed), Some(codec));
        assert_eq!(lines("a.txt", &compressed).unwrap(), ["one", "two"], "{codec:?}");
        assert_eq!(lines("a.gz", &compressed).unwrap(), ["one", "two"], "{codec:?}");
        assert_eq!(lines("a", &compress(codec, b"")).unwrap(), [""; 0], "{codec:?}");
        assert_eq!(lines("a", &compress(codec, "\u{FEFF}x\r\n".as_bytes())).unwrap(), ["x"], "{codec:?}");
    }
    for plain in ["one", "BZh9", "BZhello", "(", "7zXZ", "PK"] {
        assert_eq!(lines("a.gz", plain.as_bytes()).unwrap(), [plain]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn all_members_are_read_however_many_bytes_are_asked_for(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 1..4),
        repeat in 1..40usize, step in 1..5000usize, codec in prop::sample::select(CODECS.to_vec()),
        pauses in prop::collection::vec(0..3000u64, 0..4),
    ) {
        let parts: Vec<Vec<u8>> = parts.into_iter().map(|part| part.repeat(repeat)).collect();
        let compressed = parts.iter().map(|part| compress(codec, part)).collect::<Vec<_>>().concat();
        let mut inflater = Inflater::new(&compressed[..], codec, InflateLimits::default());
        let mut pauses: Vec<u64> = pauses.into_iter().chain([u64::MAX]).collect();
        pauses.sort_unstable();
        let (mut inflated, mut buffer, mut paused) = (Vec::new(), vec![0; step], Vec::new());
        for pause in pauses {
            inflater.pause_at(pause);
            loop {
                match inflater.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => inflated.extend_from_slice(&buffer[..count]),
                    Err(error) => {
                        prop_assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                        paused.push((pause, inflated.len()));
                        break;
                    }
                }
            }
        }
        prop_assert!(inflated == parts.concat());
        // Where it pauses depends on the compressed bytes before, and on nothing else.
        for (pause, given) in paused {
            let mut alone = Inflater::new(&compressed[..], codec, InflateLimits::default());
            alone.pause_at(pause);
            let mut before = Vec::new();
            prop_assert!(alone.read_to_end(&mut before).is_err());
            prop_assert_eq!(before.len(), given);
        }
    }

    #[test]
    fn no_damage_is_read_in_silence(
        seed in any::<u64>(), at in any::<prop::sample::Index>(), flip in 1..=255u8, codec in prop::sample::select(CODECS.to_vec()),
    ) {
        let text: Vec<u8> = (0..3000u64).flat_map(|n| (n.wrapping_mul(seed | 1) >> 40).to_le_bytes()).collect();
        let mut compressed = compress(codec, &text);
        let at = at.index(compressed.len());
        compressed[at] ^= flip;
        // A changed header field, such as the time of gzip, may change nothing of the data.
        if let Ok(inflated) = inflate(codec, &compressed, InflateLimits::default()) {
            prop_assert!(inflated == text, "byte {}", at);
        }
    }
}

#[test]
fn what_is_cut_off_is_an_error_at_every_length() {
    for codec in CODECS {
        let compressed = compress(codec, "some text, and some more text\n".repeat(10).as_bytes());
        for length in 1..compressed.len() {
            let fault = fault(codec, &compressed[..length]);
            assert_eq!((fault.codec, fault.kind), (codec, InflateFaultKind::CutOff), "{codec:?} {length}");
        }
        let error = lines("cut off", &compressed[..compressed.len() - 1]).expect_err("it is cut off");
        let message = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Input);
        let offset = format!("cut off, byte offset {})", compressed.len() - 1);
        assert!(message.contains("data is cut off (") && message.contains(&offset), "{message}");
    }
}

#[test]
fn a_wrong_checksum_is_an_error() {
    let mut gzip = compress(Codec::Gzip, b"one\ntwo\n");
    let checksum = gzip.len() - 8;
    gzip[checksum] ^= 1;
    let error = lines("a.gz", &gzip).expect_err("the checksum is wrong");
    assert!(error.to_string().contains("the gzip data is damaged"), "{error}");
    assert!(error.to_string().contains("fetch or compress the file again"), "{error}");
}

#[test]
fn zeros_may_follow_and_nothing_else() {
    let of = |codec, tail: &[u8]| {
        let bytes = [compress(codec, b"text"), tail.to_vec()].concat();
        inflate(codec, &bytes, InflateLimits::default()).map_err(|fault| fault.kind)
    };
    assert_eq!(of(Codec::Gzip, &[0; 511]).unwrap(), b"text");
    assert_eq!(of(Codec::Xz, &[0; 512]).unwrap(), b"text");
    assert_eq!(of(Codec::Xz, &[0; 3]), Err(InflateFaultKind::Garbage));
    for codec in CODECS {
        assert_eq!(of(codec, b"tail"), Err(InflateFaultKind::Garbage), "{codec:?}");
    }
    assert_eq!(of(Codec::Gzip, b"\0tail"), Err(InflateFaultKind::Garbage));
    let padded = [vec![0; 8], compress(Codec::Xz, b" and more")].concat();
    assert_eq!(of(Codec::Xz, &padded).unwrap(), b"text and more");
}

#[test]
fn skippable_frames_hold_no_data() {
    let skippable = b"\x5a\x2a\x4d\x18\x03\0\0\0abc".to_vec();
    let frames = [&skippable, &compress(Codec::Zstd, b"one\n"), &skippable, &compress(Codec::Zstd, b"two\n")];
    let bytes = frames.into_iter().flatten().copied().collect::<Vec<u8>>();
    assert_eq!(lines("a", &bytes).unwrap(), ["one", "two"]);
    assert_eq!(lines("a", &[bytes, skippable].concat()).unwrap(), ["one", "two"]);
}

#[test]
fn a_file_that_inflates_without_end_is_stopped() {
    let zeros = vec![0; 65 << 20];
    for codec in CODECS {
        let bomb = compress(codec, &zeros);
        assert_eq!(fault(codec, &bomb).kind, InflateFaultKind::Ratio(500), "{codec:?}");
        let generous = InflateLimits { max_ratio: u64::MAX, ..InflateLimits::default() };
        assert_eq!(inflate(codec, &bomb, generous).unwrap().len(), zeros.len());
        let small = InflateLimits { max_bytes: 1000, ..InflateLimits::default() };
        assert_eq!(inflate(codec, &bomb, small).unwrap_err().kind, InflateFaultKind::TooMany(1000));
    }
}

#[test]
fn a_bomb_of_lines_names_its_file_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bomb");
    fs::write(&path, compress(Codec::Gzip, "line\n".repeat(1000).as_bytes())).unwrap();
    let count =
        |context: gristmill::ContextBuilder| context.build().unwrap().read_text(&path).unwrap().count();
    let error = count(Context::builder().max_inflated_bytes(4999)).expect_err("it is too large");
    let message = error.to_string();
    assert!(
        message.contains("inflates to more than 4999 bytes (") && message.contains("bomb, byte offset "),
        "{message}"
    );
    assert!(message.ends_with("raise max_inflated_bytes"), "{message}");
    assert_eq!(count(Context::builder().max_inflated_bytes(5000)).unwrap(), 1000);
}

#[test]
fn a_huge_window_is_refused() {
    let limits = InflateLimits { max_window_bytes: 1 << 20, ..InflateLimits::default() };
    let text = vec![b'x'; 10_000];
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(24).unwrap();
    encoder.write_all(&text).unwrap();
    let frame = encoder.finish().unwrap();
    assert_eq!(inflate(Codec::Zstd, &frame, limits).unwrap_err().kind, InflateFaultKind::Window(1 << 20));
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
    encoder.write_all(&text).unwrap();
    let stream = encoder.finish().unwrap();
    assert_eq!(inflate(Codec::Xz, &stream, limits).unwrap_err().kind, InflateFaultKind::Window(1 << 20));
    for (codec, bytes) in [(Codec::Zstd, frame), (Codec::Xz, stream)] {
        assert_eq!(inflate(codec, &bytes, InflateLimits::default()).unwrap(), text);
    }
}

#[test]
fn a_large_compressed_file_is_not_cut_as_text() {
    let directory = tempfile::tempdir().unwrap();
    let expected: Vec<String> = (0..20_000).map(|n| format!("line {}", n * 7919 % 20_011)).collect();
    let write =
        |path: &Path, codec| fs::write(path, compress(codec, expected.join("\n").as_bytes())).unwrap();
    for codec in CODECS {
        let path = directory.path().join(codec.name());
        write(&path, codec);
        for (threads, split) in [(1, 1 << 20), (2, 1000), (8, 5000)] {
            let ctx = Context::builder().threads(threads).split_bytes(split).build().unwrap();
            assert!(ctx.read_text(&path).unwrap().collect().unwrap() == expected, "{codec:?} {split}");
        }
    }
}
