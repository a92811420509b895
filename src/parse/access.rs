//! What the access logs of Apache and nginx have in common.

use super::escape::unescape;
use super::scan::{Piece, Scan, find_near, push};
use super::{Fault, Row};

/// The fields of a line in the Common Log Format.
pub(super) struct Access<'a> {
    pub host: &'a str,
    pub ident: Option<&'a str>,
    pub user: Option<Piece<'a>>,
    pub time: &'a str,
    pub request: Request<'a>,
    pub status: &'a str,
    pub bytes: Option<&'a str>,
}

/// What a client asked for.
#[derive(Debug, PartialEq)]
pub(super) struct Request<'a> {
    pub method: Option<&'a str>,
    pub path: Option<Piece<'a>>,
    pub protocol: Option<Piece<'a>>,
}

impl<'a> Access<'a> {
    #[inline]
    pub fn take(scan: &mut Scan<'a>) -> Result<Access<'a>, Fault> {
        let host = scan.word("host")?;
        scan.space("ident")?;
        let ident = scan.word("ident")?;
        scan.space("user")?;
        let user = user(scan)?;
        let time = time(scan)?;
        scan.space("path")?;
        let request = Request::of(scan.quoted("path")?);
        scan.space("status")?;
        let status = scan.word("status")?;
        scan.space("bytes")?;
        let bytes = scan.word("bytes")?;
        let nothing = |field: &'a str| (field != "-").then_some(field);
        Ok(Access { host, ident: nothing(ident), user, time, request, status, bytes: nothing(bytes) })
    }

    /// Adds method, path, protocol, status and bytes to a row.
    #[inline]
    pub fn push_request(&self, row: &mut Row<'a>) {
        row.push(self.request.method);
        push(row, self.request.path, unescape);
        push(row, self.request.protocol, unescape);
        row.push(Some(self.status));
        row.push(self.bytes);
    }
}

/// The user, who may have spaces: all before ` [`. Apache writes quotes for a user without a name.
#[inline]
fn user<'a>(scan: &mut Scan<'a>) -> Result<Option<Piece<'a>>, Fault> {
    let bytes = scan.rest().as_bytes();
    if bytes.starts_with(b"- [") {
        scan.take(2);
        return Ok(None); // nearly all lines
    }
    let before_time = |&open: &usize| open > 1 && bytes.get(open - 1) == Some(&b' ');
    let Some(open) = memchr::memchr_iter(b'[', bytes).find(before_time) else {
        return Err(scan.missing("time", "there is no time in brackets"));
    };
    let user = scan.take(open - 1);
    scan.space("time")?;
    Ok(match user {
        "-" => None,
        "\"\"" => Some(Piece::plain("")),
        _ => Some(Piece { raw: user, escaped: memchr::memchr(b'\\', user.as_bytes()).is_some() }),
    })
}

/// The length of `10/Oct/2000:13:55:36 -0700`.
const TIME_LEN: usize = 26;

/// What stands between the brackets.
#[inline]
fn time<'a>(scan: &mut Scan<'a>) -> Result<&'a str, Fault> {
    let begin = scan.at();
    scan.expect('[', "time", "the time should begin with a bracket")?;
    let bytes = scan.rest().as_bytes();
    let usual = Some(TIME_LEN).filter(|&end| bytes.get(end) == Some(&b']'));
    let Some(close) = usual.or_else(|| memchr::memchr(b']', bytes)) else {
        return Err(Fault::new(begin, "the bracket that begins here is not closed").in_column("time"));
    };
    let time = scan.take(close);
    scan.skip(']');
    Ok(time)
}

impl<'a> Request<'a> {
    /// A request is a method, a path, which may have spaces, and a protocol; a method and a path without spaces; or
    /// whatever else a client sends, which is then all path. So the parts that there are make the request again, with spaces between.
    #[inline]
    fn of(line: Piece<'a>) -> Request<'a> {
        let piece = |raw| Some(Piece { raw, escaped: line.escaped });
        let words = split_at(line.raw, find_near(b' ', line.raw.as_bytes()));
        let Some((method, rest)) = words.filter(|(method, rest)| is_method(method) && !rest.is_empty())
        else {
            return Request { method: None, path: line.or_hyphen(), protocol: None };
        };
        match split_at(rest, memchr::memrchr(b' ', rest.as_bytes())) {
            None => Request { method: Some(method), path: piece(rest), protocol: None },
            Some((path, protocol)) if !path.is_empty() && is_protocol(protocol) => {
                Request { method: Some(method), path: piece(path), protocol: piece(protocol) }
            }
            Some(_) => Request { method: None, path: Some(line), protocol: None },
        }
    }
}

/// What is before and after a space.
#[inline]
fn split_at(text: &str, space: Option<usize>) -> Option<(&str, &str)> {
    let space = space?;
    Some((text.get(..space)?, text.get(space + 1..)?))
}

#[inline]
fn is_method(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-' || byte == b'_')
}

/// Whether a word is like `HTTP/1.1`.
#[inline]
fn is_protocol(word: &str) -> bool {
    let name = word.bytes().take_while(u8::is_ascii_uppercase).count();
    match word.as_bytes().get(name..) {
        Some([b'/', digit, ..]) => name > 0 && digit.is_ascii_digit(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let request = |raw| {
            let request = Request::of(Piece::plain(raw));
            let raw = |piece: Option<Piece<'static>>| piece.map(|piece| piece.raw);
            (request.method, raw(request.path), raw(request.protocol))
        };
        assert_eq!(request("GET / HTTP/1.1"), (Some("GET"), Some("/"), Some("HTTP/1.1")));
        assert_eq!(request("M-SEARCH * HTTP/1.1"), (Some("M-SEARCH"), Some("*"), Some("HTTP/1.1")));
        assert_eq!(request("GET /a b c HTTP/2"), (Some("GET"), Some("/a b c"), Some("HTTP/2")));
        assert_eq!(request("OPTIONS / RTSP/1.0"), (Some("OPTIONS"), Some("/"), Some("RTSP/1.0")));
        assert_eq!(request("GET /"), (Some("GET"), Some("/"), None));
        assert_eq!(request("-"), (None, None, None));
        for whole in [
            "",
            "GET",
            "GET ",
            "GET  HTTP/1.1",
            "GET /a b",
            "\\x16\\x03\\x01 x",
            "1 / HTTP/1.1",
            " / HTTP/1.1",
        ] {
            assert_eq!(request(whole), (None, Some(whole), None));
        }
        assert_eq!(request("GET / x/1"), (None, Some("GET / x/1"), None));
    }
}
