//! `HEALTHCHECK [flags] CMD command`, `HEALTHCHECK NONE`

use super::reader::{Head, Reader};
use crate::command::{Form, HealthCheck, HealthCheckCommand};
use crate::error::ErrorKind;
use crate::flags::{FlagSet, Takes};
use crate::{number, word};
use std::time::Duration;

const FLAGS: [(&str, Takes); 5] = [
    ("interval", Takes::Value),
    ("timeout", Takes::Value),
    ("start-period", Takes::Value),
    ("start-interval", Takes::Value),
    ("retries", Takes::Value),
];

/// The shortest duration that Docker takes.
const SHORTEST: Duration = Duration::from_millis(1);

impl Reader<'_> {
    pub(super) fn health_check(&mut self, head: &Head) -> Option<HealthCheckCommand> {
        if head.args.is_empty() {
            return self.fail(ErrorKind::AtLeastOneArgument { instruction: "HEALTHCHECK" }, head.name.span);
        }
        let part = &self.text[head.args.clone()];
        let end = head.args.start + part.find(char::is_whitespace).unwrap_or(part.len());
        let kind = head.args.start..end;
        let rest = word::trim(self.text, end..head.args.end);
        let typed = self.text[kind.clone()].to_uppercase();
        match typed.as_str() {
            "NONE" => {
                self.ignored_flags(head, "HEALTHCHECK NONE");
                if !rest.is_empty() {
                    return self.fail(ErrorKind::HealthCheckNoneArguments, self.line.span(rest));
                }
                Some(HealthCheckCommand::None)
            }
            "CMD" => {
                let flags = self.flags(head, "HEALTHCHECK", &FLAGS);
                let interval = self.duration(&flags, "interval");
                let timeout = self.duration(&flags, "timeout");
                let start_period = self.duration(&flags, "start-period");
                let start_interval = self.duration(&flags, "start-interval");
                let retries = self.retries(&flags);
                let form = self.form(rest)?;
                let empty = match &form {
                    Form::Exec(arguments) => arguments.is_empty(),
                    Form::Shell(text) => text.is_empty(),
                };
                if empty {
                    return self.fail(ErrorKind::HealthCheckNoCommand, self.line.span(kind));
                }
                let check = HealthCheck { form, interval, timeout, start_period, start_interval, retries };
                Some(HealthCheckCommand::Check(check))
            }
            _ => {
                let word = self.text[kind.clone()].to_owned();
                self.fail(ErrorKind::HealthCheckType { word }, self.line.span(kind))
            }
        }
    }

    fn duration(&mut self, flags: &FlagSet<'_>, flag: &str) -> Option<Duration> {
        let value = flags.nonempty(flag)?;
        let reason = match number::duration(&value) {
            Some((_, Duration::ZERO)) => return None,
            Some((false, duration)) if duration >= SHORTEST => return Some(duration),
            Some(_) => "it must be at least 1ms",
            None => "it is written like `30s`, `1m30s` or `500ms`",
        };
        let (flag, reason) = (flag.to_owned(), reason.to_owned());
        self.fail(ErrorKind::InvalidDuration { flag, value: value.value, reason }, value.span)
    }

    fn retries(&mut self, flags: &FlagSet<'_>) -> u32 {
        let Some(value) = flags.nonempty("retries") else { return 0 };
        match value.parse::<i32>() {
            Ok(retries) if retries >= 0 => retries.unsigned_abs(),
            _ => self.fail(ErrorKind::InvalidRetries { value: value.value }, value.span).unwrap_or(0),
        }
    }
}
