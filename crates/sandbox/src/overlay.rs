//! Overlay mounts by the new mount API, detached.
//!
//! `metacopy=off`, `index=off` and `redirect_dir=nofollow` are said outright: kernels are configured differently, and
//! with metacopy an upper directory holds files whose content is zeros to anyone but overlayfs. Layers are given one
//! by one (`lowerdir+`, Linux 6.7) by descriptor paths when their own are long; older kernels get one `lowerdir`
//! string through mount(2) in a mount namespace that lives only for that call.

use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::error::{Error, Result};
use crate::mount::{bind_detached, set_readonly};
use crate::sys;

/// The most lower directories that overlayfs takes; of more, the lowest are an overlay of their own (Linux 6.15), as long as
/// those are no more than that.
pub const MAX_LOWERS: usize = 500;

/// The longest string that `fsconfig` takes, without its NUL.
pub(crate) const LONGEST_STRING: usize = 255;

/// How an overlay is mounted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Marks are in `user.overlay.*` instead of `trusted.overlay.*`: needed outside the initial user namespace.
    pub userxattr: bool,
    /// Nothing is synced to the upper directory. Its work directory cannot be used a second time.
    pub volatile: bool,
    /// The mount is read-only.
    pub readonly: bool,
}

/// Mounts `lowers` (topmost first) with `upper_work` (upper and work directory, on one file system) on top, nowhere.
/// One lower and no upper is a read-only bind of it; no lower and an upper is a bind of the upper.
///
/// # Errors
/// [`Error::Invalid`] for no directory at all or more than [`MAX_LOWERS`]; [`Error::Os`] names the directory or option
/// that was refused.
pub fn mount_detached(
    lowers: &[PathBuf],
    upper_work: Option<(PathBuf, PathBuf)>,
    options: Options,
) -> Result<OwnedFd> {
    if lowers.len() > MAX_LOWERS && lowers.len() < 2 * MAX_LOWERS {
        let (above, below) = lowers.split_at(MAX_LOWERS - 1);
        let readonly = Options { readonly: true, volatile: false, ..options };
        let below = mount_detached(below, None, readonly)?;
        let mut lowers = above.to_vec();
        lowers.push(format!("/proc/self/fd/{}", below.as_raw_fd()).into());
        return mount_detached(&lowers, upper_work, options);
    }
    if lowers.len() > MAX_LOWERS {
        return Err(Error::Invalid(format!(
            "an overlay of {} layers; the limit is {}",
            lowers.len(),
            2 * MAX_LOWERS - 1
        )));
    }
    match (lowers, &upper_work) {
        ([], None) => return Err(Error::Invalid("an overlay of no directory".into())),
        ([only], None) => return bind_detached(only, false, true),
        ([], Some((upper, _))) => return bind_detached(upper, false, options.readonly),
        _ => {}
    }
    match by_layers(lowers, upper_work.as_ref(), options) {
        Err(Error::Os { subject, source, .. })
            if subject == "lowerdir+" && source.raw_os_error() == Some(libc::EINVAL) =>
        {
            by_string(lowers, upper_work.as_ref(), options)
        }
        other => other,
    }
}

/// Paths as overlayfs is given them: short ones as they are, long ones through an open descriptor.
#[derive(Default)]
struct Names {
    open: Vec<OwnedFd>,
}

impl Names {
    fn short(&mut self, path: &Path, longest: usize) -> Result<Vec<u8>> {
        let bytes = path.as_os_str().as_bytes();
        if path.is_absolute() && bytes.len() <= longest && !bytes.iter().any(|byte| b":,\\".contains(byte)) {
            return Ok(bytes.to_vec());
        }
        let fd = rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|source| Error::os("open the layer", path.display().to_string(), source))?;
        let name = format!("/proc/self/fd/{}", fd.as_raw_fd());
        self.open.push(fd);
        Ok(name.into_bytes())
    }
}

