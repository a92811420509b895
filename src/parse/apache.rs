//! The access log of Apache, common and combined.
//!
//! The formats are [those of `mod_log_config`](https://httpd.apache.org/docs/2.4/mod/mod_log_config.html#formats):
//! `%h %l %u %t "%r" %>s %b`, and behind it `"%{Referer}i" "%{User-Agent}i"`.

use arrow::datatypes::Fields;
use gristmill_derive::Record;

use super::access::Access;
use super::escape::unescape;
use super::scan::{Piece, Scan, push};
use super::{Fault, LineFormat, Row, TimeFormat, UnixTime, clf, int, shared, value};
use crate::record::schema;
use crate::text::Text;

/// A line of an access log in the Common Log Format.
///
/// What the server writes as `-` is `None`. Escapes such as `\"` and `\x41` are undone; bytes that are no UTF-8 together stay
/// escaped, as in `\xff`.
///
/// A request is a method, a path and a protocol. The path may have spaces if the protocol follows it, and the protocol may be
/// missing. Whatever else a client sends is not refused: it is all in [`Common::path`], and method and protocol are `None`.
///
/// # Examples
///
/// ```
/// use gristmill::{Text, parse::Common};
///
/// let line = r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326"#;
/// let hit = Common::parse(&Text::new(line))?;
/// assert_eq!((hit.user.as_deref(), hit.method.as_deref(), hit.bytes), (Some("frank"), Some("GET"), Some(2326)));
///
/// let garbage = r#"192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "\x16\x03\x01" 400 -"#;
/// let hit = Common::parse(&Text::new(garbage))?;
/// assert_eq!((hit.method, hit.path.as_deref()), (None, Some("\u{16}\u{3}\u{1}")));
/// # Ok::<(), gristmill::parse::Fault>(())
/// ```
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct Common {
    /// Who asked: an address, or a name if the server looks names up.
    pub host: Text,
    /// The name that the client's `identd` gives, of RFC 1413.
    pub ident: Option<Text>,
    /// The user as who the client has authenticated, which a failed request says nothing of.
    pub user: Option<Text>,
    /// When the request came, in milliseconds since 1970, UTC.
    #[record(timestamp = "ms")]
    pub time: i64,
    /// The method, such as `GET`.
    pub method: Option<Text>,
    /// What was asked for, with its query; or the whole request where it is not like one.
    pub path: Option<Text>,
    /// The protocol, such as `HTTP/1.1`.
    pub protocol: Option<Text>,
    /// The status of the response.
    pub status: u16,
    /// The size of the response in bytes, without its headers.
    pub bytes: Option<u64>,
}

/// A line of an access log in the combined format: the common one, with referer and user agent.
///
/// All that [`Common`] says holds here, too. A user agent that is empty is not `None`.
///
/// # Examples
///
/// ```
/// use gristmill::{Text, parse::Combined};
///
/// let line = r#"::1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 304 - "-" "Links \"2.1\"""#;
/// let hit = Combined::parse(&Text::new(line))?;
/// assert_eq!((hit.referer, hit.agent.as_deref()), (None, Some("Links \"2.1\"")));
/// # Ok::<(), gristmill::parse::Fault>(())
/// ```
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct Combined {
    /// Who asked: an address, or a name if the server looks names up.
    pub host: Text,
    /// The name that the client's `identd` gives, of RFC 1413.
    pub ident: Option<Text>,
    /// The user as who the client has authenticated, which a failed request says nothing of.
    pub user: Option<Text>,
    /// When the request came, in milliseconds since 1970, UTC.
    #[record(timestamp = "ms")]
    pub time: i64,
    /// The method, such as `GET`.
    pub method: Option<Text>,
    /// What was asked for, with its query; or the whole request where it is not like one.
    pub path: Option<Text>,
    /// The protocol, such as `HTTP/1.1`.
    pub protocol: Option<Text>,
    /// The status of the response.
    pub status: u16,
    /// The size of the response in bytes, without its headers.
    pub bytes: Option<u64>,
    /// The page that led here.
    pub referer: Option<Text>,
    /// The program that asked.
    pub agent: Option<Text>,
}

impl Common {
    /// The record of a line. Its texts are slices of the line, but for those that had to be unescaped.
    ///
    /// # Errors
    ///
    /// If the line does not have the format, goes on behind it, or a time or number is none.
    #[inline]
    pub fn parse(line: &Text) -> Result<Common, Fault> {
        let mut scan = Scan::new(line);
        let access = Access::take(&mut scan)?;
        scan.end()?;
        common(line, &access)
    }
}

