//! From a template's text to its nodes.

use serde_json::Value;

/// A piece of a template.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Print(Pipeline),
    Set(String, Pipeline),
    If(Pipeline, Vec<Node>, Vec<Node>),
    With(Option<String>, Pipeline, Vec<Node>, Vec<Node>),
    Range { key: Option<String>, value: Option<String>, over: Pipeline, body: Vec<Node>, empty: Vec<Node> },
}

/// Commands, each given the result of the one before as its last argument.
pub(super) type Pipeline = Vec<Command>;

/// An operand alone, or a function and its arguments.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) function: Option<String>,
    pub(super) arguments: Vec<Operand>,
}

/// A value.
#[derive(Debug)]
pub(super) enum Operand {
    /// `.A.B`
    Field(Vec<String>),
    /// `$x.A`; the name of `$` is empty.
    Variable(String, Vec<String>),
    Literal(Value),
    /// `(pipeline).A`
    Nested(Pipeline, Vec<String>),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Field(Vec<String>),
    Variable(String, Vec<String>),
    Literal(Value),
    Word(String),
    Pipe,
    Open,
    /// With the fields asked of what is inside.
    Close(Vec<String>),
    Declare,
    Comma,
}

/// Blocks within blocks go so deep.
const DEEPEST: usize = 64;

enum Piece {
    Text(String),
    Action(String),
}

/// Reads a template.
pub(super) fn parse(source: &str) -> Result<Vec<Node>, String> {
    let pieces = pieces(source)?;
    let mut reader = Reader { pieces: pieces.into_iter(), depth: 0 };
    let (nodes, end) = reader.block()?;
    match end {
        Stop::Source => Ok(nodes),
        Stop::End => Err("it has an `{{end}}` too many".to_owned()),
        Stop::Else(_) => Err("it has an `{{else}}` without an `{{if}}`".to_owned()),
    }
}

/// Splits into text and actions; `{{-` and `-}}` take the white space beside them away.
fn pieces(source: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = source;
    let mut trim = false;
    loop {
        let at = rest.find("{{");
        let mut text = &rest[..at.unwrap_or(rest.len())];
        if trim {
            text = text.trim_start();
        }
        let Some(at) = at else {
            pieces.push(Piece::Text(text.to_owned()));
            return Ok(pieces);
        };
        let inside = &rest[at + 2..];
        let (inside, trim_before) = match inside.strip_prefix('-') {
            Some(trimmed) if trimmed.starts_with(char::is_whitespace) => (trimmed, true),
            _ => (inside, false),
        };
        if trim_before {
            text = text.trim_end();
        }
        pieces.push(Piece::Text(text.to_owned()));
        let end = action_end(inside).ok_or("an action `{{` is not closed by `}}`")?;
        let action = &inside[..end];
        let (action, trim_after) = match action.strip_suffix('-') {
            Some(trimmed) if trimmed.ends_with(char::is_whitespace) => (trimmed, true),
            _ => (action, false),
        };
        trim = trim_after;
        let action = action.trim();
        if !(action.starts_with("/*") && action.ends_with("*/")) {
            pieces.push(Piece::Action(action.to_owned()));
        }
        rest = &inside[end + 2..];
    }
}

/// Where `}}` stands outside of quotes.
fn action_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut quote = None;
    let mut at = 0;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(b'"'), b'\\') => at += 1,
            (Some(open), close) if open == close => quote = None,
            (None, b'"' | b'`') => quote = Some(bytes[at]),
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Where a block ends.
enum Stop {
    Source,
    End,
    /// With what follows `else`.
    Else(String),
}

struct Reader {
    pieces: std::vec::IntoIter<Piece>,
    depth: usize,
}

