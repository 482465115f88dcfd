//! What version control says of a folder of this machine: which commit is checked out, and where it came from.
//!
//! Nothing of the repository is run: no hooks, no filters, no file system monitor.

use super::GitOptions;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The most that is taken of an answer.
const LONGEST: usize = 4096;

/// A folder under version control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkTree {
    /// The top of it.
    pub root: PathBuf,
    /// The commit that is checked out; nothing where there is none yet.
    pub revision: Option<String>,
    /// The repository that it follows: that of the branch, else `origin`, else `upstream`. As it is configured, with
    /// whatever user and password stand in it.
    pub remote: Option<String>,
}

impl WorkTree {
    /// That of a folder; nothing where it has none, or where there is no `git`.
    #[must_use]
    pub fn of(folder: &Path, options: &GitOptions) -> Option<Self> {
        let git = Asked { program: options.program.as_deref()?, options, folder };
        let root = PathBuf::from(git.answer(&["rev-parse", "--show-toplevel"])?);
        let revision = git.answer(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]);
        let branch = git.answer(&["symbolic-ref", "--quiet", "HEAD"]);
        let followed = branch
            .and_then(|branch| git.answer(&["for-each-ref", "--format=%(upstream:remotename)", &branch]));
        let remote = followed
            .iter()
            .map(String::as_str)
            .chain(["origin", "upstream"])
            .find_map(|name| git.answer(&["remote", "get-url", "--", name]));
        Some(Self { root, revision, remote })
    }

    /// Whether the folder holds anything that is not in the commit.
    #[must_use]
    pub fn is_dirty(folder: &Path, options: &GitOptions) -> bool {
        let Some(program) = options.program.as_deref() else { return false };
        let git = Asked { program, options, folder };
        git.answer(&["status", "--porcelain", "--ignored", "--ignore-submodules=all"]).is_some()
    }
}

struct Asked<'a> {
    program: &'a Path,
    options: &'a GitOptions,
    folder: &'a Path,
}

impl Asked<'_> {
    /// The first line of an answer; nothing where there is none.
    fn answer(&self, args: &[&str]) -> Option<String> {
        let mut command = Command::new(self.program);
        command.env_clear().env("PATH", &self.options.path).env("LC_ALL", "C").env("HOME", "/dev/null");
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_OPTIONAL_LOCKS", "0");
        // In a user namespace a folder of the user's belongs to another.
        command.args([
            "-c",
            "safe.directory=*",
            "-c",
            "core.fsmonitor=false",
            "-c",
            "core.hooksPath=/dev/null",
        ]);
        command.args(args).current_dir(self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let output = command.output().ok().filter(|output| output.status.success())?;
        let line = output.stdout.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = std::str::from_utf8(line).ok()?.trim();
        (!line.is_empty() && line.len() <= LONGEST).then(|| line.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> GitOptions {
        let path = "/usr/local/bin:/usr/bin:/bin".into();
        GitOptions { program: Some("/usr/bin/git".into()), path, ..GitOptions::default() }
    }

    fn git(folder: &Path, args: &[&str]) {
        let identity =
            ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"];
        let status =
            Command::new("git").args(identity).args(args).current_dir(folder).stdout(Stdio::null()).status();
        assert!(status.unwrap().success(), "git {args:?}");
    }

    #[test]
    fn a_checkout_tells_its_commit_and_its_origin() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        assert_eq!(WorkTree::of(&path, &options()), None);
        git(&path, &["init", "--quiet"]);
        let empty = WorkTree { root: path.clone(), revision: None, remote: None };
        assert_eq!(WorkTree::of(&path, &options()), Some(empty));
        std::fs::write(path.join("file"), "text").unwrap();
        std::fs::create_dir(path.join("inner")).unwrap();
        git(&path, &["add", "file"]);
        git(&path, &["commit", "--quiet", "-m", "first"]);
        git(&path, &["remote", "add", "upstream", "https://example.com/up.git"]);
        let found = WorkTree::of(&path.join("inner"), &options()).unwrap();
        assert_eq!(found.root, path);
        assert_eq!(found.revision.as_deref().map(str::len), Some(40));
        assert_eq!(found.remote.as_deref(), Some("https://example.com/up.git"));
        git(&path, &["remote", "add", "origin", "git@example.com:a/b.git"]);
        assert_eq!(
            WorkTree::of(&path, &options()).unwrap().remote.as_deref(),
            Some("git@example.com:a/b.git")
        );
        assert!(!WorkTree::is_dirty(&path, &options()));
        std::fs::write(path.join("file"), "changed").unwrap();
        assert!(WorkTree::is_dirty(&path, &options()));
    }

    #[test]
    fn nothing_of_the_repository_is_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        git(path, &["init", "--quiet"]);
        let mark = path.join("ran");
        for name in ["core.fsmonitor", "core.sshCommand", "core.pager", "alias.status"] {
            git(path, &["config", name, &format!("touch {}", mark.display())]);
        }
        let _ = WorkTree::of(path, &options());
        let _ = WorkTree::is_dirty(path, &options());
        assert!(!mark.exists());
    }
}
