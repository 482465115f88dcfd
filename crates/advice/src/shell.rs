//! Shell commands, read just far enough to tell which programs run, with which arguments, and whether for certain.
//!
//! ```text
//! set -e; A=b npm ci --omit=dev && cd "$X" || exit 1
//! ~~~~~~  ~~~~~~~~~~~~~~~~~~~~~    ~~~~~~~    ~~~~~~
//! First   Then, {A: b}             And        Or, not certain
//! ```
//!
//! Quotes, escapes, continuations, comments, here-documents, redirections and the operators are read as POSIX says.
//! What a word's expansion gives is not known: the word keeps its text and is not literal. Commands inside `if`,
//! `for`, `while`, `case` and functions, and those after `||`, may not run: they are not certain. `$(...)` and
//! backticks stay text. Programs that only start another (`sudo`, `env`, `exec`, `sh -c '...'`) are looked through.

mod lexer;

use crate::text::Text;
use dockerfile::Span;
use lexer::{Lexer, Operator, Token};

/// How deep `sh -c "sh -c ..."` is followed.
const MAX_DEPTH: usize = 4;

/// A word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// The text without quotes and escapes; expansions as written.
    pub(crate) text: String,
    /// Whether nothing in it is expanded (`*` and `~` may be).
    pub(crate) literal: bool,
    /// Where it stands in the Dockerfile.
    pub(crate) span: Span,
}

/// How a command is joined to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// It is the first, or the first of a group.
    First,
    /// `&&`
    And,
    /// `||`
    Or,
    /// `;`, `&` or a line end
    Then,
    /// `|`
    Pipe,
}

/// A command with its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// `A=b` before the program.
    pub(crate) assignments: Vec<(String, Word)>,
    /// The program and its arguments, as written but for programs that only start another.
    pub(crate) words: Vec<Word>,
    /// How it is joined to the one before.
    pub(crate) joined: Joined,
    /// Whether it runs whenever what stands before it went well.
    pub(crate) certain: bool,
}

impl Invocation {
    /// The program's name without its folder; of `python -m x` that of the module.
    pub(crate) fn program(&self) -> &str {
        self.words.first().map(|word| base_name(&word.text)).unwrap_or_default()
    }

    /// The arguments' texts.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &str> + Clone {
        self.words.iter().skip(1).map(|word| word.text.as_str())
    }

    /// Whether an argument is just this.
    pub(crate) fn has(&self, argument: &str) -> bool {
        self.arguments().any(|one| one == argument)
    }

    /// From the first word to the last.
    pub(crate) fn span(&self) -> Span {
        let spans = self.words.iter().map(|word| word.span);
        spans.reduce(Span::join).unwrap_or_default()
    }

    /// The words with single spaces between: what messages show.
    pub(crate) fn shown(&self) -> String {
        let words: Vec<&str> = self.words.iter().map(|word| word.text.as_str()).collect();
        words.join(" ")
    }
}

/// What a text for the shell runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    /// The commands in order.
    pub(crate) invocations: Vec<Invocation>,
    /// Whether the text is commands joined by `&&` alone, so that another ` && command` can be put behind it.
    pub(crate) is_chain: bool,
}

/// The last part of a path.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Reads a text for the shell.
pub(crate) fn read(text: &Text) -> Script {
    read_nested(text, 0)
}

/// A command of words that no shell reads: an exec form. `["sh", "-c", "..."]` is looked into.
pub(crate) fn read_exec(arguments: &[String], span: Span) -> Script {
    let word = |text: &String| Word { text: text.clone(), literal: true, span };
    let words: Vec<Word> = arguments.iter().map(word).collect();
    let mut script = Script::default();
    let raw = Invocation { assignments: Vec::new(), words, joined: Joined::First, certain: true };
    unwrap(raw, 0, &mut script);
    script.is_chain = false;
    script
}

