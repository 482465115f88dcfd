//! The cache service of GitHub Actions on the loopback, in both versions of its protocol. The real one cannot be reached
//! from here; this one has its rules: entries belong to a branch, are reserved, filled and committed, and never change; a
//! token opens branches; what is looked for is the beginning of a key, and the newest entry is found; bytes are read and,
//! in the second version, written by URLs that are good without the token.

use super::site::{Reply, Seen, Site};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What a token opens: branches, and whether they may be written to.
pub(crate) type Access<'a> = &'a [(&'a str, bool)];

/// The service.
pub(crate) struct Actions {
    site: Site,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    /// So many requests are answered with 429.
    busy: usize,
    /// What a request with a path that holds this is answered with.
    broken: Option<(String, Reply)>,
}

#[derive(Default)]
struct Entry {
    key: String,
    version: String,
    branch: String,
    bytes: Vec<u8>,
    blocks: BTreeMap<String, Vec<u8>>,
    committed: bool,
}

impl Actions {
    pub(crate) fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let kept = state.clone();
        let site = Site::start(move |seen| kept.lock().unwrap().answer(seen));
        Self { site, state }
    }

    /// Where the service is.
    pub(crate) fn url(&self) -> String {
        self.site.url("/")
    }

    /// A token that opens these branches.
    pub(crate) fn token(access: Access<'_>) -> String {
        let scopes: Vec<Value> = access
            .iter()
            .map(|(branch, write)| json!({ "Scope": branch, "Permission": if *write { 3 } else { 1 } }))
            .collect();
        let claims = json!({ "ac": Value::from(scopes).to_string(), "nbf": 0, "exp": 4_000_000_000_u64 });
        let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part("{}"), part(&claims.to_string()), part("signature"))
    }

    /// The next requests are answered with `429 Too Many Requests`.
    pub(crate) fn be_busy(&self, requests: usize) {
        self.state.lock().unwrap().busy = requests;
    }

    /// Requests whose path holds `part` get this answer from now on.
    pub(crate) fn break_down(&self, part: &str, reply: Reply) {
        self.state.lock().unwrap().broken = Some((part.to_owned(), reply));
    }

    /// The keys of all committed entries, with their branches.
    pub(crate) fn keys(&self) -> Vec<(String, String)> {
        let state = self.state.lock().unwrap();
        let committed = state.entries.iter().filter(|entry| entry.committed);
        committed.map(|entry| (entry.branch.clone(), entry.key.clone())).collect()
    }

    /// Forgets the entries whose keys begin so, as the service does with old ones.
    pub(crate) fn evict(&self, begin: &str) {
        self.state.lock().unwrap().entries.retain(|entry| !entry.key.starts_with(begin));
    }

    /// The requests since the last time, as `METHOD /path`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.site.seen().into_iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }
}

