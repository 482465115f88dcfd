//! What is looked into for a bill of material besides the image itself: stages that it was made with, and the build
//! context. Two arguments ask for it, above the first FROM or in a stage; it is `true`, or names stages:
//!
//! ```text
//! ARG BUILDKIT_SBOM_SCAN_CONTEXT=true
//! ARG BUILDKIT_SBOM_SCAN_STAGE=build,test
//! ```
//! They are told to nobody: no step sees them in its environment, and no key has them.

use crate::lower::Lowering;
use crate::stage::StageState;
use graph::{About, Copy, FileAction, FileOp, NodeId, Op};

const CONTEXT: &str = "BUILDKIT_SBOM_SCAN_CONTEXT";
const STAGE: &str = "BUILDKIT_SBOM_SCAN_STAGE";

/// Something to look into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// `context`, or the stage's name.
    pub name: String,
    /// The operation whose result it is.
    pub node: NodeId,
}

/// Whether an argument asks for scans and says nothing else.
pub(crate) fn is_switch(name: &str) -> bool {
    [CONTEXT, STAGE].contains(&name)
}

impl Lowering<'_> {
    /// What the file asks to look into besides `target`; `stages` are those that it reaches.
    pub(crate) fn scans(&mut self, target: &StageState) -> Vec<Scan> {
        let asked = self.done.iter().flatten();
        let asked = asked.filter(|state| state.index != target.index && state.asks_for_scan);
        let mut scans: Vec<Scan> =
            asked.map(|state| Scan { name: state.name.clone(), node: state.node }).collect();
        if self.asks(target, CONTEXT) {
            let inputs = vec![self.scratch(), self.main_context()];
            let all = Copy {
                input: 1,
                sources: vec!["/".to_owned()],
                destination: "/".to_owned(),
                ..Copy::default()
            };
            let about = About { name: "[internal] scan context".to_owned(), ..About::default() };
            let node =
                self.graph.add(Op::File(FileOp { actions: vec![FileAction::Copy(all)] }), inputs, about);
            scans.push(Scan { name: "context".to_owned(), node });
        }
        scans
    }

    /// Whether a stage is to be looked into.
    pub(crate) fn asks_for_scan(&self, state: &StageState) -> bool {
        self.asks(state, STAGE)
    }

    /// Whether an argument is set for a stage: by the stage or one that it stands on, else above the first FROM.
    fn asks(&self, state: &StageState, name: &str) -> bool {
        let value = state.scope.declared_value(name).or_else(|| self.globals.get(name));
        match value {
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") | None => false,
            Some(names) => names.split(',').any(|name| name == state.name),
        }
    }
}
