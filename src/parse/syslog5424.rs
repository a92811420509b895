//! Syslog as in [RFC 5424](https://www.rfc-editor.org/rfc/rfc5424#section-6).

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use gristmill_derive::Record;

use super::priority::Priority;
use super::scan::{Piece, Scan};
use super::{Fault, LineFormat, Row, UnixTime, int, rfc3339, shared, value};
use crate::text::Text;

/// A message of syslog.
///
/// What is written as `-` is `None`. The mark of UTF-8 before a message is not part of it.
///
/// # Examples
///
/// ```
/// use gristmill::{Text, parse::Syslog5424};
///
/// let line = r#"<165>1 2003-10-11T22:14:15.003Z host evntslog - ID47 [ex@32473 iut="3" src="A \"b\""] An event"#;
/// let entry = Syslog5424::parse(&Text::new(line))?;
/// assert_eq!((entry.facility, entry.severity, entry.procid), (20, 5, None));
/// assert_eq!(entry.structured_data[0].id, "ex@32473");
/// assert_eq!(entry.structured_data[0].params[1].value, "A \"b\"");
/// # Ok::<(), gristmill::parse::Fault>(())
/// ```
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct Syslog5424 {
    /// What kind of program the message is of, from 0 to 23.
    pub facility: u8,
    /// How bad it is, from 0, an emergency, to 7, for debugging.
    pub severity: u8,
    /// The version of the format, which is 1.
    pub version: u16,
    /// When it was written, in microseconds since 1970, UTC.
    #[record(timestamp = "us")]
    pub time: Option<i64>,
    /// The machine.
    pub host: Option<Text>,
    /// The program.
    pub app: Option<Text>,
    /// The process, or another name for what belongs together.
    pub procid: Option<Text>,
    /// The kind of message.
    pub msgid: Option<Text>,
    /// What the message says in a form for programs, in the order of the line.
    pub structured_data: Vec<SdElement>,
    /// The message for people.
    pub message: Option<Text>,
}

/// A group of parameters in a [`Syslog5424`].
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct SdElement {
    /// The kind of group.
    pub id: Text,
    /// The parameters in the order of the line. A name may stand there several times.
    pub params: Vec<SdParam>,
}

/// A parameter in a [`Syslog5424`].
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct SdParam {
    /// The name.
    pub name: Text,
    /// The value, unescaped.
    pub value: Text,
}

struct Cut<'a> {
    priority: Priority,
    version: &'a str,
    time: Option<&'a str>,
    /// Host, app, procid and msgid.
    names: [Option<&'a str>; 4],
    /// The elements with their brackets.
    structured_data: Option<&'a str>,
    message: Option<&'a str>,
}

/// The columns that are words or a hyphen, after the time.
const NAMES: [&str; 4] = ["host", "app", "procid", "msgid"];

impl Syslog5424 {
    /// The record of a line. Its texts are slices of the line, but for parameters that had to be unescaped.
    ///
    /// # Errors
    ///
    /// If the line does not have the format, or there is no such time.
    pub fn parse(line: &Text) -> Result<Syslog5424, Fault> {
        let mut structured_data: Vec<SdElement> = Vec::new();
        let cut = cut(line, |part| match (part, structured_data.last_mut()) {
            (SdPart::Id(id), _) => {
                structured_data.push(SdElement { id: shared(line, id), params: Vec::new() });
            }
            (SdPart::Param(name, value), Some(element)) => {
                let value = value.to_text(line, unescape);
                element.params.push(SdParam { name: shared(line, name), value });
            }
            (SdPart::Param(..), None) => {} // an id comes first
        })?;
        let [host, app, procid, msgid] = cut.names.map(|name| name.map(|name| shared(line, name)));
        let micros = |time: &str| value(line, "time", time, |time| rfc3339(time).map(UnixTime::micros));
        Ok(Syslog5424 {
            facility: cut.priority.facility,
            severity: cut.priority.severity,
            version: value(line, "version", cut.version, int)?,
            time: cut.time.map(micros).transpose()?,
            host,
            app,
            procid,
            msgid,
            structured_data,
            message: cut.message.map(|message| shared(line, message)),
        })
    }
}

