use super::*;
use proptest::prelude::*;

fn env(name: &str) -> Option<String> {
    Some(
        match name {
            "a" => "old",
            "empty" => "",
            "path" => "/usr/local/lib/libx.so.1",
            "two" => "one two",
            "spaced" => "  80  443 ",
            _ => return None,
        }
        .to_owned(),
    )
}

fn word(word: &str) -> String {
    Lex::default().expand_word(word, &env).unwrap_or_else(|error| format!("error: {error}"))
}

#[test]
fn plain_variables() {
    for (given, wanted) in [
        ("", ""),
        ("plain", "plain"),
        ("$a", "old"),
        ("x${a}y", "xoldy"),
        ("$a-$none.", "old-."),
        ("$$ $@ $* $1x $?", "   x "),
        ("$", "$"),
        ("$.", "$."),
        ("100$", "100$"),
        ("'$a'", "$a"),
        ("\"$a b\"", "old b"),
        (r"\$a", "$a"),
        (r#""\$a \x \\ \"""#, r#"$a \x \ ""#),
        (r"a\ b", "a b"),
        ("$two", "one two"),
        ("a<<b", "a<<b"),
    ] {
        assert_eq!(word(given), wanted, "{given}");
    }
}

#[test]
fn modifiers() {
    for (given, wanted) in [
        ("${a:-x}", "old"),
        ("${empty:-x}", "x"),
        ("${empty-x}", ""),
        ("${none-x}", "x"),
        ("${none:-${a}b}", "oldb"),
        ("${none:-'$a'}", "$a"),
        ("${a:+x}", "x"),
        ("${empty:+x}", ""),
        ("${empty+x}", "x"),
        ("${none+x}", ""),
        ("${a:?m}", "old"),
        ("${none:?two words}", "error: none: two words"),
        ("${empty:?}", "error: empty: is not allowed to be empty"),
        ("${none?}", "error: none: is not allowed to be unset"),
        ("${empty?}", ""),
        ("${path#/*/}", "local/lib/libx.so.1"),
        ("${path##*/}", "libx.so.1"),
        ("${path%.*}", "/usr/local/lib/libx.so"),
        ("${path%%.*}", "/usr/local/lib/libx"),
        ("${path%/lib?.so.1}", "/usr/local/lib"),
        ("${path/lib/L}", "/usr/local/L/libx.so.1"),
        ("${path//lib/L}", "/usr/local/L/Lx.so.1"),
        (r"${path//\//-}", "-usr-local-lib-libx.so.1"),
        ("${path/*/x}", "x"),
        ("${path//lib/'[$0]'}", "/usr/local/[lib]/[lib]x.so.1"),
        ("${path/lib/'[$0]'}", "/usr/local/[$0]/libx.so.1"),
        ("${a//l/'$$'}", "o$d"),
        ("${a//l/'${0}${1}$x'}", "old"),
        ("${a//l/'${'}", "o${d"),
        ("${path#nothing}", "/usr/local/lib/libx.so.1"),
        ("${none#x}", ""),
        (
            r"${a#\x}",
            r"error: in `${a#\x}` the pattern `\x` has an escape of a character other than `*`, `?` or `\`",
        ),
        ("${a^}", "error: in `${a^}` the modifier `^` is not supported"),
        ("${a:#x}", "error: in `${a:#x}` the modifier `:#` is not supported"),
        ("${}", "error: in `${}` a `${...}` names no variable"),
        ("${a", "error: in `${a` the `}` of a `${...}` is missing"),
        ("${a:-x", "error: in `${a:-x` the `}` of a `${...}` is missing"),
        ("${a/x}", "error: in `${a/x}` the `/` of a `${...}` is missing"),
        ("'a", "error: in `'a` the single quote is never closed"),
        ("\"a", "error: in `\"a` the double quote is never closed"),
    ] {
        assert_eq!(word(given), wanted, "{given}");
    }
}

#[test]
fn words_split_where_nothing_quotes() {
    let words = |word| Lex::default().expand_words(word, &env).unwrap();
    assert_eq!(words("$spaced"), ["80", "443"]);
    assert_eq!(words("\"$two\" 'a b' c\\ d"), ["one two", "a b", "c d"]);
    assert_eq!(words("80${none:-80}/tcp"), ["8080/tcp"]);
    assert_eq!(words("$none"), [""; 0]);
    assert_eq!(words("a << b"), ["a", "<< b"]);
}

#[test]
fn the_backtick_escapes_after_its_directive() {
    let lex = Lex::new('`');
    assert_eq!(lex.expand_word(r"C:\$a`$a", &env).unwrap(), r"C:\old$a");
}

#[test]
fn heredocs_keep_quotes_and_read_escapes() {
    let lex = Lex::heredoc();
    assert_eq!(lex.expand_word("'$a' \\\\ \\x \"$a\"\r\n", &env).unwrap(), "'old' \\ x \"old\"\r\n");
}

#[test]
fn tells_which_variables_were_used() {
    let seen = Lex::default().expand("$a ${none:-$other} $a '$quoted'", &env).unwrap();
    assert_eq!(seen.text, "old  old $quoted");
    assert_eq!(seen.used, ["a"]);
    assert_eq!(seen.unset, ["other", "none"]);
}

#[test]
fn growth_and_depth_are_bounded() {
    let big = |_: &str| Some("x".repeat(1 << 20));
    let doubled = "$a".repeat(20);
    assert!(matches!(Lex::default().expand_word(&doubled, &big), Err(ExpandError::TooLong { .. })));
    let replaced = format!("${{a//x/{}}}", "y".repeat(64));
    assert!(matches!(Lex::default().expand_word(&replaced, &big), Err(ExpandError::TooLong { .. })));
    let long = format!("${{a//{}/}}", "?".repeat(1 << 15));
    assert!(matches!(Lex::default().expand_word(&long, &big), Err(ExpandError::TooCostly { .. })));
    let deep = "${a:-".repeat(5000);
    assert!(matches!(Lex::default().expand_word(&deep, &big), Err(ExpandError::TooDeep { .. })));
}

proptest! {
    #[test]
    fn never_panics(text in r#"[a${}:#%/*?'"\\<\- +=1\n]{0,40}"#, escape in prop::sample::select(vec!['\\', '`'])) {
        for lex in [Lex::new(escape), Lex::heredoc(), Lex { keep_quotes: true, keep_escapes: true, keep_unset: true, ..Lex::new(escape) }] {
            let _ = lex.expand(&text, &env);
        }
    }

    #[test]
    fn quoting_protects_everything(text in "[^']*") {
        prop_assert_eq!(Lex::default().expand_word(&format!("'{text}'"), &env).unwrap(), text);
    }

    #[test]
    fn text_without_specials_stays(text in "[a-z =/.:-]*") {
        prop_assert_eq!(Lex::default().expand_word(&text, &env).unwrap(), text);
    }
}
