//! Builds, and what their plain progress tells of every step.

use super::{Context, House, LIMIT, Out, run_with_input};
use std::collections::BTreeMap;

/// A build that ended.
#[derive(Debug)]
pub(crate) struct Built {
    /// The command.
    pub(crate) out: Out,
    /// The steps in the order of their numbers.
    pub(crate) steps: Vec<Step>,
}

/// One step, `#N` of the plain progress.
#[derive(Debug, Default, Clone)]
pub(crate) struct Step {
    /// `[stage 2/5] RUN npm ci`.
    pub(crate) name: String,
    /// `CACHED` was said of it.
    pub(crate) cached: bool,
    /// `DONE` was said of it.
    pub(crate) done: bool,
    /// What followed `ERROR:`.
    pub(crate) error: Option<String>,
    /// What followed `note:`.
    pub(crate) notes: Vec<String>,
    /// What the step wrote, without times.
    pub(crate) log: Vec<String>,
}

impl House {
    /// A build that must succeed, with plain progress.
    #[track_caller]
    pub(crate) fn build(&self, context: &Context, args: &[&str]) -> Built {
        let built = self.try_build(context, args);
        assert_eq!(built.out.code, Some(0), "{}\n{}", built.out.what, built.out.stderr);
        built
    }

    /// A build that must succeed, with more variables in the environment.
    #[track_caller]
    pub(crate) fn build_with(
        &self,
        context: &Context,
        args: &[&str],
        variables: &[(&str, impl AsRef<str>)],
    ) -> Built {
        let mut all = vec!["build", "--progress", "plain"];
        all.extend(args);
        all.push(context.text());
        let mut command = self.command(&all);
        command.envs(variables.iter().map(|(name, value)| (name, value.as_ref())));
        let built = Built::new(run_with_input(command, None, LIMIT));
        assert_eq!(built.out.code, Some(0), "{}\n{}", built.out.what, built.out.stderr);
        built
    }

    /// A build that may fail.
    pub(crate) fn try_build(&self, context: &Context, args: &[&str]) -> Built {
        self.build_from(context.text(), args, None)
    }

    /// A build of `context`, with something on standard input.
    pub(crate) fn build_from(&self, context: &str, args: &[&str], input: Option<&[u8]>) -> Built {
        let mut all = vec!["build", "--progress", "plain"];
        all.extend(args);
        all.push(context);
        Built::new(run_with_input(self.command(&all), input, LIMIT))
    }
}

impl Built {
    /// Reads a build's progress.
    pub(crate) fn new(out: Out) -> Self {
        let mut steps: BTreeMap<u32, Step> = BTreeMap::new();
        for line in out.stderr.lines() {
            let Some((number, text)) = line.strip_prefix('#').and_then(|line| line.split_once(' ')) else {
                continue;
            };
            let Ok(number) = number.parse() else { continue };
            let Some(step) = steps.get_mut(&number) else {
                steps.insert(number, Step { name: text.to_owned(), ..Step::default() });
                continue;
            };
            if text == "CACHED" {
                step.cached = true;
            } else if text == "DONE" || text.starts_with("DONE ") {
                step.done = true;
            } else if let Some(error) = text.strip_prefix("ERROR: ") {
                step.error = Some(error.to_owned());
            } else if let Some(note) = text.strip_prefix("note: ") {
                step.notes.push(note.to_owned());
            } else if let Some((time, log)) = text.split_once(' ')
                && time.parse::<f64>().is_ok()
            {
                step.log.push(log.to_owned());
            } else if let Some(("", time)) = text.rsplit_once(' ').or(Some(("", text)))
                && time.parse::<f64>().is_ok()
            {
                step.log.push(String::new());
            }
        }
        Self { out, steps: steps.into_values().collect() }
    }

    /// The one step whose name holds `text`.
    #[track_caller]
    pub(crate) fn step(&self, text: &str) -> &Step {
        let found: Vec<&Step> = self.steps.iter().filter(|step| step.name.contains(text)).collect();
        assert_eq!(found.len(), 1, "`{text}` names {} steps of\n{}", found.len(), self.out.stderr);
        found[0]
    }

    /// Whether some step's name holds `text`.
    pub(crate) fn has_step(&self, text: &str) -> bool {
        self.steps.iter().any(|step| step.name.contains(text))
    }

    /// The step must have run.
    #[track_caller]
    pub(crate) fn ran(&self, text: &str) -> &Step {
        let step = self.step(text);
        assert!(step.done && !step.cached, "`{text}` did not run:\n{}", self.out.stderr);
        step
    }

    /// The step must have been a hit.
    #[track_caller]
    pub(crate) fn cached(&self, text: &str) -> &Step {
        let step = self.step(text);
        assert!(step.cached && !step.done, "`{text}` was no hit:\n{}", self.out.stderr);
        step
    }

    /// Every RUN, COPY, ADD and WORKDIR must have been a hit.
    #[track_caller]
    pub(crate) fn all_cached(&self) {
        let steps: Vec<&Step> = self
            .steps
            .iter()
            .filter(|step| step.name.starts_with('[') && !step.name.contains("] FROM "))
            .collect();
        assert!(!steps.is_empty(), "no step was shown:\n{}", self.out.stderr);
        assert!(steps.iter().all(|step| step.cached && !step.done), "something ran:\n{}", self.out.stderr);
    }
}

impl Step {
    /// The one reason why it ran.
    #[track_caller]
    pub(crate) fn reason(&self) -> &str {
        assert_eq!(self.notes.len(), 1, "{} has no single reason: {:?}", self.name, self.notes);
        &self.notes[0]
    }
}
