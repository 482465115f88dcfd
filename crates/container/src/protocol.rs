//! What clients and a monitor say to each other over `monitor.sock` (and over the pair that a starter and its monitor
//! share): frames of one kind byte, four bytes of length (little endian), and that many bytes.
//!
//! ```text
//! 0 request (JSON, first frame of a client)    1 reply (JSON)
//! 2 bytes for standard input                   3 end of standard input
//! 4 bytes of standard output                   5 bytes of standard error
//! 6 the client leaves and standard input stays open
//! ```

use crate::config::Config;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// A kind of frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request = 0,
    Reply = 1,
    Stdin = 2,
    StdinEnd = 3,
    Stdout = 4,
    Stderr = 5,
    Leave = 6,
}

/// The longest frame, in bytes.
const LONGEST: usize = 4 << 20;

/// How much is read and sent at once.
pub(crate) const CHUNK: usize = 64 << 10;

/// What a client asks for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Request {
    /// Only from the starter: become this container's monitor.
    Start(Box<Start>),
    /// The main process's streams.
    Attach(Attach),
    /// A reply once the container has ended.
    Wait,
    /// A signal to the main process, or to that of a session.
    Signal { session: Option<u64>, signal: i32 },
    /// The size of the terminal.
    Resize { session: Option<u64>, rows: u16, columns: u16 },
    /// Another process.
    Exec(Box<Exec>),
    /// What stands at a path.
    Stat { path: Vec<u8>, follow: bool },
    /// A path as a tar whose root is named `name`, in standard output frames.
    Get { path: Vec<u8>, follow: bool, name: Vec<u8> },
    /// Unpacks the tar that comes as standard input below a folder.
    Put { folder: Vec<u8>, keep_owners: bool },
    /// The processes of the container.
    Top,
}

/// What a monitor needs to know to begin.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) lowers: Vec<Lower>,
    pub(crate) upper: PathBuf,
    pub(crate) work: PathBuf,
    pub(crate) user_xattrs: bool,
    pub(crate) volumes: PathBuf,
    pub(crate) config: Config,
    pub(crate) network: NetworkSettings,
    pub(crate) store: StoreSettings,
    pub(crate) attach: Option<Attach>,
}

/// How to open the store again, for removing the container at its end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct StoreSettings {
    pub(crate) root: PathBuf,
    pub(crate) owner: u32,
    pub(crate) mapping: String,
}

/// What the engine was told about networks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct NetworkSettings {
    pub(crate) rootless: bool,
    pub(crate) bridge: Option<String>,
    pub(crate) resolv_conf: String,
    pub(crate) systemd_resolv_conf: Option<String>,
    pub(crate) hosts: String,
    pub(crate) hostname: String,
    pub(crate) program_folders: Vec<PathBuf>,
}

/// Which of the main process's streams a client wants.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Attach {
    pub(crate) stdin: bool,
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
    pub(crate) size: Option<(u16, u16)>,
}

/// Another process in the container.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Exec {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<String>,
    pub(crate) cwd: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) tty: bool,
    pub(crate) stdin: bool,
    pub(crate) detach: bool,
    pub(crate) privileged: bool,
    pub(crate) size: Option<(u16, u16)>,
}

/// What a part of the root is mounted from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Lower {
    /// A folder.
    Folder(PathBuf),
    /// A mount: its number among those that were passed.
    Mount(usize),
}

/// What a monitor answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reply {
    /// The process runs; the warnings are for the user.
    Started { session: u64, warnings: Vec<String> },
    /// It could not be started, or something else failed.
    Failed { code: i32, message: String, hint: Option<String> },
    /// The process, or the container, has ended.
    Ended { code: i32 },
    /// What stands at a path; nothing where nothing does.
    Stat(Option<crate::archive::Stat>),
    /// It was done.
    Done,
    /// Processes: number, user, command.
    Processes(Vec<Process>),
}

/// A process of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number on the host.
    pub pid: i32,
    /// Its parent's number on the host.
    pub parent: i32,
    /// Its user, as the container sees it.
    pub uid: u32,
    /// Its command line.
    pub command: String,
}

