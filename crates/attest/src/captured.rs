//! What went into a result, read off its graph: base images, repositories, files by URL, folders, and what steps were
//! lent.

use crate::purl::{Kind, image_url};
use crate::statement::sha256;
use graph::{GitOp, Graph, HttpOp, ImageOp, MountKind, Network, NodeId, Op};
use oci::{Digest, Reference};
use serde::Serialize;
use std::collections::BTreeMap;

/// What an image of a layout is called whose context's name cannot be an image's.
const LAYOUT: &str = "layout";

/// What a source was when it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// The commit of a repository.
    Commit(String),
    /// The digest of a file.
    Content(Digest),
}

/// Something that came from elsewhere: v0.2's material, v1's resolved dependency.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Material {
    /// A package URL, or a URL without user and password.
    pub uri: String,
    /// Its digest by algorithm; empty where it is not known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
}

/// A secret or an agent that a step was lent, by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lent {
    /// Its id.
    pub id: String,
    /// Whether the build goes on without it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// What went into a result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    images: BTreeMap<ImageName, Material>,
    gits: Vec<Material>,
    files: Vec<Material>,
    /// The folders of this machine, by name.
    pub(crate) locals: Vec<String>,
    pub(crate) secrets: Vec<Lent>,
    pub(crate) ssh: Vec<Lent>,
    /// Whether a step had a network.
    pub(crate) network: bool,
}

impl Captured {
    /// What went into `target`. `pin` tells what a repository or a URL was.
    #[must_use]
    pub fn of(graph: &Graph, target: NodeId, pin: &dyn Fn(&Op) -> Option<Pin>) -> Self {
        let reached = graph.reached(&[target]);
        let mut captured = Self::default();
        for id in graph.ids().filter(|id| reached[id.index()]) {
            captured.take(&graph.node(id).op, pin);
        }
        captured.sort();
        captured
    }

    /// Adds the context that the Dockerfile was read from: a repository or a URL.
    pub fn add_context(&mut self, context: &Op, pin: &dyn Fn(&Op) -> Option<Pin>) {
        self.take(context, pin);
        self.sort();
    }

    /// Adds a folder of this machine that was read before there was a graph.
    pub fn add_local(&mut self, name: &str) {
        if !self.locals.iter().any(|known| known == name) {
            self.locals.push(name.to_owned());
        }
        self.sort();
    }

    fn take(&mut self, op: &Op, pin: &dyn Fn(&Op) -> Option<Pin>) {
        match op {
            Op::Image(image) => {
                let (name, material) = of_image(image);
                self.images.insert(name, material);
            }
            Op::Git(git) => {
                push(&mut self.gits, of_git(git, pin(op)));
                // What repositories are asked with, if there is any of it.
                let over_http = git.remote.starts_with("http://") || git.remote.starts_with("https://");
                if over_http {
                    self.secret("GIT_AUTH_HEADER", true);
                    self.secret("GIT_AUTH_TOKEN", true);
                } else {
                    lend(&mut self.ssh, "default", true);
                }
            }
            Op::Http(http) => push(&mut self.files, of_http(http, pin(op))),
            Op::Local(local) => self.add_local(&local.name),
            Op::Run(run) => {
                for mount in &run.mounts {
                    match &mount.kind {
                        MountKind::Secret { id, required, .. } => self.secret(id, !required),
                        MountKind::Ssh { id, required, .. } => {
                            let id = if id.is_empty() { "default" } else { id };
                            lend(&mut self.ssh, id, !required);
                        }
                        _ => {}
                    }
                }
                self.network |= run.network != Network::None;
            }
            Op::Scratch | Op::File(_) | Op::Merge => {}
        }
    }

    fn secret(&mut self, id: &str, optional: bool) {
        lend(&mut self.secrets, id, optional);
    }

    fn sort(&mut self) {
        for materials in [&mut self.gits, &mut self.files] {
            materials.sort();
        }
        self.locals.sort();
        self.secrets.sort_by(|a, b| a.id.cmp(&b.id));
        self.ssh.sort_by(|a, b| a.id.cmp(&b.id));
    }

    /// Everything that came from elsewhere: images, repositories, files. An image that was also named by a digest is told
    /// once, by its tag, where the tag stood for that digest.
    #[must_use]
    pub fn materials(&self) -> Vec<Material> {
        let by_tag = |name: &ImageName, material: &Material| {
            name.digest.is_some()
                && self.images.iter().any(|(other, same)| {
                    (&other.tagged, other.digest) == (&name.tagged, None) && same.digest == material.digest
                })
        };
        let images = self.images.iter().filter(|(name, material)| !by_tag(name, material));
        let images = images.map(|(_, material)| material);
        images.chain(&self.gits).chain(&self.files).cloned().collect()
    }

