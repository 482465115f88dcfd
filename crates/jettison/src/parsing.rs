//! Parses the command line as Docker does (Go's pflag): every boolean flag takes a value after `=`, long or short, in
//! the words of Go's `strconv.ParseBool`, and of a flag that is given several times the last counts.
//!
//! The definition says nothing of it, so that help, manual pages and completions stay plain: what it refuses is tried
//! once more by the called command with its flags widened. Who writes no such flag pays nothing.

use clap::builder::ValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, Error};
use std::ffi::{OsStr, OsString};

/// Parses a command line whose first word is the program. The error is also an asked-for help or version.
pub(crate) fn parse(definition: fn() -> Command, args: &[OsString]) -> Result<ArgMatches, Error> {
    let mut command = definition();
    let plain = match command.try_get_matches_from_mut(args) {
        Err(error) if error.use_stderr() => error,
        answer => return answer,
    };
    let (called, mut path) = called(&mut command, args);
    *called = widened(std::mem::take(called));
    command.try_get_matches_from_mut(args).map_err(|error| match error.kind() {
        // As the definition has it.
        ErrorKind::DisplayHelp => {
            path.push(OsStr::new("--help"));
            definition().try_get_matches_from(path).err().unwrap_or(error)
        }
        kind if kind == plain.kind() && kind == ErrorKind::MissingRequiredArgument => plain,
        _ => error,
    })
}

/// The command that a command line calls, of a definition that has parsed it, and the words that lead there.
fn called<'a, 'b>(mut command: &'a mut Command, args: &'b [OsString]) -> (&'a mut Command, Vec<&'b OsStr>) {
    let mut words = args.iter().map(OsString::as_os_str);
    let mut path: Vec<&OsStr> = words.next().into_iter().collect();
    while let Some(word) = words.next() {
        if word.as_encoded_bytes().starts_with(b"-") {
            let flag = command.get_arguments().find(|flag| is(flag, word));
            if flag.is_some_and(|flag| flag.get_action().takes_values()) {
                words.next();
            }
        } else if command.find_subcommand(word).is_some() {
            command = command.find_subcommand_mut(word).expect("because it was just found");
            path.push(word);
        } else {
            break;
        }
    }
    (command, path)
}

/// Whether a word is this flag and has no value in it.
fn is(flag: &Arg, word: &OsStr) -> bool {
    let Some(word) = word.to_str() else { return false };
    match word.strip_prefix("--") {
        Some(long) => flag.get_long() == Some(long),
        None => flag
            .get_short()
            .is_some_and(|short| word.strip_prefix('-') == Some(short.encode_utf8(&mut [0; 4]))),
    }
}

/// A command whose boolean flags take values, and whose flags replace what came before.
fn widened(command: Command) -> Command {
    command.args_override_self(true).mut_args(|flag| match is_boolean(&flag) {
        true => flag
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_name("BOOL")
            .value_parser(|text: &str| boolean(text).ok_or("it is true or false")),
        false => flag,
    })
}

/// Whether a flag is true or false.
fn is_boolean(flag: &Arg) -> bool {
    let of_bool = flag.get_value_parser().type_id() == ValueParser::bool().type_id();
    matches!(flag.get_action(), ArgAction::SetTrue) || of_bool && matches!(flag.get_action(), ArgAction::Set)
}