impl Combined {
    /// The record of a line. Its texts are slices of the line, but for those that had to be unescaped.
    ///
    /// # Errors
    ///
    /// If the line does not have the format, goes on behind it, or a time or number is none.
    #[inline]
    pub fn parse(line: &Text) -> Result<Combined, Fault> {
        let mut scan = Scan::new(line);
        let access = Access::take(&mut scan)?;
        let (referer, agent) = referer_and_agent(&mut scan)?;
        let Common { host, ident, user, time, method, path, protocol, status, bytes } =
            common(line, &access)?;
        let text = |piece: Piece| piece.to_text(line, unescape);
        let (referer, agent) = (referer.map(text), agent.map(text));
        Ok(Combined { host, ident, user, time, method, path, protocol, status, bytes, referer, agent })
    }
}

#[inline]
fn common(line: &Text, access: &Access) -> Result<Common, Fault> {
    let text = |piece: Piece| piece.to_text(line, unescape);
    let part = |part: &str| shared(line, part);
    Ok(Common {
        host: part(access.host),
        ident: access.ident.map(part),
        user: access.user.map(text),
        time: value(line, "time", access.time, |time| clf(time).map(UnixTime::millis))?,
        method: access.request.method.map(part),
        path: access.request.path.map(text),
        protocol: access.request.protocol.map(text),
        status: value(line, "status", access.status, int)?,
        bytes: access.bytes.map(|bytes| value(line, "bytes", bytes, int)).transpose()?,
    })
}

#[inline]
pub(super) fn referer_and_agent<'a>(
    scan: &mut Scan<'a>,
) -> Result<(Option<Piece<'a>>, Option<Piece<'a>>), Fault> {
    scan.space("referer")?;
    let referer = scan.quoted("referer")?;
    scan.space("agent")?;
    let agent = scan.quoted("agent")?;
    scan.end()?;
    Ok((referer.or_hyphen(), agent.or_hyphen()))
}

/// The Common Log Format, with the columns of [`Common`].
///
/// # Examples
///
/// ```
/// use gristmill::parse::{CommonFormat, LineFormat, Row};
///
/// let line = r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326"#;
/// let mut row = Row::new();
/// CommonFormat.cut(line, &mut row)?;
/// assert_eq!((row.get(1), row.get(5)), (None, Some("/apache_pb.gif")));
/// # Ok::<(), gristmill::parse::Fault>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommonFormat;

/// The combined format, with the columns of [`Combined`].
///
/// # Examples
///
/// ```
/// use gristmill::parse::{CombinedFormat, LineFormat, Row};
///
/// let line = r#"::1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 304 - "-" "curl/8.5.0""#;
/// let mut row = Row::new();
/// CombinedFormat.cut(line, &mut row)?;
/// assert_eq!((row.get(9), row.get(10)), (None, Some("curl/8.5.0")));
/// # Ok::<(), gristmill::parse::Fault>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CombinedFormat;

impl LineFormat for CommonFormat {
    fn fields(&self) -> Fields {
        schema::<Common>().fields().clone()
    }

    fn cut<'a>(&self, line: &'a str, row: &mut Row<'a>) -> Result<(), Fault> {
        let mut scan = Scan::new(line);
        let access = Access::take(&mut scan)?;
        scan.end()?;
        fill(row, &access);
        Ok(())
    }

    fn time_format(&self, _column: usize) -> TimeFormat {
        TimeFormat::Clf
    }
}

impl LineFormat for CombinedFormat {
    fn fields(&self) -> Fields {
        schema::<Combined>().fields().clone()
    }

    fn cut<'a>(&self, line: &'a str, row: &mut Row<'a>) -> Result<(), Fault> {
        let mut scan = Scan::new(line);
        let access = Access::take(&mut scan)?;
        let (referer, agent) = referer_and_agent(&mut scan)?;
        fill(row, &access);
        push(row, referer, unescape);
        push(row, agent, unescape);
        Ok(())
    }

    fn time_format(&self, _column: usize) -> TimeFormat {
        TimeFormat::Clf
    }
}

