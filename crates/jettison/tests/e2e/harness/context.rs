//! Build contexts: folders of a test's own, often copies of fixtures.

use super::{folder, workspace};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A build context.
pub(crate) struct Context {
    folder: TempDir,
}

impl Context {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: folder() }
    }

    /// A folder with a Dockerfile alone.
    pub(crate) fn dockerfile(text: &str) -> Self {
        let context = Self::new();
        context.write("Dockerfile", text);
        context
    }

    /// A copy of a fixture, with the packages it depends on as `vendor/`.
    pub(crate) fn fixture(name: &str) -> Self {
        let context = Self::bare_fixture(name);
        copy(&workspace().join("fixtures/packages"), &context.path().join("vendor"));
        context
    }

    /// A copy of a fixture alone.
    pub(crate) fn bare_fixture(name: &str) -> Self {
        let context = Self::new();
        copy(&workspace().join("fixtures").join(name), context.path());
        context
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder as an argument.
    pub(crate) fn text(&self) -> &str {
        self.path().to_str().unwrap()
    }

    /// A path in the folder, as an argument.
    pub(crate) fn at(&self, path: &str) -> String {
        self.path().join(path).to_str().unwrap().to_owned()
    }

    /// Writes a file, with the folders above it.
    pub(crate) fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Sets a file's mode.
    pub(crate) fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A file's text.
    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap()
    }

    /// Replaces a piece of a file, which must be in it.
    pub(crate) fn replace(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} has no `{from}`");
        self.write(path, &text.replace(from, to));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
