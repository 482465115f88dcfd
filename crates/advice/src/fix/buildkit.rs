//! The rewrites for findings of BuildKit's rules: those that have one right answer.

use super::{Mend, json, pairs};
use crate::edit;
use crate::model::{Model, join};
use dockerfile::Edit;
use dockerfile::lint::{self, Config, Rule, messages};
use dockerfile::{Command, Diagnostic, Instruction, Source, Span};

/// All findings of BuildKit's rules; those that are not rewritten have no edits.
pub(super) fn mends(model: &Model<'_>, config: &Config) -> Vec<Mend> {
    let reached = |stage: usize| model.reached.get(stage).copied().unwrap_or(false);
    let mut found = lint::check(model.dockerfile, config, &reached);
    found.extend(redundant_platforms(model, config));
    let all = found.into_iter().filter_map(|finding| {
        let edits = mend(model, &finding).unwrap_or_default();
        Some(Mend { rule: finding.rule?, span: finding.span, message: finding.message, edits })
    });
    all.collect()
}

/// RedundantTargetPlatform, which the frontend finds when a build begins: here by the text alone.
fn redundant_platforms(model: &Model<'_>, config: &Config) -> Vec<Diagnostic> {
    let redefined =
        model.dockerfile.meta_args().any(|(_, arg)| arg.args.iter().any(|one| *one.name == "TARGETPLATFORM"))
            || model.facts.build_args.iter().any(|(name, _)| name == "TARGETPLATFORM");
    let mut found = Vec::new();
    for one in &model.stages {
        let Some(platform) = &one.stage.from.platform else { continue };
        let is_target = matches!(platform.as_str(), "$TARGETPLATFORM" | "${TARGETPLATFORM}");
        if is_target && !redefined && config.at(one.stage.instruction).allows(Rule::RedundantTargetPlatform) {
            let message = messages::redundant_target_platform(platform);
            found.push(Rule::RedundantTargetPlatform.diagnostic(message, platform.span));
        }
    }
    found
}

/// What mends a finding.
pub(super) fn mend(model: &Model<'_>, finding: &Diagnostic) -> Option<Vec<Edit>> {
    edits(model, Rule::parse(finding.rule?)?, finding.span)
}

fn edits(model: &Model<'_>, rule: Rule, span: Span) -> Option<Vec<Edit>> {
    let source = &model.dockerfile.source;
    let at = |one: &&Instruction| {
        one.span.start <= span.start && span.start < one.span.end.max(one.span.start + 1)
    };
    let instruction = model.dockerfile.instructions.iter().rfind(at);
    match rule {
        Rule::NoEmptyContinuation => Some(empty_lines(source, instruction, span)),
        Rule::FromAsCasing => {
            let Command::From(from) = &instruction?.command else { return None };
            let word = from.as_word.as_ref()?;
            let keyword = &instruction?.name.value;
            let better =
                if *keyword == keyword.to_lowercase() { word.to_lowercase() } else { word.to_uppercase() };
            replace(source, word.span, &word.value, better).map(|edit| vec![edit])
        }
        Rule::StageNameCasing => stage_name(model, instruction?),
        Rule::ConsistentInstructionCasing => {
            let name = &instruction?.name;
            let better = if majority_is_lower(model) { name.to_lowercase() } else { name.to_uppercase() };
            replace(source, name.span, &name.value, better).map(|edit| vec![edit])
        }
        Rule::LegacyKeyValueFormat => pairs::edits(model, instruction?),
        Rule::MaintainerDeprecated => maintainer(model, instruction?),
        Rule::RedundantTargetPlatform => {
            let flag = instruction?.flags.iter().find(|flag| flag.name.value == "platform")?;
            let rest = &source.text()[flag.span.end..];
            let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
            Some(vec![edit::remove(Span::new(flag.span.start, flag.span.end + blanks))])
        }
        Rule::ExposeProtoCasing => {
            let Command::Expose(expose) = &instruction?.command else { return None };
            let word = expose.ports.iter().find(|word| word.span == span)?;
            let (port, protocol) = word.split_once('/')?;
            let better = format!("{port}/{}", protocol.to_lowercase());
            replace(source, word.span, &word.value, better).map(|edit| vec![edit])
        }
        Rule::JSONArgsRecommended => json::edits(model, instruction?),
        Rule::WorkdirRelativePath => {
            let mut steps = model.stages.iter().flat_map(|one| &one.steps);
            let step =
                steps.find(|step| std::ptr::eq(step.instruction, instruction.unwrap_or(step.instruction)))?;
            let Command::Workdir(workdir) = &step.instruction.command else { return None };
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-/@+".contains(c);
            if step.directory.starts_with('?') || !workdir.path.chars().all(plain) {
                return None;
            }
            let better = join(&step.directory, &workdir.path);
            replace(source, workdir.path.span, &workdir.path.value, better).map(|edit| vec![edit])
        }
        _ => None,
    }
}