#[inline]
fn fill<'a>(row: &mut Row<'a>, access: &Access<'a>) {
    row.clear();
    row.push(Some(access.host));
    row.push(access.ident);
    push(row, access.user, unescape);
    row.push(Some(access.time));
    access.push_request(row);
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"203.0.113.9 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5"#;

    fn combined(line: &str) -> Result<Combined, Fault> {
        Combined::parse(&Text::new(line))
    }

    #[test]
    fn the_example_of_the_manual() {
        let line = r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)""#;
        let expected = Combined {
            host: "127.0.0.1".into(),
            ident: None,
            user: Some("frank".into()),
            time: 971_211_336_000,
            method: Some("GET".into()),
            path: Some("/apache_pb.gif".into()),
            protocol: Some("HTTP/1.0".into()),
            status: 200,
            bytes: Some(2326),
            referer: Some("http://www.example.com/start.html".into()),
            agent: Some("Mozilla/4.08 [en] (Win98; I ;Nav)".into()),
        };
        assert_eq!(combined(line), Ok(expected));
    }

    #[test]
    fn texts_are_slices_of_the_line() {
        let line = Text::new(&format!(r#"{HEAD} "http://example.com/a/long/page.html" "x""#));
        let referer = Combined::parse(&line).unwrap().referer.unwrap();
        assert_eq!(offset_of(&line, &referer), line.find("http:"));
    }

    fn offset_of(line: &Text, part: &Text) -> Option<usize> {
        part.as_str().as_ptr().addr().checked_sub(line.as_str().as_ptr().addr())
    }

    #[test]
    fn users() {
        let user = |user: &str| {
            let line = format!(r#"::1 - {user} [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 401 -"#);
            Common::parse(&Text::new(&line)).unwrap().user
        };
        assert_eq!(user("-"), None);
        assert_eq!(user("\"\""), Some("".into()));
        assert_eq!(user("Jo Doe"), Some("Jo Doe".into()));
        assert_eq!(user(r"a\x41\\"), Some(r"aA\".into()));
        assert_eq!(user("a[b"), Some("a[b".into()));
    }

    #[test]
    fn empty_and_garbage() {
        let hit = combined(&format!(r#"{HEAD} "" """#)).unwrap();
        assert_eq!((hit.referer.as_deref(), hit.agent.as_deref()), (Some(""), Some("")));
        let hit = combined(r#"2001:db8::1 - - [31/Dec/1999:23:59:59 +0000] "-" 408 - "-" "-""#).unwrap();
        assert_eq!(
            (hit.method, hit.path, hit.protocol, hit.bytes, hit.agent),
            (None, None, None, None, None)
        );
        let line =
            r#"192.0.2.1 - - [31/Dec/1999:23:59:59 +0000] "\x16\x03\x01\x02\xff" 400 0 "-" "\\" quoted"#;
        assert_eq!(combined(line).unwrap_err().reason(), "the line goes on after its last column");
        let line = r#"192.0.2.1 - - [31/Dec/1999:23:59:59 +0000] "\x16\x03\xff" 400 0 "-" "\"q\" \\""#;
        let hit = combined(line).unwrap();
        assert_eq!(hit.path.as_deref(), Some("\u{16}\u{3}\\xff"));
        assert_eq!(hit.agent.as_deref(), Some("\"q\" \\"));
    }

    #[test]
    fn faults_say_where() {
        let fault = |line: &str| combined(line).unwrap_err().to_string();
        assert_eq!(fault(""), "the line ends before the column (column `host`, byte 0)");
        assert_eq!(fault("::1 - -"), "there is no time in brackets (column `time`, byte 6)");
        assert_eq!(
            fault("::1 - - [10/Oct"),
            "the bracket that begins here is not closed (column `time`, byte 8)"
        );
        assert_eq!(fault(HEAD), "the line ends before the column (column `referer`, byte 67)");
        assert_eq!(
            fault(&format!(r#"{HEAD} "-" "cut of"#)),
            "the quote that begins here is not closed (column `agent`, byte 72)"
        );
        assert_eq!(
            fault(&format!(r#"{HEAD} "-" "a" 17"#)),
            "the line goes on after its last column (byte 75)"
        );
        assert_eq!(
            fault(&format!(r#"{} "-" "a""#, HEAD.replace(" 200 ", " 2OO "))),
            "this is no whole number (column `status`, value `2OO`, byte 62)"
        );
        assert_eq!(
            fault(&format!(r#"{} "-" "a""#, HEAD.replace("Oct", "Okt"))),
            "this is no time like 10/Oct/2000:13:55:36 -0700 (column `time`, value `10/Okt/2000:13:55:36 -0700`, byte 17)"
        );
    }
}