impl Reader {
    fn block(&mut self) -> Result<(Vec<Node>, Stop), String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("its blocks are nested more than {DEEPEST} deep"));
        }
        let mut nodes = Vec::new();
        let end = loop {
            let Some(piece) = self.pieces.next() else { break Stop::Source };
            let action = match piece {
                Piece::Text(text) => {
                    if !text.is_empty() {
                        nodes.push(Node::Text(text));
                    }
                    continue;
                }
                Piece::Action(action) => action,
            };
            let (word, rest) = action.split_once(char::is_whitespace).unwrap_or((action.as_str(), ""));
            match word {
                "end" => break Stop::End,
                "else" => break Stop::Else(rest.trim().to_owned()),
                "if" | "with" | "range" => nodes.push(self.control(word, rest)?),
                _ => nodes.push(plain(&action)?),
            }
        };
        self.depth -= 1;
        Ok((nodes, end))
    }

    fn control(&mut self, word: &str, head: &str) -> Result<Node, String> {
        let (names, pipeline) = declared(tokens(head)?, word)?;
        let (body, end) = self.block()?;
        let otherwise = match end {
            Stop::Source => return Err(format!("`{{{{{word}}}}}` has no `{{{{end}}}}`")),
            Stop::End => Vec::new(),
            Stop::Else(rest) if rest.is_empty() => match self.block()? {
                (nodes, Stop::End) => nodes,
                _ => return Err(format!("`{{{{{word}}}}}` has no `{{{{end}}}}` after its `{{{{else}}}}`")),
            },
            Stop::Else(rest) => {
                let (next, rest) = rest.split_once(char::is_whitespace).unwrap_or((&rest, ""));
                if !matches!(next, "if" | "with") {
                    return Err(format!("`{{{{else {next}}}}}` is not known"));
                }
                vec![self.control(next, rest)?]
            }
        };
        let mut names = names.into_iter();
        Ok(match word {
            "if" => Node::If(pipeline, body, otherwise),
            "with" => Node::With(names.next(), pipeline, body, otherwise),
            _ => {
                let (first, second) = (names.next(), names.next());
                let (key, value) = if second.is_some() { (first, second) } else { (None, first) };
                Node::Range { key, value, over: pipeline, body, empty: otherwise }
            }
        })
    }
}

/// An action that is no block.
fn plain(action: &str) -> Result<Node, String> {
    let tokens = tokens(action)?;
    let declares = tokens.contains(&Token::Declare);
    let (mut names, pipeline) = declared(tokens, "an action")?;
    match (declares, names.len()) {
        (false, _) => Ok(Node::Print(pipeline)),
        (true, 1) => Ok(Node::Set(names.remove(0), pipeline)),
        _ => Err("only one variable can be set at once".to_owned()),
    }
}

/// Splits `$a, $b := pipeline`.
fn declared(tokens: Vec<Token>, word: &str) -> Result<(Vec<String>, Pipeline), String> {
    let mut names = Vec::new();
    let mut tokens = tokens;
    if let Some(at) = tokens.iter().position(|token| *token == Token::Declare) {
        let rest = tokens.split_off(at + 1);
        for token in tokens {
            match token {
                Token::Variable(name, fields) if fields.is_empty() && !name.is_empty() => names.push(name),
                Token::Comma | Token::Declare => {}
                _ => return Err("before `:=` there is a variable, as `$name`".to_owned()),
            }
        }
        tokens = rest;
    }
    let mut tokens = tokens.into_iter().peekable();
    let pipeline = pipeline(&mut tokens, 0)?;
    if tokens.next().is_some() {
        return Err("it has a `)` too many".to_owned());
    }
    if pipeline.is_empty() {
        return Err(if word == "an action" {
            "an action is empty".to_owned()
        } else {
            format!("`{{{{{word}}}}}` needs a value")
        });
    }
    Ok((names, pipeline))
}

type Tokens = std::iter::Peekable<std::vec::IntoIter<Token>>;

