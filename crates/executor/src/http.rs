//! The http operation: a file by its URL becomes a layer of one file.
//!
//! What a server said of a file is kept: its validators, and the digest of the bytes that they stood for. The next
//! build asks with them, and where nothing changed no byte comes, even if the file itself was pruned meanwhile; it is
//! fetched again only when somebody needs it, and must be the same then. With `--checksum` nobody is asked at all
//! before the file is needed.
//!
//! The note is `{"etag":..,"modified_since":..,"digest":..,"modified":..}`, kept under the URL as stat indexes are
//! under a context's path: it may be lost at any time.

use crate::worker::Worker;
use crate::{Error, Result};
use graph::{HttpOp, Key, KeyOp, NodeId};
use layer::{Content, Entry, Kind, LayerId, Listing, Place, Time};
use oci::{Digest, Hasher};
use progress::VertexHandle;
use serde::{Deserialize, Serialize};
use solver::{Cancel, NewRecord, Pinned, Task};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use store::{Commit, LayerDraft, Store};
use web::{Get, Got, Head, Sink};

/// The permission bits of what is fetched.
const MODE: u32 = 0o600;
/// A time that was so many seconds ago when the server sent it tells versions apart; a younger one may not (RFC 9110,
/// 8.8.2.2).
const SETTLED: i64 = 60;

/// What was learned of a URL.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Note {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified_since: Option<String>,
    digest: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified: Option<i64>,
}

/// A longer note is none of ours.
const MOST_NOTE: u64 = 1 << 20;

/// A file that came.
struct Fetched {
    draft: LayerDraft,
    digest: Digest,
    size: u64,
    modified: Option<i64>,
    head: Head,
}

impl Worker {
    /// What a URL's file is at the moment. It is brought here unless it is what it was.
    pub(crate) fn pin_http(&self, id: NodeId, slot: &str, http: &HttpOp, cancel: &Cancel) -> Result<Pinned> {
        if let Some(key) = self.pins().https.get(http) {
            return Ok(Pinned { key: key.clone(), brought: false });
        }
        // Of two processes one fetches, and the other is told that nothing changed since.
        let name = note_name(http);
        let lock = Digest::of(name.as_bytes());
        let _lock = self.store.lock_key(&lock, &mut || !cancel.is_cancelled())?;
        let note = self.note(&name);
        let fetched = self.fetch(http, &note, &self.vertex(id), cancel)?;
        let Some(fetched) = fetched else {
            let digest = note.digest.expect("because only what is known can be unchanged");
            let key = Key::of_http(http, digest, note.modified);
            self.pins().https.insert(http.clone(), key.clone());
            return Ok(Pinned { key, brought: false });
        };
        let key = Key::of_http(http, fetched.digest, fetched.modified);
        let note = Note::new(&fetched);
        let record =
            store::NewRecord { slot: slot.to_owned(), text: key.text(), ..store::NewRecord::default() };
        self.keep(http, fetched, key.digest(), record, Vec::new())?;
        if note.etag.is_some() || note.modified_since.is_some() {
            let text = serde_json::to_vec(&note).expect("because a note holds only values that JSON has");
            self.store.put_context_index(&name, |file| file.write_all(&text))?;
        }
        self.pins().https.insert(http.clone(), key.clone());
        Ok(Pinned { key, brought: true })
    }

    /// Brings a file here that is known by its digest.
    pub(crate) fn http(&self, task: &Task<'_>, http: &HttpOp) -> Result<Vec<LayerId>> {
        let Some(NewRecord { key, text, links }) = &task.record else { return Ok(Vec::new()) };
        let known = Key::parse(text).ok().map(|key| key.op);
        let Some(KeyOp::Http { digest, modified, .. }) = known else {
            return Err(Error::Unsupported { what: format!("the key {text} for a file by its URL") });
        };
        let nothing = Note::default();
        let fetched = self.fetch(http, &nothing, &self.vertex(task.id), task.cancel)?;
        let mut fetched = fetched.expect("because nothing was said to be known");
        if fetched.digest != digest {
            let url = web::redacted(&http.url);
            return Err(match http.checksum {
                Some(wanted) => Error::Checksum { url, wanted, got: fetched.digest },
                None => Error::Changed { path: url },
            });
        }
        fetched.modified = modified.or(fetched.modified);
        let record = store::NewRecord {
            slot: task.node.about.slot.clone(),
            text: text.clone(),
            ..store::NewRecord::default()
        };
        let links = links.iter().map(|link| (*link, *key)).collect();
        self.keep(http, fetched, *key, record, links)
    }

    fn note(&self, name: &str) -> Note {
        // A damaged or lost note costs a download, nothing more.
        let mut bytes = Vec::new();
        if let Ok(Some(file)) = self.store.context_index(name) {
            let _ = file.take(MOST_NOTE).read_to_end(&mut bytes);
        }
        serde_json::from_slice::<Note>(&bytes).ok().filter(|note| note.digest.is_some()).unwrap_or_default()
    }

