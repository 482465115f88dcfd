//! COPY and ADD.

use crate::lower::Lowering;
use crate::names::Mention;
use crate::stage::StageState;
use crate::{Error, Result, history, mode, paths};
use dockerfile::command::{AddCommand, CopyCommand, CopyPaths, InlineFile};
use dockerfile::expand::Lex;
use dockerfile::git::{self, GitUrl};
use dockerfile::lint::{Rule, messages};
use dockerfile::{Diagnostic, Instruction, Span, Spanned, remote};
use graph::{Copy, FileAction, FileOp, GitOp, HttpOp, MakeFile, NodeId, Op};
use oci::Digest;

/// The flags that COPY and ADD share, expanded.
struct Common<'a> {
    word: &'static str,
    from: Option<&'a Spanned<String>>,
    paths: &'a CopyPaths,
    chown: Option<String>,
    chmod: Option<String>,
    link: bool,
    parents: bool,
    exclude: Vec<String>,
    /// Whether archives are unpacked, as far as that was said.
    unpack: Option<bool>,
    checksum: Option<Spanned<String>>,
    keep_git_dir: Option<bool>,
}

/// One source of COPY or ADD, expanded.
enum Source {
    /// Paths of the context, a stage or an image.
    Paths(Vec<String>),
    /// A file by its URL.
    Http(HttpOp),
    /// A folder of a git repository.
    Git(GitOp),
}

