//! Attestations of a build: what is asked for, and who states it when images leave.

mod flags;
mod request;
mod sbom;
mod tree;

pub(crate) use flags::Wanted;

use super::BuildArgs;
use super::context::DockerfileText;
use super::lower::ForPlatform;
use crate::engine::Engine;
use crate::error::{CommandError, Outcome};
use crate::time;
use attest::{
    Attestation, Build, Captured, Details, Kind, Mode, Pin, Provenance, ProvenanceOptions, Subject,
};
use executor::{LocalContext, Pins};
use export::{Attester, Packed};
use frontend::Options;
use graph::{Graph, ImageOp, NodeId, Op};
use layer::LayerId;
use oci::{Descriptor, Manifest, Platform, Reference};
use progress::Progress;
use sbom::Scan;
use serde_json::{Map, Value};
use snapshot::Forms;
use solver::Solved;
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use store::Store;

/// How many characters a build's own name has.
const NAME: usize = 25;

/// What is known of a build before it is solved.
pub(crate) struct Record {
    wanted: Wanted,
    request: attest::Request,
    pins: Pins,
    vcs: BTreeMap<String, String>,
    invocation: String,
    started: SystemTime,
    dockerfile: String,
}

impl Record {
    /// What is known of a build; what nobody asks for is not looked at.
    pub(crate) fn new(
        args: &BuildArgs,
        engine: &Engine,
        options: &Options,
        dockerfile: &DockerfileText,
        contexts: &HashMap<String, LocalContext>,
        pins: Pins,
    ) -> Outcome<Self> {
        let started = SystemTime::now();
        let wanted = Wanted::of(args, &options.build_args, &engine.environment)?;
        let is_read = wanted.provenance.is_some() || args.metadata_file.is_some();
        let (mut request, mut vcs) = Default::default();
        if is_read {
            request = request::request(args, options, dockerfile);
            let mut folders: BTreeMap<&str, &Path> =
                contexts.iter().map(|(name, context)| (name.as_str(), context.path.as_path())).collect();
            let beside = args.file.as_deref().map(Path::new).and_then(Path::parent);
            let beside = beside.filter(|folder| !folder.as_os_str().is_empty());
            let beside = beside.or(folders.get("context").copied());
            folders.extend(beside.map(|folder| (attest::FOLDER, folder)));
            vcs = request::vcs(args, &folders, &engine.environment);
        }
        // Told with `mode=max`.
        let text =
            if is_read { String::from_utf8_lossy(&dockerfile.bytes).into_owned() } else { String::new() };
        Ok(Self { wanted, request, pins, vcs, invocation: new_name(), started, dockerfile: text })
    }

    /// What the file asks to look into besides the results, each with the number of its platform; nothing unless
    /// somebody wants to know what is in them.
    pub(crate) fn scans(&self, lowered: &[ForPlatform]) -> Vec<(usize, frontend::Scan)> {
        let platforms = lowered.iter().enumerate().filter(|_| self.wanted.sbom);
        platforms.flat_map(|(at, (_, one))| one.scans.iter().map(move |scan| (at, scan.clone()))).collect()
    }

    /// With what was built, and what was made to be looked into.
    pub(crate) fn of<'a>(
        &'a self,
        store: &'a Store,
        graph: &'a Graph,
        targets: &'a [NodeId],
        solved: &Solved,
        scans: &[(usize, frontend::Scan)],
    ) -> Recorder<'a> {
        let told = self.wanted.provenance.as_ref().is_some_and(|options| options.mode == Mode::Max);
        let steps = if told { &solved.steps[..] } else { &[] };
        Recorder {
            record: self,
            store,
            graph,
            targets,
            steps: steps.iter().map(|step| (step.id, step.stack.clone())).collect(),
            stacks: solved.targets.iter().map(|target| target.stack.clone()).collect(),
            extras: scans.iter().map(|(at, scan)| (*at, scan.name.clone())).collect(),
            finished: OnceCell::new(),
            scans: OnceCell::new(),
        }
    }
}

/// A build's own name, as BuildKit names them: 25 digits of base 36.
fn new_name() -> String {
    let mut bytes = [0; NAME];
    // A name is no secret: one that is less random harms nobody.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    bytes.iter().map(|byte| char::from_digit(u32::from(*byte) % 36, 36).unwrap_or('0')).collect()
}

