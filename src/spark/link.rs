//! Messages between this process and the Java side: a kind, a length, and bytes.

use std::io::{BufReader, BufWriter, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A request or an answer, as JSON.
    Json = b'J',
    /// A frame.
    Frame = b'F',
    /// What all tasks of a stage are told.
    Stage = b'S',
    /// What the task of a worker is, behind a byte: 1 if what it leaves for the driver has been there before, and 2 if the program is known to be the driver's.
    Task = b'T',
    /// A frame that all tasks of a stage get.
    Broadcast = b'B',
    /// The end of what one side has to say.
    End = b'E',
    /// Why a worker has failed.
    Failure = b'X',
}

impl Kind {
    fn of(byte: u8) -> Result<Kind> {
        use Kind::{Broadcast, End, Failure, Frame, Json, Stage, Task};
        let known = [Json, Frame, Stage, Task, Broadcast, End, Failure];
        known
            .into_iter()
            .find(|kind| *kind as u8 == byte)
            .ok_or_else(|| broken(format!("there is no kind {byte}")))
    }
}

/// No message is longer.
const MAX_BYTES: usize = 256 << 20;

/// The sending half.
pub struct Sender(BufWriter<TcpStream>);

/// The receiving half.
pub struct Receiver(BufReader<TcpStream>);

/// A connection to the Java side.
pub struct Link {
    pub sender: Sender,
    pub receiver: Receiver,
}

impl Link {
    /// Connects to `PORT:TOKEN` on this machine.
    ///
    /// # Errors
    ///
    /// If nobody listens there.
    pub fn connect(address: &str) -> Result<Link> {
        let (port, token) = address.split_once(':').ok_or_else(|| broken("its address is none"))?;
        let port: u16 = port.parse().map_err(|_| broken("its port is none"))?;
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
            let message = format!("whoever started this process on Spark does not listen: {error}");
            Error::new(ErrorKind::Internal, message).because(error).hint(
                "one submission runs one program, once: a script that runs several is to submit each of them",
            )
        })?;
        stream.set_nodelay(true).map_err(lost)?;
        let mut sender = Sender(BufWriter::with_capacity(1 << 16, stream.try_clone().map_err(lost)?));
        sender.0.write_all(token.as_bytes()).map_err(lost)?;
        sender.flush()?;
        Ok(Link { sender, receiver: Receiver(BufReader::with_capacity(1 << 16, stream)) })
    }
}

impl Sender {
    /// Sends a message of several pieces.
    ///
    /// # Errors
    ///
    /// If the other side is gone, or it is too long.
    pub fn send(&mut self, kind: Kind, pieces: &[&[u8]]) -> Result<()> {
        let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        check_length(bytes)?;
        let head = (bytes as u32).to_be_bytes();
        self.0.write_all(&[kind as u8]).map_err(lost)?;
        self.0.write_all(&head).map_err(lost)?;
        pieces.iter().try_for_each(|piece| self.0.write_all(piece)).map_err(lost)
    }

    /// Sends what is buffered.
    ///
    /// # Errors
    ///
    /// If the other side is gone.
    pub fn flush(&mut self) -> Result<()> {
        self.0.flush().map_err(lost)
    }
}

impl Receiver {
    /// The next message.
    ///
    /// # Errors
    ///
    /// If the other side is gone.
    pub fn receive(&mut self) -> Result<(Kind, Vec<u8>)> {
        let mut head = [0; 5];
        self.0.read_exact(&mut head).map_err(lost)?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_BYTES {
            return Err(broken(format!("a message has {length} bytes")));
        }
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).map_err(lost)?;
        Ok((Kind::of(kind)?, bytes))
    }

    /// The next message, which is JSON.
    ///
    /// # Errors
    ///
    /// If the other side is gone, or says something else.
    pub fn json(&mut self) -> Result<Value> {
        match self.receive()? {
            (Kind::Json, bytes) => serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string())),
            (kind, _) => Err(broken(format!("{kind:?} came instead of JSON"))),
        }
    }

    /// Waits until the other side is gone.
    pub fn wait_for_the_end(mut self) {
        while self.receive().is_ok() {}
    }
}

/// Whether a message may have so many bytes.
///
/// # Errors
///
/// If it may not.
pub fn check_length(bytes: usize) -> Result<()> {
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    let message = format!("a message to Spark has {bytes} bytes, and may have {MAX_BYTES}");
    Err(Error::new(ErrorKind::Config, message)
        .hint("let there be fewer splits, by a larger split_bytes, or gather less"))
}

fn lost(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("the connection to Spark is lost: {error}")).because(error)
}

/// An error about what the other side says.
pub fn broken(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("what Spark sends is not understood: {what}"))
        .hint("the program and gristmill.jar must be of one version")
}