/// Replaces a word where it stands in the file just as it was read, on one line.
fn replace(source: &Source, span: Span, read: &str, better: String) -> Option<Edit> {
    (source.slice(span) == read && read != better).then(|| edit::replace(span, better))
}

/// Takes out all empty lines of an instruction, heredocs not minded; the finding names the first.
fn empty_lines(source: &Source, instruction: Option<&Instruction>, first: Span) -> Vec<Edit> {
    let begin = source.line(first.start);
    let inside = instruction.map_or(begin, |one| source.lines(one.line_span).last);
    let is_empty = |line: usize| source.slice(source.line_span(line)).trim().is_empty();
    // At the end of a file they may follow the instruction's last text.
    let whole = |line: usize| {
        let start = source.line_span(line).start;
        let rest = &source.text()[start..];
        edit::remove(Span::new(start, start + rest.find('\n').map_or(rest.len(), |end| end + 1)))
    };
    let after = (begin.max(inside + 1)..).take_while(|line| is_empty(*line) && !whole(*line).span.is_empty());
    (begin..=inside)
        .filter(|line| is_empty(*line))
        .chain(after)
        .map(whole)
        .filter(|edit| !edit.span.is_empty())
        .collect()
}

/// Which case ConsistentInstructionCasing asks for.
fn majority_is_lower(model: &Model<'_>) -> bool {
    let names = || {
        let all = model.dockerfile.instructions.iter();
        all.skip_while(|one| one.keyword != dockerfile::Keyword::From).map(|one| one.name.value.as_str())
    };
    let lower = names().filter(|name| **name == name.to_lowercase()).count();
    let upper = names().filter(|name| **name == name.to_uppercase()).count();
    lower > upper
}

/// The name in FROM, and where `COPY --from` and `RUN --mount=from=` say it. Names of stages are kept in lower case and
/// found there in any case, so nothing changes its meaning; a FROM finds a stage only by its name in lower case.
fn stage_name(model: &Model<'_>, instruction: &Instruction) -> Option<Vec<Edit>> {
    let source = &model.dockerfile.source;
    let Command::From(from) = &instruction.command else { return None };
    let (name, typed) = (from.name.as_ref()?, from.typed_name.as_ref()?);
    let mut edits = vec![replace(source, name.span, typed, typed.to_lowercase())?];
    for one in &model.dockerfile.instructions {
        match &one.command {
            Command::Copy(copy) => {
                if let Some(from) = copy.from.as_ref().filter(|from| from.value == *typed) {
                    edits.extend(replace(source, from.span, typed, typed.to_lowercase()));
                }
            }
            Command::Run(run) => {
                for mount in run.mounts.iter().filter(|mount| mount.from() == Some(typed.as_str())) {
                    let text = source.slice(mount.span);
                    let wanted = format!("from={typed}");
                    let at = text.match_indices(&wanted).find(|(at, _)| {
                        let before = text[..*at].chars().next_back();
                        let after = text[at + wanted.len()..].chars().next();
                        before.is_none_or(|c| ",\"'".contains(c)) && after.is_none_or(|c| ",\"'".contains(c))
                    });
                    if let Some((at, _)) = at {
                        let start = mount.span.start + at + "from=".len();
                        edits
                            .push(edit::replace(Span::new(start, start + typed.len()), typed.to_lowercase()));
                    }
                }
            }
            _ => {}
        }
    }
    Some(edits)
}

/// MAINTAINER to the label that stands for it. Unlike MAINTAINER, LABEL reads quotes and variables.
fn maintainer(model: &Model<'_>, instruction: &Instruction) -> Option<Vec<Edit>> {
    let source = &model.dockerfile.source;
    let Command::Maintainer(maintainer) = &instruction.command else { return None };
    let author = maintainer.author.value.as_str();
    if source.slice(maintainer.author.span) != author {
        return None;
    }
    let quoted = ['"', '\''].into_iter().find_map(|quote| {
        author.strip_prefix(quote)?.strip_suffix(quote).filter(|inner| !inner.contains(quote))
    });
    let escape = model.dockerfile.directives.escape;
    let mut value = String::new();
    for c in quoted.unwrap_or(author).chars() {
        if c == '"' || c == '$' || c == escape {
            value.push(escape);
        }
        value.push(c);
    }
    let name = if instruction.name.value == instruction.name.to_lowercase() { "label" } else { "LABEL" };
    Some(vec![
        edit::replace(instruction.name.span, name),
        edit::replace(maintainer.author.span, format!("org.opencontainers.image.authors=\"{value}\"")),
    ])
}
