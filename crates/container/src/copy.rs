//! `cp`: files between the host and containers, running or not, by Docker's rules for what lands where.
//!
//! A running container's files are reached through its monitor, which is inside of all its namespaces' rights; those of
//! one that does not run through its mounted layers, with volumes and bind mounts seen at their places.

use crate::archive::{self, Stat};
use crate::config::MountSource;
use crate::containers::{Containers, config_of};
use crate::create::clean_path;
use crate::monitor::connect;
use crate::protocol::{self, CHUNK, Kind, Reply, Request};
use crate::{Error, Result, state};
use sandbox::lock::OfdLock;
use sandbox::overlay;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use store::Xattrs;

/// One end of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A path of the host, absolute.
    Host(PathBuf),
    /// A path of a container; relative ones are below its root.
    Container {
        /// Its name or id.
        name: String,
        /// The path.
        path: String,
    },
}

/// A file tree that can be looked at, read as a tar and written as one.
enum Side {
    Host(OwnedFd),
    Running { container: Box<store::Container>, containers: Containers },
    Still(Still),
}

/// The files of a container that does not run.
struct Still {
    root: OwnedFd,
    /// Mounted places, longest first.
    mounts: Vec<(String, OwnedFd)>,
    /// So that it does not start meanwhile.
    _lock: OfdLock,
}

impl Still {
    /// The tree that a path is in, and the path in it.
    fn at<'a>(&'a self, path: &'a [u8]) -> (BorrowedFd<'a>, &'a [u8]) {
        for (target, mounted) in &self.mounts {
            if let Some(rest) = path.strip_prefix(target.as_bytes())
                && (rest.is_empty() || rest.starts_with(b"/"))
            {
                return (mounted.as_fd(), rest);
            }
        }
        (self.root.as_fd(), path)
    }
}

impl Side {
    fn stat(&self, path: &[u8], follow: bool) -> Result<Option<Stat>> {
        match self {
            Self::Host(root) => archive::stat(root.as_fd(), path, follow),
            Self::Still(still) => {
                let (root, path) = still.at(path);
                archive::stat(root, path, follow)
            }
            Self::Running { container, containers } => {
                match containers.ask(container, &Request::Stat { path: path.to_vec(), follow })? {
                    (_, Reply::Stat(stat)) => Ok(stat),
                    (_, other) => Err(unexpected(container, &other)),
                }
            }
        }
    }

    fn get(&self, path: &[u8], follow: bool, name: &[u8], out: &mut dyn Write) -> Result<()> {
        match self {
            Self::Host(root) => archive::get(root.as_fd(), path, follow, name, out),
            Self::Still(still) => {
                let (root, path) = still.at(path);
                archive::get(root, path, follow, name, out)
            }
            Self::Running { container, containers } => {
                let gone = |_| Error::MonitorGone { name: container.name.clone() };
                let stream = containers.talk(container)?;
                let (path, name) = (path.to_vec(), name.to_vec());
                protocol::send_request(&stream, &Request::Get { path, follow, name }).map_err(gone)?;
                loop {
                    match protocol::receive(&stream).map_err(gone)? {
                        Some((Kind::Stdout, bytes)) => {
                            out.write_all(&bytes).map_err(|error| Error::io("write", "an archive", error))?;
                        }
                        Some((Kind::Reply, bytes)) => return done(container, &bytes),
                        _ => return Err(Error::MonitorGone { name: container.name.clone() }),
                    }
                }
            }
        }
    }

    fn put(&self, folder: &[u8], from: &mut dyn Read, keep_owners: bool) -> Result<()> {
        match self {
            Self::Host(root) => {
                archive::put(archive::directory_in(root.as_fd(), folder)?.as_fd(), from, keep_owners)
            }
            Self::Still(still) => {
                let (root, folder) = still.at(folder);
                archive::put(archive::directory_in(root, folder)?.as_fd(), from, keep_owners)
            }
            Self::Running { container, containers } => {
                let gone = |_| Error::MonitorGone { name: container.name.clone() };
                let stream = containers.talk(container)?;
                let request = Request::Put { folder: folder.to_vec(), keep_owners };
                protocol::send_request(&stream, &request).map_err(gone)?;
                let mut buffer = vec![0; CHUNK];
                loop {
                    let count =
                        from.read(&mut buffer).map_err(|error| Error::io("read", "an archive", error))?;
                    let (kind, bytes) =
                        if count == 0 { (Kind::StdinEnd, &b""[..]) } else { (Kind::Stdin, &buffer[..count]) };
                    // A monitor that has had enough says why in its reply.
                    if protocol::send(&stream, kind, bytes).is_err() || count == 0 {
                        break;
                    }
                }
                match protocol::receive(&stream).map_err(gone)? {
                    Some((Kind::Reply, bytes)) => done(container, &bytes),
                    _ => Err(Error::MonitorGone { name: container.name.clone() }),
                }
            }
        }
    }
}

