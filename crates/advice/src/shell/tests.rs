use super::*;

/// Each command in a line: how it is joined, `?` where it is not certain, its words.
fn shown(text: &str) -> Vec<String> {
    let script = read(&Text::fixed(text, Span::default()));
    let show = |one: &Invocation| {
        let joined = match one.joined {
            Joined::First => "",
            Joined::And => "&& ",
            Joined::Or => "|| ",
            Joined::Then => "; ",
            Joined::Pipe => "| ",
        };
        let assignments: String =
            one.assignments.iter().map(|(name, value)| format!("{name}={} ", value.text)).collect();
        let words: Vec<String> = one
            .words
            .iter()
            .map(|word| format!("{}{}", word.text, if word.literal { "" } else { "~" }))
            .collect();
        let certain = if one.certain { "" } else { "?" };
        format!("{joined}{certain}{assignments}{}", words.join("_"))
    };
    script.invocations.iter().map(show).collect()
}

fn is_chain(text: &str) -> bool {
    read(&Text::fixed(text, Span::default())).is_chain
}

#[test]
fn operators_and_quotes() {
    assert_eq!(shown("a b && c || d; e | f & g"), ["a_b", "&& c", "|| ?d", "; e", "| f", "; g"]);
    assert_eq!(shown("a 'b c' \"d $e\" f\\ g h\"i\"'j'"), ["a_b c_d $e~_f g_hij"]);
    assert_eq!(shown("a # b && c\nd"), ["a", "; d"]);
    assert_eq!(shown("a#b '#' c"), ["a#b_#_c"]);
    assert_eq!(shown("a &&\n  b \\\n  c"), ["a", "&& b_c"]);
    assert_eq!(shown("a=b C=\"d e\" npm ci"), ["a=b C=d e npm_ci"]);
    assert_eq!(shown("X=1; npm ci"), ["X=1 ", "; npm_ci"]);
}

#[test]
fn expansions_stay_text() {
    assert_eq!(
        shown("a $(b && c) ${d:-e f} `g | h` $((1+(2)))"),
        ["a_$(b && c)~_${d:-e f}~_`g | h`~_$((1+(2)))~"]
    );
    assert_eq!(shown("a \"$(b \"c d\")\" $ \"\\$x\""), ["a_$(b \"c d\")~_$_$x"]);
}

#[test]
fn redirections_and_here_documents_go() {
    assert_eq!(shown("a >b 2>&1 <c d &>/dev/null && e"), ["a_d", "&& e"]);
    assert_eq!(shown("cat <<EOF >x\nnpm ci\nEOF\nb"), ["cat", "; b"]);
    assert_eq!(shown("cat <<-'E' && b\n\tx\n\tE\nc <<< d"), ["cat", "&& b", "; c"]);
    assert_eq!(shown("diff <(a b) c"), ["diff_<(a b)~_c"]);
}

#[test]
fn branches_are_not_certain() {
    assert_eq!(
        shown("if [ -f x ]; then npm ci; elif a; then b; else yarn; fi; c"),
        ["?[_-f_x_]", "; ?npm_ci", "; ?a", "; ?b", "; ?yarn", "; c"]
    );
    assert_eq!(shown("for x in a b; do npm ci; done; c"), ["; ?npm_ci", "; c"]);
    assert_eq!(shown("case $x in a|b) c ;; *) d;; esac; e"), ["?c", "; ?d", "; e"]);
    assert_eq!(shown("f() { a; b; }; c"), ["?a", "; ?b", "; c"]);
    assert_eq!(shown("{ a; b; } && (c; d) && ! e"), ["a", "; b", "&& c", "; d", "&& e"]);
    assert_eq!(shown("a || b && c; d"), ["a", "|| ?b", "&& ?c", "; d"]);
}

#[test]
fn what_never_ends_is_nothing() {
    for text in ["a 'b", "a \"b", "a `b", "a $(b", "a ${b", "a && \"$(x\""] {
        assert_eq!(shown(text), [""; 0], "{text}");
    }
}

#[test]
fn starters_are_looked_through() {
    assert_eq!(shown("sudo -E env A=b npm ci"), ["A=b npm_ci"]);
    assert_eq!(shown("sh -c 'a && b' && c"), ["a", "&& b", "&& c"]);
    assert_eq!(shown("bash -euxc \"npm ci\""), ["npm_ci"]);
    assert_eq!(shown("bash -c \"$x\""), ["bash_-c_$x~"]);
    assert_eq!(shown("python3 -m pip install x"), ["pip_install_x"]);
    assert_eq!(shown("exec /usr/bin/npm start"), ["/usr/bin/npm_start"]);
    let exec = read_exec(&["/bin/sh".into(), "-c".into(), "a; npm ci".into()], Span::default());
    assert_eq!(exec.invocations.len(), 2);
}

#[test]
fn plain_chains() {
    for text in ["a", "a && b", "a \\\n && b > c"] {
        assert!(is_chain(text), "{text}");
    }
    for text in
        ["a; b", "a || b", "a | b", "a &", "(a)", "if a; then b; fi", "a\nb", "for x in y; do z; done"]
    {
        assert!(!is_chain(text), "{text}");
    }
}

mod any_text {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_read_to_its_end(text in "[ab'\"$(){}`\\\\;&|<>#\n =]{0,40}") {
            let _ = shown(&text);
        }

        #[test]
        fn plain_words_are_kept(words in proptest::collection::vec("[a-z0-9./-]{1,8}", 1..6)) {
            let text = words.join(" ");
            let skip = ["if", "fi", "do", "in", "then", "else", "elif", "for", "case", "esac", "done", "while",
                "until", "time", "exec", "env", "sudo", "nice", "sh", "ash", "ksh", "zsh", "dash", "bash"];
            prop_assume!(!skip.contains(&base_name(&words[0])));
            prop_assert_eq!(shown(&text), vec![words.join("_")]);
        }
    }
}
