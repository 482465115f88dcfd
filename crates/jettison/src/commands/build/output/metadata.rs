//! `--iidfile` and `--metadata-file`: what scripts learn of a build.
//!
//! ```json
//! {
//!   "buildx.build.provenance": {"builder": {...}, "materials": [...], ...},
//!   "buildx.build.ref": "default/default/...",
//!   "containerimage.config.digest": "sha256:...",
//!   "containerimage.descriptor": {"mediaType": "...", "digest": "sha256:...", "size": 1},
//!   "containerimage.digest": "sha256:...",
//!   "image.name": "docker.io/library/a:latest,docker.io/library/b:1"
//! }
//! ```
//!
//! The descriptor is there where the image left the machine; else the digest is the configuration's, as with docker's
//! engine.

use super::write::Written;
use crate::commands::build::BuildArgs;
use crate::error::{CommandError, Outcome};
use crate::screen;
use oci::Reference;
use serde_json::{Map, Value, json};

impl Written {
    /// Writes what was asked for. `build` tells how the result came to be.
    pub(crate) fn report(&self, args: &BuildArgs, build: impl FnOnce() -> Map<String, Value>) -> Outcome<()> {
        if let Some(path) = &args.iidfile
            && let Some(id) = self.id
        {
            std::fs::write(path, id.to_string())
                .map_err(|error| CommandError::new(format!("cannot write {}: {error}", path.display())))?;
        }
        if let Some(path) = &args.metadata_file {
            std::fs::write(path, format!("{:#}\n", self.metadata(build())))
                .map_err(|error| CommandError::new(format!("cannot write {}: {error}", path.display())))?;
        }
        if args.quiet
            && let Some(id) = self.id
        {
            screen::line(&id.to_string());
        }
        Ok(())
    }

    fn metadata(&self, mut facts: Map<String, Value>) -> Value {
        if let Some(config) = self.config {
            facts.insert("containerimage.config.digest".to_owned(), json!(config.to_string()));
        }
        if let Some(root) = &self.root {
            facts.insert("containerimage.descriptor".to_owned(), json!(root));
        }
        if let Some(digest) = self.root.as_ref().map(|root| root.digest).or(self.id) {
            facts.insert("containerimage.digest".to_owned(), json!(digest.to_string()));
        }
        let names: Vec<String> = self.names.iter().map(Reference::to_string).collect();
        if !names.is_empty() {
            facts.insert("image.name".to_owned(), json!(names.join(",")));
        }
        Value::Object(facts)
    }
}
