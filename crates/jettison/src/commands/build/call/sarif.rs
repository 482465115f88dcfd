//! What a check found as SARIF 2.1.0 (OASIS, sarif-v2.1.0-os), for editors and CI.
//!
//! One run of one tool over one artifact. Every rule that can find something is described; a result names its rule by
//! name and index, its place by lines and columns in code points, and brings its edits as a fix. What would end a build
//! is a result of level `error` of the rule `Jettison/Error`; warnings that are no rule's are `Jettison/Warning`.

use super::check::{Found, rules};
use dockerfile::{Diagnostic, RuleInfo, Severity, Span};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// For what has no rule of its own.
const OTHERS: [RuleInfo; 2] = [
    RuleInfo {
        name: "Jettison/Error",
        description: "The Dockerfile cannot be built as it stands",
        help: "A build of this file ends with this error.",
        url: "",
    },
    RuleInfo {
        name: "Jettison/Warning",
        description: "Something in the Dockerfile may not mean what it seems to",
        help: "A build of this file tells this warning.",
        url: "",
    },
];

/// The whole document; `uri` is the file as one in the current folder calls it.
pub(super) fn check(found: &Found<'_>, uri: &str) -> String {
    let mut rules = rules();
    rules.extend(OTHERS);
    let document = Document { found, rules: &rules, uri: encoded(uri) };
    let mut text = format!("{:#}", document.value());
    text.push('\n');
    text
}

struct Document<'a> {
    found: &'a Found<'a>,
    rules: &'a [RuleInfo],
    uri: String,
}

impl Document<'_> {
    fn value(&self) -> Value {
        let found = self.found;
        let all = found.findings.iter().chain(&found.warnings).chain(&found.errors);
        let mut results: Vec<Value> = all.map(|one| self.result(one)).collect();
        results.extend(found.other.iter().map(|error| {
            let hints = error.hints.clone();
            let whole = Span::new(0, 0);
            let diagnostic = Diagnostic { hints, ..Diagnostic::error(error.message.clone(), whole) };
            self.result(&diagnostic)
        }));
        json!({
            "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "jettison",
                    "version": env!("CARGO_PKG_VERSION"),
                    "rules": self.rules.iter().map(rule).collect::<Vec<_>>(),
                }},
                "invocations": [{ "executionSuccessful": true }],
                "artifacts": [{ "location": { "uri": self.uri }, "sourceLanguage": "dockerfile" }],
                "columnKind": "unicodeCodePoints",
                "results": results,
            }],
        })
    }

    fn result(&self, finding: &Diagnostic) -> Value {
        let name = finding.rule.unwrap_or(match finding.severity {
            Severity::Error => OTHERS[0].name,
            Severity::Warning | Severity::Note => OTHERS[1].name,
        });
        let mut text = finding.message.clone();
        for hint in &finding.hints {
            text.push_str("\nhint: ");
            text.push_str(hint);
        }
        let mut result = json!({
            "ruleId": name,
            "level": level(finding.severity),
            "message": { "text": text },
            "locations": [{ "physicalLocation": {
                "artifactLocation": { "uri": self.uri, "index": 0 },
                "region": self.region(finding.span, true),
            }}],
        });
        if let Some(index) = self.rules.iter().position(|rule| rule.name == name) {
            result["ruleIndex"] = index.into();
        }
        if !finding.edits.is_empty() {
            let replacements: Vec<Value> = finding
                .edits
                .iter()
                .map(|edit| {
                    json!({
                        "deletedRegion": self.region(edit.span, false),
                        "insertedContent": { "text": edit.text },
                    })
                })
                .collect();
            let advice = finding.hints.first().unwrap_or(&finding.message);
            result["fixes"] = json!([{
                "description": { "text": advice },
                "artifactChanges": [{
                    "artifactLocation": { "uri": self.uri, "index": 0 },
                    "replacements": replacements,
                }],
            }]);
        }
        result
    }

    /// Columns count from 1, the end is that of the character after the last.
    fn region(&self, span: Span, with_snippet: bool) -> Value {
        let source = &self.found.source;
        let (start, end) = (source.position(span.start), source.position(span.end));
        let mut region = json!({
            "startLine": start.line,
            "startColumn": start.column,
            "endLine": end.line,
            "endColumn": end.column,
        });
        if with_snippet && !span.is_empty() {
            region["snippet"] = json!({ "text": source.slice(span) });
        }
        region
    }
}

fn rule(rule: &RuleInfo) -> Value {
    let mut value = json!({
        "id": rule.name,
        "shortDescription": { "text": rule.description },
        "fullDescription": { "text": rule.help },
        "help": { "text": rule.help },
        "defaultConfiguration": { "level": if rule.name == OTHERS[0].name { "error" } else { "warning" } },
    });
    if !rule.url.is_empty() {
        value["helpUri"] = rule.url.into();
    }
    value
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// A path as the path of a URI (RFC 3986, section 3.3); an absolute one as a file URI.
fn encoded(path: &str) -> String {
    const PATH: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    format!("{scheme}{}", utf8_percent_encode(path, PATH))
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn paths_are_uris() {
        assert_eq!(encoded("app/Dockerfile"), "app/Dockerfile");
        assert_eq!(encoded("a b/Döck#1"), "a%20b/D%C3%B6ck%231");
        assert_eq!(encoded("/srv/Dockerfile"), "file:///srv/Dockerfile");
    }
}