fn read_nested(text: &Text, depth: usize) -> Script {
    let mut reader = Reader { script: Script { is_chain: true, ..Script::default() }, ..Reader::new(depth) };
    let mut lexer = Lexer::new(text);
    while let Some(token) = lexer.next() {
        match token {
            Token::Word(word, plain) => reader.word(word, plain),
            Token::Operator(operator) => reader.operator(operator),
            Token::Redirection => reader.script.is_chain &= reader.depth == 0,
        }
    }
    reader.end(Joined::Then);
    // A shell refuses a text whose quotes do not end.
    if lexer.is_broken() { Script::default() } else { reader.script }
}

/// A compound command that is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    /// `if`, `while`, `until`: what is in it may not run.
    Branch,
    /// `for`, `select`: so too; up to the next `;` or `do` there are no commands.
    Loop,
    /// `case`: so too; patterns stand before `)`.
    Case,
    /// `{` or `(`: as what stands around it.
    Group,
    /// `{` after `name()`.
    Function,
}

struct Reader {
    script: Script,
    depth: usize,
    open: Vec<Open>,
    assignments: Vec<(String, Word)>,
    words: Vec<Word>,
    joined: Joined,
    /// Whether a `||` stands before in this list.
    alternative: bool,
    /// Words that are no command's: of `for x in ...` and the patterns of `case`.
    skipping: bool,
    /// `name (` was read; the body that follows is a function's.
    function: bool,
}

impl Reader {
    fn new(depth: usize) -> Self {
        Self {
            script: Script::default(),
            depth,
            open: Vec::new(),
            assignments: Vec::new(),
            words: Vec::new(),
            joined: Joined::First,
            alternative: false,
            skipping: false,
            function: false,
        }
    }

    fn close(&mut self, fits: &[Open]) {
        if self.open.last().is_some_and(|open| fits.contains(open)) {
            self.open.pop();
        }
    }

    fn word(&mut self, word: Word, plain: bool) {
        if self.skipping {
            if plain && word.text == "esac" && self.open.last() == Some(&Open::Case) {
                self.skipping = false;
                self.open.pop();
            }
            return;
        }
        if self.words.is_empty() && self.assignments.is_empty() && plain && self.keyword(&word.text) {
            self.script.is_chain = false;
            return;
        }
        if self.words.is_empty()
            && let Some((name, value)) = word.text.split_once('=')
            && !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit())
        {
            let value = Word { text: value.to_owned(), ..word.clone() };
            self.assignments.push((name.to_owned(), value));
            return;
        }
        self.words.push(word);
    }

    /// Reads a reserved word where a command may begin.
    fn keyword(&mut self, word: &str) -> bool {
        match word {
            "if" | "while" | "until" => self.open.push(Open::Branch),
            "for" | "select" => {
                self.open.push(Open::Loop);
                self.skipping = true;
            }
            "case" => {
                self.open.push(Open::Case);
                self.skipping = true;
            }
            "fi" => self.close(&[Open::Branch]),
            "done" => self.close(&[Open::Branch, Open::Loop]),
            "esac" => self.close(&[Open::Case]),
            "then" | "elif" | "else" | "do" | "!" | "time" => {}
            "function" => self.function = true,
            "{" => {
                let function = std::mem::take(&mut self.function);
                self.open.push(if function { Open::Function } else { Open::Group });
            }
            "}" => self.close(&[Open::Group, Open::Function]),
            _ => return false,
        }
        true
    }

    fn operator(&mut self, operator: Operator) {
        // `case x in a|b)`, `(a)`: these brackets and bars join no commands.
        if self.skipping && matches!(operator, Operator::Pipe | Operator::Left) {
            return;
        }
        match operator {
            Operator::And => {
                self.end(Joined::And);
            }
            Operator::Or => {
                self.end(Joined::Or);
                self.alternative = true;
                self.script.is_chain = false;
            }
            Operator::Pipe => {
                self.end(Joined::Pipe);
                self.script.is_chain = false;
            }
            Operator::Semicolon | Operator::Background => {
                self.end(Joined::Then);
                self.alternative = false;
                self.script.is_chain = false;
                if self.open.last() == Some(&Open::Loop) {
                    self.skipping = false;
                }
            }
            Operator::Newline => {
                if !self.words.is_empty() || !self.assignments.is_empty() {
                    self.script.is_chain = false;
                }
                // A line that ends in `&&` goes on in the next one.
                let goes_on = self.words.is_empty() && self.assignments.is_empty();
                if !goes_on || self.joined == Joined::Then {
                    self.end(Joined::Then);
                    self.alternative = false;
                }
                if self.open.last() == Some(&Open::Loop) {
                    self.skipping = false;
                }
            }
            Operator::CaseBreak => {
                self.end(Joined::Then);
                self.skipping = self.open.last() == Some(&Open::Case);
            }
            Operator::Left => {
                self.script.is_chain = false;
                if self.words.len() == 1 && self.assignments.is_empty() {
                    self.words.clear();
                    self.function = true;
                } else if !self.function {
                    self.open.push(Open::Group);
                }
            }
            Operator::Right => {
                self.script.is_chain = false;
                if self.skipping && self.open.last() == Some(&Open::Case) {
                    self.skipping = false;
                } else if !self.function {
                    self.end(Joined::Then);
                    self.close(&[Open::Group]);
                }
            }
        }
    }

    /// Ends a command; `next` is how the following one is joined.
    fn end(&mut self, next: Joined) {
        let words = std::mem::take(&mut self.words);
        let assignments = std::mem::take(&mut self.assignments);
        if !words.is_empty() || !assignments.is_empty() {
            let certain = !self.alternative && self.open.iter().all(|open| *open == Open::Group);
            let raw = Invocation { assignments, words, joined: self.joined, certain };
            unwrap(raw, self.depth, &mut self.script);
        }
        self.joined = next;
    }
}

