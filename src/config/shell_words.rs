//! Shell syntax in a command that no shell runs: the line to write instead.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::template::{Token, quoted, quoted_but_tokens};

/// Words that join or redirect commands.
const OPERATORS: [&str; 9] = ["|", ">", ">>", "<", "&&", "||", ";", "2>", "&"];

/// Those before which what the command reads has to be named.
const STREAMS: [&str; 5] = ["|", ">", ">>", "<", "2>"];

/// What a command line can begin with that is no program.
const BUILTINS: [&str; 8] = ["cd", "source", ".", "export", "set", "unset", "ulimit", "umask"];

/// Why these words can't be a command, if the first one is known not to be a program.
pub(super) fn no_program(words: &[OsString]) -> Option<String> {
    let [first, rest @ ..] = words else { return None };
    let first = first.to_str()?;
    if rest.is_empty()
        && let Some((start, _)) = first.split_once(' ')
        && (is_builtin(start) || is_assignment(start))
    {
        return Some(format!(
            "the command is the one word {first:?}, which only a shell understands: write --shell {}",
            quoted(&[first.into()])
        ));
    }
    if is_assignment(first) && !rest.is_empty() && operator_in(rest).is_none() {
        let line: Vec<OsString> = std::iter::once("env".into()).chain(words.iter().cloned()).collect();
        return Some(format!(
            "the command begins with {first}, which only a shell understands: write `-- {}`",
            shown(&line)
        ));
    }
    if is_builtin(first) || is_assignment(first) {
        return Some(format!(
            "the command begins with {first}, which only a shell understands: write --shell {}",
            shell_line(words)
        ));
    }
    None
}

/// The warning about a shell operator among the words, which is passed on unchanged.
pub(super) fn operator_note(words: &[OsString]) -> Option<String> {
    let operator = operator_in(words)?;
    Some(format!(
        "{operator:?} is passed to the command as it is; if it is meant for a shell, write --shell {}",
        shell_line(words)
    ))
}

fn operator_in(words: &[OsString]) -> Option<&'static str> {
    OPERATORS.into_iter().find(|operator| words.iter().any(|word| word == operator))
}

fn is_builtin(word: &str) -> bool {
    BUILTINS.contains(&word)
}

/// `NAME=value`.
fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else { return false };
    let is_name = |letter: char| letter == '_' || letter.is_ascii_alphanumeric();
    name.starts_with(|first: char| first == '_' || first.is_ascii_alphabetic()) && name.chars().all(is_name)
}

/// The words as the quoted script of `--shell`, which appends no path and may be run by a sh that knows no `source`.
fn shell_line(words: &[OsString]) -> String {
    let mut line: Vec<String> = words.iter().map(|word| in_script(word)).collect();
    if words.first().is_some_and(|first| first == "source") {
        ".".clone_into(&mut line[0]);
        if let Some(file) = line.get_mut(1).filter(|file| !file.contains('/')) {
            file.insert_str(0, "./");
        }
    }
    let is_alone = operator_in(words).is_none();
    if is_alone {
        line.extend(["&&", "COMMAND", "{}"].map(str::to_owned));
    }
    if !is_alone && !words.iter().any(|word| token_in(word)) {
        let stream = words.iter().position(|word| STREAMS.iter().any(|stream| word == stream));
        line.insert(stream.unwrap_or(line.len()), "{}".to_owned());
    }
    quoted(&[line.join(" ").into()])
}

/// A word in a script: operators and placeholders have to stand outside of quotes.
fn in_script(word: &OsStr) -> String {
    if let Some(operator) = OPERATORS.into_iter().find(|operator| word == *operator) {
        return operator.to_owned();
    }
    match word.to_str().filter(|word| is_assignment(word)).and_then(|word| word.split_once('=')) {
        Some((name, value)) => format!("{name}={}", quoted_but_tokens(value.as_ref())),
        None => quoted_but_tokens(word),
    }
}

/// Words as one would type them: braces of placeholders need no quotes.
pub(super) fn shown(words: &[OsString]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"{}/.:-_=+,@%".contains(byte);
    let shown = words.iter().map(|word| {
        let is_typed = !word.is_empty() && word.as_bytes().iter().all(is_plain);
        if is_typed { word.to_string_lossy().into_owned() } else { quoted(std::slice::from_ref(word)) }
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn token_in(word: &OsStr) -> bool {
    let word = word.to_string_lossy();
    Token::ALL.iter().any(|token| word.contains(token.as_str()))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{no_program, operator_note};

    fn words(line: &[&str]) -> Vec<OsString> {
        line.iter().map(OsString::from).collect()
    }

    #[test]
    fn what_begins_like_a_shell_line_gets_the_line_that_works() {
        for (line, said) in [
            (&["VAR=1", "cmd", "{}"][..], "`-- env VAR=1 cmd {}`"),
            (&["A=1", "B=2", "cmd", "{/.}.cat"], "`-- env A=1 B=2 cmd {/.}.cat`"),
            (&["VAR=1", "cmd", "{}", "|", "wc"], "--shell 'VAR=1 cmd {} | wc'"),
            (&["cd", "x", "&&", "cmd", "{}"], "--shell 'cd x && cmd {}'"),
            (&["cd", "x", "&&", "cmd"], "--shell 'cd x && cmd {}'"),
            (&["A=b c", "cmd", "{}", "&&", "x"], "--shell \"A='b c' cmd {} && x\""),
            (&["cd", "x"], "--shell 'cd x && COMMAND {}'"),
            (&["source", "env.sh", "&&", "cmd", "{}"], "--shell '. ./env.sh && cmd {}'"),
            (&["cd x && cmd {}"], "--shell 'cd x && cmd {}'"),
            (&["VAR=1 cmd {}"], "--shell 'VAR=1 cmd {}'"),
        ] {
            let answer = no_program(&words(line)).unwrap_or_default();
            assert!(answer.ends_with(&format!("write {said}")), "{answer}");
        }
        for line in [&["cmd", "{}"][..], &["cmd x"], &["=1", "x"], &["1A=1", "x"], &[]] {
            assert_eq!(no_program(&words(line)), None, "{line:?}");
        }
    }

    #[test]
    fn an_operator_is_shown_in_the_line_that_a_shell_would_run() {
        let note = |line: &[&str]| operator_note(&words(line)).unwrap_or_default();
        assert!(note(&["cat", "{}", "|", "wc", "-l"]).ends_with("--shell 'cat {} | wc -l'"));
        assert!(note(&["sort", ">", "out"]).ends_with("--shell 'sort {} > out'"));
        assert!(note(&["time", "", "{}", "|", "wc"]).ends_with("--shell \"'time' '' {} | wc\""));
        assert!(note(&["f", "Field {/.}", "{}", "|", "wc"]).ends_with("--shell \"f 'Field '{/.} {} | wc\""));
        assert!(
            note(&["f", "a;{out:c}.x", "{{}} {}", ">", "{/}.o"])
                .ends_with("--shell \"f 'a;'{out:c}.x '{{}} '{} > {/}.o\"")
        );
        assert_eq!(note(&["cat", "{}"]), "");
    }
}
