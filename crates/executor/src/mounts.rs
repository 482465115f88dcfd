//! What a step sees besides its root: bind, cache, tmpfs and secret mounts, name resolution, here-documents.

use crate::content;
use crate::run::Held;
use crate::select::clean;
use crate::worker::Worker;
use crate::{Error, Result};
use graph::{CacheSharing, MountKind as Wanted, RunOp};
use sandbox::{Mount, MountKind, Tree};
use snapshot::Lowers;
use solver::{Input, Task};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::Sharing;

impl Worker {
    /// The mounts of a run. What must live as long as the step goes into `held`; secrets that are wanted as variables
    /// into `env`.
    pub(crate) fn mounts(
        &self,
        task: &Task<'_>,
        run: &RunOp,
        held: &mut Held,
        env: &mut Vec<String>,
    ) -> Result<Vec<Mount>> {
        let mut mounts = Vec::new();
        let names = self.caches(task, run, held)?;
        for (wanted, name) in run.mounts.iter().zip(&names) {
            let target = wanted.target.clone().into();
            let kind = match &wanted.kind {
                Wanted::Bind { input, source, writable } => {
                    let root = self.shown(task, &task.inputs[*input], source, *writable, held)?;
                    self.inside(root, source, !*writable)?
                }
                Wanted::Cache { readonly, .. } => {
                    let cache = held.caches.iter().find(|(known, _)| Some(known) == name.as_ref());
                    let (_, cache) = cache.expect("because all cache mounts were taken first");
                    let source = Tree::Path(cache.path().to_owned());
                    MountKind::Bind { source, readonly: *readonly, recursive: false }
                }
                Wanted::Tmpfs { size, readonly } => MountKind::Tmpfs {
                    size: (*size > 0).then_some(*size),
                    mode: 0o1777,
                    uid: 0,
                    gid: 0,
                    noexec: false,
                    readonly: *readonly,
                },
                Wanted::Secret { id, file, env: variable, required, mode, uid, gid } => {
                    let Some(secret) = self.options.secrets.get(id).map_err(|source| Error::Io {
                        action: "read the secret's file for",
                        path: id.into(),
                        source,
                    })?
                    else {
                        if *required {
                            return Err(Error::Secret { id: id.clone() });
                        }
                        // A missing optional secret sets its variable to nothing.
                        env.extend(variable.iter().map(|name| format!("{name}=")));
                        continue;
                    };
                    if let Some(name) = variable {
                        env.push(format!("{name}={}", String::from_utf8_lossy(&secret)));
                    }
                    if !*file {
                        continue;
                    }
                    MountKind::Data { bytes: secret, mode: *mode, uid: *uid, gid: *gid, readonly: true }
                }
                Wanted::Ssh { id, required, mode, uid, gid } => {
                    let owner = (!self.options.single_id).then_some((*uid, *gid));
                    match self.options.agents.get(id) {
                        Some(agent) => self.lend(agent, *mode, owner, held)?,
                        None if *required => return Err(Error::Agent { id: id.clone() }),
                        None => continue,
                    }
                }
            };
            mounts.push(Mount { target, kind });
        }
        for (name, content) in &run.pipes {
            mounts.push(Mount {
                target: format!("/dev/pipes/{name}").into(),
                kind: MountKind::Data {
                    bytes: content.clone().into_bytes(),
                    mode: 0o755,
                    uid: 0,
                    gid: 0,
                    readonly: true,
                },
            });
        }
        Ok(mounts)
    }

    /// A detached mount that shows an input. What a step writes to it is thrown away.
    fn shown(
        &self,
        task: &Task<'_>,
        input: &Input,
        source: &str,
        writable: bool,
        held: &mut Held,
    ) -> Result<OwnedFd> {
        let vertex = self.vertex(task.id);
        let lowers = match input {
            Input::Snapshot(snapshot) => self.forms.lowers(&snapshot.stack, &vertex)?,
            Input::Local(_) => {
                // The step sees what the key covers, and nothing that .dockerignore leaves out.
                let draft = self.store.new_layer()?;
                let listing = self.plan_tree(input, source, false, &draft)?;
                let mut lowers = Lowers::default();
                match self.forms.draft_image(draft.id(), draft.dir(), &listing)? {
                    Some(mount) => lowers.push_mount(mount),
                    None => {
                        let empty = layer::View::default();
                        let (folder, _) = draft.make_folders()?;
                        let mut content = self.forms.content_at(draft.dir(), &listing)?;
                        self.forms.write_folder(&listing, &mut content, &folder, &empty)?;
                        lowers.push(folder);
                    }
                }
                held.drafts.push(draft);
                lowers
            }
        };
        let folders: Vec<PathBuf> = lowers.paths().iter().rev().cloned().collect();
        let upper = if writable || folders.is_empty() {
            let draft = self.store.new_layer()?;
            let folders = draft.make_folders()?;
            held.drafts.push(draft);
            Some(folders)
        } else {
            None
        };
        let options = sandbox::overlay::Options {
            userxattr: self.forms.flavour() == layer::Flavour::User,
            volatile: true,
            readonly: !writable,
        };
        Ok(sandbox::overlay::mount_detached(&folders, upper, options)?)
    }

