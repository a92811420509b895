//! How wide text is on a terminal, and how it is made to fit.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Stands for what is left out.
const LEFT_OUT: char = '…';

/// The columns that a text takes. It has no control characters, and no colours.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text with spaces behind it to a width.
pub fn padded(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(width(text))))
}

/// The text in so many columns at most; what does not fit is left out at its end.
pub fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let kept = beginning(text, columns.saturating_sub(1));
    Cow::Owned(format!("{kept}{}", if columns > 0 { LEFT_OUT.to_string() } else { String::new() }))
}

/// The text in so many columns at most; what does not fit is left out of its middle, since names often differ at their ends.
pub fn cut_middle(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns || columns < 3 {
        return cut(text, columns);
    }
    let head = beginning(text, (columns - 1) / 2);
    let room = columns - 1 - width(head);
    let mut start = text.len();
    for (place, _) in text.char_indices().rev().take_while(|(place, _)| width(&text[*place..]) <= room) {
        start = place;
    }
    Cow::Owned(format!("{head}{LEFT_OUT}{}", &text[start..]))
}

/// As much of the beginning of a text as so many columns hold.
fn beginning(text: &str, columns: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, char)| {
        used += char.width().unwrap_or(0);
        used > columns
    });
    end.map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_left_out_and_wide_characters_count_twice() {
        assert_eq!(cut("convert", 7), "convert");
        assert_eq!(cut("convert", 6), "conve…");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("x", 0), "");
        assert_eq!(cut_middle("words?date=2026-03-29", 12), "words…-03-29");
        assert_eq!(cut_middle("日本語日本語", 7), "日…本語");
        assert_eq!(cut_middle("ab", 1), "…");
        assert_eq!(padded("日", 4), "日  ");
    }

    #[test]
    fn nothing_is_ever_wider_than_asked() {
        for columns in 0..12 {
            for text in
                ["", "plain and long enough", "日本語 mixed 日本語", "e\u{301}e\u{301}e\u{301}e\u{301}"]
            {
                assert!(width(&cut(text, columns)) <= columns, "{text} {columns}");
                assert!(width(&cut_middle(text, columns)) <= columns, "{text} {columns}");
            }
        }
    }
}
