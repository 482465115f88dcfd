//! One JSON object a line, in the form of BuildKit's `rawjson` progress: what its Go client calls a `SolveStatus`.
//!
//! ```text
//! {"vertexes":[{"digest":"sha256:…","inputs":["sha256:…"],"name":"[2/3] RUN make","started":"…","completed":"…","cached":true,"error":"…"}]}
//! {"statuses":[{"id":"sha256:…","vertex":"sha256:…","name":"…","total":30,"current":12,"timestamp":"…","started":"…","completed":"…"}]}
//! {"logs":[{"vertex":"sha256:…","stream":1,"data":"base64","timestamp":"…"}]}
//! {"warnings":[{"vertex":"sha256:…","short":"base64","detail":["base64"],"url":"…","sourceInfo":{"filename":"Dockerfile","data":"base64"},"range":[{"start":{"line":3},"end":{"line":3}}]}]}
//! ```
//! Fields that are empty are left out, as Go's `omitempty` does; `current` and `data` are always there. A note, for
//! which BuildKit has no field, is a log line of stream 2.

use crate::{Event, Moment, Position, Sink, SourceRange, VertexId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::Digest;
use serde::Serialize;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

/// The renderer for programs. Every event is one line and one `write`.
pub struct RawJson {
    state: Mutex<State>,
}

struct State {
    out: Box<dyn Write + Send>,
    broken: bool,
    vertices: Vec<Item>,
}

#[derive(Clone, Default)]
struct Item {
    digest: Option<Digest>,
    inputs: Vec<Digest>,
    name: String,
    started: Option<Moment>,
    completed: Option<Moment>,
    cached: bool,
    error: String,
}

#[derive(Serialize, Default)]
struct SolveStatus<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    vertexes: Option<[VertexJson<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statuses: Option<[StatusJson<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logs: Option<[LogJson; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<[WarningJson<'a>; 1]>,
}

#[derive(Serialize)]
struct VertexJson<'a> {
    digest: Digest,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    inputs: &'a [Digest],
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cached: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'a str,
}

#[derive(Serialize)]
struct StatusJson<'a> {
    id: &'a str,
    vertex: Digest,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    total: u64,
    current: u64,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed: Option<String>,
}

#[derive(Serialize)]
struct LogJson {
    vertex: Digest,
    stream: u8,
    data: String,
    timestamp: String,
}

#[derive(Serialize)]
struct WarningJson<'a> {
    vertex: Digest,
    level: u8,
    short: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    detail: Vec<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    url: &'a str,
    #[serde(rename = "sourceInfo", skip_serializing_if = "Option::is_none")]
    source_info: Option<SourceInfoJson<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    range: Vec<RangeJson>,
}

#[derive(Serialize)]
struct SourceInfoJson<'a> {
    filename: &'a str,
    data: String,
    language: &'static str,
}

#[derive(Serialize)]
struct RangeJson {
    start: PositionJson,
    end: PositionJson,
}

#[derive(Serialize)]
struct PositionJson {
    #[serde(skip_serializing_if = "is_zero_u32")]
    line: u32,
    #[serde(skip_serializing_if = "is_zero_u32")]
    character: u32,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn is_zero_u32(value: &u32) -> bool {
    *value == 0
}

impl From<&SourceRange> for RangeJson {
    fn from(range: &SourceRange) -> Self {
        let position =
            |position: &Position| PositionJson { line: position.line, character: position.character };
        Self { start: position(&range.start), end: position(&range.end) }
    }
}

impl RawJson {
    /// A renderer that writes to `out`.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self { state: Mutex::new(State { out, broken: false, vertices: Vec::new() }) }
    }
}

impl Sink for RawJson {
    fn event(&self, at: Moment, event: &Event<'_>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).take(at, event);
    }
}