    /// The file in a new layer; nothing where it is what the note knows.
    fn fetch(
        &self,
        http: &HttpOp,
        note: &Note,
        vertex: &VertexHandle,
        cancel: &Cancel,
    ) -> Result<Option<Fetched>> {
        let mut sink = Pack { store: &self.store, open: None, hasher: Hasher::new() };
        let authorization = self.authorization(&http.url)?;
        let request = Get {
            url: &http.url,
            authorization: authorization.as_deref(),
            etag: note.etag.as_deref(),
            modified_since: note.modified_since.as_deref(),
            limit: self.options.largest_download,
        };
        let transfer = std::cell::OnceCell::new();
        let progress = |bytes: u64, total: Option<u64>| {
            let transfer = transfer.get_or_init(|| vertex.transfer(format!("downloading {}", http.name), 0));
            transfer.set_total(total.unwrap_or(0));
            transfer.set(bytes);
        };
        let got = self.web()?.get(&request, &mut sink, &progress, &|| !cancel.is_cancelled());
        if let Some(transfer) = transfer.into_inner() {
            transfer.done();
        }
        let head = match got {
            Err(web::Error::Cancelled) => return Err(Error::Cancelled),
            Err(error) => return Err(error.into()),
            Ok(Got::Unchanged(_)) => return Ok(None),
            Ok(Got::Whole(head)) => head,
        };
        let (draft, _) = match sink.open.take() {
            Some(open) => open,
            // An empty file.
            None => sink.make()?,
        };
        let (size, digest) = (sink.hasher.size(), sink.hasher.finish());
        let modified = head.last_modified.as_deref().and_then(web::date::parse);
        Ok(Some(Fetched { draft, digest, size, modified, head }))
    }

    /// Makes the layer and its record visible.
    fn keep(
        &self,
        http: &HttpOp,
        fetched: Fetched,
        key: Digest,
        mut record: store::NewRecord,
        links: Vec<(Digest, Digest)>,
    ) -> Result<Vec<LayerId>> {
        let Fetched { mut draft, digest, size, modified, .. } = fetched;
        let content = Content::Own(Place::Pack(0));
        let entry = Entry {
            path: http.name.as_bytes().into(),
            kind: Kind::File { size, digest, link: 0, content },
            mode: MODE,
            uid: 0,
            gid: 0,
            mtime: Time { seconds: modified.unwrap_or(0), nanoseconds: 0 },
            xattrs: Vec::new().into(),
        };
        draft.write_listing(&Listing::new(vec![entry], Vec::new()))?;
        record.stack = vec![draft.id()];
        let stack = record.stack.clone();
        self.store.commit(Commit { layers: vec![draft], record: Some((key, record)), links })?;
        Ok(stack)
    }

    /// The value of `Authorization` that a secret named after the URL's host gives.
    fn authorization(&self, url: &str) -> Result<Option<String>> {
        let Some(host) = host(url) else { return Ok(None) };
        let secret = |id: String| {
            let value = self.options.secrets.get(&id).map_err(|source| Error::Io {
                action: "read the secret",
                path: id.into(),
                source,
            })?;
            let text = value.map(|value| String::from_utf8_lossy(&value).trim_end().to_owned());
            Ok::<_, Error>(text)
        };
        let token = secret(format!("HTTP_AUTH_TOKEN_{host}"))?.map(|token| format!("Bearer {token}"));
        Ok(token.or(secret(format!("HTTP_AUTH_HEADER_{host}"))?))
    }
}

impl Note {
    fn new(fetched: &Fetched) -> Self {
        let sent = fetched.head.date.as_deref().and_then(web::date::parse);
        let is_settled =
            matches!((sent, fetched.modified), (Some(sent), Some(changed)) if sent - changed >= SETTLED);
        Self {
            etag: fetched.head.etag.clone(),
            modified_since: fetched.head.last_modified.clone().filter(|_| is_settled),
            digest: Some(fetched.digest),
            modified: fetched.modified,
        }
    }
}

fn note_name(http: &HttpOp) -> String {
    format!("http {}", http.url)
}

/// The host's name in a URL, without user and port.
fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
    Some(web::host::host_name(place.rsplit_once('@').map_or(place, |(_, place)| place)))
}

/// A pack with one file in it, in a layer that is made when the first byte comes.
struct Pack<'a> {
    store: &'a Store,
    open: Option<(LayerDraft, File)>,
    hasher: Hasher,
}

impl Pack<'_> {
    fn make(&self) -> Result<(LayerDraft, File)> {
        let draft = self.store.new_layer()?;
        let path = draft.pack();
        let pack = File::create_new(&path).map_err(|source| Error::Io { action: "make", path, source })?;
        Ok((draft, pack))
    }
}

impl Sink for Pack<'_> {
    fn restart(&mut self) -> std::io::Result<()> {
        self.hasher = Hasher::new();
        if let Some((_, file)) = &mut self.open {
            file.seek(SeekFrom::Start(0))?;
            file.set_len(0)?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.open.is_none() {
            self.open = Some(self.make().map_err(std::io::Error::other)?);
        }
        self.hasher.update(bytes);
        match &mut self.open {
            Some((_, file)) => file.write_all(bytes),
            None => Ok(()),
        }
    }
}
