//! `cp`.

use super::open;
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use clap::Args;
use container::Place;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

/// Copy files between a container and the host
#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// Keep owners
    #[arg(short, long)]
    archive: bool,
    /// Copy what a link in SOURCE points to
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Say nothing
    #[arg(short, long)]
    quiet: bool,
    /// CONTAINER:PATH, a path of the host, or `-` for a tar on standard input
    source: String,
    /// CONTAINER:PATH, a path of the host, or `-` for a tar on standard output
    destination: String,
}

/// One side of the command line.
enum Side {
    Stream,
    Place(Place),
}

/// A name before a colon is a container's; what begins with `/` or `.` is a path whatever it holds.
fn side(text: &str) -> Outcome<Side> {
    if text == "-" {
        return Ok(Side::Stream);
    }
    if !text.starts_with(['/', '.'])
        && let Some((name, path)) = text.split_once(':')
    {
        if name.is_empty() || path.is_empty() {
            return Err(CommandError::new(format!("`{text}` needs a container and a path: CONTAINER:PATH")));
        }
        return Ok(Side::Place(Place::Container { name: name.to_owned(), path: path.to_owned() }));
    }
    if text.is_empty() {
        return Err(CommandError::new("a path is empty"));
    }
    // What the end of the path says (`/`, `/.`) must stay, so it is not made absolute by its parts.
    let path = if Path::new(text).is_absolute() {
        PathBuf::from(text)
    } else {
        let here = std::env::current_dir()
            .map_err(|error| CommandError::new(format!("cannot find the working directory: {error}")))?;
        PathBuf::from(format!("{}/{text}", here.display()))
    };
    Ok(Side::Place(Place::Host(path)))
}

pub(super) fn copy(args: &CopyArgs, environment: Environment) -> Outcome {
    let (source, destination) = (side(&args.source)?, side(&args.destination)?);
    match (source, destination) {
        (Side::Place(Place::Container { name, path }), Side::Stream) => {
            if io::stdout().is_terminal() {
                return Err(CommandError::new("an archive is not written to a terminal")
                    .hint("send it to a file or a pipe"));
            }
            let (_engine, containers) = open(environment, None)?;
            let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
            containers.copy_out(&name, &path, args.follow_link, &mut out)?;
            io::Write::flush(&mut out)
                .map_err(|error| CommandError::new(format!("cannot write the archive: {error}")))?;
        }
        (Side::Stream, Side::Place(Place::Container { name, path })) => {
            let (_engine, containers) = open(environment, None)?;
            containers.copy_in(&name, &path, &mut io::stdin().lock(), args.archive)?;
        }
        (Side::Place(from @ Place::Container { .. }), Side::Place(to @ Place::Host(_)))
        | (Side::Place(from @ Place::Host(_)), Side::Place(to @ Place::Container { .. })) => {
            let (_engine, containers) = open(environment, None)?;
            containers.copy(&from, &to, args.follow_link, args.archive)?;
        }
        (Side::Place(Place::Container { .. }), Side::Place(Place::Container { .. })) => {
            return Err(CommandError::new("copying between containers is not supported"));
        }
        _ => {
            return Err(CommandError::new("one side must be a container's: CONTAINER:PATH"));
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides() {
        assert!(matches!(side("-"), Ok(Side::Stream)));
        assert!(
            matches!(side("box:/a:b"), Ok(Side::Place(Place::Container { name, path })) if name == "box" && path == "/a:b")
        );
        assert!(
            matches!(side("./a:b"), Ok(Side::Place(Place::Host(path))) if path.to_str().unwrap().ends_with("/./a:b"))
        );
        assert!(matches!(side("/x/."), Ok(Side::Place(Place::Host(path))) if path.to_str() == Some("/x/.")));
        assert!(side("box:").is_err() && side(":x").is_err() && side("").is_err());
    }
}
