//! The last lines of every vertex, kept for error messages.

use crate::text::{Escapes, Lines, harmless, log_time};
use crate::{Event, Moment, Sink, Stream, VertexId};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What is kept of one line; a longer one says how much is missing.
const LONGEST_LINE: usize = 16 << 10;

/// Keeps the last lines that each vertex wrote, both streams in the order in which they came. Lines of vertices that
/// are done are forgotten.
#[derive(Debug)]
pub struct Tail {
    lines: usize,
    vertices: Mutex<Vec<Kept>>,
}

/// One line of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailLine {
    /// How long after the vertex' start it was written.
    pub at: Duration,
    /// Where to.
    pub stream: Stream,
    /// The bytes as written, without the newline.
    pub bytes: Vec<u8>,
}

#[derive(Debug, Default)]
struct Kept {
    name: String,
    started: Option<Moment>,
    partial: [Lines; 2],
    lines: VecDeque<TailLine>,
    /// How many lines came before those kept.
    before: usize,
    failed: bool,
}

impl Tail {
    /// Keeps the last `lines` lines of each vertex.
    #[must_use]
    pub fn new(lines: usize) -> Self {
        Self { lines, vertices: Mutex::new(Vec::new()) }
    }

    /// The vertices that failed (not those given up), in the order of their declaration.
    #[must_use]
    pub fn failed(&self) -> Vec<VertexId> {
        let vertices = self.vertices.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = vertices.iter().enumerate().filter(|(_, kept)| kept.failed);
        failed.filter_map(|(at, _)| u32::try_from(at).ok().map(VertexId)).collect()
    }

    /// The name of a vertex; empty for one that was never declared.
    #[must_use]
    pub fn name(&self, vertex: VertexId) -> String {
        let vertices = self.vertices.lock().unwrap_or_else(PoisonError::into_inner);
        vertices.get(vertex.index()).map(|kept| kept.name.clone()).unwrap_or_default()
    }

    /// The last lines of a vertex.
    #[must_use]
    pub fn lines(&self, vertex: VertexId) -> Vec<TailLine> {
        let vertices = self.vertices.lock().unwrap_or_else(PoisonError::into_inner);
        vertices.get(vertex.index()).map(|kept| kept.lines.iter().cloned().collect()).unwrap_or_default()
    }

    /// How many lines came before those that [`Tail::lines`] gives.
    #[must_use]
    pub fn lines_before(&self, vertex: VertexId) -> usize {
        let vertices = self.vertices.lock().unwrap_or_else(PoisonError::into_inner);
        vertices.get(vertex.index()).map_or(0, |kept| kept.before)
    }

    /// The last lines of a vertex as BuildKit shows them below a failed build; empty where it wrote nothing.
    ///
    /// ```text
    /// ------
    ///  > [2/3] RUN make:
    /// 0.412 make: *** No targets.  Stop.
    /// ------
    /// ```
    #[must_use]
    pub fn excerpt(&self, vertex: VertexId) -> String {
        let lines = self.lines(vertex);
        if lines.is_empty() {
            return String::new();
        }
        let mut text = format!("------\n > {}:\n", self.name(vertex));
        for line in lines {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} {}", log_time(line.at), harmless(&line.bytes, Escapes::Drop));
        }
        text.push_str("------\n");
        text
    }
}

impl Kept {
    fn keep(&mut self, most: usize, at: Moment, stream: Stream, new: Option<&[u8]>) {
        let Self { partial, lines, started, before, .. } = self;
        let at = at.since(started.unwrap_or(at));
        let mut keep = |line: &[u8]| {
            let mut bytes = line[..line.len().min(LONGEST_LINE)].to_vec();
            if line.len() > LONGEST_LINE {
                bytes.extend_from_slice(format!(" … ({} more bytes)", line.len() - LONGEST_LINE).as_bytes());
            }
            lines.push_back(TailLine { at, stream, bytes });
            if lines.len() > most {
                lines.pop_front();
                *before += 1;
            }
        };
        let partial = &mut partial[usize::from(stream.number() == 2)];
        match new {
            Some(bytes) => partial.push(bytes, &mut keep),
            None => partial.finish(&mut keep),
        }
    }
}

impl Sink for Tail {
    fn event(&self, at: Moment, event: &Event<'_>) {
        let id = event.vertex();
        if matches!(event, Event::Status { .. } | Event::Warning { .. } | Event::Note { .. }) {
            return;
        }
        let mut vertices = self.vertices.lock().unwrap_or_else(PoisonError::into_inner);
        if vertices.len() <= id.index() {
            vertices.resize_with(id.index() + 1, Kept::default);
        }
        let kept = &mut vertices[id.index()];
        match *event {
            Event::Declared { declared, .. } => {
                kept.name = harmless(declared.name.replace('\n', " ").as_bytes(), Escapes::Drop);
            }
            Event::Started { .. } => kept.started = kept.started.or(Some(at)),
            Event::Log { stream, bytes, .. } => kept.keep(self.lines, at, stream, Some(bytes)),
            Event::Completed { error: Some(_), .. } => {
                for stream in [Stream::Out, Stream::Err] {
                    kept.keep(self.lines, at, stream, None);
                }
                kept.failed = true;
            }
            Event::Completed { .. } | Event::Cached { .. } | Event::Canceled { .. } => {
                kept.lines = VecDeque::new();
                kept.partial = <[Lines; 2]>::default();
            }
            Event::Status { .. } | Event::Warning { .. } | Event::Note { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Progress;
    use crate::clock::tests::Manual;
    use std::sync::Arc;

    #[test]
    fn the_last_lines_of_what_failed_are_kept() {
        let (tail, clock) = (Arc::new(Tail::new(3)), Manual::default());
        let progress = Progress::with_clock(vec![tail.clone()], Box::new(clock.clone()));
        let (good, bad) = (progress.start("good"), progress.start("[2/3] RUN make"));
        good.log(Stream::Out, b"fine\n");
        for n in 0..5 {
            clock.advance(300);
            bad.log(Stream::Out, format!("line {n}\n").as_bytes());
        }
        bad.log(Stream::Err, b"\x1b[2Jmake: *** Stop.");
        good.done();
        bad.fail("exit code: 2");
        assert_eq!(tail.failed(), [bad.id()]);
        assert_eq!(tail.lines_before(bad.id()), 3);
        assert!(tail.lines(good.id()).is_empty());
        assert_eq!(tail.excerpt(good.id()), "");
        insta::assert_snapshot!(tail.excerpt(bad.id()), @r"
        ------
         > [2/3] RUN make:
        1.200 line 3
        1.500 line 4
        1.500 make: *** Stop.
        ------
        ");
    }

    #[test]
    fn a_long_line_says_what_is_missing() {
        let tail = Arc::new(Tail::new(3));
        let progress = Progress::new(vec![tail.clone()]);
        let run = progress.start("x");
        run.log(Stream::Out, "y".repeat(LONGEST_LINE + 5).as_bytes());
        run.fail("no");
        assert!(tail.lines(run.id())[0].bytes.ends_with("y … (5 more bytes)".as_bytes()));
    }
}