/// Layer by layer (Linux 6.7).
fn by_layers(
    lowers: &[PathBuf],
    upper_work: Option<&(PathBuf, PathBuf)>,
    options: Options,
) -> Result<OwnedFd> {
    let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)
        .map_err(|source| Error::os("mount", "overlay", source))?;
    let mut names = Names::default();
    let set = |key: &str, value: &[u8], what: String| {
        rustix::mount::fsconfig_set_string(&context, key, value)
            .map_err(|source| Error::os("set the overlay option", what, source))
    };
    for lower in lowers {
        let name = names.short(lower, LONGEST_STRING)?;
        if let Err(error) = set("lowerdir+", &name, "lowerdir+".into()) {
            // An unknown option and a bad directory are both EINVAL; only the first is about the kernel.
            return Err(match rustix::fs::stat(lower) {
                Ok(_) => error,
                Err(source) => Error::os("use as a layer", lower.display().to_string(), source),
            });
        }
    }
    if let Some((upper, work)) = upper_work {
        set("upperdir", &names.short(upper, LONGEST_STRING)?, format!("upperdir={}", upper.display()))?;
        set("workdir", &names.short(work, LONGEST_STRING)?, format!("workdir={}", work.display()))?;
    }
    for (key, value) in FIXED {
        set(key, value.as_bytes(), format!("{key}={value}"))?;
    }
    let flag = |key: &str| {
        rustix::mount::fsconfig_set_flag(&context, key)
            .map_err(|source| Error::os("set the overlay option", key, source))
    };
    if options.userxattr {
        flag("userxattr")?;
    }
    if options.volatile && upper_work.is_some() {
        flag("volatile")?;
    }
    let subject = || upper_work.map_or_else(|| lowers[0].clone(), |(upper, _)| upper.clone());
    rustix::mount::fsconfig_create(&context)
        .map_err(|source| Error::os("mount an overlay on", subject().display().to_string(), source))?;
    let attributes =
        if options.readonly { MountAttrFlags::MOUNT_ATTR_RDONLY } else { MountAttrFlags::empty() };
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        .map_err(|source| Error::os("mount an overlay on", subject().display().to_string(), source))
}

/// What is said outright, whatever the kernel's defaults.
///
/// `xino=auto` gives all files one device number and lasting inode numbers where layers lie on different file systems.
const FIXED: [(&str, &str); 4] =
    [("metacopy", "off"), ("index", "off"), ("redirect_dir", "nofollow"), ("xino", "auto")];

/// One `lowerdir` string by mount(2), for kernels before 6.7. The string holds a page, so many layers go by descriptor
/// paths of at most 18 bytes: some 200 layers.
fn by_string(
    lowers: &[PathBuf],
    upper_work: Option<&(PathBuf, PathBuf)>,
    options: Options,
) -> Result<OwnedFd> {
    // A thread of its own may leave the process's mount namespace; it ends with the mount cloned out of it.
    let mounted = std::thread::scope(|scope| {
        scope
            .spawn(|| mount_elsewhere(lowers, upper_work, options))
            .join()
            .expect("because the thread does not panic")
    })?;
    if options.readonly {
        set_readonly(&mounted, false)?;
    }
    Ok(mounted)
}

fn mount_elsewhere(
    lowers: &[PathBuf],
    upper_work: Option<&(PathBuf, PathBuf)>,
    options: Options,
) -> Result<OwnedFd> {
    let failed = |errno| Error::errno("mount", "overlay", errno);
    sys::unshare(libc::CLONE_FS | libc::CLONE_NEWNS).map_err(failed)?;
    sys::make_private().map_err(failed)?;
    // The descriptors must be of this mount namespace, so they are opened only now.
    let mut names = Names::default();
    let text = string(lowers, upper_work, options, &mut names)?;
    // `/proc` must stay reachable, so the mount goes over a directory that exists everywhere.
    let target = [c"/tmp", c"/usr", c"/etc"]
        .into_iter()
        .find(|path| sys::is_directory_path(path))
        .ok_or_else(|| Error::Invalid("no directory to mount an overlay on".into()))?;
    rustix::mount::mount(c"overlay", target, c"overlay", rustix::mount::MountFlags::empty(), text.as_c_str())
        .map_err(|source| Error::os("mount", "overlay", source))?;
    bind_detached(Path::new(std::ffi::OsStr::from_bytes(target.to_bytes())), false, false)
}