/// Who tells of a build that is solved.
pub(crate) struct Recorder<'a> {
    record: &'a Record,
    store: &'a Store,
    graph: &'a Graph,
    /// One for each platform.
    targets: &'a [NodeId],
    /// What each step made, where that is told.
    steps: HashMap<NodeId, Arc<[LayerId]>>,
    /// The layers of each platform's result, then those of what is looked into besides.
    stacks: Vec<Arc<[LayerId]>>,
    /// What is looked into besides: for which platform, and its name.
    extras: Vec<(usize, String)>,
    /// When somebody asked for the first time: the build's work was done then.
    finished: OnceCell<SystemTime>,
    /// What each platform's result was found to hold, where that is asked for.
    scans: OnceCell<Vec<Vec<Scan>>>,
}

impl Recorder<'_> {
    /// Refuses a build that is to know all its materials and does not.
    pub(crate) fn check(&self) -> Outcome<()> {
        if self.record.wanted.provenance.as_ref().is_none_or(|options| !options.complete_materials) {
            return Ok(());
        }
        for at in 0..self.targets.len() {
            let unknown = self.captured(at).unknown();
            if !unknown.is_empty() {
                return Err(CommandError::new(format!(
                    "provenance is to know everything that went into the image by its digest, and does not know {}",
                    unknown.join(", ")
                )));
            }
        }
        Ok(())
    }

    /// Whether images that leave are attested.
    pub(crate) fn attests(&self) -> bool {
        self.record.wanted.any()
    }

    /// Whether all that is asked for is for images alone.
    pub(crate) fn is_inline_only(&self) -> bool {
        let wanted = &self.record.wanted;
        !wanted.sbom && wanted.provenance.as_ref().is_none_or(|options| options.inline_only)
    }

    /// Who states it about an image of these names.
    pub(crate) fn attester<'b>(&'b self, names: &'b [Reference]) -> ImageAttester<'b> {
        ImageAttester { recorder: self, names }
    }

    /// Looks into the results for what is to be stated of their files.
    pub(crate) fn scan(&self, forms: &Forms, progress: &Progress, platforms: &[&Platform]) -> Outcome<()> {
        if !self.record.wanted.sbom {
            return Ok(());
        }
        let (results, extras) = self.stacks.split_at(platforms.len());
        let scan = |at: usize, name: Option<&str>, stack: &[LayerId]| {
            Scan::new(forms, progress, platforms[at], name, stack)
        };
        let mut scans = Vec::with_capacity(results.len());
        for (at, stack) in results.iter().enumerate() {
            scans.push(vec![scan(at, None, stack)?]);
        }
        for ((at, name), stack) in self.extras.iter().zip(extras) {
            scans[*at].push(scan(*at, Some(name), stack)?);
        }
        self.scans.set(scans).map_err(|_| CommandError::new("a build is scanned once"))
    }

    /// What is stated about the result for a platform, by its place among them; its layers leave as `layers`, and it was
    /// made at `created`, where that is known.
    pub(crate) fn attestations(
        &self,
        at: usize,
        layers: &[Descriptor],
        created: Option<SystemTime>,
    ) -> Vec<Attestation> {
        let created = created.unwrap_or(self.record.started);
        let scans = self.scans.get().and_then(|scans| scans.get(at)).into_iter().flatten();
        let found = scans.map(|scan| scan.attestation(created, layers));
        let provenance = self.record.wanted.provenance.as_ref();
        let provenance = provenance.map(|options| self.provenance(at, layers, options).attestation(options));
        found.chain(provenance).collect()
    }

    /// The blobs of what a step made, as far as they are known: those that leave with the result, and others that are
    /// there anyway. None where one is missing.
    fn blobs(&self, at: usize, leaving: &[Descriptor], step: NodeId) -> Vec<Descriptor> {
        if let Op::Image(image) = &self.graph.node(step).op {
            return self.blobs_of(image);
        }
        let Some(stack) = self.steps.get(&step) else { return Vec::new() };
        let known: Option<Vec<Descriptor>> = stack
            .iter()
            .map(|id| {
                let place = self.stacks[at].iter().position(|known| known == id);
                if let Some(blob) = place.and_then(|place| leaving.get(place)) {
                    return Some(blob.clone());
                }
                let info = self.store.layers(&[*id]).ok()?.pop()??;
                let blob = info.blobs.first().or(info.remote.as_ref().map(|remote| &remote.descriptor))?;
                Some(Descriptor::new(&blob.media_type, blob.digest, blob.size))
            })
            .collect();
        known.unwrap_or_default()
    }

    /// The blobs of a base image, as its manifest has them.
    fn blobs_of(&self, image: &ImageOp) -> Vec<Descriptor> {
        let bytes = image.manifest.and_then(|digest| self.store.read_blob(&digest, oci::MAX_DOCUMENT).ok());
        let manifest = bytes.and_then(|bytes| Manifest::parse(&bytes).ok());
        let layers = manifest.map(|manifest| manifest.layers).unwrap_or_default();
        layers.iter().map(|layer| Descriptor::new(&layer.media_type, layer.digest, layer.size)).collect()
    }

    fn pin(&self, op: &Op) -> Option<Pin> {
        match op {
            Op::Git(git) => self.record.pins.commit(git).map(Pin::Commit),
            Op::Http(http) => self.record.pins.content(http).map(Pin::Content),
            _ => None,
        }
    }

    fn captured(&self, at: usize) -> Captured {
        let pin = |op: &Op| self.pin(op);
        let mut captured = Captured::of(self.graph, self.targets[at], &pin);
        match &self.record.request.context {
            Some(context) => captured.add_context(context, &pin),
            None => {
                captured.add_local("context");
                captured.add_local(attest::FOLDER);
            }
        }
        captured
    }

    fn provenance(&self, at: usize, layers: &[Descriptor], options: &ProvenanceOptions) -> Provenance {
        let finished = self.finished.get_or_init(SystemTime::now);
        let build = Build {
            request: &self.record.request,
            captured: &self.captured(at),
            pin: &|op| self.pin(op),
            invocation: &self.record.invocation,
            started: &time::rfc3339(self.record.started),
            finished: &time::rfc3339(*finished),
            vcs: &self.record.vcs,
            builder: &Platform::host(),
            details: &Details {
                graph: self.graph,
                target: self.targets[at],
                dockerfile: &self.record.dockerfile,
                layers: &|step| self.blobs(at, layers, step),
            },
        };
        Provenance::new(&build, options)
    }

    /// What the metadata file says of how the result came to be: `buildx.build.ref`, and provenance unless `told` is
    /// `disabled`.
    pub(crate) fn metadata(&self, platforms: &[Platform], told: Option<&str>) -> Map<String, Value> {
        let mut facts = Map::new();
        let is_max = match told {
            Some("disabled" | "0" | "f" | "F" | "false" | "FALSE" | "False") => None,
            told => Some(told == Some("max")),
        };
        if let Some(is_max) = is_max {
            let wanted = self.record.wanted.provenance.as_ref();
            let options = ProvenanceOptions {
                mode: Mode::Max,
                builder_id: wanted.map(|options| options.builder_id.clone()).unwrap_or_default(),
                ..ProvenanceOptions::default()
            };
            for (at, platform) in platforms.iter().enumerate() {
                let key = match platforms {
                    [_] => "buildx.build.provenance".to_owned(),
                    _ => format!("buildx.build.provenance/{platform}"),
                };
                facts.insert(key, self.provenance(at, &[], &options).for_metadata(is_max));
            }
        }
        let name = format!("default/default/{}", self.record.invocation);
        facts.insert("buildx.build.ref".to_owned(), name.into());
        facts
    }
}

/// States what is asked for about images of some names.
pub(crate) struct ImageAttester<'a> {
    recorder: &'a Recorder<'a>,
    names: &'a [Reference],
}

impl Attester for ImageAttester<'_> {
    fn statements(&self, image: &Packed<'_>) -> export::Result<Vec<attest::Statement>> {
        let subjects: Vec<Subject> = self
            .names
            .iter()
            .map(|name| attest::image_url(Kind::Docker, name, Some(image.platform)))
            .map(|url| Subject::new(url, &image.manifest.digest))
            .collect();
        let attestations = self.recorder.attestations(image.at, image.layers, image.created);
        Ok(attestations.iter().map(|attestation| attestation.statement(&subjects)).collect())
    }
}
