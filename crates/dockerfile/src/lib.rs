//! The Dockerfile language: text to instructions with spans, expansion of words, ignore patterns, lint rules.
//!
//! ```text
//! bytes ─ parse ─▶ Dockerfile { directives, instructions, warnings } ─ stages() ─▶ Stage { from, instructions }
//!                       │
//!                       └─ lint::check ─▶ Vec<Diagnostic> ─ diagnostic::render ─▶ text
//! ```
//!
//! Pure: no files, no network, no environment. What BuildKit does decides what the language means; instructions hold
//! their words unexpanded, because only the frontend knows the environment ([`expand::Lex`] expands them there).
#![forbid(unsafe_code)]

pub mod command;
mod csv;
mod device;
pub mod diagnostic;
mod directive;
mod error;
pub mod expand;
mod flags;
pub mod git;
pub mod heredoc;
mod hint;
pub mod ignore;
mod instruction;
mod json;
mod line;
pub mod lint;
mod mount;
mod number;
mod parse;
pub mod pattern;
pub mod port;
pub mod remote;
pub mod signal;
mod source;
pub mod suggest;
mod word;

pub use command::Command;
pub use csv::fields as csv_fields;
pub use device::{Device, DeviceError};
pub use diagnostic::{Diagnostic, Edit, RuleInfo, Severity};
pub use directive::{Directives, is_builtin_frontend};
pub use error::{Error, ErrorKind, ParseFailure};
pub use flags::Flag;
pub use heredoc::Heredoc;
pub use instruction::{Dockerfile, Instruction, Keyword, Stage};
pub use mount::{Mount, MountError, MountField, MountFlag, MountType, Sharing};
pub use parse::{parse, parse_trigger};
pub use source::{LineRange, Position, Source, Span, Spanned};
