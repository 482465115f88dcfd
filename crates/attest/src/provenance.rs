//! SLSA provenance v1 (slsa.dev/spec/v1.1/provenance) with BuildKit's extensions (docs/attestations/slsa-definitions.md).
//!
//! ```text
//! buildDefinition  buildType, resolvedDependencies,
//!                  externalParameters  configSource {uri, digest, path}, request {frontend, args, secrets, ssh, locals}
//!                  internalParameters  builderPlatform, buildConfig (max)
//! runDetails       builder {id}, metadata {invocationId, startedOn, finishedOn,
//!                  buildkit_metadata {vcs, source (max), layers (max)}, buildkit_hermetic, buildkit_completeness {request,
//!                  resolvedDependencies}, buildkit_reproducible}
//! ```
//!
//! With equal inputs only the invocation and the two times vary, as with BuildKit: SOURCE_DATE_EPOCH does not change
//! them.

use crate::captured::{Captured, Lent, Material, Pin, config_source};
use crate::definition::{BuildConfig, Numbers};
use crate::{Attestation, Mode, ProvenanceOptions, Version, masked, slsa02};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graph::{Graph, LocalOp, NodeId, Op};
use oci::{Descriptor, Platform};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The predicate type.
const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// Says which format the parameters and the definition have: BuildKit's.
const BUILD_TYPE: &str = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
/// What parameters are for.
const FRONTEND: &str = "dockerfile.v0";
const LANGUAGE: &str = "Dockerfile";
/// The folder that a Dockerfile is read from, among a build's folders.
pub const FOLDER: &str = "dockerfile";

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// In the words of BuildKit's frontend: `build-arg:NAME`, `label:KEY`, `target`, `no-cache`, ...
    pub args: BTreeMap<String, String>,
    /// The context, where another machine holds it.
    pub context: Option<Op>,
    /// The Dockerfile's name.
    pub path: String,
}

/// A build, as far as provenance tells of it.
pub struct Build<'a> {
    /// What was asked for.
    pub request: &'a Request,
    /// What went in.
    pub captured: &'a Captured,
    /// What a repository or a URL was.
    pub pin: &'a dyn Fn(&Op) -> Option<Pin>,
    /// The build's own name; the same for all platforms.
    pub invocation: &'a str,
    /// When it began, RFC 3339.
    pub started: &'a str,
    /// When it ended, RFC 3339.
    pub finished: &'a str,
    /// What the folder's version control says: `source`, `revision`, `localdir:NAME`.
    pub vcs: &'a BTreeMap<String, String>,
    /// The platform of the builder.
    pub builder: &'a Platform,
    /// What more there is to tell with [`Mode::Max`].
    pub details: &'a Details<'a>,
}

/// The steps of a build.
pub struct Details<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// What was built.
    pub target: NodeId,
    /// The Dockerfile.
    pub dockerfile: &'a str,
    /// The layers of a step's result, lowest first; none where not all of them are known.
    pub layers: &'a dyn Fn(NodeId) -> Vec<Descriptor>,
}

/// The predicate.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    pub(crate) build_definition: BuildDefinition,
    pub(crate) run_details: RunDetails,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BuildDefinition {
    pub(crate) build_type: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) resolved_dependencies: Vec<Material>,
    pub(crate) external_parameters: ExternalParameters,
    pub(crate) internal_parameters: InternalParameters,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExternalParameters {
    pub(crate) config_source: ConfigSource,
    pub(crate) request: Parameters,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct ConfigSource {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) uri: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) digest: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) path: String,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Parameters {
    pub(crate) frontend: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) args: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) secrets: Vec<Lent>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ssh: Vec<Lent>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) locals: Vec<Local>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Local {
    pub(crate) name: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InternalParameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) build_config: Option<BuildConfig>,
    pub(crate) builder_platform: String,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct RunDetails {
    pub(crate) builder: Builder,
    pub(crate) metadata: Metadata,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Builder {
    pub(crate) id: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) invocation_id: String,
    pub(crate) started_on: String,
    pub(crate) finished_on: String,
    #[serde(rename = "buildkit_metadata")]
    pub(crate) buildkit: BuildKitMetadata,
    #[serde(rename = "buildkit_hermetic", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) hermetic: bool,
    #[serde(rename = "buildkit_completeness")]
    pub(crate) completeness: Completeness,
    #[serde(rename = "buildkit_reproducible", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) reproducible: bool,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct BuildKitMetadata {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) vcs: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
    /// By `step3:0`: the layers of what a step made, as one of several possible lists.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    layers: BTreeMap<String, [Vec<Descriptor>; 1]>,
}

/// Which lines of which file each step is.
#[derive(Clone, Debug, Serialize)]
struct Source {
    locations: BTreeMap<String, Locations>,
    infos: [SourceFile; 1],
}

#[derive(Clone, Debug, Serialize)]
struct Locations {
    #[serde(skip_serializing_if = "Option::is_none")]
    locations: Option<[Ranges; 1]>,
}

#[derive(Clone, Debug, Serialize)]
struct Ranges {
    ranges: [Range; 1],
}

#[derive(Clone, Debug, Serialize)]
struct Range {
    start: Line,
    end: Line,
}

#[derive(Clone, Debug, Serialize)]
struct Line {
    line: u32,
}

