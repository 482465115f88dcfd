//! Builds by the program under test.

use crate::archive::{self, Image};
use crate::case::{Case, Work};
use crate::harness::{self, House, LIMIT};
use crate::shape::{Outcome, Shape};

/// A store with the base.
pub(crate) struct Jettison(House);

impl Jettison {
    pub(crate) fn ready() -> Self {
        Self(harness::own_with_busybox())
    }

    /// Builds a case.
    pub(crate) fn build(&self, case: &Case, work: &Work, base: &Image) -> Outcome {
        let archive = work.file("ours.tar");
        let output = format!("type=docker,dest={}", archive.display());
        let mut command = self.0.command(&["build", "--progress", "plain", "--output", &output]);
        command.args(case.all_args(work)).arg(".").current_dir(work.context()).envs(&case.env);
        let out = harness::run(command, LIMIT);
        match out.code {
            Some(0) => Ok(Shape::of(&archive::read(&archive), base)),
            Some(1 | 2) => Err(out.stderr),
            code => panic!("case {}: `{}` ended with {code:?}:\n{}", case.name, out.what, out.stderr),
        }
    }
}
