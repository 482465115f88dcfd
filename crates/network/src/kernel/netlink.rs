//! Netlink messages (RFC 3549 and `linux/netlink.h`): a writer for batches, a reader for answers, a socket.
//!
//! ```text
//! message    length u32 | type u16 | flags u16 | sequence u32 | port u32 | family header | attributes...
//! attribute  length u16 | type u16 | value, padded to 4 bytes      (a nest is an attribute made of attributes)
//! ```
//! Integers are in the machine's byte order; netfilter's attribute values are big-endian. The kernel takes
//! several messages in one send, carries them out in order and answers each, so a namespace is set up in two
//! sends.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::SocketAddrNetlink, recv, sendto,
    socket_with, sockopt,
};

use crate::error::{Error, Result};

/// Only ask, no answer but the data.
pub(crate) const REQUEST: u16 = 1;
/// Answer with an error number, 0 for done.
pub(crate) const ACK: u16 = 4;
/// Fail where the thing exists.
pub(crate) const EXCL: u16 = 0x200;
/// Make the thing where it does not exist.
pub(crate) const CREATE: u16 = 0x400;
/// Add behind the existing ones.
pub(crate) const APPEND: u16 = 0x800;
/// All objects, not one.
const DUMP: u16 = 0x300;
/// The type of an answer that carries an error number.
const TYPE_ERROR: u16 = 2;
/// The type of the answer that ends a dump.
const TYPE_DONE: u16 = 3;
/// Marks an attribute as made of attributes.
const NESTED: u16 = 0x8000;
const HEADER: usize = 16;
/// An answer never exceeds this: the kernel sizes dumps by the receiver's buffer, at most 32 KiB.
const BUFFER: usize = 64 * 1024;
/// No request here takes the kernel longer; a lost answer must not hang a build.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes attributes into a message.
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Raw bytes, such as a family header inside a nest. They must be a multiple of 4 long.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        debug_assert_eq!(bytes.len() % 4, 0);
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// An attribute.
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = u16::try_from(value.len() + 4).expect("because every attribute written here is short");
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// A text attribute with its closing zero.
    pub(crate) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// An integer in the machine's byte order (route netlink).
    pub(crate) fn native(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// A big-endian integer (netfilter).
    pub(crate) fn big(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// An attribute made of what `inside` writes.
    pub(crate) fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes(kind | NESTED, &[]);
        inside(self);
        let length =
            u16::try_from(self.bytes.len() - start).expect("because every nest written here is short");
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }
}

/// Messages to be sent together, each with the words for its error.
pub(crate) struct Batch {
    writer: Writer,
    labels: Vec<String>,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self { writer: Writer { bytes: Vec::with_capacity(1024) }, labels: Vec::new() }
    }

    /// Adds a message that the kernel will acknowledge. `what` says the action for the error.
    pub(crate) fn message(
        &mut self,
        what: impl Into<String>,
        kind: u16,
        flags: u16,
        header: &[u8],
        attributes: impl FnOnce(&mut Writer),
    ) -> &mut Self {
        let start = self.writer.bytes.len();
        let sequence = u32::try_from(self.labels.len() + 1).expect("because a batch holds few messages");
        self.writer.bytes.extend_from_slice(&[0; 4]);
        self.writer.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.writer.bytes.extend_from_slice(&(flags | REQUEST | ACK).to_ne_bytes());
        self.writer.bytes.extend_from_slice(&sequence.to_ne_bytes());
        self.writer.bytes.extend_from_slice(&[0; 4]);
        self.writer.raw(header);
        attributes(&mut self.writer);
        let length =
            u32::try_from(self.writer.bytes.len() - start).expect("because every message here is short");
        self.writer.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        self.labels.push(what.into());
        self
    }
}

