//! Git repositories, served over smart HTTP by `git http-backend` behind a site of the tests' own, or as plain files.

use super::{LIMIT, Reply, Site, folder, run};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The time of all commits.
pub(crate) const COMMITTED: u64 = 1_577_934_245;

/// Bare repositories in a folder, and a server for them.
pub(crate) struct Repositories {
    folder: TempDir,
    pub(crate) site: Site,
}

/// A working copy whose commits go to a bare repository.
pub(crate) struct Repository {
    work: PathBuf,
}

/// `git` with nothing of the machine's own.
fn git(at: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(at).args(["-c", "protocol.file.allow=always"]).args(args);
    for (name, value) in [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_AUTHOR_NAME", "somebody"),
        ("GIT_AUTHOR_EMAIL", "somebody@example.com"),
        ("GIT_COMMITTER_NAME", "somebody"),
        ("GIT_COMMITTER_EMAIL", "somebody@example.com"),
        ("GIT_AUTHOR_DATE", "2020-01-02T03:04:05Z"),
        ("GIT_COMMITTER_DATE", "2020-01-02T03:04:05Z"),
    ] {
        command.env(name, value);
    }
    run(command, LIMIT).ok().stdout.trim().to_owned()
}

impl Repositories {
    /// Served to everybody.
    pub(crate) fn start() -> Self {
        Self::guarded(None)
    }

    /// Served to those who send this `Authorization`.
    pub(crate) fn guarded(authorization: Option<&'static str>) -> Self {
        let folder = folder();
        let root = folder.path().to_owned();
        let site = Site::start(move |seen| {
            if authorization.is_some_and(|wanted| seen.header("authorization") != wanted) {
                return Reply::status(401).header("WWW-Authenticate", "Basic realm=\"test\"");
            }
            let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
            if path.starts_with("/plain/") {
                let file = fs::read(root.join(path.trim_start_matches("/plain/")));
                return file.map_or_else(|_| Reply::status(404), Reply::ok);
            }
            backend(&root, &seen.method, path, query, seen.header("content-type"), seen, &seen.body)
        });
        Self { folder, site }
    }

    /// A new repository; its first branch is `main`.
    pub(crate) fn make(&self, name: &str) -> Repository {
        let (bare, work) = (self.folder.path().join(name), self.folder.path().join(format!("{name}-work")));
        let at = self.folder.path();
        git(at, &["init", "--quiet", "--bare", "--initial-branch=main", bare.to_str().unwrap()]);
        git(&bare, &["config", "uploadpack.allowFilter", "true"]);
        git(at, &["init", "--quiet", "--initial-branch=main", work.to_str().unwrap()]);
        git(&work, &["remote", "add", "origin", bare.to_str().unwrap()]);
        Repository { work }
    }

    /// The folder of a repository.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The URL of a repository.
    pub(crate) fn url(&self, name: &str) -> String {
        self.site.url(&format!("/{name}"))
    }

    /// The URL of a repository on a server that knows nothing of git.
    pub(crate) fn plain_url(&self, name: &str) -> String {
        git(&self.folder.path().join(name), &["update-server-info"]);
        self.site.url(&format!("/plain/{name}"))
    }
}

impl Repository {
    pub(crate) fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.work.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn mode(&self, path: &str, mode: u32) -> &Self {
        fs::set_permissions(self.work.join(path), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    pub(crate) fn link(&self, path: &str, target: &str) -> &Self {
        std::os::unix::fs::symlink(target, self.work.join(path)).unwrap();
        self
    }

    /// Commits everything and sends it; gives the commit.
    pub(crate) fn commit(&self) -> String {
        git(&self.work, &["add", "--all"]);
        git(&self.work, &["commit", "--quiet", "--message", "a change"]);
        git(&self.work, &["push", "--quiet", "--force", "origin", "HEAD"]);
        git(&self.work, &["rev-parse", "HEAD"])
    }

    /// Anything else; what it makes is sent, too.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let out = git(&self.work, args);
        git(&self.work, &["push", "--quiet", "--force", "--all", "origin"]);
        git(&self.work, &["push", "--quiet", "--force", "--tags", "origin"]);
        out
    }
}

fn backend(
    root: &Path,
    method: &str,
    path: &str,
    query: &str,
    kind: &str,
    seen: &super::site::Seen,
    body: &[u8],
) -> Reply {
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", kind)
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", seen.header("content-encoding"))
        .env("GIT_PROTOCOL", seen.header("git-protocol"))
        .env("REMOTE_USER", "somebody")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let body = body.to_vec();
    let feeding = std::thread::spawn(move || drop(stdin.write_all(&body)));
    let out = child.wait_with_output().unwrap().stdout;
    feeding.join().unwrap();
    let end = out.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(out.len().saturating_sub(4));
    let head = String::from_utf8_lossy(&out[..end]).into_owned();
    let mut reply = Reply::ok(&out[(end + 4).min(out.len())..]);
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        match name {
            "Status" => reply.status = value[..3].parse().unwrap(),
            "Content-Length" => {}
            _ => reply = reply.header(name, value),
        }
    }
    reply
}