impl State {
    fn take(&mut self, at: Moment, event: &Event<'_>) {
        let id = event.vertex();
        if self.vertices.len() <= id.index() {
            self.vertices.resize(id.index() + 1, Item::default());
        }
        let digest = self.digest(id);
        match *event {
            Event::Declared { declared, .. } => {
                let made_up = || Digest::of(format!("{} {}", id.0, declared.name).as_bytes());
                let digest = declared.digest.unwrap_or_else(made_up);
                let inputs = declared.inputs.iter().map(|input| self.digest(*input)).collect();
                let name = declared.name.clone();
                self.vertices[id.index()] = Item { digest: Some(digest), inputs, name, ..Item::default() };
                self.vertex(id);
            }
            Event::Started { .. } => {
                self.vertices[id.index()].started = Some(at);
                self.vertex(id);
            }
            Event::Cached { .. } => {
                let item = &mut self.vertices[id.index()];
                item.cached = true;
                item.started = item.started.or(Some(at));
                item.completed = Some(at);
                self.vertex(id);
            }
            Event::Completed { error, .. } => self.complete(id, at, error.unwrap_or_default()),
            Event::Canceled { .. } => self.complete(id, at, "context canceled"),
            Event::Log { stream, bytes, .. } => self.log(digest, stream.number(), bytes, at),
            Event::Note { text, .. } => self.log(digest, 2, format!("note: {text}\n").as_bytes(), at),
            Event::Status { status, .. } => {
                let status = StatusJson {
                    id: &status.id,
                    vertex: digest,
                    name: &status.name,
                    total: status.total,
                    current: status.current,
                    timestamp: at.rfc3339(),
                    started: status.started.map(Moment::rfc3339),
                    completed: status.completed.map(Moment::rfc3339),
                };
                write(
                    &mut self.out,
                    &mut self.broken,
                    &SolveStatus { statuses: Some([status]), ..SolveStatus::default() },
                );
            }
            Event::Warning { warning, .. } => {
                let warning = WarningJson {
                    vertex: digest,
                    level: 1,
                    short: STANDARD.encode(&warning.message),
                    detail: warning.detail.iter().map(|line| STANDARD.encode(line)).collect(),
                    url: &warning.url,
                    source_info: warning.source.as_ref().map(|(name, text)| SourceInfoJson {
                        filename: name,
                        data: STANDARD.encode(text),
                        language: "Dockerfile",
                    }),
                    range: warning.ranges.iter().map(RangeJson::from).collect(),
                };
                write(
                    &mut self.out,
                    &mut self.broken,
                    &SolveStatus { warnings: Some([warning]), ..SolveStatus::default() },
                );
            }
        }
    }

    fn digest(&self, id: VertexId) -> Digest {
        let known = self.vertices.get(id.index()).and_then(|item| item.digest);
        known.unwrap_or_else(|| Digest::of(id.0.to_string().as_bytes()))
    }

    fn complete(&mut self, id: VertexId, at: Moment, error: &str) {
        let item = &mut self.vertices[id.index()];
        item.completed = Some(at);
        error.clone_into(&mut item.error);
        self.vertex(id);
    }

    fn vertex(&mut self, id: VertexId) {
        let digest = self.digest(id);
        let item = &self.vertices[id.index()];
        let vertex = VertexJson {
            digest,
            inputs: &item.inputs,
            name: &item.name,
            started: item.started.map(Moment::rfc3339),
            completed: item.completed.map(Moment::rfc3339),
            cached: item.cached,
            error: &item.error,
        };
        write(
            &mut self.out,
            &mut self.broken,
            &SolveStatus { vertexes: Some([vertex]), ..SolveStatus::default() },
        );
    }

    fn log(&mut self, vertex: Digest, stream: u8, bytes: &[u8], at: Moment) {
        let log = LogJson { vertex, stream, data: STANDARD.encode(bytes), timestamp: at.rfc3339() };
        write(&mut self.out, &mut self.broken, &SolveStatus { logs: Some([log]), ..SolveStatus::default() });
    }
}