impl Lowering<'_> {
    pub(crate) fn copy(
        &mut self,
        state: &mut StageState,
        instruction: &Instruction,
        copy: &CopyCommand,
    ) -> Result<()> {
        let common = Common {
            word: "COPY",
            from: copy.from.as_ref(),
            paths: &copy.paths,
            chown: self.flag(state, copy.chown.as_ref())?,
            chmod: self.chmod(state, copy.chmod.as_ref())?,
            link: copy.link,
            parents: copy.parents,
            exclude: copy.exclude.iter().map(|pattern| pattern.value.clone()).collect(),
            unpack: None,
            checksum: None,
            keep_git_dir: None,
        };
        self.copy_files(state, instruction, &common)
    }

    pub(crate) fn add(
        &mut self,
        state: &mut StageState,
        instruction: &Instruction,
        add: &AddCommand,
    ) -> Result<()> {
        let checksum = self.flag(state, add.checksum.as_ref())?;
        let common = Common {
            word: "ADD",
            from: None,
            paths: &add.paths,
            chown: self.flag(state, add.chown.as_ref())?,
            chmod: self.chmod(state, add.chmod.as_ref())?,
            link: add.link,
            parents: false,
            exclude: add.exclude.iter().map(|pattern| pattern.value.clone()).collect(),
            unpack: add.unpack,
            keep_git_dir: add.keep_git_dir,
            checksum: add
                .checksum
                .as_ref()
                .and_then(|flag| Some(Spanned::new(checksum?, state.span(flag.span)))),
        };
        self.copy_files(state, instruction, &common)
    }

    /// A flag's value; one that is empty once its variables are filled in says nothing.
    fn flag(&mut self, state: &StageState, flag: Option<&Spanned<String>>) -> Result<Option<String>> {
        let value = flag.map(|flag| self.word(state, flag)).transpose()?;
        Ok(value.filter(|value| !value.is_empty()))
    }

    fn chmod(&mut self, state: &StageState, flag: Option<&Spanned<String>>) -> Result<Option<String>> {
        let mode = self.flag(state, flag)?;
        if let (Some(mode), Some(flag)) = (&mode, flag)
            && mode::of_file(mode).is_none()
        {
            let message = format!("`--chmod={mode}` is no mode");
            let hint = "a mode is an octal number from 0 to 7777, or clauses such as `u+x,go=r`";
            return Err(Error::at(state.span(flag.span), message).hint(hint));
        }
        Ok(mode)
    }

    /// CopyIgnoredFile. Where the ignore file has exceptions, BuildKit says nothing, and so nothing is said here.
    fn check_ignored(&mut self, is_add: bool, source: &str, span: Span) {
        let Some(patterns) = self.resolver.ignored().filter(|patterns| !patterns.has_exceptions()) else {
            return;
        };
        let cleaned = dockerfile::ignore::clean(source);
        let is_ignored = match cleaned.as_str() {
            "." | "/" => patterns.ignores_all(),
            // As in BuildKit, a path with a slash in front matches nothing.
            path => !path.starts_with('/') && patterns.matches(path),
        };
        if is_ignored {
            let message = messages::copy_ignored_file(is_add, &cleaned);
            self.findings.report(Rule::CopyIgnoredFile, message, span);
        }
    }

    fn copy_files(
        &mut self,
        state: &mut StageState,
        instruction: &Instruction,
        common: &Common<'_>,
    ) -> Result<()> {
        let mut written_sources = Vec::new();
        let mut sources = Vec::new();
        for source in &common.paths.sources {
            let text = self.word(state, source)?;
            let span = state.span(source.span);
            written_sources.push(text.clone());
            if let Some(remote) = remote_source(common, &text, span)? {
                sources.push(remote);
                continue;
            }
            if text.is_empty() && !self.findings.unsure {
                let message = "this source is empty once its variables are filled in: all files are taken";
                self.warnings.push(Diagnostic::warning(message, span));
            }
            if common.from.is_none() {
                self.check_ignored(common.word == "ADD", &text, span);
            }
            match sources.last_mut() {
                Some(Source::Paths(paths)) => paths.push(in_source(&text)),
                _ => sources.push(Source::Paths(vec![in_source(&text)])),
            }
        }
        self.check_checksum(common, &sources)?;
        let written = self.word(state, &common.paths.destination)?;
        let destination = paths::destination(state.directory(), &written);
        // With --chmod BuildKit copies as if there were no --link.
        let link = common.link && common.chmod.is_none();
        let base = if link { self.scratch() } else { state.node };
        let mut inputs = vec![base];
        let mut actions = Vec::new();
        let about = self.about(state, instruction);
        for source in sources {
            let is_local = matches!(source, Source::Paths(_));
            let (node, sources) = match source {
                Source::Paths(paths) => (self.copy_source(state, common)?, paths),
                Source::Http(http) => {
                    let path = format!("/{}", literal(&http.name));
                    (self.remote(Op::Http(http), &about), vec![path])
                }
                Source::Git(git) => (self.remote(Op::Git(git), &about), vec!["/".to_owned()]),
            };
            let input = inputs.iter().skip(1).position(|known| *known == node).map(|at| at + 1);
            let input = input.unwrap_or_else(|| {
                inputs.push(node);
                inputs.len() - 1
            });
            actions.push(FileAction::Copy(Copy {
                input,
                sources,
                destination: destination.clone(),
                chown: common.chown.clone(),
                chmod: common.chmod.clone(),
                parents: common.parents,
                exclude: common.exclude.clone(),
                // Local archives are unpacked unless that was refused, fetched ones only if it was asked for.
                unpack: common.unpack.unwrap_or(is_local && common.word == "ADD"),
            }));
        }
        for file in &common.paths.inline {
            actions.push(FileAction::MakeFile(self.inline_file(state, common, file, &destination)?));
        }
        let op = Op::File(FileOp { actions });
        let mut node = self.graph.add(op, inputs, about.clone());
        if link {
            let merged = graph::About { slot: format!("{}#merge", about.slot), ..about };
            node = self.graph.add(Op::Merge, vec![state.node, node], merged);
        }
        state.node = node;
        let mut created_by = common.word.to_owned();
        if common.parents {
            created_by.push_str(" --parents");
        }
        for (flag, value) in [("chown", &common.chown), ("chmod", &common.chmod)] {
            if let Some(value) = value {
                created_by.push_str(&format!(" --{flag}={value}"));
            }
        }
        let inline = common.paths.inline.iter().map(|file| format!("<<{}", file.name.value));
        for word in written_sources.into_iter().chain(inline).chain([written]) {
            created_by.push(' ');
            created_by.push_str(&word);
        }
        created_by.push_str(" # buildkit");
        state.config.history.push(history::entry(created_by, true));
        Ok(())
    }

    fn inline_file(
        &mut self,
        state: &StageState,
        common: &Common<'_>,
        file: &InlineFile,
        destination: &str,
    ) -> Result<MakeFile> {
        let content = if file.expand {
            self.text(state, &Lex::heredoc(), &file.content, file.name.span)?
        } else {
            file.content.clone()
        };
        let name = &file.name.value;
        let path =
            if destination.ends_with('/') { paths::join(destination, name) } else { destination.to_owned() };
        let mode =
            mode::of_file(common.chmod.as_deref().unwrap_or("644")).expect("because it was read before");
        Ok(MakeFile { path, name: name.clone(), content, mode, owner: common.chown.clone() })
    }

    /// `--checksum` is for one source, which is a URL.
    fn check_checksum(&self, common: &Common<'_>, sources: &[Source]) -> Result<()> {
        let Some(checksum) = &common.checksum else { return Ok(()) };
        let message = match sources {
            _ if common.paths.sources.len() != 1 => "--checksum is for one source, and there are several",
            [Source::Paths(_)] => "--checksum is for addresses, and the source is a path",
            _ => return Ok(()),
        };
        Err(Error::at(checksum.span, message))
    }

    /// The node of a source that another machine holds; there is one of each.
    pub(crate) fn remote(&mut self, op: Op, about: &graph::About) -> NodeId {
        if let Some((_, node)) = self.remotes.iter().find(|(known, _)| *known == op) {
            return *node;
        }
        let slot = format!("{}@{}", about.slot, self.remotes.len());
        let about = graph::About { slot, no_cache: false, ..about.clone() };
        let node = self.graph.add(op.clone(), Vec::new(), about);
        self.remotes.push((op, node));
        node
    }

    fn copy_source(&mut self, state: &StageState, common: &Common<'_>) -> Result<NodeId> {
        let Some(from) = common.from else { return Ok(self.main_context()) };
        let mention = Mention { name: from, span: state.span(from.span), numbers: true };
        self.source(&mention, state.index, "--from")
    }
}