pub(crate) fn send(mut to: impl Write, kind: Kind, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // One write for the small, so that a reader is woken once.
    let mut frame = Vec::with_capacity(5 + bytes.len());
    frame.push(kind as u8);
    frame.extend(length.to_le_bytes());
    frame.extend(bytes);
    to.write_all(&frame)
}

fn send_json(to: impl Write, kind: Kind, value: &impl Serialize) -> io::Result<()> {
    send(to, kind, &serde_json::to_vec(value).map_err(io::Error::other)?)
}

pub(crate) fn send_request(to: impl Write, request: &Request) -> io::Result<()> {
    send_json(to, Kind::Request, request)
}

pub(crate) fn send_reply(to: impl Write, reply: &Reply) -> io::Result<()> {
    send_json(to, Kind::Reply, reply)
}

/// The next frame; nothing when the other side has gone.
pub(crate) fn receive(mut from: impl Read) -> io::Result<Option<(Kind, Vec<u8>)>> {
    let mut head = [0; 5];
    match from.read_exact(&mut head) {
        Ok(()) => {}
        Err(error)
            if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    let kind = match head[0] {
        0 => Kind::Request,
        1 => Kind::Reply,
        2 => Kind::Stdin,
        3 => Kind::StdinEnd,
        4 => Kind::Stdout,
        5 => Kind::Stderr,
        6 => Kind::Leave,
        _ => return Err(io::Error::other("a frame of an unknown kind")),
    };
    let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if length > LONGEST {
        return Err(io::Error::other("a frame that is too long"));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(Some((kind, bytes)))
}

/// The most descriptors that are passed at once.
const MOST_PASSED: usize = 253;

/// Passes descriptors on, with a byte that means nothing.
pub(crate) fn pass(to: &UnixStream, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    if fds.len() > MOST_PASSED {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_PASSED))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    rustix::net::sendmsg(to, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Descriptors that were passed; none when the other side has gone.
pub(crate) fn take_passed(from: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_PASSED))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    rustix::net::recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            fds.extend(passed);
        }
    }
    Ok(fds)
}

/// The next frame, which must be a reply; nothing when the other side has gone.
pub(crate) fn receive_reply(from: &UnixStream) -> io::Result<Option<Reply>> {
    match receive(from)? {
        Some((Kind::Reply, bytes)) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
        Some(_) => Err(io::Error::other("another frame than the reply that was waited for")),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_as_they_went() {
        let (one, two) = UnixStream::pair().unwrap();
        send(&one, Kind::Stdout, b"hello").unwrap();
        send_request(&one, &Request::Signal { session: None, signal: 15 }).unwrap();
        send_reply(&one, &Reply::Ended { code: 3 }).unwrap();
        drop(one);
        assert_eq!(receive(&two).unwrap(), Some((Kind::Stdout, b"hello".to_vec())));
        let (kind, bytes) = receive(&two).unwrap().unwrap();
        assert_eq!(kind, Kind::Request);
        assert!(matches!(
            serde_json::from_slice(&bytes).unwrap(),
            Request::Signal { session: None, signal: 15 }
        ));
        assert!(matches!(receive_reply(&two).unwrap(), Some(Reply::Ended { code: 3 })));
        assert!(receive(&two).unwrap().is_none());
    }

    #[test]
    fn descriptors_come_before_the_frames_that_follow_them() {
        use std::os::fd::AsFd;
        let (one, two) = UnixStream::pair().unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        pass(&one, &[far.as_fd(), far.as_fd()]).unwrap();
        send(&one, Kind::Leave, b"").unwrap();
        drop((one, far));
        let passed = take_passed(&two).unwrap();
        assert_eq!(passed.len(), 2);
        assert_eq!(receive(&two).unwrap(), Some((Kind::Leave, Vec::new())));
        drop(passed);
        assert!(receive(&near).unwrap().is_none(), "nobody holds the other end any more");
        assert!(take_passed(&two).unwrap().is_empty(), "the other side has gone");
    }

    #[test]
    fn a_frame_that_claims_too_much_is_refused() {
        for head in [[4, 0xff, 0xff, 0xff, 0xff], [9, 0, 0, 0, 0]] {
            assert!(receive(&head[..]).is_err());
        }
    }
}