fn done(container: &store::Container, reply: &[u8]) -> Result<()> {
    match serde_json::from_slice(reply) {
        Ok(Reply::Done) => Ok(()),
        Ok(Reply::Failed { message, .. }) => Err(Error::Answer { name: container.name.clone(), message }),
        Ok(other) => Err(unexpected(container, &other)),
        Err(_) => Err(Error::MonitorGone { name: container.name.clone() }),
    }
}

fn unexpected(container: &store::Container, reply: &Reply) -> Error {
    Error::Answer { name: container.name.clone(), message: format!("{reply:?}") }
}

impl Containers {
    /// Copies a file or folder, by Docker's rules: into a destination that is a folder, over one that is a file, under
    /// the destination's name where nothing is there; `SRC/.` stands for what is in a folder. With `keep_owners` owners
    /// stay as they are, else all belongs to root in a container, and to the caller on the host. With `follow` a source
    /// that is a link is copied as what it points to.
    ///
    /// # Errors
    /// [`Error::Copy`] names the path.
    pub fn copy(&self, from: &Place, to: &Place, follow: bool, keep_owners: bool) -> Result<()> {
        let (source, path) = self.side(from, false)?;
        let (target, to_path) = self.side(to, true)?;
        let plan = plan(&source, &path, &target, &to_path, follow)?;
        let (read, write) = io::pipe().map_err(|error| Error::io("make", "a pipe", error))?;
        std::thread::scope(|scope| {
            let (source, path, plan) = (&source, &path, &plan);
            let packing = scope.spawn(move || {
                let mut write = io::BufWriter::with_capacity(CHUNK, write);
                source.get(path, follow, &plan.name, &mut write)?;
                write.flush().map_err(|error| Error::io("write", "an archive", error))
            });
            let mut read = read;
            let unpacked = target.put(&plan.folder, &mut read, keep_owners);
            // Ends the other side where this one gave up.
            drop(read);
            let packed = packing.join().expect("because packing does not panic");
            match (packed, unpacked) {
                // Why the reader stopped says more than that it did.
                (Err(Error::Io { .. }), Err(error)) => Err(error),
                (packed, unpacked) => packed.and(unpacked),
            }
        })
    }

    /// Writes a file or folder of a container as a tar, as `cp CONTAINER:PATH -` does.
    ///
    /// # Errors
    /// As [`Containers::copy`].
    pub fn copy_out(&self, name: &str, path: &str, follow: bool, out: &mut dyn Write) -> Result<()> {
        let (source, path) = self.side(&container_place(name, path), false)?;
        if source.stat(&path, follow)?.is_none() {
            return Err(Error::copy(&path, "no such file or directory"));
        }
        source.get(&path, follow, &archive::base_name(&path), out)
    }

    /// Unpacks a tar below a folder of a container, as `cp - CONTAINER:PATH` does.
    ///
    /// # Errors
    /// As [`Containers::copy`].
    pub fn copy_in(&self, name: &str, path: &str, from: &mut dyn Read, keep_owners: bool) -> Result<()> {
        let (target, path) = self.side(&container_place(name, path), true)?;
        match target.stat(&path, true)? {
            Some(stat) if stat.is_directory() => target.put(&path, from, keep_owners),
            Some(_) => Err(Error::copy(&path, "it is not a folder, and an archive needs one")),
            None => Err(Error::copy(&path, "no such file or directory")),
        }
    }

