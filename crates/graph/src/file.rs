//! The file operation: changes to files that need no process.

use serde::{Deserialize, Serialize};

/// Changes over the snapshot that is the node's first input; together they make one layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOp {
    /// What is done, in order.
    pub actions: Vec<FileAction>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum FileAction {
    /// Files from another snapshot or a local source.
    Copy(Copy),
    /// A directory.
    MakeDirectory(MakeDirectory),
    /// A file with given content.
    MakeFile(MakeFile),
}

/// Copies as Dockerfile's COPY and ADD do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// Which of the node's inputs the files come from.
    pub input: usize,
    /// Paths in the source, with `*`, `?` and `[...]`; relative to its root.
    pub sources: Vec<String>,
    /// The absolute destination; with a trailing slash it is a directory.
    pub destination: String,
    /// `user[:group]`, names or numbers; nothing keeps the source's ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chown: Option<String>,
    /// An octal or symbolic mode; nothing keeps the source's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chmod: Option<String>,
    /// Keep the sources' parent directories.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parents: bool,
    /// Patterns of what is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Whether archives are unpacked (ADD).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unpack: bool,
}

/// Makes a directory and its parents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeDirectory {
    /// Where; absolute.
    pub path: String,
    /// The permission bits of what is newly made.
    pub mode: u32,
    /// `user[:group]` of what is newly made; nothing is root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// Makes a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeFile {
    /// Where; absolute; a trailing slash is not allowed.
    pub path: String,
    /// What it is called in a directory that stands at `path` already; empty where that is an error.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its content.
    pub content: String,
    /// The permission bits.
    pub mode: u32,
    /// `user[:group]`; nothing is root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

impl FileOp {
    /// The inputs that files are copied from, each once, in order of first use.
    #[must_use]
    pub fn sources(&self) -> Vec<usize> {
        let mut inputs = Vec::new();
        for action in &self.actions {
            if let FileAction::Copy(copy) = action
                && !inputs.contains(&copy.input)
            {
                inputs.push(copy.input);
            }
        }
        inputs
    }
}
