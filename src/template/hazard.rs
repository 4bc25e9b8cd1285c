//! Commands that would take a placeholder for code, and commands that change what `$1` is. This finds what is written
//! plainly (`eval {}`, `sh -c {}`); a name that is first put into a variable and then evaluated can't be seen here.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::text::base_name;

use super::error::{Code, ParameterChange};
use super::word::{FoundToken, ShellWord};

/// Words that stand before a command and leave the next word a command word.
const BEFORE_COMMANDS: [&str; 15] = [
    "if", "then", "elif", "else", "while", "until", "do", "!", "{", "}", "time", "coproc", "done", "fi",
    "esac",
];

/// Builtins that only say how the next word is looked up.
const LOOKUPS: [&str; 2] = ["command", "builtin"];

/// Builtins that read any operand as commands, patterns of commands or arithmetic, in sh or where bash is sh.
const READ_CODE: [&str; 12] = [
    "eval",
    "trap",
    "alias",
    "let",
    "[[",
    "declare",
    "typeset",
    "local",
    "compgen",
    "complete",
    "mapfile",
    "readarray",
];

/// Builtins that take names of variables; bash computes the subscript of `a[...]`.
const READ_NAMES: [&str; 6] = ["export", "readonly", "unset", "read", "getopts", "wait"];

/// Builtins with options that are followed by the name of a variable.
const NAME_OPTIONS: [(&str, &[&str]); 3] =
    [("test", &["-v", "-R"]), ("[", &["-v", "-R"]), ("printf", &["-v"])];

/// Variables whose values bash computes, and the prompt of `set -x`, which is expanded.
const COMPUTED: [&str; 8] =
    ["PS4", "OPTIND", "RANDOM", "SRANDOM", "SECONDS", "HISTCMD", "LINENO", "BASH_ARGV0"];

/// Programs that run the script they are given.
const SHELLS: [&str; 11] =
    ["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "yash", "rbash", "csh", "fish"];

/// The first placeholder of a command that would be read as code.
pub(super) fn reads_code(all: &[ShellWord]) -> Option<(Code, FoundToken)> {
    let (assignments, words) = split(all);
    assignments
        .iter()
        .find_map(subscript)
        .or_else(|| all.iter().find_map(computed))
        .or_else(|| builtin(words))
        .or_else(|| (0..words.len()).find_map(|place| script(&words[place..])))
}

/// Whether the command gives the positional parameters other values.
pub(super) fn changes_parameters(words: &[ShellWord]) -> Option<ParameterChange> {
    let [program, operands @ ..] = split(words).1 else { return None };
    if program.says("shift") {
        return Some(ParameterChange::Shift);
    }
    (program.says("set") && sets(operands)).then_some(ParameterChange::Set)
}

/// Whether `word`, after `words`, begins the definition of a function in the way of bash.
pub(super) fn defines_function(words: &[ShellWord], word: &ShellWord) -> bool {
    word.is_plain("function") && words.iter().all(precedes)
}

/// Whether operands of `set` are more than options.
fn sets(operands: &[ShellWord]) -> bool {
    let mut operands = operands.iter();
    while let Some(operand) = operands.next() {
        match operand.text.as_slice() {
            _ if !operand.is_literal() => return true,
            [b'-' | b'+', letter, rest @ ..] if *letter != b'-' => {
                if *letter == b'o' || rest.contains(&b'o') {
                    operands.next();
                }
            }
            _ => return true,
        }
    }
    false
}

/// Splits off what stands before the command word: assignments and reserved words.
fn split(words: &[ShellWord]) -> (&[ShellWord], &[ShellWord]) {
    let start = words.iter().position(|word| !precedes(word)).unwrap_or(words.len());
    words.split_at(start)
}

fn precedes(word: &ShellWord) -> bool {
    BEFORE_COMMANDS.iter().any(|reserved| word.is_plain(reserved))
        || LOOKUPS.iter().any(|lookup| word.says(lookup))
        || word.text.starts_with(b"-")
        || assigned(word).is_some()
}

/// The variable that a word assigns to (`a=...`, `a+=...`, `a[...]=...`).
fn assigned(word: &ShellWord) -> Option<&[u8]> {
    let end = word.text.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')?;
    let (name, rest) = word.text.split_at(end);
    let assigns = match rest {
        [b'=', ..] => word.prefix().contains(&b'='),
        [b'+', b'=', ..] => true,
        [b'[', rest @ ..] => rest.contains(&b'='),
        _ => false,
    };
    (assigns && !name.is_empty() && !name[0].is_ascii_digit()).then_some(name)
}

/// `a[{}]=`
fn subscript(word: &ShellWord) -> Option<(Code, FoundToken)> {
    let found = word.token?;
    let prefix = word.prefix();
    let named = prefix.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_');
    (named && prefix.contains(&b'[') && !prefix.contains(&b'=')).then_some((Code::Subscript, found))
}

fn computed(word: &ShellWord) -> Option<(Code, FoundToken)> {
    let found = word.token?;
    let name = assigned(word)?;
    let known = COMPUTED.iter().find(|known| known.as_bytes() == name)?;
    Some((Code::Variable((*known).to_owned()), found))
}

fn builtin(words: &[ShellWord]) -> Option<(Code, FoundToken)> {
    let [program, operands @ ..] = words else { return None };
    let code = |name: &str, found| Some((Code::Builtin(name.to_owned()), found));
    if let Some(name) = READ_CODE.iter().find(|name| program.says(name)) {
        return code(name, operands.iter().find_map(|word| word.token)?);
    }
    if let Some(name) = READ_NAMES.iter().find(|name| program.says(name)) {
        let named = operands.iter().filter(|word| !word.prefix().contains(&b'=')).find_map(|word| word.token);
        return code(name, named?);
    }
    let (name, options) = NAME_OPTIONS.iter().find(|(name, _)| program.says(name))?;
    let named = operands
        .windows(2)
        .filter(|pair| options.iter().any(|option| pair[0].says(option)))
        .find_map(|pair| pair[1].token)?;
    code(name, named)
}

/// The script operand in `sh -c SCRIPT`, where `words` begin with the shell, wherever it stands in the command
/// (`nice sh -c`, `find ... -exec sh -c`).
fn script(words: &[ShellWord]) -> Option<(Code, FoundToken)> {
    let [program, operands @ ..] = words else { return None };
    let name = shell_name(program)?;
    let mut is_script = false;
    let mut operands = operands.iter();
    while let Some(operand) = operands.next() {
        let [b'-' | b'+', letters @ ..] = operand.text.as_slice() else {
            let found = operand.token.filter(|_| is_script)?;
            return Some((Code::Script(name), found));
        };
        if let Some(found) = operand.token {
            return Some((Code::Script(name), found));
        }
        let is_long = letters.first() == Some(&b'-');
        is_script |= !is_long && letters.contains(&b'c');
        let takes_next = if is_long {
            letters.ends_with(b"file")
        } else {
            letters.iter().any(|letter| b"oO".contains(letter))
        };
        if takes_next {
            operands.next();
        }
    }
    None
}

fn shell_name(word: &ShellWord) -> Option<String> {
    if word.token.is_some() {
        return None;
    }
    let program = OsStr::from_bytes(&word.text);
    is_shell(program).then(|| base_name(program).to_string_lossy().into_owned())
}

/// Whether a program, by its name or path, is one that runs the script it is given.
pub fn is_shell(program: &OsStr) -> bool {
    base_name(program).to_str().is_some_and(|name| SHELLS.contains(&name))
}
