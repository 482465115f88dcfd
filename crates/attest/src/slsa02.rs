//! SLSA provenance v0.2 (slsa.dev/spec/v0.2/provenance): the same facts in older words.
//!
//! | v0.2 | v1 |
//! |---|---|
//! | `materials` | `buildDefinition.resolvedDependencies` |
//! | `invocation.configSource.entryPoint` | `externalParameters.configSource.path` |
//! | `invocation.parameters` | `externalParameters.request` |
//! | `invocation.environment.platform` | `internalParameters.builderPlatform` |
//! | `buildConfig` | `internalParameters.buildConfig` |
//! | `metadata` | `runDetails.metadata` |

use crate::captured::Material;
use crate::definition::BuildConfig;
use crate::provenance::{BuildKitMetadata, Builder, ConfigSource, Parameters, Provenance};
use serde::Serialize;
use std::collections::BTreeMap;

/// The predicate type.
pub(crate) const PREDICATE: &str = "https://slsa.dev/provenance/v0.2";
const BUILD_TYPE: &str = "https://mobyproject.org/buildkit@v1";

/// The predicate.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Predicate {
    builder: Builder,
    build_type: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    materials: Vec<Material>,
    invocation: Invocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) build_config: Option<BuildConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<Metadata>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    config_source: EntryPoint,
    parameters: Parameters,
    environment: Environment,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryPoint {
    #[serde(skip_serializing_if = "String::is_empty")]
    uri: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    digest: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    entry_point: String,
}

#[derive(Clone, Debug, Serialize)]
struct Environment {
    platform: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    #[serde(rename = "buildInvocationID")]
    build_invocation_id: String,
    build_started_on: String,
    build_finished_on: String,
    completeness: Completeness,
    reproducible: bool,
    #[serde(rename = "https://mobyproject.org/buildkit@v1#metadata")]
    buildkit: BuildKitMetadata,
    #[serde(
        rename = "https://mobyproject.org/buildkit@v1#hermetic",
        skip_serializing_if = "std::ops::Not::not"
    )]
    hermetic: bool,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Completeness {
    parameters: bool,
    environment: bool,
    materials: bool,
}

impl Predicate {
    /// The same in these words.
    pub(crate) fn of(v1: &Provenance) -> Self {
        let definition = &v1.build_definition;
        let ConfigSource { uri, digest, path } = definition.external_parameters.config_source.clone();
        let run = &v1.run_details.metadata;
        Self {
            builder: v1.run_details.builder.clone(),
            build_type: BUILD_TYPE,
            materials: definition.resolved_dependencies.clone(),
            invocation: Invocation {
                config_source: EntryPoint { uri, digest, entry_point: path },
                parameters: definition.external_parameters.request.clone(),
                environment: Environment {
                    platform: definition.internal_parameters.builder_platform.clone(),
                },
            },
            build_config: definition.internal_parameters.build_config.clone(),
            metadata: Some(Metadata {
                build_invocation_id: run.invocation_id.clone(),
                build_started_on: run.started_on.clone(),
                build_finished_on: run.finished_on.clone(),
                completeness: Completeness {
                    parameters: run.completeness.request,
                    environment: true,
                    materials: run.completeness.resolved_dependencies,
                },
                reproducible: run.reproducible,
                buildkit: run.buildkit.clone(),
                hermetic: run.hermetic,
            }),
        }
    }
}