#[derive(Clone, Debug, Serialize)]
struct SourceFile {
    filename: String,
    language: &'static str,
    /// In base64.
    data: String,
    /// Where the file was.
    #[serde(flatten)]
    place: BuildConfig,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Completeness {
    pub(crate) request: bool,
    pub(crate) resolved_dependencies: bool,
}

impl Provenance {
    /// The predicate of one platform's result.
    #[must_use]
    pub fn new(build: &Build<'_>, options: &ProvenanceOptions) -> Self {
        let captured = build.captured;
        let is_max = options.mode == Mode::Max;
        let (args, all_args) = told(&build.request.args, is_max);
        let config =
            build.request.context.as_ref().and_then(|context| config_source(context, (build.pin)(context)));
        let (uri, digest) = config.map(|config| (config.uri, config.digest)).unwrap_or_default();
        let complete = captured.is_complete();
        let mut buildkit = BuildKitMetadata {
            vcs: build.vcs.iter().map(|(key, value)| (key.clone(), web::redacted(value))).collect(),
            ..BuildKitMetadata::default()
        };
        let mut build_config = None;
        if is_max {
            let Details { graph, target, .. } = *build.details;
            let numbers = Numbers::of(graph, target);
            buildkit.tell(build, &numbers);
            build_config = Some(BuildConfig::of(graph, target, &numbers));
        }
        Self {
            build_definition: BuildDefinition {
                build_type: BUILD_TYPE,
                resolved_dependencies: captured.materials(),
                external_parameters: ExternalParameters {
                    config_source: ConfigSource { uri, digest, path: build.request.path.clone() },
                    request: Parameters {
                        frontend: FRONTEND,
                        args,
                        secrets: if is_max { captured.secrets.clone() } else { Vec::new() },
                        ssh: if is_max { captured.ssh.clone() } else { Vec::new() },
                        locals: captured.locals.iter().map(|name| Local { name: name.clone() }).collect(),
                    },
                },
                internal_parameters: InternalParameters {
                    build_config,
                    builder_platform: build.builder.normalised().to_string(),
                },
            },
            run_details: RunDetails {
                builder: Builder { id: options.builder_id.clone() },
                metadata: Metadata {
                    invocation_id: build.invocation.to_owned(),
                    started_on: build.started.to_owned(),
                    finished_on: build.finished.to_owned(),
                    buildkit,
                    hermetic: complete && !captured.network,
                    completeness: Completeness { request: all_args, resolved_dependencies: complete },
                    reproducible: options.reproducible,
                },
            },
        }
    }

    /// The statement without its subjects.
    #[must_use]
    pub fn attestation(&self, options: &ProvenanceOptions) -> Attestation {
        let (predicate_type, predicate) = match options.version {
            Version::V1 => (PREDICATE, value(self)),
            Version::V02 => (slsa02::PREDICATE, value(&slsa02::Predicate::of(self))),
        };
        Attestation {
            predicate_type: predicate_type.to_owned(),
            predicate,
            file: options.file.clone(),
            inline_only: options.inline_only,
        }
    }

    /// What buildx puts into the metadata file: version 0.2, without steps and metadata unless `max`.
    #[must_use]
    pub fn for_metadata(&self, max: bool) -> Value {
        let mut predicate = slsa02::Predicate::of(self);
        if !max {
            predicate.build_config = None;
            predicate.metadata = None;
        }
        value(&predicate)
    }
}

impl BuildKitMetadata {
    /// Tells which lines and which layers the steps are.
    fn tell(&mut self, build: &Build<'_>, numbers: &Numbers) {
        let details = build.details;
        let mut locations = BTreeMap::new();
        for id in numbers.nodes() {
            let Some(step) = numbers.name(*id) else { continue };
            let layers = (details.layers)(*id);
            if !layers.is_empty() {
                self.layers.insert(format!("{step}:0"), [layers]);
            }
            let lines = details.graph.node(*id).about.location.map(|location| {
                let range = Range { start: Line { line: location.first }, end: Line { line: location.last } };
                [Ranges { ranges: [range] }]
            });
            locations.insert(step, Locations { locations: lines });
        }
        let data = STANDARD.encode(masked::text(details.dockerfile));
        let folder = || Op::Local(LocalOp { name: FOLDER.to_owned() });
        let place = BuildConfig::of_source(build.request.context.clone().unwrap_or_else(folder));
        let file = SourceFile { filename: build.request.path.clone(), language: LANGUAGE, data, place };
        self.source = Some(Source { locations, infos: [file] });
    }
}

fn value(predicate: &impl Serialize) -> Value {
    serde_json::to_value(predicate).expect("because a predicate holds only strings and maps with string keys")
}

/// The arguments that are told, and whether these are all, whole.
fn told(args: &BTreeMap<String, String>, is_max: bool) -> (BTreeMap<String, String>, bool) {
    let mut all = true;
    let told = args.iter().filter_map(|(key, value)| {
        let value = match key.split_once(':') {
            Some(("build-arg" | "label", _)) if !is_max => {
                all = false;
                return None;
            }
            Some(("build-arg" | "label", name)) => {
                let told = masked::value(name, value);
                all &= told == *value;
                told
            }
            _ => masked::text(value),
        };
        Some((key.clone(), value))
    });
    let told = told.collect();
    (told, all)
}
