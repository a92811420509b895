//! The error log of nginx.

use arrow::datatypes::Fields;
use gristmill_derive::Record;

use super::scan::Scan;
use super::{Assumed, Fault, LineFormat, Row, TimeFormat, UnixTime, int, shared, value};
use crate::record::schema;
use crate::text::Text;

/// A line of nginx's error log. [`NginxErrorFormat::parse`] makes it.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct NginxError {
    /// When it happened, in milliseconds since 1970, UTC; the log has whole seconds.
    #[record(timestamp = "ms")]
    pub time: i64,
    /// How bad it is: `debug`, `info`, `notice`, `warn`, `error`, `crit`, `alert` or `emerg`.
    pub level: Text,
    /// The process.
    pub pid: u32,
    /// The thread.
    pub tid: u64,
    /// The number of the connection, where it is about one.
    pub connection: Option<u64>,
    /// What happened, without what stands in the columns that follow.
    pub message: Text,
    /// The address of the client.
    pub client: Option<Text>,
    /// The name of the server, which may be empty.
    pub server: Option<Text>,
    /// The request line of the client.
    pub request: Option<Text>,
    /// The address of the server that nginx has asked.
    pub upstream: Option<Text>,
    /// The host that the client has asked for.
    pub host: Option<Text>,
    /// The page that led here.
    pub referrer: Option<Text>,
}

/// The format of [`NginxError`]: `2026/01/31 23:59:59 [error] 7#8: *9 message, client: 192.0.2.1, server: …`.
///
/// The time has no zone, so that must be given. What nginx appends to the message about the request (`client`, `server`, `request`,
/// `upstream`, `host` and `referrer`) is taken off it; `subrequest` and whatever else stands there remains in the message.
///
/// # Examples
///
/// ```
/// use gristmill::Text;
/// use gristmill::parse::NginxErrorFormat;
///
/// let format = NginxErrorFormat::new(60);
/// let line = r#"2026/01/31 23:59:59 [error] 7#8: *9 open() "/srv/x" failed (2: No such file or directory), client: 192.0.2.1, server: a.example, request: "GET /x HTTP/1.1", host: "a.example""#;
/// let entry = format.parse(&Text::new(line))?;
/// assert_eq!(entry.message, r#"open() "/srv/x" failed (2: No such file or directory)"#);
/// assert_eq!((entry.connection, entry.request.as_deref()), (Some(9), Some("GET /x HTTP/1.1")));
/// # Ok::<(), gristmill::parse::Fault>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NginxErrorFormat {
    assumed: Assumed,
}

/// What nginx says of the request, in its order.
const CONTEXT: [&str; 6] = ["client", "server", "request", "upstream", "host", "referrer"];

struct Cut<'a> {
    time: &'a str,
    level: &'a str,
    pid: &'a str,
    tid: &'a str,
    connection: Option<&'a str>,
    message: &'a str,
    context: [Option<&'a str>; CONTEXT.len()],
}

impl NginxErrorFormat {
    /// The format, for a server whose clock is so many minutes ahead of UTC.
    pub const fn new(offset_minutes: i16) -> NginxErrorFormat {
        NginxErrorFormat { assumed: Assumed { year: 0, offset_minutes } }
    }

    /// The record of a line. Its texts are slices of the line.
    ///
    /// # Errors
    ///
    /// If the line does not have the format, or there is no such time.
    pub fn parse(&self, line: &Text) -> Result<NginxError, Fault> {
        let cut = cut(line)?;
        let format = self.time_format(0);
        let [client, server, request, upstream, host, referrer] =
            cut.context.map(|part| part.map(|part| shared(line, part)));
        Ok(NginxError {
            time: value(line, "time", cut.time, |time| format.parse(time).map(UnixTime::millis))?,
            level: shared(line, cut.level),
            pid: value(line, "pid", cut.pid, int)?,
            tid: value(line, "tid", cut.tid, int)?,
            connection: cut.connection.map(|number| value(line, "connection", number, int)).transpose()?,
            message: shared(line, cut.message),
            client,
            server,
            request,
            upstream,
            host,
            referrer,
        })
    }
}

/// The length of `2026/01/31 23:59:59`.
const TIME_LEN: usize = 19;

fn cut(line: &str) -> Result<Cut<'_>, Fault> {
    let mut scan = Scan::new(line);
    if !line.is_char_boundary(TIME_LEN) {
        return Err(scan.missing("time", "there is no time like 2026/01/31 23:59:59"));
    }
    let time = scan.take(TIME_LEN);
    scan.space("level")?;
    scan.expect('[', "level", "the level should stand in brackets")?;
    let level = until(&mut scan, b']', "level")?;
    scan.space("pid")?;
    let pid = until(&mut scan, b'#', "pid")?;
    let tid = until(&mut scan, b':', "tid")?;
    scan.space("message")?;
    let connection =
        scan.rest().strip_prefix('*').and_then(|rest| rest.split_once(' ')).map(|(number, _)| number);
    let connection =
        connection.filter(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
    if let Some(number) = connection {
        scan.take(number.len() + 2);
    }
    let (message, context) = context(scan.rest());
    Ok(Cut { time, level, pid, tid, connection, message, context })
}