fn pipeline(tokens: &mut Tokens, depth: usize) -> Result<Pipeline, String> {
    if depth > DEEPEST {
        return Err(format!("its parentheses are nested more than {DEEPEST} deep"));
    }
    let mut commands = Vec::new();
    loop {
        let mut command = Command { function: None, arguments: Vec::new() };
        while let Some(token) = tokens.peek() {
            if matches!(token, Token::Pipe | Token::Close(_)) {
                break;
            }
            match tokens.next().expect("because it was just looked at") {
                Token::Word(word) => {
                    if command.function.is_some() || !command.arguments.is_empty() {
                        return Err(format!(
                            "`{word}` is no value; a text stands in quotes, a field after a dot"
                        ));
                    }
                    command.function = Some(word);
                }
                Token::Field(fields) => command.arguments.push(Operand::Field(fields)),
                Token::Variable(name, fields) => command.arguments.push(Operand::Variable(name, fields)),
                Token::Literal(value) => command.arguments.push(Operand::Literal(value)),
                Token::Open => {
                    let inner = pipeline(tokens, depth + 1)?;
                    let Some(Token::Close(fields)) = tokens.next() else {
                        return Err("a `(` is not closed".to_owned());
                    };
                    if inner.is_empty() {
                        return Err("`()` is empty".to_owned());
                    }
                    command.arguments.push(Operand::Nested(inner, fields));
                }
                Token::Comma | Token::Declare => {
                    return Err("`,` and `:=` stand before a value only".to_owned());
                }
                Token::Pipe | Token::Close(_) => break,
            }
        }
        let empty = command.function.is_none() && command.arguments.is_empty();
        if command.function.is_none() && command.arguments.len() > 1 {
            return Err("two values stand side by side; a function's name comes first".to_owned());
        }
        let piped = tokens.peek() == Some(&Token::Pipe);
        if !empty {
            commands.push(command);
        } else if piped || !commands.is_empty() {
            return Err("a `|` has nothing beside it".to_owned());
        }
        if !piped {
            return Ok(commands);
        }
        tokens.next();
        if tokens.peek().is_none() {
            return Err("a `|` has nothing behind it".to_owned());
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, left) = match first {
            '.' => {
                let (names, left) = fields(rest)?;
                (Token::Field(names), left)
            }
            '$' => {
                let end = name_end(&rest[1..]) + 1;
                let (names, left) = fields(&rest[end..])?;
                (Token::Variable(rest[1..end].to_owned(), names), left)
            }
            '|' => (Token::Pipe, &rest[1..]),
            '(' => (Token::Open, &rest[1..]),
            ')' => {
                let (names, left) = fields(&rest[1..])?;
                (Token::Close(names), left)
            }
            ',' => (Token::Comma, &rest[1..]),
            ':' if rest.starts_with(":=") => (Token::Declare, &rest[2..]),
            '=' => (Token::Declare, &rest[1..]),
            '`' => {
                let end = rest[1..].find('`').ok_or("a text in backticks is not closed")? + 1;
                (Token::Literal(rest[1..end].into()), &rest[end + 1..])
            }
            '"' => quoted(rest)?,
            '-' | '+' | '0'..='9' => {
                let end = rest[1..]
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '.')
                    .map_or(rest.len(), |at| at + 1);
                let number: Value = rest[..end]
                    .trim_start_matches('+')
                    .parse::<serde_json::Number>()
                    .map_err(|_| format!("`{}` is no number", &rest[..end]))?
                    .into();
                (Token::Literal(number), &rest[end..])
            }
            first if first.is_alphabetic() || first == '_' => {
                let end = name_end(rest);
                let token = match &rest[..end] {
                    "true" => Token::Literal(true.into()),
                    "false" => Token::Literal(false.into()),
                    "nil" => Token::Literal(Value::Null),
                    word => Token::Word(word.to_owned()),
                };
                (token, &rest[end..])
            }
            other => return Err(format!("`{other}` has no meaning in an action")),
        };
        tokens.push(token);
        rest = left.trim_start();
    }
    Ok(tokens)
}

/// `.A.B` and what follows; the dot alone has no names.
fn fields(text: &str) -> Result<(Vec<String>, &str), String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(after) = rest.strip_prefix('.') {
        let end = name_end(after);
        if end == 0 {
            if names.is_empty() && !after.starts_with('.') {
                return Ok((names, after));
            }
            return Err("a field's name is missing after a dot".to_owned());
        }
        names.push(after[..end].to_owned());
        rest = &after[end..];
    }
    Ok((names, rest))
}

fn name_end(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// A text in double quotes with Go's escapes.
fn quoted(text: &str) -> Result<(Token, &str), String> {
    let mut value = String::new();
    let mut chars = text[1..].char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Literal(value.into()), &text[at + 2..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, 'r')) => value.push('\r'),
                Some((_, c @ ('"' | '\\' | '\''))) => value.push(c),
                Some((_, c)) => return Err(format!("`\\{c}` is not known in a text")),
                None => break,
            },
            c => value.push(c),
        }
    }
    Err("a text in quotes is not closed".to_owned())
}