fn cut<'a>(line: &'a str, visit: impl FnMut(SdPart<'a>)) -> Result<Cut<'a>, Fault> {
    let word_or_hyphen = |scan: &mut Scan<'a>, column| {
        scan.space(column)?;
        scan.word(column).map(|word| (word != "-").then_some(word))
    };
    let mut scan = Scan::new(line);
    let priority = Priority::take(&mut scan)?;
    let Some(priority) = priority else {
        return Err(scan.missing("facility", "the line should begin with a priority like <34>"));
    };
    let version = scan.word("version")?;
    let time = word_or_hyphen(&mut scan, "time")?;
    let mut names = [None; 4];
    for (name, column) in names.iter_mut().zip(NAMES) {
        *name = word_or_hyphen(&mut scan, column)?;
    }
    scan.space(DATA)?;
    let structured_data = elements(&mut scan, visit)?;
    let message = if scan.rest().is_empty() {
        None
    } else {
        scan.space("message")?;
        scan.skip('\u{FEFF}');
        Some(scan.rest())
    };
    Ok(Cut { priority, version, time, names, structured_data, message })
}

const DATA: &str = "structured_data";

/// What structured data is made of.
enum SdPart<'a> {
    Id(&'a str),
    Param(&'a str, Piece<'a>),
}

/// Takes a hyphen, or elements like `[id name="value"]` without anything between them.
fn elements<'a>(scan: &mut Scan<'a>, mut visit: impl FnMut(SdPart<'a>)) -> Result<Option<&'a str>, Fault> {
    if scan.skip('-') {
        return Ok(None);
    }
    let text = scan.rest();
    scan.expect('[', DATA, "structured data should begin with a bracket or be a hyphen")?;
    loop {
        visit(SdPart::Id(sd_name(scan)?));
        while scan.skip(' ') {
            let name = sd_name(scan)?;
            scan.expect('=', DATA, "an equals sign should follow the name")?;
            visit(SdPart::Param(name, scan.quoted(DATA)?));
        }
        scan.expect(']', DATA, "a bracket should close the element, or a space follow")?;
        if !scan.skip('[') {
            return Ok(text.get(..text.len() - scan.rest().len()));
        }
    }
}

/// Takes a name of an element or a parameter.
fn sd_name<'a>(scan: &mut Scan<'a>) -> Result<&'a str, Fault> {
    let is_name = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'=' | b']' | b'"');
    let length = scan.rest().bytes().take_while(|byte| is_name(byte)).count();
    if length == 0 { Err(scan.missing(DATA, "a name should stand here")) } else { Ok(scan.take(length)) }
}

/// Undoes the escapes of parameters: `\"`, `\\` and `\]`. Other backslashes stay.
fn unescape(raw: &str, text: &mut String) {
    let mut chars = raw.chars().peekable();
    while let Some(char) = chars.next() {
        let escaped =
            (char == '\\').then(|| chars.next_if(|next| matches!(next, '"' | '\\' | ']'))).flatten();
        text.push(escaped.unwrap_or(char));
    }
}

/// The format of [`Syslog5424`], with its columns; but structured data is one text, as it stands in the line.
///
/// # Examples
///
/// ```
/// use gristmill::parse::{LineFormat, Row, Syslog5424Format};
///
/// let mut row = Row::new();
/// Syslog5424Format.cut("<34>1 - host su - ID47 - 'su root' failed", &mut row)?;
/// assert_eq!((row.get(0), row.get(8), row.get(9)), (Some("4"), None, Some("'su root' failed")));
/// # Ok::<(), gristmill::parse::Fault>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syslog5424Format;

impl LineFormat for Syslog5424Format {
    fn fields(&self) -> Fields {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let numbers =
            [("facility", DataType::UInt8), ("severity", DataType::UInt8), ("version", DataType::UInt16)];
        let numbers = numbers.map(|(name, data_type)| Field::new(name, data_type, false));
        let texts = NAMES.into_iter().chain([DATA, "message"]);
        let texts = texts.map(|name| Field::new(name, DataType::Utf8, true));
        numbers.into_iter().chain([Field::new("time", time, true)]).chain(texts).collect()
    }

