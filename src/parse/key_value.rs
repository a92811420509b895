//! Pairs of keys and values: [`KeyValue`].

use arrow::datatypes::Fields;

use super::scan::{Piece, Scan};
use super::{Fault, LineFormat, Row, shared, text_columns};
use crate::error::{Error, ErrorKind, Result};
use crate::text::Text;

/// Pairs of keys and values, of which some are columns: `id=7; name="rye flour"; organic`.
///
/// Between pairs stand spaces, or [another character](KeyValue::separator), and between key and value an equals sign, or [another
/// character](KeyValue::assign). Spaces and tabs around keys and values do not count. A value in double quotes may contain anything; in
/// it, escapes are undone as in JSON. A key without a value has the value `true`.
///
/// Pairs with other keys are left out. A key that does not stand in the line is null, and of a key that stands there twice the last
/// value counts.
///
/// # Examples
///
/// ```
/// use gristmill::parse::{KeyValue, LineFormat, Row};
///
/// let format = KeyValue::new(["id", "name", "organic", "price"])?.separator(b';')?;
/// let mut row = Row::new();
/// format.cut(r#"id=7; name="rye flour"; organic"#, &mut row)?;
/// let fields: Vec<_> = row.iter().collect();
/// assert_eq!(fields, [Some("7"), Some("rye flour"), Some("true"), None]);
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct KeyValue {
    columns: Fields,
    syntax: Syntax,
}

/// The signs between pairs, and between key and value. Both are ASCII.
#[derive(Debug, Clone, Copy)]
pub(super) struct Syntax {
    pub separator: u8,
    pub assign: u8,
}

impl KeyValue {
    /// The columns that have these keys, with spaces between pairs and equals signs in them.
    ///
    /// # Errors
    ///
    /// If there is no key, or one twice.
    pub fn new(keys: impl IntoIterator<Item = impl Into<String>>) -> Result<KeyValue> {
        Ok(KeyValue { columns: text_columns(keys)?, syntax: Syntax { separator: b' ', assign: b'=' } })
    }

    /// What stands between two pairs. Default: spaces or tabs.
    ///
    /// # Errors
    ///
    /// If it is not ASCII, a double quote, a backslash, or what stands between key and value.
    pub fn separator(mut self, separator: u8) -> Result<KeyValue> {
        self.syntax.separator = separator;
        self.checked()
    }

    /// What stands between a key and its value. Default: an equals sign.
    ///
    /// # Errors
    ///
    /// If it is not ASCII, a space, a double quote, a backslash, or what stands between pairs.
    pub fn assign(mut self, assign: u8) -> Result<KeyValue> {
        self.syntax.assign = assign;
        self.checked()
    }

    /// All pairs of a line, in its order, whatever their keys. Values are slices of the line, but for those with escapes.
    ///
    /// # Errors
    ///
    /// As for [`LineFormat::cut`].
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::{Text, parse::KeyValue};
    ///
    /// let format = KeyValue::new(["any"])?.separator(b',')?.assign(b':')?;
    /// let pairs = format.pairs(&Text::new("a: 1, b: 2"))?;
    /// assert_eq!(pairs, [("a".into(), "1".into()), ("b".into(), "2".into())]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    pub fn pairs(&self, line: &Text) -> Result<Vec<(Text, Text)>, Fault> {
        self.syntax.pairs(line)
    }

    fn checked(self) -> Result<KeyValue> {
        let Syntax { separator, assign } = self.syntax;
        let usable = |byte: u8| byte.is_ascii() && !matches!(byte, b'"' | b'\\' | b'\n');
        if usable(separator) && usable(assign) && separator != assign && !matches!(assign, b' ' | b'\t') {
            return Ok(self);
        }
        let message = format!(
            "`{}` cannot stand between pairs with `{}` between key and value",
            separator.escape_ascii(),
            assign.escape_ascii()
        );
        Err(Error::new(ErrorKind::Config, message).hint("give two different ASCII characters, but no quotes"))
    }
}

