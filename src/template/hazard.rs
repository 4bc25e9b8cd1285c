//! Commands that would take a placeholder for code, and commands that change what `$1` is. This finds what is written
//! plainly (`eval {}`, `sh -c {}`); a name that is first put into a variable and then evaluated can't be seen here.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::error::TokenPlace;
use super::parts;
use super::word::{ShellCommand, ShellWord};

/// Words that leave the next word a command word.
const BEFORE_COMMANDS: &str = "if then elif else while until do ! { time coproc command builtin";

/// Commands that read any operand as commands, patterns of commands or arithmetic, in sh or where bash is sh. (ssh
/// hands its operands to the shell of the other host.)
const READ_CODE: &str = "eval trap alias let declare typeset local compgen complete mapfile readarray ssh";

/// Builtins that take names of variables; bash computes the subscript of `a[...]`.
const READ_NAMES: &str = "export readonly unset read getopts wait";

/// Variables whose values a shell computes or expands.
const COMPUTED: &str = "PS4 ENV BASH_ENV OPTIND RANDOM SRANDOM SECONDS HISTCMD LINENO BASH_ARGV0";

/// Programs that run the script they are given.
const SHELLS: &str = "sh bash dash ash ksh mksh zsh yash rbash csh fish";

/// What would read a placeholder as code that comes next in a command.
pub(super) fn reads_next(command: &ShellCommand) -> Option<TokenPlace> {
    let (none, words) = (ShellWord::default(), &command.words);
    let word = command.word.as_ref().unwrap_or(&none);
    if command.is_redirected {
        return None;
    }
    let shell = |(at, program)| shell_name(program).filter(|_| is_script(&words[at + 1..], word));
    let script = words.iter().enumerate().find_map(shell).map(TokenPlace::Script);
    script.or_else(|| computed(word).or_else(|| reader(words, word)).map(TokenPlace::Code))
}

/// The variable that `word` gives a value, if a shell computes or expands that.
fn computed(word: &ShellWord) -> Option<&'static str> {
    let (name, rest) = word.after_name()?;
    listed(COMPUTED, name).filter(|_| rest.starts_with(b"=") || rest.starts_with(b"+="))
}

/// The program of a command that would read `word`, which comes next, as code.
fn reader(words: &[ShellWord], word: &ShellWord) -> Option<&'static str> {
    let (program, operands) = program(words)?;
    let option = operands.last().map_or(&[][..], |option| &option.text);
    let names_one = word.text.starts_with(b"-v") || option == b"-v" || option == b"-R";
    listed(READ_CODE, &program.text)
        .or_else(|| listed(READ_NAMES, &program.text).filter(|_| !word.text.contains(&b'=')))
        .or_else(|| listed("test [ printf", &program.text).filter(|_| names_one))
}

/// The name in `list` that is `text`.
fn listed(list: &'static str, text: &[u8]) -> Option<&'static str> {
    list.split(' ').find(|name| name.as_bytes() == text)
}

/// What gives the positional parameters other values in this command: `shift`, and `set` with more than options and the
/// values of `-o`.
pub(super) fn changes_parameters(words: &[ShellWord]) -> Option<&'static str> {
    let (program, operands) = program(words)?;
    let is_option = |word: &ShellWord| matches!(word.says(), [b'-' | b'+', letter, ..] if *letter != b'-');
    let is_value = |at: usize| {
        let takes_value = at > 0 && is_option(&operands[at - 1]) && operands[at - 1].text.ends_with(b"o");
        takes_value && !operands[at].expands
    };
    match program.says() {
        b"shift" => Some("`shift`"),
        b"set" if (0..operands.len()).any(|at| !is_option(&operands[at]) && !is_value(at)) => Some("`set`"),
        _ => None,
    }
}

/// The program of a command and its operands, after assignments and reserved words. What expands to nothing leaves the
/// next word the program.
pub(super) fn program(words: &[ShellWord]) -> Option<(&ShellWord, &[ShellWord])> {
    words.iter().position(|word| !precedes(word)).map(|at| (&words[at], &words[at + 1..]))
}

fn precedes(word: &ShellWord) -> bool {
    listed(BEFORE_COMMANDS, &word.text).is_some()
        || word.text.starts_with(b"-")
        || (word.expands && !word.quoted)
        || word.after_name().is_some_and(|(_, rest)| b"=+[".contains(&rest[0]) && rest.contains(&b'='))
}

/// Whether `word`, which follows these operands of a shell, is its script or may be an option.
fn is_script(operands: &[ShellWord], word: &ShellWord) -> bool {
    let is_option = |word: &ShellWord| matches!(word.text.first(), Some(b'-' | b'+'));
    let mut is_script = is_option(word);
    let mut operands = operands.iter();
    while let Some(operand) = operands.next() {
        let [b'-' | b'+', letters @ ..] = operand.text.as_slice() else { return false };
        let is_long = letters.starts_with(b"-");
        is_script |= !is_long && letters.contains(&b'c');
        let values = if is_long {
            usize::from(letters.ends_with(b"file"))
        } else {
            letters.iter().filter(|letter| b"oO".contains(letter)).count()
        };
        operands.by_ref().take(values).for_each(drop);
    }
    is_script
}

fn shell_name(word: &ShellWord) -> Option<&'static str> {
    let is_variable = word.expands && word.text.ends_with(b"SHELL");
    if is_variable { Some("$SHELL") } else { listed(SHELLS, parts::base_name(&word.text)) }
}

/// Whether a program, by its name or path, is one that runs the script it is given.
pub fn is_shell(program: &OsStr) -> bool {
    listed(SHELLS, parts::base_name(program.as_bytes())).is_some()
}
