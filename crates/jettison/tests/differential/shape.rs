//! What a build made, in a form that can be compared line by line, and kept.
//!
//! ```json
//! {
//!   "config": { "Env": ["PATH=/bin", "A=b"], "WorkingDir": "/" },
//!   "history": [ "layer: COPY f / # buildkit", "empty: ENV A=b" ],
//!   "files": { "f": "file 0644 0:0 \"text\\n\"", "bin/gone": "removed" }
//! }
//! ```
//! Files, history, labels and layers of the base are left out where the image still has them. Times are shown where they are
//! of long ago: those come from the context or an archive, the others from the moment of the build.

use crate::archive::{Image, Kind, Node};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What a build came to: an image, or what its error said.
pub(crate) type Outcome = Result<Shape, String>;

/// Times before this one (in 2017) are told.
const LONG_AGO: i64 = 1_500_000_000;

/// Texts up to this length are shown, longer ones by their digest.
const SHOWN: usize = 400;

/// An image.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Shape {
    config: Map<String, Value>,
    history: Vec<String>,
    files: BTreeMap<String, String>,
}

/// An image or an error, as kept.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Kept {
    Error { error: String },
    Image(Shape),
}

impl Shape {
    /// The shape of an image that may stand on a base.
    pub(crate) fn of(image: &Image, base: &Image) -> Self {
        let based = image.layers.first().is_some_and(|first| base.layers.first() == Some(first));
        let mut files = lines(image);
        let mut history: Vec<String> = image.config["history"]
            .as_array()
            .map(|entries| entries.iter().map(entry).collect())
            .unwrap_or_default();
        let mut layers = image.layers.len();
        if based {
            for (path, line) in lines(base) {
                match files.get(&path) {
                    None => drop(files.insert(path, "removed".to_owned())),
                    Some(same) if *same == line => drop(files.remove(&path)),
                    Some(_) => {}
                }
            }
            let inherited = base.config["history"].as_array().map_or(0, Vec::len).min(history.len());
            history.drain(..inherited);
            layers -= base.layers.len();
        }
        let mut config = Map::new();
        let mut of_image = image.config["config"].as_object().cloned().unwrap_or_default();
        if based && let Some(labels) = of_image.get_mut("Labels").and_then(Value::as_object_mut) {
            labels.retain(|key, value| base.config["config"]["Labels"][key] != *value);
        }
        let beside = ["architecture", "os", "variant", "author"]
            .into_iter()
            .filter(|key| *key != "author" || !based || image.config[key] != base.config[key])
            .map(|key| (key.to_owned(), image.config[key].clone()));
        let fields = of_image.into_iter().chain(beside);
        let mut fields: Vec<(String, Value)> = fields.filter(|(_, value)| says_something(value)).collect();
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        config.extend(fields);
        config.insert("layers".to_owned(), layers.into());
        Self { config, history, files }
    }

    /// The same with another text in place of one, wherever that stands.
    pub(crate) fn replacing(self, from: &str, to: &str) -> Self {
        let text = serde_json::to_string(&self).expect("a shape is text").replace(from, to);
        serde_json::from_str(&text).expect("because neither text has a quote")
    }

    /// Reads what was kept.
    pub(crate) fn parse(text: &str) -> Result<Outcome, serde_json::Error> {
        Ok(match serde_json::from_str(text)? {
            Kept::Image(shape) => Ok(shape),
            Kept::Error { error } => Err(error),
        })
    }

    /// The form to keep.
    pub(crate) fn text(outcome: &Outcome) -> String {
        let value = match outcome {
            Ok(shape) => serde_json::to_string_pretty(shape),
            Err(error) => serde_json::to_string_pretty(&serde_json::json!({ "error": error })),
        };
        value.expect("a shape is text") + "\n"
    }

    /// Every fact by its place.
    pub(crate) fn facts(&self) -> BTreeMap<String, String> {
        let config = self.config.iter().map(|(key, value)| (format!("config/{key}"), value.to_string()));
        let history =
            self.history.iter().enumerate().map(|(at, line)| (format!("history/{at}"), line.clone()));
        let files = self.files.iter().map(|(path, line)| (format!("files/{path}"), line.clone()));
        config.chain(history).chain(files).collect()
    }
}

/// Whether a field of a configuration is more than its default.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(all) => !all.is_empty(),
        Value::Object(all) => !all.is_empty(),
        _ => true,
    }
}

/// A line of the history.
fn entry(entry: &Value) -> String {
    let kind = if entry["empty_layer"] == true { "empty" } else { "layer" };
    let mut line = format!("{kind}: {}", entry["created_by"].as_str().unwrap_or("-"));
    for key in ["comment", "author"] {
        // BuildKit's mark is on every entry.
        if let Some(text) = entry[key].as_str().filter(|text| *text != "buildkit.dockerfile.v0") {
            let _ = write!(line, " ({key}: {text})");
        }
    }
    line
}

/// A line for each path.
fn lines(image: &Image) -> BTreeMap<String, String> {
    let mut first: BTreeMap<u64, &str> = BTreeMap::new();
    let mut lines = BTreeMap::new();
    for (path, node) in &image.files {
        let line = match first.get(&node.inode) {
            Some(leader) => format!("the same file as {leader}"),
            None => line(node),
        };
        first.entry(node.inode).or_insert(path);
        lines.insert(path.clone(), line);
    }
    lines
}

fn line(node: &Node) -> String {
    let owner = format!("{:04o} {}:{}", node.mode, node.uid, node.gid);
    let mut line = match &node.kind {
        Kind::Folder => format!("folder {owner}"),
        Kind::Symlink(target) => format!("symlink {}:{} -> {target}", node.uid, node.gid),
        Kind::Device(kind, major, minor) => format!("{kind} {owner} {major},{minor}"),
        Kind::File { bytes, digest } => match std::str::from_utf8(bytes) {
            Ok(text) if text.len() <= SHOWN => format!("file {owner} {text:?}"),
            _ => format!("file {owner} {} bytes sha256:{}", bytes.len(), &digest[..16]),
        },
    };
    if node.mtime < LONG_AGO {
        let _ = write!(line, " at {}", node.mtime);
    }
    for (name, value) in &node.xattrs {
        let _ = write!(line, " {name}=0x");
        for byte in value {
            let _ = write!(line, "{byte:02x}");
        }
    }
    line
}