impl Syntax {
    /// All pairs of a line.
    pub fn pairs(self, line: &Text) -> Result<Vec<(Text, Text)>, Fault> {
        let mut pairs = Vec::new();
        self.each(line, |key, value| pairs.push((shared(line, key), value.to_text(line, unescape))))?;
        Ok(pairs)
    }

    /// Fills a row with the values of the keys that are columns. Returns the first key that is none.
    pub fn cut<'a>(
        self,
        columns: &Fields,
        line: &'a str,
        row: &mut Row<'a>,
    ) -> Result<Option<&'a str>, Fault> {
        row.clear_to_nulls(columns.len());
        let mut extra = None;
        let mut next = 0; // keys come in the order of the columns, as a rule
        self.each(line, |key, value| {
            let order = (next..columns.len()).chain(0..next);
            let mut named =
                order.filter(|&column| columns.get(column).is_some_and(|field| field.name() == key));
            if let Some(column) = named.next() {
                next = column + 1;
                if value.escaped {
                    row.set_with(column, |text| unescape(value.raw, text));
                } else {
                    row.set(column, Some(value.raw));
                }
            } else {
                extra = extra.or(Some(key));
            }
        })?;
        Ok(extra)
    }

    /// Visits the pairs of a line.
    fn each<'a>(self, line: &'a str, mut visit: impl FnMut(&'a str, Piece<'a>)) -> Result<(), Fault> {
        let mut scan = Scan::new(line);
        loop {
            self.skip_blanks(&mut scan);
            if scan.rest().is_empty() {
                return Ok(());
            }
            if scan.skip(char::from(self.separator)) {
                continue; // nothing between two separators
            }
            let (key, value) = self.pair(&mut scan)?;
            visit(key, value);
        }
    }

    fn pair<'a>(self, scan: &mut Scan<'a>) -> Result<(&'a str, Piece<'a>), Fault> {
        let at = scan.at();
        let key = scan.take(self.end(scan.rest(), Some(self.assign))).trim_end_matches(BLANKS);
        if !scan.skip(char::from(self.assign)) {
            return Ok((key, Piece::plain("true")));
        }
        if key.is_empty() {
            return Err(Fault::new(at, "a key should stand before the value"));
        }
        if self.separator != b' ' {
            self.skip_blanks(scan);
        }
        if !scan.rest().starts_with('"') {
            let value = scan.take(self.end(scan.rest(), None)).trim_end_matches(BLANKS);
            return Ok((key, Piece::plain(value)));
        }
        let value = scan.quoted(key)?;
        let end = scan.at();
        self.skip_blanks(scan);
        let separated = match self.separator {
            b' ' => scan.at() > end,
            separator => scan.rest().starts_with(char::from(separator)),
        };
        if !separated && !scan.rest().is_empty() {
            return Err(Fault::new(scan.at(), "the value goes on after its closing quote").in_column(key));
        }
        Ok((key, value))
    }

    /// Where a key or value ends: before a separator, or another sign.
    fn end(self, text: &str, sign: Option<u8>) -> usize {
        let bytes = text.as_bytes();
        let sign = sign.unwrap_or(self.separator);
        let end = match self.separator {
            b' ' => memchr::memchr3(b' ', b'\t', sign, bytes),
            separator => memchr::memchr2(separator, sign, bytes),
        };
        end.unwrap_or(bytes.len())
    }

    /// Takes spaces and tabs that separate nothing.
    fn skip_blanks(self, scan: &mut Scan) {
        let blanks =
            |byte: &u8| matches!(byte, b' ' | b'\t') && (self.separator == b' ' || *byte != self.separator);
        let count = scan.rest().bytes().take_while(|byte| blanks(byte)).count();
        scan.take(count);
    }
}

const BLANKS: [char; 2] = [' ', '\t'];