    /// Whether all that went in is known by its digest.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.locals.is_empty() && self.materials().iter().all(|material| !material.digest.is_empty())
    }

    /// What is not known by its digest, for an error.
    #[must_use]
    pub fn unknown(&self) -> Vec<String> {
        let locals = self.locals.iter().map(|name| format!("the folder `{name}`"));
        let materials = self.materials();
        let others = materials.iter().filter(|material| material.digest.is_empty());
        locals.chain(others.map(|material| format!("`{}`", material.uri))).collect()
    }
}

fn push(materials: &mut Vec<Material>, new: Material) {
    if !materials.contains(&new) {
        materials.push(new);
    }
}

/// An id is told once; it is optional where nobody needs it.
fn lend(lent: &mut Vec<Lent>, id: &str, optional: bool) {
    match lent.iter_mut().find(|known| known.id == id) {
        Some(known) => known.optional &= optional,
        None => lent.push(Lent { id: id.to_owned(), optional }),
    }
}

/// An image's name, in the order that materials are told in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ImageName {
    /// The complete name.
    name: String,
    /// For which platform.
    platform: String,
    /// The name without a digest; its tag is `latest` where it has none.
    tagged: String,
    /// The digest that it was named by.
    digest: Option<Digest>,
}

fn of_image(image: &ImageOp) -> (ImageName, Material) {
    let digest = image.known_by();
    let (kind, name) = image_name(image);
    let uri = name.as_ref().map(|name| image_url(kind, name, Some(&image.platform)));
    let uri = uri.unwrap_or_else(|| format!("pkg:docker/{digest}"));
    let tagged = name.as_ref().map(|name| format!("{}:{}", name.name(), name.tag().unwrap_or("latest")));
    let named = ImageName {
        name: name.as_ref().map_or_else(|| digest.to_string(), ToString::to_string),
        platform: image.platform.to_string(),
        tagged: tagged.unwrap_or_default(),
        digest: name.and_then(|name| name.digest()),
    };
    (named, Material { uri, digest: sha256(&digest) })
}

/// What an image is called: one of a layout as its named context is, with its digest. Of the path on this machine nothing is
/// told.
pub(crate) fn image_name(image: &ImageOp) -> (Kind, Option<Reference>) {
    if !image.reference.starts_with("oci-layout://") {
        return (Kind::Docker, image.reference.parse().ok());
    }
    let pinned = |name: &str| format!("{name}@{}", image.known_by()).parse().ok();
    (Kind::Oci, image.context.as_deref().and_then(pinned).or_else(|| pinned(LAYOUT)))
}

/// `REMOTE#REFERENCE`, without user and password.
pub(crate) fn git_url(git: &GitOp, subdir: bool) -> String {
    let mut url = web::redacted(&git.remote);
    let inside = if subdir { git.subdir.trim_matches('/') } else { "" };
    if !git.reference.is_empty() || !inside.is_empty() {
        url.push('#');
        url.push_str(&git.reference);
    }
    if !inside.is_empty() {
        url.push(':');
        url.push_str(inside);
    }
    url
}

fn of_git(git: &GitOp, pin: Option<Pin>) -> Material {
    let pinned = git.pinned().map(|commit| Pin::Commit(commit.to_owned()));
    Material { uri: git_url(git, false), digest: pin.or(pinned).map(pin_digest).unwrap_or_default() }
}

fn of_http(http: &HttpOp, pin: Option<Pin>) -> Material {
    let pinned = http.checksum.map(Pin::Content);
    Material { uri: web::redacted(&http.url), digest: pin.or(pinned).map(pin_digest).unwrap_or_default() }
}

fn pin_digest(pin: Pin) -> BTreeMap<String, String> {
    match pin {
        Pin::Content(digest) => sha256(&digest),
        Pin::Commit(commit) => {
            let algorithm = if commit.len() == 64 { "sha256" } else { "sha1" };
            BTreeMap::from([(algorithm.to_owned(), commit)])
        }
    }
}

/// Where a build begins, where that is not this machine: its address and its digest.
pub(crate) fn config_source(context: &Op, pin: Option<Pin>) -> Option<Material> {
    match context {
        Op::Git(git) => Some(Material { uri: git_url(git, true), ..of_git(git, pin) }),
        Op::Http(http) => Some(of_http(http, pin)),
        _ => None,
    }
}
