//! Sources that other machines hold: a file by its URL, a folder of a git repository.

use oci::Digest;
use serde::{Deserialize, Serialize};

/// A file by its URL. The snapshot has it alone, at its root: mode 0600, root's, with the time that the server says it
/// was last changed, or 1970 where it says none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HttpOp {
    /// `http://` or `https://`, as it was written.
    pub url: String,
    /// What the file is called.
    pub name: String,
    /// The digest that the bytes must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Digest>,
}

/// A folder of a commit. The snapshot has its files, root's, with modes 0644 and 0755.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GitOp {
    /// The repository, as `git` takes it.
    pub remote: String,
    /// A branch, a tag, a complete reference or a commit; empty for the branch that the repository names.
    pub reference: String,
    /// The folder inside; empty for all.
    pub subdir: String,
    /// The beginning of the commit's name, which must agree.
    pub checksum: Option<String>,
    /// Whether `.git` is kept.
    pub keep_git_dir: bool,
    /// Whether submodules are left out.
    pub skip_submodules: bool,
    /// Whether files have the time of the commit instead of that of the checkout.
    pub commit_time: bool,
    /// Whether the commit that `checksum` names is fetched without asking what the reference is.
    pub fetch_by_commit: bool,
}

impl GitOp {
    /// The commit, where it is known without asking.
    #[must_use]
    pub fn pinned(&self) -> Option<&str> {
        if is_commit(&self.reference) {
            // What contradicts itself is told when it is asked for.
            let agrees = self.checksum.as_deref().is_none_or(|checksum| self.reference.starts_with(checksum));
            return agrees.then_some(&self.reference);
        }
        self.checksum.as_deref().filter(|checksum| self.fetch_by_commit && is_commit(checksum))
    }
}

/// Whether a text is the complete name of a commit: 40 (SHA-1) or 64 (SHA-256) small hexadecimal digits.
#[must_use]
pub fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
