//! A build context that another machine holds: it is fetched before the Dockerfile in it can be read.
//!
//! As with any source, what is here is not fetched again. What it was when it was asked for counts for the whole build.

use super::context::{self, DockerfileText, LARGEST};
use super::resolver::cause;
use super::watch::{self, Watcher};
use super::{BuildArgs, failure};
use crate::engine::Engine;
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use crate::interrupts::Interrupts;
use executor::{Cache, Worker};
use frontend::{BoxError, Dated, MainContext, NamedContext};
use graph::{About, GitOp, Graph, HttpOp, NodeId, Op};
use layer::{LayerId, View};
use progress::Progress;
use solver::Solver;
use std::collections::BTreeMap;
use std::path::Path;

/// As many bytes of a file tell whether it is an archive.
const HEAD: u64 = 1024;
/// What a file by its URL is called in the context that it is.
const FILE: &str = "context";

/// Where a context is.
pub(crate) enum Address {
    /// A repository.
    Git(GitOp),
    /// A file by its URL.
    Http(HttpOp),
}

/// The address that the command line names as the context; nothing for a folder. A folder comes first where a text may
/// be both. With SOURCE_DATE_EPOCH the files of a repository have the time of their commit.
pub(crate) fn address(
    args: &BuildArgs,
    build_args: &[(String, String)],
    environment: Option<&Environment>,
) -> Outcome<Option<Address>> {
    let text = &args.context;
    if Path::new(text).is_dir() {
        return Ok(None);
    }
    let given = |name: &str| {
        build_args.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    };
    let url = dockerfile::git::parse(text)
        .map_err(|error| CommandError::usage(format!("the context `{text}`: {error}")))?;
    if let Some(url) = url {
        let asked = matches!(
            given("BUILDKIT_CONTEXT_KEEP_GIT_DIR"),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True")
        );
        let keep = asked || url.keep_git_dir.unwrap_or(false);
        let dated = given("SOURCE_DATE_EPOCH").or(environment.and_then(|all| all.get("SOURCE_DATE_EPOCH")));
        let by_commit = url.commit_time.unwrap_or(dated.is_some_and(|value| !value.is_empty()));
        let git = GitOp { commit_time: by_commit, ..frontend::git_op(url, keep, None) };
        return Ok(Some(Address::Git(git)));
    }
    let http = HttpOp { url: text.clone(), name: FILE.to_owned(), checksum: None };
    Ok(dockerfile::remote::is_http(text).then_some(Address::Http(http)))
}

/// When something was last changed, in seconds since 1970: the commit of a repository, Last-Modified of a URL. Folders
/// and images have no such time.
pub(crate) fn modified(
    dated: Dated<'_>,
    main: &MainContext,
    named: &BTreeMap<String, NamedContext>,
    worker: impl Fn() -> Outcome<Worker>,
    interrupts: &Interrupts,
) -> Result<Option<u64>, BoxError> {
    let file = |url: &str| HttpOp { url: url.to_owned(), name: FILE.to_owned(), checksum: None };
    let op = match dated {
        Dated::Context => match main {
            MainContext::Local => None,
            MainContext::Git(git) => Some(Op::Git(git.clone())),
            MainContext::Archive(http) | MainContext::File(http) => Some(Op::Http(http.clone())),
        },
        Dated::Named(name) => match named.get(name) {
            Some(NamedContext::Git(git)) => Some(Op::Git(git.clone())),
            Some(NamedContext::Http(http)) => Some(Op::Http(http.clone())),
            Some(NamedContext::Local | NamedContext::Image(_)) | None => None,
        },
        Dated::Remote { url, checksum } => Some(match dockerfile::git::parse(url)? {
            Some(git) => Op::Git(frontend::git_op(git, false, checksum.map(str::to_owned))),
            None => Op::Http(file(url)),
        }),
    };
    let Some(op) = op else { return Ok(None) };
    let worker = worker().map_err(cause)?;
    let time = worker.modified(&op, &interrupts.attempt())?;
    Ok(time.and_then(|seconds| u64::try_from(seconds).ok()))
}

/// A context that was fetched.
pub(crate) struct Fetched {
    /// What it is to the frontend.
    pub(crate) context: MainContext,
    /// Its Dockerfile.
    pub(crate) dockerfile: DockerfileText,
}

/// Who fetches.
pub(crate) struct Fetcher<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) args: &'a BuildArgs,
    pub(crate) worker: &'a Worker,
    pub(crate) progress: &'a Progress,
    pub(crate) interrupts: &'a Interrupts,
}