    fn side(&self, place: &Place, write: bool) -> Result<(Side, Vec<u8>)> {
        match place {
            Place::Host(path) => {
                if !path.is_absolute() {
                    return Err(Error::copy(path.as_os_str().as_bytes(), "it is no absolute path"));
                }
                Ok((
                    Side::Host(archive::open_directory(Path::new("/"))?),
                    path.as_os_str().as_bytes().to_vec(),
                ))
            }
            Place::Container { name, path } => {
                let container = self.find(name)?;
                let dir = self.store.container_dir(&container.id);
                // Its words alone say which mount it is in; what a trailing `/` or `/.` means is kept.
                let tail = if path.ends_with("/.") || path == "." {
                    "/."
                } else if path.ends_with('/') {
                    "/"
                } else {
                    ""
                };
                let clean = clean_path(path);
                let path = if clean == "/" { clean } else { clean + tail };
                if state::read(&dir)?.is_running() && connect(&dir)?.is_some() {
                    let container = Box::new(container);
                    return Ok((Side::Running { container, containers: self.clone() }, path.into_bytes()));
                }
                Ok((Side::Still(self.still(&container, &dir, write)?), path.into_bytes()))
            }
        }
    }

    fn still(&self, container: &store::Container, dir: &Path, write: bool) -> Result<Still> {
        let lock = state::lock(dir)?;
        let config = config_of(container)?;
        let image = self.lowers(&config.image, &container.stack)?;
        let mut lowers: Vec<PathBuf> = image.paths().iter().rev().cloned().collect();
        let layer = container
            .layer
            .map(|layer| self.store.layer_dir(layer))
            .ok_or_else(|| Error::NoContainer { name: container.name.clone() })?;
        let userxattr = self.store.options().xattrs == Xattrs::User;
        let upper = if write {
            Some((layer.join("fs"), layer.join("work")))
        } else {
            // For reading its own layer is one more below: unmounting that syncs nothing.
            lowers.insert(0, layer.join("fs"));
            None
        };
        let options = overlay::Options { userxattr, volatile: false, readonly: !write };
        let root = overlay::mount_detached(&lowers, upper, options)?;
        let mut mounts = Vec::new();
        for mount in &config.mounts {
            let path = match &mount.source {
                MountSource::Bind { path, .. } => PathBuf::from(path),
                MountSource::Volume { name, subpath, .. } if subpath.is_empty() => {
                    self.store.root().join("volumes").join(name)
                }
                _ => continue,
            };
            if path.is_dir() {
                mounts.push((mount.target.clone(), archive::open_directory(&path)?));
            }
        }
        mounts.sort_by_key(|(target, _)| std::cmp::Reverse(target.len()));
        Ok(Still { root, mounts, _lock: lock })
    }
}

fn container_place(name: &str, path: &str) -> Place {
    Place::Container { name: name.to_owned(), path: path.to_owned() }
}

/// What lands where.
struct Plan {
    /// The folder to unpack in.
    folder: Vec<u8>,
    /// What the top member is called; nothing where a folder's children go straight into `folder`.
    name: Vec<u8>,
}

fn plan(source: &Side, path: &[u8], target: &Side, to: &[u8], follow: bool) -> Result<Plan> {
    let only_content = path.ends_with(b"/.") || path == b".";
    let missing = |path: &[u8]| Error::copy(path, "no such file or directory");
    let from = source.stat(path, follow || only_content)?.ok_or_else(|| missing(path))?;
    if path.ends_with(b"/") && !from.is_directory() {
        return Err(Error::copy(path, "it is not a directory"));
    }
    let name = archive::base_name(path);
    match target.stat(to, true)? {
        Some(there) if there.is_directory() => {
            let name =
                if from.is_directory() && (only_content || name.is_empty()) { Vec::new() } else { name };
            Ok(Plan { folder: to.to_vec(), name })
        }
        Some(_) if from.is_directory() => Err(Error::copy(to, "a directory cannot be copied over a file")),
        Some(_) if to.ends_with(b"/") => Err(Error::copy(to, "it is not a directory")),
        Some(_) => Ok(Plan { folder: archive::parent(to), name: archive::base_name(to) }),
        None => {
            if !from.is_directory() && to.ends_with(b"/") {
                return Err(Error::copy(to, "the destination directory must exist"));
            }
            let folder = archive::parent(to);
            match target.stat(&folder, true)? {
                Some(stat) if stat.is_directory() => Ok(Plan { folder, name: archive::base_name(to) }),
                Some(_) => Err(Error::copy(&folder, "it is not a directory")),
                None => Err(missing(&folder)),
            }
        }
    }
}