/// Adds a command, looking through programs that only start another.
fn unwrap(mut raw: Invocation, depth: usize, script: &mut Script) {
    loop {
        let options = |raw: &Invocation| {
            raw.words.iter().skip(1).take_while(|word| word.text.starts_with('-')).count() + 1
        };
        let skip = match raw.program() {
            "exec" | "command" | "nohup" | "eatmydata" | "corepack" | "time" => options(&raw),
            "sudo" => {
                // Options with a value of their own are not followed: `sudo -u x` is a user's business.
                if raw.words.get(1).is_some_and(|word| matches!(word.text.as_str(), "-u" | "-g")) {
                    3
                } else {
                    options(&raw)
                }
            }
            "env" => {
                let mut skip = options(&raw);
                while raw.words.get(skip).is_some_and(|word| word.text.contains('=')) {
                    let word = raw.words[skip].clone();
                    let (name, value) = word.text.split_once('=').unwrap_or((&word.text, ""));
                    let value = Word { text: value.to_owned(), ..word.clone() };
                    raw.assignments.push((name.to_owned(), value));
                    skip += 1;
                }
                skip
            }
            "gosu" | "su-exec" | "nice" | "ionice" if raw.words.len() > 2 => options(&raw).max(2),
            "sh" | "bash" | "ash" | "dash" | "zsh" | "ksh" if depth < MAX_DEPTH => {
                let script_at = raw.words.iter().skip(1).position(|word| {
                    word.text.starts_with('-') && !word.text.starts_with("--") && word.text.ends_with('c')
                });
                if let Some(word) = script_at.and_then(|at| raw.words.get(at + 2))
                    && word.literal
                {
                    let nested = read_nested(&Text::fixed(&word.text, word.span), depth + 1);
                    script.is_chain = script.is_chain && nested.is_chain && depth == 0;
                    for (at, mut one) in nested.invocations.into_iter().enumerate() {
                        one.certain &= raw.certain;
                        if at == 0 {
                            one.joined = raw.joined;
                        }
                        script.invocations.push(one);
                    }
                    return;
                }
                break;
            }
            name if is_python(name) => match raw.words.get(1..3) {
                Some([flag, module]) if flag.text == "-m" && !module.text.contains('/') => 2,
                _ => break,
            },
            _ => break,
        };
        if skip >= raw.words.len() {
            break;
        }
        raw.words.drain(..skip);
    }
    script.invocations.push(raw);
}

fn is_python(name: &str) -> bool {
    name.strip_prefix("python").is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

#[cfg(test)]
mod tests;