    fn cut<'a>(&self, line: &'a str, row: &mut Row<'a>) -> Result<(), Fault> {
        let cut = cut(line, |_| {})?;
        row.clear();
        Priority::push_to(Some(cut.priority), row);
        row.push(Some(cut.version));
        row.push(cut.time);
        for name in cut.names {
            row.push(name);
        }
        row.push(cut.structured_data);
        row.push(cut.message);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Syslog5424, Fault> {
        Syslog5424::parse(&Text::new(line))
    }

    /// The examples of section 6.5.
    #[test]
    fn the_examples_of_the_rfc() {
        let line = "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \u{FEFF}'su root' failed for lonvick on /dev/pts/8";
        let expected = Syslog5424 {
            facility: 4,
            severity: 2,
            version: 1,
            time: Some(1_065_910_455_003_000),
            host: Some("mymachine.example.com".into()),
            app: Some("su".into()),
            procid: None,
            msgid: Some("ID47".into()),
            structured_data: vec![],
            message: Some("'su root' failed for lonvick on /dev/pts/8".into()),
        };
        assert_eq!(parse(line), Ok(expected));
        let line = "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.";
        let entry = parse(line).unwrap();
        assert_eq!((entry.time, entry.procid.as_deref()), (Some(1_061_727_255_000_003), Some("8710")));
        let line = r#"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"][examplePriority@32473 class="high"]"#;
        let entry = parse(line).unwrap();
        let ids: Vec<_> = entry.structured_data.iter().map(|e| (e.id.as_str(), e.params.len())).collect();
        assert_eq!(ids, [("exampleSDID@32473", 3), ("examplePriority@32473", 1)]);
        assert_eq!(entry.message, None);
    }

    /// The valid and invalid examples of section 6.3.5.
    #[test]
    fn structured_data() {
        let data = |data: &str| parse(&format!("<34>1 - - - - - {data}"));
        let count = |text| data(text).map(|entry| (entry.structured_data.len(), entry.message));
        assert_eq!(count(r#"[a@1 iut="3" e="A"][b@1 class="high"]"#), Ok((2, None)));
        assert_eq!(
            count(r#"[a@1 iut="3" e="A"] [b@1 class="high"]"#),
            Ok((1, Some(r#"[b@1 class="high"]"#.into())))
        );
        assert!(count(r#"[ a@1 iut="3"][b@1 class="high"]"#).is_err());
        assert_eq!(count(r#"[sigSig ver="1" rsID="1234"]"#), Ok((1, None)));
        let entry = data(r#"[a][b x="\"\\\]\n]é" y=""] "#).unwrap();
        assert_eq!(entry.structured_data[1].params[0].value, r#""\]\n]é"#);
        assert_eq!((entry.structured_data[0].params.len(), entry.message.as_deref()), (0, Some("")));
        for wrong in [
            "",
            "[",
            "[]",
            "[a",
            "[a b]",
            "[a b=]",
            "[a b=\"c]",
            "[a b=\"c\"",
            "[a b=\"c\"x]",
            "[a]x",
            "x",
            "-x",
        ] {
            assert!(data(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn faults() {
        let fault = |line| parse(line).unwrap_err().to_string();
        assert_eq!(fault("x"), "the line should begin with a priority like <34> (column `facility`, byte 0)");
        assert_eq!(fault("<34>1 - host"), "the line ends before the column (column `app`, byte 12)");
        assert_eq!(
            fault("<34>1 yesterday h a p m -"),
            "this is no time like 2026-01-31T23:59:59Z (column `time`, value `yesterday`, byte 6)"
        );
        assert_eq!(
            fault("<34>x - h a p m -"),
            "this is no whole number (column `version`, value `x`, byte 4)"
        );
    }

    #[test]
    fn the_columns_are_those_of_the_record() {
        let record = crate::record::schema::<Syslog5424>();
        let same = |(ours, theirs): (&std::sync::Arc<Field>, &std::sync::Arc<Field>)| {
            ours == theirs || ours.name() == DATA
        };
        assert!(Syslog5424Format.fields().iter().zip(record.fields()).all(same));
        assert_eq!(Syslog5424Format.fields().len(), record.fields().len());
    }
}
