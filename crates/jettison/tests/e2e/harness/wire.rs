//! HTTP/1.1 messages as bytes: as much of it as a proxy needs that changes them.

use std::io::{BufRead, Error, Read, Write};

/// A request or an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    /// The first line.
    pub(crate) start: String,
    /// `Name: value`.
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// A request without a body.
    pub(crate) fn request(start: &str, host: &str) -> Self {
        Self { start: start.to_owned(), headers: vec![format!("Host: {host}")], body: Vec::new() }
    }

    /// A request's path and query.
    pub(crate) fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// Puts what came of an upload before the part of it that this is, which must begin just there.
    pub(crate) fn go_on(&mut self, mut before: Vec<u8>) -> std::io::Result<()> {
        let expected = format!("{}-{}", before.len(), before.len() + self.body.len() - 1);
        if self.header("content-range") != Some(&expected) {
            return Err(Error::other(format!("an upload should go on with {expected}: {:?}", self.headers)));
        }
        self.headers.retain(|line| !line.to_ascii_lowercase().starts_with("content-range:"));
        before.append(&mut self.body);
        self.body = before;
        self.set("Content-Length", &self.body.len().to_string());
        Ok(())
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// Sets a header in place of those of its name.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.headers
            .retain(|line| line.split(':').next().is_none_or(|known| !known.eq_ignore_ascii_case(name)));
        self.headers.push(format!("{name}: {value}"));
    }

    /// The length that the headers name.
    pub(crate) fn length(&self) -> Option<usize> {
        self.header("content-length")?.parse().ok()
    }

    /// An answer's status.
    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("an answer has a status")
    }

    /// Everything before the body.
    pub(crate) fn head(&self) -> Vec<u8> {
        let lines: String = self.headers.iter().map(|line| format!("{line}\r\n")).collect();
        format!("{}\r\n{lines}\r\n", self.start).into_bytes()
    }

    /// Writes it, without its body for an answer to HEAD.
    pub(crate) fn write(&self, to: &mut impl Write, bodiless: bool) -> std::io::Result<()> {
        let mut bytes = self.head();
        if !bodiless {
            bytes.extend_from_slice(&self.body);
        }
        to.write_all(&bytes)
    }

    /// Takes so many bytes of the body.
    pub(crate) fn take_body(&mut self, from: &mut impl Read, length: usize) -> std::io::Result<()> {
        self.body = vec![0; length];
        from.read_exact(&mut self.body)
    }
}

/// A message up to its empty line; nothing where the connection ended before it.
pub(crate) fn read_head(from: &mut impl BufRead) -> std::io::Result<Option<Message>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    if lines.is_empty() {
        return Ok(None);
    }
    Ok(Some(Message { start: lines.remove(0), headers: lines, body: Vec::new() }))
}

/// A whole answer, which ends with its connection; chunks are put together. `head`: it answers HEAD.
pub(crate) fn read_message(from: &mut impl BufRead, head: bool) -> std::io::Result<Message> {
    let mut message = read_head(from)?.ok_or_else(|| Error::other("no answer"))?;
    if head || matches!(message.status(), 204 | 304) {
        return Ok(message);
    }
    let chunked =
        message.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    if !chunked {
        from.read_to_end(&mut message.body)?;
        return Ok(message);
    }
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).map_err(Error::other)?;
        let mut chunk = vec![0; size + 2];
        from.read_exact(&mut chunk)?;
        message.body.extend_from_slice(&chunk[..size]);
        if size == 0 {
            break;
        }
    }
    message.headers.retain(|line| !line.to_ascii_lowercase().starts_with("transfer-encoding:"));
    let length = message.body.len().to_string();
    message.set("Content-Length", &length);
    Ok(message)
}