/// One answer of a dump.
pub(crate) struct Answer {
    /// The message type.
    pub(crate) kind: u16,
    /// The family header and the attributes.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The attributes behind a family header of `header` bytes.
    pub(crate) fn attributes(&self, header: usize) -> Attributes<'_> {
        Attributes { rest: self.body.get(header..).unwrap_or_default() }
    }
}

/// Reads attributes; stops at the first that does not fit.
pub(crate) struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// The attributes of a nest.
    pub(crate) fn of(nest: &'a [u8]) -> Self {
        Self { rest: nest }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16_at(self.rest, 0)?);
        let kind = u16_at(self.rest, 2)? & 0x3fff;
        let value = self.rest.get(4..length)?;
        self.rest = self.rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// The integer at `at` in the machine's byte order.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// The integer at `at` in the machine's byte order.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A text attribute's value without its closing zero.
pub(crate) fn text_of(value: &[u8]) -> String {
    let end = value.iter().position(|&byte| byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// A netlink socket. It belongs for good to the network namespace of the thread that opened it.
pub(crate) struct Socket {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl Socket {
    /// A socket for links, addresses and routes.
    pub(crate) fn route() -> Result<Self> {
        // `None` is protocol 0, which is NETLINK_ROUTE.
        Self::open(None, "route")
    }

    /// A socket for netfilter.
    pub(crate) fn netfilter() -> Result<Self> {
        Self::open(Some(rustix::net::netlink::NETFILTER), "netfilter")
    }

    fn open(protocol: Option<rustix::net::Protocol>, name: &str) -> Result<Self> {
        let what = || format!("opening a {name} netlink socket");
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)
            .map_err(|errno| Error::kernel(what(), errno))?;
        sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(PATIENCE))
            .map_err(|errno| Error::kernel(what(), errno))?;
        Ok(Self { fd, buffer: vec![0; BUFFER] })
    }

    /// Sends a batch and waits until the kernel has answered each message. The first refusal is the error.
    pub(crate) fn run(&mut self, batch: &Batch) -> Result<()> {
        let Some(first) = batch.labels.first() else { return Ok(()) };
        self.send(&batch.writer.bytes, first)?;
        let mut pending = batch.labels.len();
        let mut failure = None;
        while pending > 0 {
            let count = self.receive(first)?;
            let mut rest = &self.buffer[..count];
            while let Some((message, tail)) = split(rest) {
                rest = tail;
                let (Some(TYPE_ERROR), Some(code)) = (u16_at(message, 4), u32_at(message, HEADER)) else {
                    continue;
                };
                pending = pending.saturating_sub(1);
                if code != 0 && failure.is_none() {
                    let number = u32_at(message, 8).unwrap_or(0) as usize;
                    let label = batch.labels.get(number.wrapping_sub(1)).unwrap_or(first);
                    failure = Some(Error::kernel(label.clone(), errno(code)));
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Asks for all objects of a kind.
    pub(crate) fn dump(
        &mut self,
        what: &str,
        kind: u16,
        header: &[u8],
        attributes: impl FnOnce(&mut Writer),
    ) -> Result<Vec<Answer>> {
        self.ask(what, kind, DUMP, header, attributes)
    }

    /// Asks for one object.
    pub(crate) fn get(
        &mut self,
        what: &str,
        kind: u16,
        header: &[u8],
        attributes: impl FnOnce(&mut Writer),
    ) -> Result<Option<Answer>> {
        match self.ask(what, kind, 0, header, attributes) {
            Ok(mut answers) => Ok(answers.pop()),
            Err(Error::Kernel { source, .. })
                if matches!(
                    rustix::io::Errno::from_io_error(&source),
                    Some(rustix::io::Errno::NODEV | rustix::io::Errno::NOENT)
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends one question. The answers of a dump end with a message of their own; a single object's end with the
    /// acknowledgement.
    fn ask(
        &mut self,
        what: &str,
        kind: u16,
        flags: u16,
        header: &[u8],
        attributes: impl FnOnce(&mut Writer),
    ) -> Result<Vec<Answer>> {
        let mut batch = Batch::new();
        batch.message(what, kind, flags, header, attributes);
        self.send(&batch.writer.bytes, what)?;
        let mut answers = Vec::new();
        loop {
            let count = self.receive(what)?;
            let mut rest = &self.buffer[..count];
            while let Some((message, tail)) = split(rest) {
                rest = tail;
                match u16_at(message, 4) {
                    Some(TYPE_DONE) => return Ok(answers),
                    Some(TYPE_ERROR) => match u32_at(message, HEADER) {
                        Some(0) => return Ok(answers),
                        Some(code) => return Err(Error::kernel(what, errno(code))),
                        None => return Err(Error::Answer { what: what.to_owned(), problem: "cut short" }),
                    },
                    Some(kind) => answers.push(Answer { kind, body: message[HEADER..].to_vec() }),
                    None => return Err(Error::Answer { what: what.to_owned(), problem: "cut short" }),
                }
            }
        }
    }

    fn send(&self, bytes: &[u8], what: &str) -> Result<()> {
        sendto(&self.fd, bytes, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))
            .map(|_| ())
            .map_err(|errno| Error::kernel(what, errno))
    }

    fn receive(&mut self, what: &str) -> Result<usize> {
        loop {
            match recv(&self.fd, self.buffer.as_mut_slice(), RecvFlags::TRUNC) {
                Ok((_, count)) if count > self.buffer.len() => {
                    return Err(Error::Answer { what: what.to_owned(), problem: "too long" });
                }
                Ok((_, count)) => return Ok(count),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => {
                    return Err(Error::Answer { what: what.to_owned(), problem: "missing after 5 s" });
                }
                Err(errno) => return Err(Error::kernel(what, errno)),
            }
        }
    }
}

/// The first message of a datagram and what follows it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u32_at(bytes, 0)? as usize;
    if length < HEADER {
        return None;
    }
    let message = bytes.get(..length)?;
    Some((message, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// The kernel answers with negative error numbers.
fn errno(code: u32) -> io::Error {
    io::Error::from_raw_os_error(code.cast_signed().wrapping_neg())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut batch = Batch::new();
        batch.message("testing", 16, CREATE, &[0; 16], |message| {
            message.text(3, "eth0").nest(18, |inside| {
                inside.text(1, "veth").big(2, 7);
            });
        });
        let bytes = &batch.writer.bytes;
        assert_eq!(u32_at(bytes, 0), Some(u32::try_from(bytes.len()).unwrap()));
        let answer = Answer { kind: 16, body: bytes[HEADER..].to_vec() };
        let attributes: Vec<_> = answer.attributes(16).collect();
        assert_eq!(attributes[0], (3, &b"eth0\0"[..]));
        assert_eq!(attributes[1].0, 18);
        let inside: Vec<_> = Attributes::of(attributes[1].1).collect();
        assert_eq!(inside, [(1, &b"veth\0"[..]), (2, &[0, 0, 0, 7][..])]);
    }

    #[test]
    fn hostile_lengths_end_the_reading() {
        for bytes in [&[][..], &[3, 0], &[2, 0, 1, 0], &[200, 0, 1, 0, 9]] {
            assert_eq!(Attributes::of(bytes).count(), 0, "{bytes:?}");
        }
        assert!(split(&[4, 0, 0, 0]).is_none());
        assert!(split(&[255; 20]).is_none());
    }

    #[test]
    fn an_error_names_the_message_that_failed() {
        let mut socket = Socket::route().unwrap();
        let mut batch = Batch::new();
        batch.message("deleting `no-such-link`", 17, 0, &[0; 16], |message| {
            message.text(3, "no-such-link");
        });
        let text = socket.run(&batch).unwrap_err().to_string();
        assert!(text.starts_with("deleting `no-such-link`: No such device"), "{text}");
    }
}