/// Undoes the escapes of JSON. What is none stays as it stands.
fn unescape(raw: &str, text: &mut String) {
    let mut rest = raw;
    while let Some((plain, escape)) =
        memchr::memchr(b'\\', rest.as_bytes()).and_then(|at| rest.split_at_checked(at))
    {
        text.push_str(plain);
        let (length, char) = match escape.as_bytes().get(1) {
            Some(b'u') => utf16_char(escape).unwrap_or((1, '\\')),
            Some(b'n') => (2, '\n'),
            Some(b't') => (2, '\t'),
            Some(b'r') => (2, '\r'),
            Some(b'b') => (2, '\u{8}'),
            Some(b'f') => (2, '\u{c}'),
            Some(&sign @ (b'"' | b'\\' | b'/')) => (2, char::from(sign)),
            _ => (1, '\\'),
        };
        text.push(char);
        rest = escape.get(length..).unwrap_or_default();
    }
    text.push_str(rest);
}

/// The character of one `\uhhhh` or two, and their length.
fn utf16_char(text: &str) -> Option<(usize, char)> {
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u16::from_str_radix(digits, 16).ok().filter(|_| hex)
    };
    let first = unit(text)?;
    let second = text.get(6..).and_then(unit);
    let units = [first, second.unwrap_or_default()];
    let char = char::decode_utf16(units).next()?.ok()?;
    Some((char.len_utf16() * 6, char))
}

impl LineFormat for KeyValue {
    fn fields(&self) -> Fields {
        self.columns.clone()
    }

    fn cut<'a>(&self, line: &'a str, row: &mut Row<'a>) -> Result<(), Fault> {
        self.syntax.cut(&self.columns, line, row).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(separator: u8, assign: u8, line: &str) -> Result<Vec<(String, String)>, Fault> {
        let pairs = Syntax { separator, assign }.pairs(&Text::new(line))?;
        Ok(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    fn expected<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn separators() {
        let both = expected([("a", "1 x"), ("b", ""), ("c", "true"), ("d", "=;")]);
        assert_eq!(pairs(b';', b'=', r#" a = 1 x ;b=;; c; d = "=;" ; "#), Ok(both.clone()));
        assert_eq!(pairs(b'|', b':', r#"a:1 x|b:|c|d:"=;""#), Ok(both));
        assert_eq!(pairs(b'\t', b':', "a:1 \t b: 2"), Ok(expected([("a", "1"), ("b", "2")])));
        assert_eq!(pairs(b';', b'=', "a=é\"b;"), Ok(expected([("a", "é\"b")])));
        assert_eq!(pairs(b';', b'=', ""), Ok(vec![]));
    }

    #[test]
    fn escapes() {
        let value =
            |value: &str| pairs(b' ', b'=', &format!("a=\"{value}\"")).map(|pairs| pairs[0].1.clone());
        assert_eq!(value(r#"\"\\\/\n\t\r\b\f"#), Ok("\"\\/\n\t\r\u{8}\u{c}".into()));
        assert_eq!(value(r"\u00e9\uD83C\uDF3E"), Ok("é🌾".into()));
        for kept in [r"\uD83C", r"\uD83C\uD83C", r"\u12", r"\u+123", r"\é", r"\q", r"\uéé"] {
            assert_eq!(value(kept), Ok(kept.into()));
        }
    }

    #[test]
    fn faults() {
        let fault = |line| pairs(b';', b'=', line).unwrap_err().to_string();
        assert_eq!(fault("a=1; =2"), "a key should stand before the value (byte 5)");
        assert_eq!(fault("a=\"1"), "the quote that begins here is not closed (column `a`, byte 2)");
        assert_eq!(fault("a=\"1\" 2"), "the value goes on after its closing quote (column `a`, byte 6)");
        assert!(KeyValue::new(["a"]).unwrap().separator(b'=').is_err());
        assert!(KeyValue::new(["a"]).unwrap().assign(b' ').is_err());
        assert!(KeyValue::new(["a"]).unwrap().assign(0xE9).is_err());
        assert!(KeyValue::new(["a", "a"]).is_err());
    }

    #[test]
    fn columns() {
        let format = KeyValue::new(["a", "b"]).unwrap();
        let mut row = Row::new();
        format.cut(r#"c=3 b="\"" a=1 b=2 a="\n""#, &mut row).unwrap();
        assert_eq!(row.iter().collect::<Vec<_>>(), [Some("\n"), Some("2")]);
    }
}
