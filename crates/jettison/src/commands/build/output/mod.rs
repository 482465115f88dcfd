//! The outputs of a build, as `--output` names them: an image in the store, archives, a folder, a registry.

mod attributes;
mod metadata;
mod write;

pub(crate) use attributes::boolean;
pub(crate) use write::{Built, Outputs};

use super::BuildArgs;
use crate::error::{CommandError, Outcome};
use crate::screen;
use export::Packing;
use oci::Reference;
use std::path::PathBuf;

/// One `--output`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// What is made.
    pub(crate) kind: Kind,
    /// What the image is called in it; `--tag` counts before `name=`.
    pub(crate) names: Vec<Reference>,
    /// How layers and documents are written.
    pub(crate) packing: Packing,
    /// Files newer than SOURCE_DATE_EPOCH get its time.
    pub(crate) rewrite_timestamp: bool,
    /// Hosts whose certificates are not checked, or that speak HTTP.
    pub(crate) insecure: bool,
    /// A push gives the image no tag.
    pub(crate) push_by_digest: bool,
    /// In the store the image is called by its names with its digest, too.
    pub(crate) name_canonical: bool,
    /// Whether attestations that only images carry are reason enough for an index.
    pub(crate) inline_only: bool,
    /// What the names of attestations begin with, where they are files.
    pub(crate) attestation_prefix: String,
}

/// What an output makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An image: in the store, in its registry, or in both.
    Image {
        /// Whether it is named in the store.
        store: bool,
        /// Whether it is pushed.
        push: bool,
    },
    /// The image's files in a folder.
    Local {
        /// The folder.
        folder: PathBuf,
        /// Whether each platform gets a folder of its own; nothing is: if there are several.
        split: Option<bool>,
        /// Whether what the image does not have is removed from the folder.
        delete: bool,
    },
    /// The image's files as a tar.
    Tar {
        /// Where it goes.
        to: Destination,
        /// As for a folder.
        split: Option<bool>,
    },
    /// What `docker save` writes.
    Docker(Destination),
    /// An OCI layout.
    Oci(Destination),
    /// Nothing but the cache.
    CacheOnly,
}

/// Where a stream goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Standard output.
    StandardOutput,
    /// A file.
    File(PathBuf),
    /// The archive's members as files of a folder.
    Folder(PathBuf),
}

impl Output {
    /// An output without attributes.
    fn plain(kind: Kind, names: &[Reference]) -> Self {
        Self {
            inline_only: matches!(kind, Kind::Image { .. }),
            kind,
            names: names.to_vec(),
            packing: Packing::default(),
            rewrite_timestamp: false,
            insecure: false,
            push_by_digest: false,
            name_canonical: false,
            attestation_prefix: String::new(),
        }
    }

    /// Whether it has a place for attestations.
    pub(crate) fn carries_attestations(&self) -> bool {
        match self.kind {
            Kind::Image { .. } | Kind::Local { .. } | Kind::Tar { .. } | Kind::Oci(_) => true,
            Kind::Docker(_) | Kind::CacheOnly => false,
        }
    }

    /// Whether it has an image's configuration in it.
    pub(crate) fn has_image(&self) -> bool {
        matches!(self.kind, Kind::Image { .. } | Kind::Docker(_) | Kind::Oci(_))
    }

    /// Whether it is pushed.
    fn is_pushed(&self) -> bool {
        matches!(self.kind, Kind::Image { push: true, .. })
    }
}

/// The outputs that the flags ask for; an image in the store where there are none.
pub(crate) fn outputs(args: &BuildArgs) -> Outcome<Vec<Output>> {
    let names = args.names()?;
    let mut outputs =
        args.output.iter().map(|text| attributes::parse(text, &names)).collect::<Outcome<Vec<_>>>()?;
    if args.push {
        match outputs.iter_mut().find(|output| matches!(output.kind, Kind::Image { .. })) {
            Some(Output { kind: Kind::Image { push, .. }, .. }) => *push = true,
            _ => outputs.push(Output::plain(Kind::Image { store: true, push: true }, &names)),
        }
    }
    if outputs.is_empty() || args.load {
        outputs.push(Output::plain(Kind::Image { store: true, push: false }, &names));
    }
    if args.in_dockers_words() {
        for output in outputs.iter_mut().filter(|output| output.has_image()) {
            if output.packing.compression == Some(layer::Compression::Zstd) {
                return Err(CommandError::usage("--format docker and compression=zstd do not go together"));
            }
            output.packing.docker = true;
        }
    }
    for text in &args.annotation {
        for output in outputs.iter_mut().filter(|output| output.has_image()) {
            output
                .packing
                .annotations
                .flag(text)
                .map_err(|error| CommandError::usage(format!("--annotation: {error}")))?;
        }
    }
    let to_screen = outputs.iter().filter(|output| {
        matches!(
            output.kind,
            Kind::Tar { to: Destination::StandardOutput, .. }
                | Kind::Docker(Destination::StandardOutput)
                | Kind::Oci(Destination::StandardOutput)
        )
    });
    if to_screen.count() > 1 {
        return Err(CommandError::usage("--output: only one output can be standard output"));
    }
    for output in outputs.iter().filter(|output| output.is_pushed()) {
        if output.names.is_empty() {
            return Err(CommandError::usage("the image needs a name to be pushed: give one with --tag"));
        }
        let tagged = |name: &&Reference| name.tag() != Some("latest");
        if output.push_by_digest
            && let Some(name) = output.names.iter().find(tagged)
        {
            return Err(CommandError::usage(format!(
                "--output: `{}` has a tag, and push-by-digest=true pushes without one",
                name.familiar()
            ))
            .hint("leave out the tag, or push-by-digest"));
        }
    }
    Ok(outputs)
}

fn stream(destination: &str) -> Outcome<Destination> {
    if destination != "-" {
        return Ok(Destination::File(destination.into()));
    }
    if screen::out_is_terminal() {
        return Err(CommandError::usage(
            "--output: an archive is not written to a terminal; name a file with dest=FILE",
        ));
    }
    Ok(Destination::StandardOutput)
}
