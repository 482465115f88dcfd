//! The one error of this crate.

use oci::Digest;
use std::path::PathBuf;

/// An error of whoever stands behind a trait.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why an operation could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A COPY names what is not there.
    #[error("`{path}` is not in the source")]
    NoSource {
        /// The source as written.
        path: String,
        /// What it may have meant.
        near: Option<String>,
    },
    /// An `--exclude` that is no pattern.
    #[error("{text}")]
    Pattern {
        /// What the pattern's reader said.
        text: String,
    },
    /// A file cannot stand where it should.
    #[error("cannot copy to `{path}`: {reason}")]
    Destination {
        /// Where.
        path: String,
        /// Why not.
        reason: &'static str,
    },
    /// A `--chmod` that is no mode.
    #[error("`{mode}` is not a mode: {reason}")]
    Mode {
        /// As written.
        mode: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// A `--chown` that names nobody.
    #[error("`{owner}` cannot be looked up: {reason}")]
    Owner {
        /// As written.
        owner: String,
        /// Why not.
        reason: &'static str,
    },
    /// A context file changed while it was read.
    #[error("`{path}` changed while the build read it")]
    Changed {
        /// Which file of the context.
        path: String,
    },
    /// The command of a RUN ended with a code other than 0.
    #[error("the command ended with exit code {code}")]
    Exit {
        /// The code, or 128 and the signal.
        code: i32,
        /// Why the step had no network, where it asked for one.
        no_network: Option<String>,
    },
    /// A secret that a RUN requires was not given.
    #[error("the secret `{id}` is required and was not given")]
    Secret {
        /// Its id.
        id: String,
    },
    /// An ssh agent that a RUN requires was not given.
    #[error("the ssh agent `{id}` is required and was not given")]
    Agent {
        /// Its id.
        id: String,
    },
    /// A URL could not be fetched.
    #[error(transparent)]
    Web(#[from] web::Error),
    /// A repository could not be fetched.
    #[error(transparent)]
    Git(#[from] source::git::GitError),
    /// The network cannot be used as it is set up.
    #[error("cannot use the network")]
    WebSettings(#[from] web::Failure),
    /// What came from a URL is not what it should be.
    #[error("`{url}` has the digest {got}, not {wanted}")]
    Checksum {
        /// Where it came from.
        url: String,
        /// The digest that `--checksum` names.
        wanted: Digest,
        /// The digest of what came.
        got: Digest,
    },
    /// A device that a RUN requires is described nowhere.
    #[error("the device `{name}` is required and is not registered")]
    NoDevice {
        /// Its name.
        name: String,
        /// Files that could not be read, with the reason.
        broken: Vec<String>,
    },
    /// Devices that were not allowed.
    #[error("{} requested by the build but not allowed", devices(.names))]
    DeviceNotAllowed {
        /// Their complete names.
        names: Vec<String>,
    },
    /// A device that needs what no step has.
    #[error("the device `{name}` brings {what}, which a step cannot have")]
    Device {
        /// Its complete name.
        name: String,
        /// What it brings.
        what: &'static str,
    },
    /// A program of a platform that this machine cannot run.
    #[error("`{program}` is a program of {platform}, which this machine of {host} cannot run")]
    Foreign {
        /// The program.
        program: String,
        /// The step's platform.
        platform: String,
        /// This machine's.
        host: String,
    },
    /// The step is no longer wanted.
    #[error("cancelled")]
    Cancelled,
    /// A thing that this version cannot do.
    #[error("{what} is not supported yet")]
    Unsupported {
        /// What.
        what: String,
    },
    /// A context that the build was not given.
    #[error("the build has no context named `{name}`")]
    Context {
        /// Its name.
        name: String,
    },
    /// A base image's layers are not known.
    #[error("cannot use the image {reference} ({digest})")]
    Image {
        /// Which image.
        reference: String,
        /// Its configuration or manifest.
        digest: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// A snapshot could not be had.
    #[error("cannot use a snapshot")]
    Snapshot(#[from] snapshot::Error),
    /// A layer's files cannot be read or made.
    #[error("cannot use the {what}")]
    Layer {
        /// Which layer or source.
        what: String,
        /// Why.
        #[source]
        source: layer::Error,
    },
    /// The context cannot be read.
    #[error("cannot read the build context")]
    Source(#[from] source::Error),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] store::Error),
    /// The process could not be started.
    #[error("cannot start the command")]
    Sandbox(#[from] sandbox::Error),
    /// The network could not be made.
    #[error("cannot connect the step to a network")]
    Network(#[from] network::Error),
    /// A file of the store or the host.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// What may help, where something is known that may.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoSource { near: Some(near), .. } => Some(format!("did you mean `{near}`?")),
            Self::NoSource { near: None, path } => Some(format!(
                "check that `{path}` exists and is not excluded by .dockerignore; paths are relative to the root of the source"
            )),
            Self::Exit { no_network: Some(reason), .. } => Some(reason.clone()),
            Self::Web(error) => error.hint(),
            Self::Git(error) => error.hint(),
            Self::Checksum { got, .. } => {
                Some(format!("if the file was meant to change, and you trust it, write `--checksum={got}`"))
            }
            Self::Changed { path } if path.contains("://") => {
                Some(format!("build again when `{path}` does not change from one moment to the next"))
            }
            Self::Changed { path } => {
                Some(format!("build again when nothing writes to `{path}`, or leave it out by .dockerignore"))
            }
            Self::Secret { id } => Some(format!("give it with `--secret id={id},src=FILE`")),
            Self::NoDevice { broken, .. } => Some(match broken.first() {
                Some(file) => format!("a specification cannot be read: {file}"),
                None => "devices are described in /etc/cdi and /var/run/cdi".to_owned(),
            }),
            Self::DeviceNotAllowed { names } => {
                names.first().map(|name| format!("allow it with `--allow device={name}`"))
            }
            Self::Foreign { .. } => Some(
                "install a handler for its programs in binfmt_misc, such as that of qemu-user-static; or let the stage run on this machine's platform with `FROM --platform=$BUILDPLATFORM`".to_owned(),
            ),
            Self::Agent { id } => {
                Some(format!("give it with `--ssh {id}`, or `--ssh {id}=KEY` for a private key"))
            }
            Self::Owner { .. } => Some("use numbers, as in `--chown=1000:1000`".to_owned()),
            _ => None,
        }
    }
}

fn devices(names: &[String]) -> String {
    match names {
        [one] => format!("the device {one} is"),
        several => format!("the devices {} are", several.join(", ")),
    }
}
