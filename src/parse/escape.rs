//! The escapes of Apache and nginx.

/// Appends what `raw` stands for: `\"`, `\\`, the letters of C such as `\n`, and `\xhh` for one byte.
///
/// Bytes that are no UTF-8 together, and whatever else follows a backslash, stay as they stand, so that nothing is lost.
pub(super) fn unescape(raw: &str, text: &mut String) {
    let mut rest = raw;
    while let Some((plain, escape)) = split_at_backslash(rest) {
        text.push_str(plain);
        let (length, char) = match *escape.as_bytes() {
            [_, b'x', ..] => hex_char(escape).unwrap_or((1, '\\')),
            [_, letter, ..] => letter_char(letter).map_or((1, '\\'), |char| (2, char)),
            _ => (1, '\\'),
        };
        text.push(char);
        rest = escape.get(length..).unwrap_or_default();
    }
    text.push_str(rest);
}

fn split_at_backslash(text: &str) -> Option<(&str, &str)> {
    text.split_at_checked(memchr::memchr(b'\\', text.as_bytes())?)
}

/// What a letter or sign after a backslash stands for.
fn letter_char(letter: u8) -> Option<char> {
    Some(match letter {
        b'"' => '"',
        b'\\' => '\\',
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'v' => '\u{b}',
        _ => return None,
    })
}

/// The character that one to four `\xhh` at the start of a text make, and the length of these.
fn hex_char(text: &str) -> Option<(usize, char)> {
    let mut bytes = [0; 4];
    let mut escapes = text.as_bytes().chunks_exact(4).map_while(hex_byte);
    let mut count = 0;
    let mut wanted = 1;
    while count < wanted {
        let byte = escapes.next()?;
        *bytes.get_mut(count)? = byte;
        if count == 0 {
            wanted = utf8_length(byte)?;
        }
        count += 1;
    }
    let char = str::from_utf8(bytes.get(..count)?).ok()?.chars().next()?;
    Some((count * 4, char))
}

/// The byte of `\xhh`.
fn hex_byte(escape: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    match *escape {
        [b'\\', b'x', high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    }
}

/// How many bytes a character has that begins with a byte.
fn utf8_length(first: u8) -> Option<usize> {
    match first {
        0..=0x7F => Some(1),
        0xC2..=0xDF => Some(2),
        0xE0..=0xEF => Some(3),
        0xF0..=0xF4 => Some(4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unescaped(raw: &str) -> String {
        let mut text = String::new();
        unescape(raw, &mut text);
        text
    }

    #[test]
    fn escapes() {
        assert_eq!(unescaped(r#"a \"b\" \\ c"#), r#"a "b" \ c"#);
        assert_eq!(unescaped(r"\n\t\r\b\f\v"), "\n\t\r\u{8}\u{c}\u{b}");
        assert_eq!(unescaped(r"\x16\x03\x01\x00z"), "\u{16}\u{3}\u{1}\u{0}z");
        assert_eq!(unescaped(r"\xC3\xa9\xe2\x82\xac\xf0\x9f\x8c\xbe"), "é€🌾");
        assert_eq!(unescaped(r"\x22\x5C"), "\"\\");
    }

    #[test]
    fn what_is_no_escape_stays() {
        for raw in [
            r"\xff\xFE",
            r"\xc3",
            r"\xc3\x28",
            r"\xed\xa0\x80",
            r"\xc3é",
            r"\xg0",
            r"\x1",
            r"\q",
            r"\é",
            r"\",
        ] {
            let kept = if raw == r"\xc3\x28" { r"\xc3(" } else { raw };
            assert_eq!(unescaped(raw), kept);
        }
        assert_eq!(unescaped(r"\xc3\xc3\xa9"), r"\xc3é");
    }

    /// As Apache and nginx write.
    fn escaped(text: &str) -> String {
        let escape = |char: char| match char {
            '"' | '\\' => format!("\\{char}"),
            '\n' => "\\n".to_owned(),
            ' '..='~' => char.to_string(),
            _ => char.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\x{byte:02x}")).collect(),
        };
        text.chars().map(escape).collect()
    }

    proptest! {
        #[test]
        fn what_is_escaped_comes_back(text in any::<String>()) {
            prop_assert_eq!(unescaped(&escaped(&text)), text);
        }

        #[test]
        fn nothing_panics(raw in "[\\\\x0-9a-fé\"]{0,30}") {
            prop_assert!(unescaped(&raw).len() <= raw.len());
        }
    }
}
