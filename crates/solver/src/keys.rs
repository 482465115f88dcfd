//! From a node and the keys of its inputs to its own keys.

use graph::{FileAction, FileOp, Key, KeyInput, KeyOp, MountKind, Node, Op};
use oci::Digest;

/// What is known of one input when a key is made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InputKey {
    /// The key of the snapshot; a local folder has none.
    pub(crate) snapshot: Option<Digest>,
    /// The digest of the files that are taken from it, where they were asked for.
    pub(crate) files: Option<Digest>,
}

/// The inputs of a node that it only takes files from, so that their content can stand for them: the sources of
/// copies and of bind mounts, and what a new cache mount begins with.
pub(crate) fn taken_by_content(node: &Node) -> Vec<usize> {
    let mut inputs = match &node.op {
        Op::File(op) => op.sources(),
        Op::Run(run) => run.mounts.iter().filter_map(|mount| taken_by_mount(&mount.kind)).collect(),
        Op::Scratch | Op::Image(_) | Op::Local(_) | Op::Http(_) | Op::Git(_) | Op::Merge => Vec::new(),
    };
    // What a step stands on decides more than the files it takes.
    inputs.retain(|input| *input != 0);
    inputs.sort_unstable();
    inputs.dedup();
    inputs
}

fn taken_by_mount(mount: &MountKind) -> Option<usize> {
    match mount {
        MountKind::Bind { input, .. } => Some(*input),
        MountKind::Cache { from, .. } => from.as_ref().map(|(input, _)| *input),
        MountKind::Tmpfs { .. } | MountKind::Secret { .. } | MountKind::Ssh { .. } => None,
    }
}

/// The key that follows from the keys of all inputs. Where an input is a local folder, the content of the files that
/// are taken stands for it. Nothing if a part is not known.
pub(crate) fn definition(node: &Node, inputs: &[InputKey]) -> Option<Key> {
    let part = |(_, input): (usize, &InputKey)| {
        input.snapshot.map(KeyInput::Snapshot).or(input.files.map(KeyInput::Files))
    };
    assemble(node, inputs, part, Clone::clone)
}

/// The key with the content of the taken files in place of their sources. Nothing if a part is not known.
pub(crate) fn content(node: &Node, inputs: &[InputKey]) -> Option<Key> {
    let taken = taken_by_content(node);
    let part = |(at, input): (usize, &InputKey)| {
        if taken.contains(&at) {
            input.files.map(KeyInput::Files)
        } else {
            input.snapshot.map(KeyInput::Snapshot)
        }
    };
    assemble(node, inputs, part, without_exclusions)
}

fn assemble<'a>(
    node: &Node,
    inputs: &'a [InputKey],
    part: impl Fn((usize, &'a InputKey)) -> Option<KeyInput>,
    files: impl Fn(&FileOp) -> FileOp,
) -> Option<Key> {
    let op = match &node.op {
        Op::Scratch => KeyOp::Scratch,
        Op::Image(_) | Op::Local(_) | Op::Http(_) | Op::Git(_) => return Key::of_source(&node.op),
        Op::Run(run) => KeyOp::Run(run.clone()),
        Op::File(file) => KeyOp::File(files(file)),
        Op::Merge => KeyOp::Merge,
    };
    let inputs = inputs.iter().enumerate().map(part).collect::<Option<Vec<_>>>()?;
    Some(Key::new(op, inputs))
}

/// What `--exclude` leaves out shows in the digest of what is taken. Source paths stay: the explanation shows them.
fn without_exclusions(file: &FileOp) -> FileOp {
    let mut file = file.clone();
    for action in &mut file.actions {
        if let FileAction::Copy(copy) = action {
            copy.exclude.clear();
        }
    }
    file
}