/// Takes what stands before a sign, and the sign.
fn until<'a>(scan: &mut Scan<'a>, sign: u8, column: &str) -> Result<&'a str, Fault> {
    match memchr::memchr(sign, scan.rest().as_bytes()) {
        Some(end) => {
            let text = scan.take(end);
            scan.take(1);
            Ok(text)
        }
        None => Err(scan.missing(column, "the sign that ends the column is missing")),
    }
}

/// The message without the pairs at its end that are known, and their values. Pairs are looked for from the end, since the message
/// may contain anything.
fn context(mut message: &str) -> (&str, [Option<&str>; CONTEXT.len()]) {
    let mut values = [None; CONTEXT.len()];
    for (key, value) in CONTEXT.iter().zip(&mut values).rev() {
        let Some((before, pair)) = last_pair(message, key) else { continue };
        *value = Some(pair);
        message = before;
    }
    (message, values)
}

/// What is before the last `, key: value`, and the value, if nothing follows it.
fn last_pair<'a>(text: &'a str, key: &str) -> Option<(&'a str, &'a str)> {
    let (at, _) = text.rmatch_indices(key).find(|&(at, _)| {
        text.get(..at).is_some_and(|before| before.ends_with(", "))
            && text.get(at + key.len()..).is_some_and(|after| after.starts_with(": "))
    })?;
    let value = text.get(at + key.len() + 2..)?;
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        None => Some(value).filter(|value| !value.contains(", "))?,
    };
    Some((text.get(..at - 2)?, value))
}

impl LineFormat for NginxErrorFormat {
    fn fields(&self) -> Fields {
        schema::<NginxError>().fields().clone()
    }

    fn cut<'a>(&self, line: &'a str, row: &mut Row<'a>) -> Result<(), Fault> {
        let cut = cut(line)?;
        row.clear();
        for field in [cut.time, cut.level, cut.pid, cut.tid] {
            row.push(Some(field));
        }
        row.push(cut.connection);
        row.push(Some(cut.message));
        for field in cut.context {
            row.push(field);
        }
        Ok(())
    }

    fn time_format(&self, _column: usize) -> TimeFormat {
        TimeFormat::NginxError(self.assumed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<NginxError, Fault> {
        NginxErrorFormat::new(0).parse(&Text::new(line))
    }

    #[test]
    fn without_a_request() {
        let entry =
            parse("1970/01/01 00:00:01 [notice] 1234#5678: signal 15 (SIGTERM) received, exiting").unwrap();
        assert_eq!((entry.time, entry.level.as_str(), entry.pid, entry.tid), (1000, "notice", 1234, 5678));
        assert_eq!(entry.message, "signal 15 (SIGTERM) received, exiting");
        assert_eq!((entry.connection, entry.client, entry.host), (None, None, None));
    }

    #[test]
    fn with_a_request() {
        let line = r#"1970/01/01 00:00:01 [error] 1#2: *3 connect() failed (111: Connection refused) while connecting to upstream, client: 2001:db8::1, server: , request: "GET /a", "b HTTP/1.1", upstream: "http://127.0.0.1:9/", host: "a.example", referrer: "http://b.example/""#;
        let entry = parse(line).unwrap();
        assert_eq!(entry.message, "connect() failed (111: Connection refused) while connecting to upstream");
        let context = [entry.client, entry.server, entry.request, entry.upstream, entry.host, entry.referrer];
        let expected = [
            "2001:db8::1",
            "",
            r#"GET /a", "b HTTP/1.1"#,
            "http://127.0.0.1:9/",
            "a.example",
            "http://b.example/",
        ];
        assert_eq!(context, expected.map(|text| Some(Text::new(text))));
    }

    #[test]
    fn what_is_cut_off_stays_in_the_message() {
        let entry = parse(r#"1970/01/01 00:00:01 [error] 1#2: *x m, client: a, request: "GET"#).unwrap();
        assert_eq!((entry.connection, entry.client), (None, None));
        assert_eq!(entry.message, r#"*x m, client: a, request: "GET"#);
    }

    #[test]
    fn faults() {
        let fault = |line| parse(line).unwrap_err().to_string();
        assert_eq!(fault("1970/01"), "there is no time like 2026/01/31 23:59:59 (column `time`, byte 0)");
        assert_eq!(
            fault("1970/01/01 00:00:01 [err"),
            "the sign that ends the column is missing (column `level`, byte 21)"
        );
        assert_eq!(
            fault("1970/01/01 00:00:01 [e] x#2: m"),
            "this is no whole number (column `pid`, value `x`, byte 24)"
        );
        assert!(parse("1970/13/01 00:00:01 [e] 1#2: m").is_err());
    }
}
