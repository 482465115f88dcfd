//! Which attestations are asked for.
//!
//! ```text
//! --attest type=provenance,mode=max      --provenance=true|false|KEY=VALUE,...      BUILDKIT_ATTEST_PROVENANCE=...
//! --attest type=sbom                     --sbom=true|false|KEY=VALUE,...            as a build argument
//! ```
//!
//! Of several for one type the first counts, `--attest` before the others, as with buildx. Unlike buildx nothing is
//! attested that was not asked for: provenance says when a build was, so that an unchanged build would get another digest
//! each time. BUILDX_NO_DEFAULT_ATTESTATIONS=0 asks for what buildx does by default.

use crate::commands::build::BuildArgs;
use crate::commands::build::output::boolean;
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use attest::ProvenanceOptions;

const PROVENANCE: &str = "provenance";
const SBOM: &str = "sbom";
/// The scanner that BuildKit runs unless it is told another one.
const SCANNER: &str = "docker/buildkit-syft-scanner";
/// What buildx asks for where nothing is said.
const BUILDX_DEFAULT: [(&str, &str); 2] = [("mode", "min"), ("inline-only", "true")];

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Provenance.
    pub(crate) provenance: Option<ProvenanceOptions>,
    /// An SBOM.
    pub(crate) sbom: bool,
}

/// One flag: the type, whether it is wanted at all, and its parameters.
struct Given {
    kind: String,
    disabled: bool,
    parameters: Vec<(String, String)>,
}

impl Wanted {
    /// Whether anything is.
    pub(crate) fn any(&self) -> bool {
        self.provenance.is_some() || self.sbom
    }

    /// What the flags and the environment ask for.
    pub(crate) fn of(
        args: &BuildArgs,
        build_args: &[(String, String)],
        environment: &Environment,
    ) -> Outcome<Self> {
        let mut all = Vec::new();
        for text in &args.attest {
            all.push(given("--attest", None, text)?);
        }
        for (flag, kind, text) in
            [("--provenance", PROVENANCE, args.provenance.as_deref()), ("--sbom", SBOM, args.sbom.as_deref())]
        {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                all.push(given(flag, Some(kind), text)?);
            }
        }
        for (name, value) in build_args.iter().rev() {
            if let Some(kind) = name.strip_prefix("BUILDKIT_ATTEST_") {
                all.push(given(name, Some(&kind.to_lowercase()), value)?);
            }
        }
        let mut wanted = Self::default();
        match all.iter().find(|one| one.kind == PROVENANCE) {
            Some(given) if given.disabled => {}
            Some(given) => wanted.provenance = Some(options(&given.parameters)?),
            None if Self::has_buildx_default(environment)? => {
                wanted.provenance =
                    Some(options(&BUILDX_DEFAULT.map(|(k, v)| (k.to_owned(), v.to_owned())))?);
            }
            None => {}
        }
        if let Some(given) = all.iter().find(|one| one.kind == SBOM && !one.disabled) {
            for (key, value) in &given.parameters {
                refuse_other(key, value)?;
            }
            wanted.sbom = true;
        }
        Ok(wanted)
    }

    fn has_buildx_default(environment: &Environment) -> Outcome<bool> {
        const NAME: &str = "BUILDX_NO_DEFAULT_ATTESTATIONS";
        let value = environment.get(NAME).map(|value| boolean("the environment", NAME, value)).transpose()?;
        Ok(value == Some(false))
    }
}

/// Reads one flag. `kind` is its type, where its name says that.
fn given(flag: &str, kind: Option<&str>, text: &str) -> Outcome<Given> {
    let mut given =
        Given { kind: kind.unwrap_or_default().to_owned(), disabled: false, parameters: Vec::new() };
    match boolean(flag, "", text) {
        Ok(wanted) if kind.is_some() => given.disabled = !wanted,
        _ => {
            let fields = dockerfile::csv_fields(text)
                .ok_or_else(|| CommandError::usage(format!("{flag}: `{text}` has a quote out of place")))?;
            for field in fields.iter().filter(|field| kind.is_none() || !field.is_empty()) {
                let (key, value) = field
                    .split_once('=')
                    .ok_or_else(|| CommandError::usage(format!("{flag}: `{field}` is not KEY=VALUE")))?;
                match key.trim().to_lowercase().as_str() {
                    "type" => value.clone_into(&mut given.kind),
                    "disabled" => given.disabled = boolean(flag, key, value)?,
                    _ => given.parameters.push((key.to_owned(), value.to_owned())),
                }
            }
        }
    }
    match given.kind.as_str() {
        PROVENANCE | SBOM => Ok(given),
        "" => Err(CommandError::usage(format!("{flag}: `{text}` has no type"))
            .hint("there are provenance and sbom")),
        other => Err(CommandError::usage(format!("{flag}: there is no attestation of the type `{other}`"))
            .hint("there are provenance and sbom")),
    }
}

/// BuildKit runs an image to make an SBOM. The one that it runs by default finds what is found here; what another one
/// would find is not known.
fn refuse_other(key: &str, value: &str) -> Outcome<()> {
    let name = value.split(['@', ':']).next().unwrap_or(value);
    if key != "generator" || name == SCANNER || name.ends_with(&format!("/{SCANNER}")) {
        return Ok(());
    }
    Err(CommandError::usage(format!("--sbom: the generator `{value}` cannot be used"))
        .hint("jettison looks for packages itself and runs no image for that; leave out `generator`"))
}

fn options(parameters: &[(String, String)]) -> Outcome<ProvenanceOptions> {
    let parameters = parameters.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    ProvenanceOptions::parse(parameters).map_err(|error| CommandError::usage(error.to_string()))
}