impl State {
    fn answer(&mut self, seen: &Seen) -> Reply {
        if let Some((_, reply)) = self.broken.as_ref().filter(|(part, _)| seen.path.contains(part)) {
            return reply.clone();
        }
        if self.busy > 0 {
            self.busy -= 1;
            return Reply::status(429).header("Retry-After", "1");
        }
        let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
        let query: BTreeMap<String, String> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), unescape(value)))
            .collect();
        if let Some(id) = path.strip_prefix("/blob/").and_then(|id| id.parse::<usize>().ok()) {
            // The signature lets in, and the token must not come here.
            if query.get("sig").map(String::as_str) != Some("g00d")
                || !seen.header("authorization").is_empty()
            {
                return Reply::status(403);
            }
            return self.blob(seen, id, &query);
        }
        let Some(access) = access(seen.header("authorization")) else { return Reply::status(401) };
        let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        let v1 = path.strip_prefix("/_apis/artifactcache/");
        let v2 = path.strip_prefix("/twirp/github.actions.results.api.v1.CacheService/");
        match (v1, v2) {
            (Some(path), _) => self.first(seen, path, &query, &body, &access),
            (_, Some(method)) => self.second(seen, method, &body, &access),
            _ => Reply::status(404),
        }
    }

    fn first(
        &mut self,
        seen: &Seen,
        path: &str,
        query: &BTreeMap<String, String>,
        body: &Value,
        access: &[(String, bool)],
    ) -> Reply {
        let id = path.strip_prefix("caches/").and_then(|id| id.parse::<usize>().ok());
        match (seen.method.as_str(), path, id) {
            ("GET", "cache", _) => match self.find(&query["keys"], &query["version"], access) {
                Some(id) => {
                    let entry = &self.entries[id];
                    let place = format!("http://{}/blob/{id}?sig=g00d", seen.header("host"));
                    said(&json!({ "cacheKey": entry.key, "scope": entry.branch, "archiveLocation": place }))
                }
                None => Reply::status(204),
            },
            ("POST", "caches", _) => match self.reserve(body, access) {
                Some(id) => said(&json!({ "cacheId": id + 1 })),
                None => taken(&json!({
                    "typeKey": "ArtifactCacheItemAlreadyExistsException",
                    "message": "Cache already exists.",
                })),
            },
            ("PATCH", _, Some(id)) => {
                let range = seen.header("content-range").trim_start_matches("bytes ").trim_end_matches("/*");
                let (start, end) = range.split_once('-').unwrap();
                let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
                if end + 1 - start != seen.body.len() || seen.body.len() > 32 << 20 {
                    return Reply::status(400);
                }
                let bytes = &mut self.entries[id - 1].bytes;
                bytes.resize(bytes.len().max(end + 1), 0);
                bytes[start..=end].copy_from_slice(&seen.body);
                Reply::status(204)
            }
            ("POST", _, Some(id)) => {
                if !self.commit(id - 1, &body["size"]) {
                    return Reply::status(400);
                }
                Reply::status(204)
            }
            _ => Reply::status(404),
        }
    }

    fn second(&mut self, seen: &Seen, method: &str, body: &Value, access: &[(String, bool)]) -> Reply {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let place = |id: usize| format!("http://{}/blob/{id}?sv=1&sig=g00d", seen.header("host"));
        match method {
            "GetCacheEntryDownloadURL" => match self.find(&text("key"), &text("version"), access) {
                Some(id) => {
                    let key = &self.entries[id].key;
                    said(&json!({ "ok": true, "signed_download_url": place(id), "matched_key": key }))
                }
                None => said(&json!({ "ok": false, "signed_download_url": "", "matched_key": "" })),
            },
            "CreateCacheEntry" => match self.reserve(body, access) {
                Some(id) => said(&json!({ "ok": true, "signed_upload_url": place(id) })),
                None => taken(&json!({ "code": "already_exists", "msg": "cache entry exists" })),
            },
            "FinalizeCacheEntryUpload" => {
                let found = self.entries.iter().position(|entry| {
                    !entry.committed && entry.key == text("key") && entry.version == text("version")
                });
                let ok = found.is_some_and(|id| self.commit(id, &body["size_bytes"]));
                said(&json!({ "ok": ok, "entry_id": "1" }))
            }
            _ => Reply::status(404),
        }
    }

    fn blob(&mut self, seen: &Seen, id: usize, query: &BTreeMap<String, String>) -> Reply {
        let entry = &mut self.entries[id];
        match (seen.method.as_str(), query.get("comp").map(String::as_str)) {
            ("GET", None) => {
                let range = seen.header("range").trim_start_matches("bytes=").trim_end_matches('-');
                let Ok(start) = range.parse::<usize>() else { return Reply::ok(entry.bytes.clone()) };
                let range = format!("bytes {start}-{}/{}", entry.bytes.len() - 1, entry.bytes.len());
                Reply { status: 206, ..Reply::ok(&entry.bytes[start..]) }.header("Content-Range", range)
            }
            ("PUT", None) if seen.header("x-ms-blob-type") == "BlockBlob" => {
                entry.bytes.clone_from(&seen.body);
                Reply::status(201)
            }
            ("PUT", Some("block")) => {
                assert!(BASE64_STANDARD.decode(&query["blockid"]).is_ok());
                entry.blocks.insert(query["blockid"].clone(), seen.body.clone());
                Reply::status(201)
            }
            ("PUT", Some("blocklist")) => {
                let list = String::from_utf8(seen.body.clone()).unwrap();
                let ids = list.split("<Latest>").skip(1).map(|rest| rest.split('<').next().unwrap());
                entry.bytes = ids.flat_map(|id| entry.blocks[id].clone()).collect();
                Reply::status(201)
            }
            _ => Reply::status(400),
        }
    }

    /// The newest entry of the first branch that has one.
    fn find(&self, begin: &str, version: &str, access: &[(String, bool)]) -> Option<usize> {
        access.iter().find_map(|(branch, _)| {
            self.entries.iter().rposition(|entry| {
                entry.committed
                    && entry.branch == *branch
                    && entry.version == version
                    && entry.key.starts_with(begin)
            })
        })
    }

    fn reserve(&mut self, body: &Value, access: &[(String, bool)]) -> Option<usize> {
        let (key, version) = (body["key"].as_str()?, body["version"].as_str()?);
        let (branch, _) = access.iter().find(|(_, write)| *write)?;
        let same = |entry: &Entry| entry.key == key && entry.version == version && entry.branch == *branch;
        if self.entries.iter().any(same) {
            return None;
        }
        self.entries.push(Entry {
            key: key.to_owned(),
            version: version.to_owned(),
            branch: branch.clone(),
            ..Entry::default()
        });
        Some(self.entries.len() - 1)
    }

    fn commit(&mut self, id: usize, size: &Value) -> bool {
        let entry = &mut self.entries[id];
        entry.committed = size.as_u64() == Some(entry.bytes.len() as u64);
        entry.committed
    }
}

/// What the token in an `Authorization` header opens.
fn access(authorization: &str) -> Option<Vec<(String, bool)>> {
    let claims = authorization.strip_prefix("Bearer ")?.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let scopes: Value = serde_json::from_str(claims["ac"].as_str()?).ok()?;
    let scopes = scopes.as_array()?.iter();
    Some(
        scopes
            .map(|one| (one["Scope"].as_str().unwrap().to_owned(), one["Permission"].as_u64() == Some(3)))
            .collect(),
    )
}

fn said(answer: &Value) -> Reply {
    Reply::ok(answer.to_string()).header("Content-Type", "application/json")
}

fn taken(answer: &Value) -> Reply {
    Reply { status: 409, ..said(answer) }
}

/// Replaces `%XX`.
fn unescape(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        out.push(u8::from_str_radix(&part[..2], 16).unwrap());
        out.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(out).unwrap()
}
