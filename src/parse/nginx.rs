//! The access log of nginx, in the format that it calls `combined` and uses without being told.
//!
//! It is [`$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer"
//! "$http_user_agent"`](https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format).

use arrow::datatypes::Fields;
use gristmill_derive::Record;

use super::access::Access;
use super::apache::referer_and_agent;
use super::escape::unescape;
use super::scan::{Piece, Scan, push};
use super::{Fault, LineFormat, Row, TimeFormat, UnixTime, clf, int, shared, value};
use crate::record::schema;
use crate::text::Text;

/// A line of nginx's access log.
///
/// Nulls, escapes and requests are as in [`Common`](super::Common).
///
/// # Examples
///
/// ```
/// use gristmill::{Text, parse::NginxAccess};
///
/// let line = r#"2001:db8::7 - - [31/Jan/2026:23:59:59 +0100] "GET /a?b=c HTTP/2.0" 200 0 "-" "say \x22hi\x22""#;
/// let hit = NginxAccess::parse(&Text::new(line))?;
/// assert_eq!((hit.host, hit.bytes, hit.agent), ("2001:db8::7".into(), 0, Some("say \"hi\"".into())));
/// # Ok::<(), gristmill::parse::Fault>(())
/// ```
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct NginxAccess {
    /// The address of the client: `$remote_addr`.
    pub host: Text,
    /// The user as who the client has authenticated: `$remote_user`.
    pub user: Option<Text>,
    /// When the request was answered, in milliseconds since 1970, UTC: `$time_local`.
    #[record(timestamp = "ms")]
    pub time: i64,
    /// The method, such as `GET`.
    pub method: Option<Text>,
    /// What was asked for, with its query; or the whole `$request` where it is not like one.
    pub path: Option<Text>,
    /// The protocol, such as `HTTP/2.0`.
    pub protocol: Option<Text>,
    /// The status of the response.
    pub status: u16,
    /// The size of the response in bytes, without its headers: `$body_bytes_sent`.
    pub bytes: u64,
    /// The page that led here: `$http_referer`.
    pub referer: Option<Text>,
    /// The program that asked: `$http_user_agent`.
    pub agent: Option<Text>,
}

impl NginxAccess {
    /// The record of a line. Its texts are slices of the line, but for those that had to be unescaped.
    ///
    /// # Errors
    ///
    /// If the line does not have the format, goes on behind it, or a time or number is none.
    #[inline]
    pub fn parse(line: &Text) -> Result<NginxAccess, Fault> {
        let (access, referer, agent) = cut(line)?;
        let text = |piece: Piece| piece.to_text(line, unescape);
        let part = |part: &str| shared(line, part);
        Ok(NginxAccess {
            host: part(access.host),
            user: access.user.map(text),
            time: value(line, "time", access.time, |time| clf(time).map(UnixTime::millis))?,
            method: access.request.method.map(part),
            path: access.request.path.map(text),
            protocol: access.request.protocol.map(text),
            status: value(line, "status", access.status, int)?,
            bytes: value(line, "bytes", access.bytes.unwrap_or("-"), int)?,
            referer: referer.map(text),
            agent: agent.map(text),
        })
    }
}

type Cut<'a> = (Access<'a>, Option<Piece<'a>>, Option<Piece<'a>>);

#[inline]
fn cut(line: &str) -> Result<Cut<'_>, Fault> {
    let mut scan = Scan::new(line);
    let access = Access::take(&mut scan)?;
    if access.ident.is_some() {
        let at = access.host.len() + 1;
        return Err(Fault::new(at, "nginx writes a hyphen between address and user"));
    }
    let (referer, agent) = referer_and_agent(&mut scan)?;
    Ok((access, referer, agent))
}

/// The access log of nginx, with the columns of [`NginxAccess`].
///
/// # Examples
///
/// ```
/// use gristmill::parse::{LineFormat, NginxAccessFormat, Row};
///
/// let line = r#"192.0.2.7 - - [31/Jan/2026:23:59:59 +0100] "GET / HTTP/2.0" 200 5 "-" "curl/8.5.0""#;
/// let mut row = Row::new();
/// NginxAccessFormat.cut(line, &mut row)?;
/// assert_eq!((row.get(0), row.get(9)), (Some("192.0.2.7"), Some("curl/8.5.0")));
/// # Ok::<(), gristmill::parse::Fault>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NginxAccessFormat;

impl LineFormat for NginxAccessFormat {
    fn fields(&self) -> Fields {
        schema::<NginxAccess>().fields().clone()
    }

    fn cut<'a>(&self, line: &'a str, row: &mut Row<'a>) -> Result<(), Fault> {
        let (mut access, referer, agent) = cut(line)?;
        access.bytes = access.bytes.or(Some("-")); // not null here, and so refused as a number
        row.clear();
        row.push(Some(access.host));
        push(row, access.user, unescape);
        row.push(Some(access.time));
        access.push_request(row);
        push(row, referer, unescape);
        push(row, agent, unescape);
        Ok(())
    }

    fn time_format(&self, _column: usize) -> TimeFormat {
        TimeFormat::Clf
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<NginxAccess, Fault> {
        NginxAccess::parse(&Text::new(line))
    }

    #[test]
    fn a_request_without_text() {
        let hit = parse(r#"192.0.2.7 - - [31/Jan/2026:23:59:59 +0100] "" 400 0 "-" "-""#).unwrap();
        assert_eq!((hit.method, hit.path.as_deref(), hit.agent), (None, Some(""), None));
        let tls = r#"192.0.2.7 - - [31/Jan/2026:23:59:59 +0100] "\x16\x03\x01\x00\xEE" 400 157 "-" "-""#;
        assert_eq!(parse(tls).unwrap().path.as_deref(), Some("\u{16}\u{3}\u{1}\u{0}\\xEE"));
    }

    #[test]
    fn faults() {
        let line = r#"192.0.2.7 - - [31/Jan/2026:23:59:59 +0100] "GET / HTTP/2.0" 200 5 "-" "curl""#;
        assert!(parse(line).is_ok());
        assert_eq!(parse(&line.replacen('-', "me", 1)).unwrap_err().at(), 10);
        assert_eq!(parse(&line.replace("200 5", "200 -")).unwrap_err().value(), Some("-"));
        assert_eq!(parse(&line.replace("200 5", "70000 5")).unwrap_err().column(), Some("status"));
        for end in 0..line.len() {
            assert!(parse(&line[..end]).is_err(), "{end}");
        }
    }
}
