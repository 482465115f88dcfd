//! From a reference to a commit, from a commit to files.

use super::program::{Git, GitError};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use std::path::Path;
use std::time::Duration;

/// How often something is tried that failed on the way.
const TRIES: u32 = 3;
/// The wait before the second try; it doubles.
const FIRST_DELAY: Duration = Duration::from_millis(500);

/// Runs `git` in some repository with these arguments.
type Runner<'r> = dyn Fn(&'static str, &[&str]) -> Result<Vec<u8>, GitError> + 'r;

/// What is wanted of a repository.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// A branch, a tag, a complete reference or a commit; empty for the branch that the repository names.
    pub reference: String,
    /// The beginning of the commit's name, which must agree.
    pub checksum: Option<String>,
}

/// What a reference is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Its complete name: `refs/heads/main`; of a commit the commit.
    pub reference: String,
    /// What it names: a commit, or an annotated tag.
    pub object: String,
    /// The commit of an annotated tag.
    pub of_tag: Option<String>,
}

/// How files are laid out.
#[derive(Clone, Debug, Default)]
pub struct Checkout {
    /// The folder inside; empty for all.
    pub subdir: String,
    /// Whether `.git` is kept; a folder inside has none.
    pub keep_git_dir: bool,
    /// Whether submodules are left out.
    pub skip_submodules: bool,
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Servers of plain files know no depth.
fn knows_no_depth(said: &str) -> bool {
    said.contains("shallow") || said.contains("--depth")
}

impl Git<'_> {
    fn again<T>(&self, mut action: impl FnMut() -> Result<T, GitError>) -> Result<T, GitError> {
        let mut delay = FIRST_DELAY;
        for _ in 1..TRIES {
            match action() {
                Err(error) if error.is_passing() => std::thread::sleep(delay),
                done => return done,
            }
            delay *= 2;
        }
        action()
    }

