//! Contexts that other machines hold: the build context, and named ones.

use crate::MainContext;
use crate::lower::{CONTEXT, Lowering};
use graph::{About, Copy, FileAction, FileOp, NodeId, Op};

impl Lowering<'_> {
    /// The node of the build context. What comes from elsewhere was fetched to read the Dockerfile in it, so it is
    /// shown to nobody again.
    pub(crate) fn main_context(&mut self) -> NodeId {
        let about = About { slot: CONTEXT.to_owned(), ..About::default() };
        match self.options.context.clone() {
            MainContext::Local => self.local(CONTEXT),
            MainContext::Git(git) => self.remote(Op::Git(git), &about),
            MainContext::File(http) => self.remote(Op::Http(http), &about),
            MainContext::Archive(http) => {
                let path = format!("/{}", http.name);
                let file = self.remote(Op::Http(http), &about);
                if let Some(node) = self.unpacked {
                    return node;
                }
                let inputs = vec![self.scratch(), file];
                let node = self.graph.add(unpack(path), inputs, about);
                self.unpacked = Some(node);
                node
            }
        }
    }

    /// The node of a named context that another machine holds.
    pub(crate) fn named_remote(&mut self, name: &str, op: Op) -> NodeId {
        let place = match &op {
            Op::Http(http) => http.url.clone(),
            Op::Git(git) => git.remote.clone(),
            _ => String::new(),
        };
        let shown = format!("[context {name}] {}", without_user(&place));
        let about = About { name: shown, slot: format!("context {name}"), ..About::default() };
        self.remote(op, &about)
    }
}

/// Unpacks the archive at `path` of the second input over the first.
pub fn unpack(path: String) -> Op {
    let copy =
        Copy { input: 1, sources: vec![path], destination: "/".to_owned(), unpack: true, ..Copy::default() };
    Op::File(FileOp { actions: vec![FileAction::Copy(copy)] })
}

/// A URL without user and password.
fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    format!("{scheme}://{place}{path}")
}