fn write(out: &mut Box<dyn Write + Send>, broken: &mut bool, status: &SolveStatus<'_>) {
    if *broken {
        return;
    }
    let mut line = serde_json::to_vec(status).expect("because these types have only texts and numbers");
    line.push(b'\n');
    *broken = out.write_all(&line).and_then(|()| out.flush()).is_err();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::tests::Manual;
    use crate::plain::tests::Screen;
    use crate::{Progress, Stream, Vertex, Warning};
    use std::sync::Arc;

    #[test]
    fn every_event_is_one_line_of_buildkits_json() {
        let (screen, clock) = (Screen::default(), Manual::default());
        let sink = RawJson::new(Box::new(screen.clone()));
        let progress = Progress::with_clock(vec![Arc::new(sink)], Box::new(clock.clone()));
        let base = progress.vertex(&Vertex { digest: Some(Digest::of(b"base")), ..Vertex::named("FROM x") });
        base.cached();
        let run = progress.vertex(&Vertex {
            digest: Some(Digest::of(b"run")),
            inputs: vec![base.id()],
            ..Vertex::named("RUN y")
        });
        run.start();
        clock.advance(1500);
        run.log(Stream::Err, b"hi\n");
        run.note("why");
        run.transfer("a:", 7).done();
        run.warning(&Warning {
            message: "w".into(),
            detail: vec!["d".into()],
            url: "https://u".into(),
            source: Some(("Dockerfile".into(), b"FROM x".to_vec())),
            ranges: vec![SourceRange {
                start: Position { line: 1, character: 0 },
                end: Position { line: 1, character: 4 },
            }],
        });
        run.fail("bad");
        let text = screen
            .text()
            .replace(&Digest::of(b"base").to_string(), "BASE")
            .replace(&Digest::of(b"run").to_string(), "RUN");
        insta::assert_snapshot!(text, @r#"
        {"vertexes":[{"digest":"BASE","name":"FROM x"}]}
        {"vertexes":[{"digest":"BASE","name":"FROM x","started":"2026-01-02T03:04:05Z","completed":"2026-01-02T03:04:05Z","cached":true}]}
        {"vertexes":[{"digest":"RUN","inputs":["BASE"],"name":"RUN y"}]}
        {"vertexes":[{"digest":"RUN","inputs":["BASE"],"name":"RUN y","started":"2026-01-02T03:04:05Z"}]}
        {"logs":[{"vertex":"RUN","stream":2,"data":"aGkK","timestamp":"2026-01-02T03:04:06.5Z"}]}
        {"logs":[{"vertex":"RUN","stream":2,"data":"bm90ZTogd2h5Cg==","timestamp":"2026-01-02T03:04:06.5Z"}]}
        {"statuses":[{"id":"a:","vertex":"RUN","total":7,"current":0,"timestamp":"2026-01-02T03:04:06.5Z","started":"2026-01-02T03:04:06.5Z"}]}
        {"statuses":[{"id":"a:","vertex":"RUN","total":7,"current":0,"timestamp":"2026-01-02T03:04:06.5Z","started":"2026-01-02T03:04:06.5Z","completed":"2026-01-02T03:04:06.5Z"}]}
        {"warnings":[{"vertex":"RUN","level":1,"short":"dw==","detail":["ZA=="],"url":"https://u","sourceInfo":{"filename":"Dockerfile","data":"RlJPTSB4","language":"Dockerfile"},"range":[{"start":{"line":1},"end":{"line":1,"character":4}}]}]}
        {"vertexes":[{"digest":"RUN","inputs":["BASE"],"name":"RUN y","started":"2026-01-02T03:04:05Z","completed":"2026-01-02T03:04:06.5Z","error":"bad"}]}
        "#);
        for line in screen.text().lines() {
            assert!(serde_json::from_str::<serde_json::Value>(line).unwrap().is_object());
        }
    }
}
