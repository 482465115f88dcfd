//! `logs`.

use super::open_index;
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use clap::Args;
use container::logs::{Options, Stream};
use std::io::{self, Write};
use std::time::SystemTime;

/// Show what a container wrote
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Go on until the container has ended
    #[arg(short, long)]
    follow: bool,
    /// Only what was written since a time (RFC 3339, seconds since 1970) or for a duration (42m)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what was written before a time or duration
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only the last so many lines, or `all`
    #[arg(short = 'n', long, value_name = "NUMBER", allow_hyphen_values = true)]
    tail: Option<String>,
    /// Begin each line with its time
    #[arg(short, long)]
    timestamps: bool,
    /// Name or id
    container: String,
}

pub(super) fn logs(args: &LogsArgs, environment: Environment) -> Outcome {
    let now = SystemTime::now();
    let time = |flag: &str, text: &Option<String>| {
        text.as_deref()
            .map(|text| {
                container::time::parse_since(text, now).ok_or_else(|| {
                    CommandError::usage(format!("invalid value `{text}` for {flag}: a time or a duration"))
                        .with_code(1)
                })
            })
            .transpose()
    };
    let tail = match args.tail.as_deref() {
        None | Some("all" | "-1") => None,
        Some(text) => Some(text.parse().map_err(|_| {
            CommandError::usage(format!("invalid value `{text}` for --tail: a number or `all`")).with_code(1)
        })?),
    };
    let options = Options {
        follow: args.follow,
        tail,
        since: time("--since", &args.since)?,
        until: time("--until", &args.until)?,
        timestamps: args.timestamps,
    };
    let (_engine, containers) = open_index(environment)?;
    let (mut stdout, mut stderr) = (io::BufWriter::new(io::stdout().lock()), io::stderr().lock());
    let follow = args.follow;
    let mut gone = false;
    let shown = containers.logs(&args.container, &options, &mut |stream, bytes| {
        let written = match stream {
            Stream::Stdout => {
                stdout.write_all(bytes).and_then(|()| if follow { stdout.flush() } else { Ok(()) })
            }
            // In the order of the log.
            Stream::Stderr => stdout.flush().and_then(|()| stderr.write_all(bytes)),
        };
        gone |= written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        written
    });
    let flushed = stdout.flush();
    gone |= flushed.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
    // A reader that has had enough is no error.
    if gone {
        return Ok(0);
    }
    shown?;
    Ok(0)
}