impl Fetcher<'_> {
    /// Fetches a context and reads the Dockerfile: that of standard input or of an absolute path, else one inside.
    pub(crate) fn fetch(&self, address: Address) -> Outcome<Fetched> {
        let context = match &address {
            Address::Git(git) => MainContext::Git(git.clone()),
            Address::Http(http) => MainContext::File(http.clone()),
        };
        let (op, shown) = match address {
            Address::Git(git) => {
                let shown = format!("[internal] load git source {}", web::redacted(&self.args.context));
                (Op::Git(git), shown)
            }
            Address::Http(http) => (Op::Http(http), "[internal] load remote build context".to_owned()),
        };
        let mut graph = Graph::new();
        let about = About { name: shown, slot: FILE.to_owned(), ..About::default() };
        let source = graph.add(op, Vec::new(), about);
        let stack = self.solve(&graph, source)?;
        let forms = self.engine.forms()?;
        let view = forms.view(&stack)?;
        let MainContext::File(http) = context else {
            let dockerfile = self.dockerfile(&view, &stack, &[])?;
            return Ok(Fetched { context, dockerfile });
        };
        let head = forms.read_start(&view, &stack, FILE, HEAD)?.unwrap_or_default();
        if !is_archive(&head) {
            let dockerfile = self.dockerfile(&view, &stack, &[FILE])?;
            return Ok(Fetched { context: MainContext::File(http), dockerfile });
        }
        let nothing = graph.add(Op::Scratch, Vec::new(), About::default());
        let about = About {
            name: "copy /context /".to_owned(),
            slot: format!("{FILE} unpacked"),
            ..About::default()
        };
        let unpacked = graph.add(frontend::unpack(format!("/{FILE}")), vec![nothing, source], about);
        let stack = self.solve(&graph, unpacked)?;
        let dockerfile = self.dockerfile(&forms.view(&stack)?, &stack, &[])?;
        Ok(Fetched { context: MainContext::Archive(http), dockerfile })
    }

    fn solve(&self, graph: &Graph, target: NodeId) -> Outcome<Vec<LayerId>> {
        let store = self.engine.store()?;
        let cache = Cache::new(store.clone(), format!("context {}", self.args.context), Vec::new());
        let observer = Watcher::new(graph, self.worker, self.progress, &cache);
        let solved = watch::solve(self.worker, self.interrupts, &cache, |cancel| {
            let solver = Solver {
                graph,
                cache: &cache,
                sources: self.worker,
                executor: self.worker,
                observer: &observer,
                cancel,
                options: solver::Options { parallel: Some(1), mode: None },
            };
            solver.solve(&[target])
        });
        match solved {
            Ok(solved) => Ok(solved.targets[0].stack.to_vec()),
            Err(solver::Error::Cancelled) => Err(failure::cancelled()),
            Err(solver::Error::Step { source, .. }) => {
                let mut error = CommandError::chain(source.as_ref());
                let shown = web::redacted(&self.args.context);
                error.message = format!("cannot load the build context `{shown}`: {}", error.message);
                Err(error)
            }
            Err(error) => Err(CommandError::chain(&error)),
        }
    }

    /// `whole`: what the Dockerfile is called where the context is nothing else.
    fn dockerfile(&self, view: &View, stack: &[LayerId], whole: &[&str]) -> Outcome<DockerfileText> {
        let forms = self.engine.forms()?;
        let text = |bytes, name: &str| DockerfileText { bytes, name: name.to_owned(), inside: None };
        match self.args.file.as_deref() {
            Some("-") => {
                return Ok(text(context::read_standard_input()?, "Dockerfile (standard input)"));
            }
            Some(file) if file.starts_with('/') => {
                let bytes = context::read(Path::new(file))?;
                return bytes.map(|bytes| text(bytes, file)).ok_or_else(|| {
                    CommandError::new(format!("the Dockerfile `{file}` is not there"))
                        .hint("an absolute path is one of this machine; others are looked for in the context")
                });
            }
            Some(file) => {
                let bytes = forms.read(view, stack, file, LARGEST)?;
                return bytes.map(|bytes| text(bytes, file)).ok_or_else(|| {
                    CommandError::new(format!("the Dockerfile `{file}` is not in the build context"))
                        .hint("--file is relative to the root of the context that was fetched")
                });
            }
            None => {}
        }
        let usual = ["Dockerfile", "Containerfile"];
        for name in if whole.is_empty() { &usual[..] } else { whole } {
            if let Some(bytes) = forms.read(view, stack, name, LARGEST)? {
                return Ok(text(bytes, name));
            }
        }
        let shown = web::redacted(&self.args.context);
        Err(CommandError::new(format!("there is no Dockerfile in `{shown}`")).hint("name one with --file"))
    }
}

/// Whether a file begins as an archive does: compressed, or with the header of a tar.
fn is_archive(head: &[u8]) -> bool {
    !matches!(layer::sniff(head), layer::Compression::None)
        || matches!(layer::TarReader::new(head).next(), Ok(Some(_)))
}