    /// What a reference is at the moment. Branches come before tags; an unambiguous complete name before both. Who
    /// names a commit is not asked for it, and the repository neither.
    ///
    /// # Errors
    /// Any [`GitError`].
    pub fn resolve(&self, wanted: &Wanted) -> Result<Commit, GitError> {
        let checksum = wanted.checksum.as_deref().unwrap_or_default();
        if !checksum.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(GitError::BadChecksum { remote: self.shown(), checksum: checksum.to_owned() });
        }
        let commit = if is_commit(&wanted.reference) {
            let object = wanted.reference.clone();
            Commit { reference: object.clone(), object, of_tag: None }
        } else {
            self.ask(&wanted.reference)?
        };
        let agrees = |object: &str| object.starts_with(checksum);
        if !agrees(&commit.object) && !commit.of_tag.as_deref().is_some_and(agrees) {
            let found = match &commit.of_tag {
                Some(of_tag) => format!("{of_tag} (of the tag {})", commit.object),
                None => commit.object,
            };
            let reference = if wanted.reference.is_empty() { "HEAD" } else { &wanted.reference };
            return Err(GitError::Checksum {
                remote: self.shown(),
                reference: reference.to_owned(),
                wanted: checksum.to_owned(),
                found,
            });
        }
        Ok(commit)
    }

    fn ask(&self, reference: &str) -> Result<Commit, GitError> {
        let remote = self.remote.as_str();
        let none =
            |reference: &str| GitError::NoReference { remote: self.shown(), reference: reference.to_owned() };
        let action = "ask for the references of";
        let list = |args: &[&str]| {
            let answer = self.again(|| self.run(action, None, &[], args))?;
            Ok::<_, GitError>(String::from_utf8_lossy(&answer).into_owned())
        };
        let default;
        let reference = if reference.is_empty() {
            let answer = list(&["ls-remote", "--symref", "--", remote, "HEAD"])?;
            let line = answer.lines().find_map(|line| line.strip_prefix("ref: refs/heads/"));
            default =
                line.and_then(|line| line.split_whitespace().next()).ok_or_else(|| none(""))?.to_owned();
            // The answer names the commit, too.
            let head = answer.lines().find_map(|line| line.strip_suffix("\tHEAD"));
            if let Some(object) = head.filter(|object| is_commit(object)) {
                return Ok(Commit {
                    reference: format!("refs/heads/{default}"),
                    object: object.to_owned(),
                    of_tag: None,
                });
            }
            &default
        } else {
            reference
        };
        let peeled = format!("{reference}^{{}}");
        let answer = list(&["ls-remote", "--", remote, reference, &peeled])?;
        let find = |name: &str| {
            let found = answer.lines().filter_map(|line| line.split_once('\t'));
            found.filter(|(_, other)| *other == name).map(|(object, _)| object.to_owned()).next()
        };
        let names = ["refs/", "refs/heads/", "refs/tags/"].map(|prefix| {
            if reference.starts_with(prefix) { reference.to_owned() } else { format!("{prefix}{reference}") }
        });
        for name in names {
            if let Some(object) = find(&name).filter(|object| is_commit(object)) {
                let of_tag = find(&format!("{name}^{{}}")).filter(|_| name.starts_with("refs/tags/"));
                return Ok(Commit { reference: name, object, of_tag });
            }
        }
        Err(none(reference))
    }

    /// Sees to it that the bare repository at `folder` (made if it is empty) has a commit, or an annotated tag with its
    /// commit. Nobody is asked if it is there.
    ///
    /// # Errors
    /// Any [`GitError`].
    pub fn fetch(&self, folder: &Path, commit: &Commit) -> Result<(), GitError> {
        let git = |action, args: &[&str]| self.run(action, Some(folder), &[("GIT_DIR", folder)], args);
        if !folder.join("HEAD").exists() {
            let format =
                if commit.object.len() == 64 { "--object-format=sha256" } else { "--object-format=sha1" };
            git("make a repository for", &["init", "--quiet", "--bare", format])?;
        }
        let object = format!("{}^{{commit}}", commit.object);
        let has = || match git("look into", &["cat-file", "-e", &object]) {
            Ok(_) => Ok(true),
            Err(GitError::Failed { .. }) => Ok(false),
            Err(error) => Err(error),
        };
        if has()? {
            return Ok(());
        }
        // A killed fetch leaves these.
        for left in ["shallow.lock", "config.lock", "packed-refs.lock"] {
            let _ = std::fs::remove_file(folder.join(left));
        }
        let keep = format!("refs/jettison/{}", commit.object);
        let by_name = format!("+{}:refs/jettison/incoming", commit.reference);
        let by_commit = format!("+{}:{keep}", commit.object);
        let mut failed = None;
        // The reference without its history; what it was when it was asked for, if it has moved since; all there is.
        for refspec in [&by_name, &by_commit].into_iter().skip(usize::from(is_commit(&commit.reference))) {
            match self.again(|| self.fetch_one(folder, refspec)) {
                Ok(()) if has()? => {
                    git("keep a commit of", &["update-ref", &keep, &commit.object])?;
                    return Ok(());
                }
                Ok(()) => {}
                Err(GitError::Failed { action, remote, said }) => {
                    failed = Some(GitError::Failed { action, remote, said });
                }
                Err(error) => return Err(error),
            }
        }
        let mut args = vec!["fetch", "--force", "--tags", "--no-write-fetch-head"];
        if folder.join("shallow").exists() {
            args.push("--unshallow");
        }
        args.extend(["--", &self.remote, "+refs/heads/*:refs/remotes/origin/*"]);
        match self.again(|| git("fetch", &args)) {
            Ok(_) if has()? => {
                git("keep a commit of", &["update-ref", &keep, &commit.object])?;
                Ok(())
            }
            Ok(_) => Err(GitError::NoCommit { remote: self.shown(), commit: commit.object.clone() }),
            Err(error) => Err(failed.unwrap_or(error)),
        }
    }

    fn fetch_one(&self, folder: &Path, refspec: &str) -> Result<(), GitError> {
        let git = |depth: &[&str]| {
            let mut args = vec!["fetch", "--force", "--no-tags", "--no-write-fetch-head"];
            args.extend(depth);
            args.extend(["--", &self.remote, refspec]);
            self.run("fetch", Some(folder), &[("GIT_DIR", folder)], &args).map(drop)
        };
        match git(&["--depth=1"]) {
            Err(GitError::Failed { said, .. }) if knows_no_depth(&said) => git(&[]),
            done => done,
        }
    }

    /// Lays out the files of a commit, which [`fetch`](Self::fetch) put into the bare repository at `folder`, as `into`,
    /// a folder that is not there yet. `beside` is an empty folder on the same file system for what is needed meanwhile.
    ///
    /// # Errors
    /// Any [`GitError`].
    pub fn checkout(
        &self,
        folder: &Path,
        commit: &Commit,
        how: &Checkout,
        beside: &Path,
        into: &Path,
    ) -> Result<(), GitError> {
        let io = |action, path: &Path, source| GitError::Io { action, path: path.to_owned(), source };
        let keep = how.keep_git_dir && how.subdir.is_empty();
        let tree = if how.subdir.is_empty() { into.to_owned() } else { beside.join("tree") };
        let dir = if keep { tree.join(".git") } else { beside.join("git") };
        std::fs::create_dir(&tree).map_err(|error| io("make", &tree, error))?;
        let variables = [("GIT_DIR", dir.as_path()), ("GIT_WORK_TREE", tree.as_path())];
        let git = |action, args: &[&str]| self.run(action, Some(&tree), &variables, args);
        let format =
            if commit.object.len() == 64 { "--object-format=sha256" } else { "--object-format=sha1" };
        git("make a repository for", &["init", "--quiet", format])?;
        git("make a repository for", &["remote", "add", "origin", &self.remote])?;
        if keep {
            self.copy_commit(folder, commit, &git)?;
        } else {
            let alternates = dir.join("objects/info/alternates");
            std::fs::create_dir_all(dir.join("objects/info")).map_err(|error| io("make", &dir, error))?;
            std::fs::write(&alternates, format!("{}\n", folder.join("objects").display()))
                .map_err(|error| io("write", &alternates, error))?;
            if folder.join("shallow").exists() {
                std::fs::copy(folder.join("shallow"), dir.join("shallow"))
                    .map_err(|error| io("copy", &folder.join("shallow"), error))?;
            }
        }
        git("check out", &["checkout", "--quiet", "--force", "--detach", &commit.object])?;
        if !how.skip_submodules && tree.join(".gitmodules").exists() {
            let update = ["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"];
            let fetch = |args: &[&str]| git("fetch the submodules of", args).map(drop);
            match self.again(|| fetch(&update)) {
                Err(GitError::Failed { said, .. }) if knows_no_depth(&said) => {
                    self.again(|| fetch(&update[..update.len() - 1]))?;
                }
                done => done?,
            }
        }
        if keep {
            for left in ["FETCH_HEAD", "ORIG_HEAD", "logs"] {
                let path = dir.join(left);
                let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
            }
            return Ok(());
        }
        std::fs::remove_dir_all(&dir).map_err(|error| io("remove", &dir, error))?;
        if !how.subdir.is_empty() {
            self.take_subdir(&tree, commit, &how.subdir, into)?;
            std::fs::remove_dir_all(&tree).map_err(|error| io("remove", &tree, error))?;
        }
        Ok(())
    }

    /// The commit with its reference, and without history, into the repository that is kept.
    fn copy_commit(&self, folder: &Path, commit: &Commit, git: &Runner<'_>) -> Result<(), GitError> {
        let own = format!("refs/jettison/{}", commit.object);
        let name = if is_commit(&commit.reference) { own.clone() } else { commit.reference.clone() };
        // By the protocol, not as a path: then nothing is linked, and nothing else of the folder comes along.
        let place = format!("file://{}", folder.display());
        let refspec = format!("+{own}:{name}");
        git(
            "copy",
            &["fetch", "--quiet", "--no-tags", "--update-head-ok", "--depth=1", "--", &place, &refspec],
        )?;
        if is_commit(&commit.reference) {
            git("check out", &["update-ref", "--no-deref", "HEAD", &commit.object])?;
            git("check out", &["update-ref", "-d", &own])?;
        }
        Ok(())
    }

    /// When a commit of the bare repository at `folder` was made, in seconds since 1970.
    ///
    /// # Errors
    /// Any [`GitError`].
    pub fn time(&self, folder: &Path, commit: &Commit) -> Result<i64, GitError> {
        let object = format!("{}^{{commit}}", commit.object);
        let args = ["log", "-1", "--format=%ct", &object];
        let answer = self.run("look into", Some(folder), &[("GIT_DIR", folder)], &args)?;
        let missing = || GitError::NoCommit { remote: self.shown(), commit: commit.object.clone() };
        String::from_utf8_lossy(&answer).trim().parse().map_err(|_| missing())
    }

    /// The folder inside becomes `into`. Links on the way to it are not followed.
    fn take_subdir(&self, tree: &Path, commit: &Commit, subdir: &str, into: &Path) -> Result<(), GitError> {
        let open = |path: &Path| {
            rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        };
        let io = |path: &Path, error: rustix::io::Errno| GitError::Io {
            action: "open",
            path: path.to_owned(),
            source: error.into(),
        };
        let root = open(tree).map_err(|error| io(tree, error))?;
        let (above, name) = subdir.rsplit_once('/').unwrap_or((".", subdir));
        let missing = || GitError::NoFolder {
            remote: self.shown(),
            commit: commit.object.clone(),
            subdir: subdir.to_owned(),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let above =
            rustix::fs::openat2(&root, above, flags, Mode::empty(), beneath).map_err(|_| missing())?;
        rustix::fs::openat2(&above, name, flags, Mode::empty(), beneath).map_err(|_| missing())?;
        rustix::fs::renameat(&above, name, rustix::fs::CWD, into).map_err(|error| io(into, error))
    }
}