/// A source as the operation has it: nothing is the root.
fn in_source(source: &str) -> String {
    if source.is_empty() { "/".to_owned() } else { source.to_owned() }
}

/// What a source means that is no path; nothing for one that is.
fn remote_source(common: &Common<'_>, text: &str, span: Span) -> Result<Option<Source>> {
    let repository = git::parse(text).map_err(|error| Error::at(span, format!("`{text}`: {error}")))?;
    let repository = repository.filter(|url| !url.may_be_path);
    if repository.is_none() && !remote::is_http(text) {
        return Ok(None);
    }
    if common.word != "ADD" {
        let message = format!("COPY takes files, not the address `{text}`");
        return Err(Error::at(span, message).hint("ADD takes addresses"));
    }
    if let Some(url) = repository {
        return repository_source(common, url, span).map(Some);
    }
    let checksum = common.checksum.as_ref().map(digest).transpose()?;
    Ok(Some(Source::Http(HttpOp { url: text.to_owned(), name: remote::file_name(text), checksum })))
}

/// A repository with what the flags say of it, too.
fn repository_source(common: &Common<'_>, url: GitUrl, span: Span) -> Result<Source> {
    if let (Some(flag), Some(query)) = (common.keep_git_dir, url.keep_git_dir)
        && flag != query
    {
        return Err(Error::at(span, "--keep-git-dir and the address say different things of `.git`"));
    }
    if let (Some(flag), Some(query)) = (&common.checksum, &url.checksum)
        && flag.value != *query
    {
        let message = format!("--checksum={} and the address, which says {query}, differ", flag.value);
        return Err(Error::at(flag.span, message));
    }
    let keep = url.keep_git_dir.or(common.keep_git_dir).unwrap_or(false);
    let checksum = common.checksum.as_ref().map(|flag| flag.value.clone());
    Ok(Source::Git(git_op(url, keep, checksum)))
}

/// The operation that brings a repository's files.
pub fn git_op(url: GitUrl, keep_git_dir: bool, checksum: Option<String>) -> GitOp {
    GitOp {
        remote: url.remote,
        reference: url.reference,
        subdir: url.subdir,
        checksum: checksum.or(url.checksum),
        keep_git_dir,
        skip_submodules: url.submodules == Some(false),
        commit_time: url.commit_time.unwrap_or(false),
        fetch_by_commit: url.fetch_by_commit,
    }
}

/// The digest that `--checksum` of a file names.
fn digest(checksum: &Spanned<String>) -> Result<Digest> {
    checksum.parse().map_err(|_| {
        let message = format!("`--checksum={}` is no digest of a file", checksum.value);
        Error::at(checksum.span, message).hint("a digest is `sha256:` and 64 hexadecimal digits")
    })
}

/// A name as a pattern that matches nothing else.
fn literal(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, '*' | '?' | '[' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