    /// The place in a detached mount that is shown.
    fn inside(&self, root: OwnedFd, source: &str, readonly: bool) -> Result<MountKind> {
        let path = clean(source.as_bytes());
        if path.is_empty() {
            return Ok(MountKind::Bind { source: Tree::Mount(Arc::new(root)), readonly, recursive: false });
        }
        let place = Path::new(std::ffi::OsStr::from_bytes(&path));
        let tree = sandbox::mount::subtree(root, place, false, readonly).map_err(|error| match error {
            sandbox::Error::Os { source: cause, .. } if cause.kind() == std::io::ErrorKind::NotFound => {
                Error::NoSource { path: source.to_owned(), near: None }
            }
            error => Error::from(error),
        })?;
        Ok(MountKind::Bind { source: Tree::Mount(Arc::new(tree)), readonly, recursive: false })
    }

    /// What a new cache mount starts with: a tree of a source, and the mode and owner of its root.
    fn fill_cache(&self, input: &Input, source: &str, cache: &Path) -> Result<(u32, u32, u32)> {
        let draft = self.store.new_layer()?;
        let listing = self.plan_tree(input, source, true, &draft)?;
        let mut content = self.forms.content_at(draft.dir(), &listing)?;
        self.forms.write_folder(&listing, &mut content, cache, &layer::View::default())?;
        let view = self.view(input)?;
        let root = crate::select::tree(&view, source)?.root.map(|found| found.entry());
        Ok(root.map_or((0o755, 0, 0), |entry| (entry.mode & 0o7777, entry.uid, entry.gid)))
    }

    /// The name of a cache mount in the store. As in BuildKit, one id means as many caches as it has beginnings: other
    /// initial content, another mode or owner begin another cache.
    fn cache_name(&self, task: &Task<'_>, kind: &Wanted) -> Result<Option<String>> {
        let Wanted::Cache { id, from, mode, uid, gid, .. } = kind else { return Ok(None) };
        Ok(Some(match from {
            Some((input, source)) => {
                let content = content::tree_digest(self, &task.inputs[*input], source)?;
                format!("{id} from {source} of {}", &content.hex()[..32])
            }
            None if (*mode, *uid, *gid) == (0o755, 0, 0) => id.clone(),
            None => format!("{id} mode {mode:o} owner {uid}:{gid}"),
        }))
    }

    /// Takes the cache mounts of a run, each once however often it is mounted; gives the names by mount. They are taken
    /// in the order of their names, so that two steps that lock the same ones never wait for each other.
    fn caches(&self, task: &Task<'_>, run: &RunOp, held: &mut Held) -> Result<Vec<Option<String>>> {
        let kinds = run.mounts.iter().map(|mount| &mount.kind);
        let names = kinds.clone().map(|kind| self.cache_name(task, kind)).collect::<Result<Vec<_>>>()?;
        let mut wanted: Vec<(&str, &Wanted)> =
            names.iter().zip(kinds).filter_map(|(name, kind)| Some((name.as_deref()?, kind))).collect();
        wanted.sort_by_key(|(name, _)| *name);
        for (name, kind) in wanted {
            let Wanted::Cache { sharing, from, mode, uid, gid, .. } = kind else { continue };
            if held.caches.iter().any(|(known, _)| known == name) {
                continue;
            }
            let sharing = match sharing {
                CacheSharing::Shared => Sharing::Shared,
                CacheSharing::Private => Sharing::Private,
                CacheSharing::Locked => Sharing::Locked,
            };
            let wait = &mut || !task.cancel.is_cancelled();
            let mut cache = self.store.cache_mount(name, sharing, wait)?;
            if cache.is_fresh() {
                let (mode, uid, gid) = match from {
                    Some((input, source)) => self.fill_cache(&task.inputs[*input], source, cache.path())?,
                    None => (*mode, *uid, *gid),
                };
                own(cache.path(), mode, uid, gid, self.options.single_id)?;
                cache.ready()?;
            }
            held.caches.push((name.to_owned(), cache));
        }
        Ok(names)
    }
}

/// Gives a new cache mount its mode and owner.
fn own(path: &Path, mode: u32, uid: u32, gid: u32, single_id: bool) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let fail = |source| Error::Io { action: "set up", path: path.to_owned(), source };
    if !single_id {
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).map_err(fail)?;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(fail)
}