/// The options of mount(2).
fn string(
    lowers: &[PathBuf],
    upper_work: Option<&(PathBuf, PathBuf)>,
    options: Options,
    names: &mut Names,
) -> Result<CString> {
    let longest = if lowers.len() > 8 { 0 } else { LONGEST_STRING };
    let mut text = b"lowerdir=".to_vec();
    for (index, lower) in lowers.iter().enumerate() {
        if index > 0 {
            text.push(b':');
        }
        text.extend(names.short(lower, longest)?);
    }
    if let Some((upper, work)) = upper_work {
        for (key, path) in [("upperdir", upper), ("workdir", work)] {
            text.extend(format!(",{key}=").into_bytes());
            text.extend(names.short(path, longest)?);
        }
    }
    for (key, value) in FIXED {
        text.extend(format!(",{key}={value}").into_bytes());
    }
    if options.userxattr {
        text.extend(b",userxattr");
    }
    if options.volatile && upper_work.is_some() {
        text.extend(b",volatile");
    }
    if text.len() > 4095 {
        return Err(Error::Invalid(format!(
            "an overlay of {} layers is more than this kernel can mount (Linux 6.7 and later take {MAX_LOWERS})",
            lowers.len()
        )));
    }
    CString::new(text).map_err(|_| Error::Invalid("a layer's path holds a NUL byte".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{ResolveFlags, openat2};
    use std::fs::{self, File};

    fn read(root: &OwnedFd, path: &str) -> String {
        let fd = openat2(root, path, OFlags::RDONLY, Mode::empty(), ResolveFlags::IN_ROOT).unwrap();
        std::io::read_to_string(File::from(fd)).unwrap()
    }

    /// Linux before 6.15 makes no overlay of a detached mount.
    fn nests() -> bool {
        let uname = rustix::system::uname();
        let mut numbers = uname.release().to_str().unwrap().split(['.', '-']).map(|part| part.parse::<u32>());
        let mut next = || numbers.next().unwrap().unwrap();
        (next(), next()) >= (6, 15)
    }

    fn layers(dir: &Path, count: usize) -> Vec<PathBuf> {
        (0..count)
            .map(|n| {
                let layer = dir.join(format!("l{n}"));
                fs::create_dir(&layer).unwrap();
                fs::write(layer.join("who"), format!("{n}")).unwrap();
                fs::write(layer.join(format!("only{n}")), "").unwrap();
                layer
            })
            .collect()
    }

    #[test]
    fn both_ways_stack_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let lowers = layers(dir.path(), 12);
        for (index, way) in [by_layers, by_string].into_iter().enumerate() {
            let (upper, work) = (dir.path().join(format!("u{index}")), dir.path().join(format!("w{index}")));
            fs::create_dir(&upper).unwrap();
            fs::create_dir(&work).unwrap();
            let root = way(&lowers, Some(&(upper.clone(), work)), Options::default()).unwrap();
            assert_eq!(read(&root, "who"), "0");
            assert_eq!(read(&root, "only11"), "");
            let flags = OFlags::CREATE | OFlags::WRONLY;
            rustix::fs::openat(&root, "new", flags, Mode::from_raw_mode(0o644)).unwrap();
            assert!(upper.join("new").exists());
        }
    }

    #[test]
    fn five_hundred_layers_with_long_names() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(200)).join("e".repeat(200));
        fs::create_dir_all(&deep).unwrap();
        let lowers = layers(&deep, MAX_LOWERS);
        let root = mount_detached(&lowers, None, Options::default()).unwrap();
        assert_eq!(read(&root, "/who"), "0");
        assert_eq!(read(&root, "only499"), "");
        let more: Vec<_> = lowers.iter().cycle().take(2 * MAX_LOWERS).cloned().collect();
        assert!(matches!(mount_detached(&more, None, Options::default()), Err(Error::Invalid(_))));
    }

    #[test]
    fn of_more_layers_the_lowest_are_an_overlay_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let lowers = layers(dir.path(), MAX_LOWERS + 100);
        let (upper, work) = (dir.path().join("u"), dir.path().join("w"));
        fs::create_dir(&upper).unwrap();
        fs::create_dir(&work).unwrap();
        let root = mount_detached(&lowers, Some((upper.clone(), work)), Options::default());
        assert_eq!(root.is_ok(), nests());
        let Ok(root) = root else { return };
        for name in ["only0", "only498", "only499", "only599"] {
            assert_eq!(read(&root, name), "");
        }
        assert_eq!(read(&root, "who"), "0");
        rustix::fs::unlinkat(&root, "only599", rustix::fs::AtFlags::empty()).unwrap();
        assert!(rustix::fs::statat(&root, "only599", rustix::fs::AtFlags::empty()).is_err());
        assert!(fs::symlink_metadata(upper.join("only599")).is_ok(), "a whiteout");
    }

    #[test]
    fn a_single_layer_is_read_only() {
        let dir = tempfile::tempdir().unwrap();
        let lowers = layers(dir.path(), 1);
        let root = mount_detached(&lowers, None, Options::default()).unwrap();
        let made = rustix::fs::mkdirat(&root, "x", Mode::from_raw_mode(0o755));
        assert_eq!(made, Err(rustix::io::Errno::ROFS));
        assert!(
            mount_detached(&[dir.path().join("gone"), lowers[0].clone()], None, Options::default())
                .unwrap_err()
                .to_string()
                .contains("gone")
        );
    }

    #[test]
    fn volatile_and_user_marks_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        let lowers = layers(dir.path(), 2);
        let (upper, work) = (dir.path().join("u"), dir.path().join("w"));
        fs::create_dir(&upper).unwrap();
        fs::create_dir(&work).unwrap();
        let options = Options { userxattr: true, volatile: true, readonly: false };
        mount_detached(&lowers, Some((upper, work.clone())), options).unwrap();
        assert!(work.join("work/incompat/volatile").exists());
    }
}