/// A boolean in the words of Go's `strconv.ParseBool`.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;

    /// What the command line gives the called command.
    fn matches(args: &[&str]) -> Result<ArgMatches, Error> {
        let args: Vec<OsString> = ["jettison"].iter().chain(args).map(OsString::from).collect();
        let mut matches = parse(Cli::command, &args)?;
        while let Some((_, below)) = matches.remove_subcommand() {
            matches = below;
        }
        Ok(matches)
    }

    fn flag(args: &[&str], id: &str) -> bool {
        *matches(args).unwrap_or_else(|error| panic!("{args:?}: {error}")).get_one(id).unwrap()
    }

    /// The lines that call each command, with what it cannot be called without, and its boolean flags.
    fn leaves(command: &Command, path: &[String], found: &mut Vec<(Vec<String>, Vec<Arg>)>) {
        for below in command.get_subcommands() {
            let mut path = path.to_vec();
            path.push(below.get_name().to_owned());
            leaves(below, &path, found);
        }
        if command.has_subcommands() {
            return;
        }
        let mut line = path.to_vec();
        for needed in command.get_arguments().filter(|arg| arg.is_required_set()) {
            let values = needed.get_num_args().map_or(1, |number| number.min_values().max(1));
            line.extend(needed.get_long().map(|long| format!("--{long}")));
            let possible = needed.get_possible_values();
            let value = possible.first().map_or("word", |value| value.get_name());
            line.extend(std::iter::repeat_n(value.to_owned(), values));
        }
        found.push((line, command.get_arguments().filter(|arg| is_boolean(arg)).cloned().collect()));
    }

    #[test]
    fn every_boolean_flag_takes_a_value() {
        let mut whole = Cli::command();
        whole.build();
        let mut found = Vec::new();
        leaves(&whole, &[], &mut found);
        let mut count = 0;
        for (line, flags) in found {
            let depth = line.iter().take_while(|word| whole_has(&whole, word)).count();
            for arg in flags {
                let names = arg.get_long().map(|long| format!("--{long}")).into_iter();
                for name in names.chain(arg.get_short().map(|short| format!("-{short}"))) {
                    for (words, expected) in [
                        (vec!["=1"], true),
                        (vec!["=0"], false),
                        (vec!["=T"], true),
                        (vec!["=False"], false),
                        (vec!["", "=f"], false),
                        (vec!["=false", ""], true),
                        (vec!["", ""], true),
                    ] {
                        let words: Vec<String> = words.iter().map(|value| format!("{name}{value}")).collect();
                        let mut args: Vec<&str> = line.iter().map(String::as_str).collect();
                        args.splice(depth..depth, words.iter().map(String::as_str));
                        assert_eq!(flag(&args, arg.get_id().as_str()), expected, "{args:?}");
                        count += 1;
                    }
                }
            }
        }
        assert!(count > 1000, "only {count} lines were tried");
    }

    /// Whether a word is the name of a command.
    fn whole_has(command: &Command, word: &str) -> bool {
        command.get_subcommands().any(|below| below.get_name() == word || whole_has(below, word))
    }

    #[test]
    fn clusters_take_a_value_at_their_end() {
        for (line, interactive, tty, detach) in [
            (&["run", "-it", "image"][..], true, true, false),
            (&["run", "-it=false", "image"], true, false, false),
            (&["run", "-itd=f", "image"], true, true, false),
            (&["run", "-dit=1", "image"], true, true, true),
            (&["container", "run", "-d=true", "-i=0", "image", "-t=true"], false, false, true),
        ] {
            let found = ["interactive", "tty", "detach"].map(|id| flag(line, id));
            assert_eq!(found, [interactive, tty, detach], "{line:?}");
        }
    }

    #[test]
    fn what_follows_the_image_is_not_touched() {
        let found = matches(&["run", "--rm=true", "image", "program", "--rm=false", "-i=x"]).unwrap();
        assert_eq!(found.get_one("rm"), Some(&true));
        let words: Vec<&String> = found.get_many("words").unwrap().collect();
        assert_eq!(words, ["image", "program", "--rm=false", "-i=x"]);
    }

    #[test]
    fn the_last_of_a_flag_counts() {
        let found = matches(&["run", "--name", "a", "--name=b", "image"]).unwrap();
        assert_eq!(found.get_one::<String>("name").unwrap(), "b");
    }

    #[test]
    fn errors_and_help_are_those_of_the_definition() {
        let text = |args: &[&str]| matches(args).unwrap_err().render().to_string();
        let first = |args: &[&str]| text(args).lines().next().unwrap().to_owned();
        assert_eq!(
            first(&["run", "--rm=maybe", "image"]),
            "error: invalid value 'maybe' for '--rm[=<BOOL>]': it is true or false"
        );
        assert_eq!(
            first(&["run", "-it=0", "--bogus", "image"]),
            "error: unexpected argument '--bogus' found"
        );
        assert_eq!(
            first(&["run", "--name=a=b"]),
            "error: the following required arguments were not provided:"
        );
        assert_eq!(text(&["rm", "--force"]), matches(&["rm", "--force"]).unwrap_err().render().to_string());
        assert_eq!(text(&["run", "--rm=true", "--help"]), text(&["run", "--help"]));
        assert!(!text(&["run", "--help"]).contains("--rm["));
    }
}
