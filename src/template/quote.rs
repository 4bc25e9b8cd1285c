//! Showing an argument list as a line for a shell.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use shlex::bytes::Quoter;

use super::placeholder::{self, FoundPlaceholder, Vocabulary};

/// Words that mean something other than a program at the beginning of a command, in sh or in bash.
const RESERVED: [&str; 17] = [
    "case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if", "in", "select",
    "then", "time", "until", "while",
];

/// A line that runs exactly `argv` when it is given to sh: every word is one argument, byte for byte, and the first is
/// a program. Control characters are written out (`"$(printf '\033')"`), so that a name can't talk to the terminal;
/// line feeds alone stay, inside quotes, because a command substitution would drop them at its end.
pub fn shell_quote(argv: &[OsString]) -> Vec<u8> {
    let mut line = Vec::new();
    for (place, word) in argv.iter().enumerate() {
        let word = word.as_bytes();
        if place > 0 {
            line.push(b' ');
        }
        if place == 0 && RESERVED.iter().any(|reserved| reserved.as_bytes() == word) {
            line.extend([b"'", word, b"'"].concat());
        } else {
            quote_word(word, &mut line);
        }
    }
    line
}

/// The same for people, where what is not UTF-8 can't be shown.
pub fn quoted(argv: &[OsString]) -> String {
    String::from_utf8_lossy(&shell_quote(argv)).into_owned()
}

/// A word for the script of `--shell`: its placeholders stand outside of quotes, and what is between them is quoted.
pub fn quoted_but_tokens(word: &OsStr) -> String {
    let bytes = word.as_bytes();
    let names = Vocabulary::default().with_outs_in(bytes);
    let (mut line, mut from, mut at) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        let found = placeholder::beginning(&bytes[at..], &names);
        let length = found.as_ref().map_or(1, FoundPlaceholder::len);
        if let Some(FoundPlaceholder::Token(_, token)) = found {
            if from < at {
                quote_word(&bytes[from..at], &mut line);
            }
            line.extend_from_slice(token);
            from = at + length;
        }
        at += length;
    }
    if from == 0 {
        return quoted(&[word.to_owned()]);
    }
    if from < at {
        quote_word(&bytes[from..], &mut line);
    }
    String::from_utf8_lossy(&line).into_owned()
}

fn quote_word(word: &[u8], line: &mut Vec<u8>) {
    if word.is_empty() {
        line.extend(b"''");
    }
    for run in word.chunk_by(|&a, &b| is_hidden(a) == is_hidden(b)) {
        if is_hidden(run[0]) {
            line.extend(b"\"$(printf '");
            line.extend(run.iter().flat_map(|byte| format!("\\{byte:03o}").into_bytes()));
            line.extend(b"')\"");
        } else if let Ok(quoted) = Quoter::new().quote(run) {
            line.extend_from_slice(&quoted);
        }
    }
}

/// Control characters but for the line feed. (NUL among them, so that what is left can always be quoted.)
fn is_hidden(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\n'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(words: &[&str]) -> String {
        let argv: Vec<OsString> = words.iter().map(OsString::from).collect();
        String::from_utf8(shell_quote(&argv)).unwrap()
    }

    #[test]
    fn plain_words_stay_plain() {
        assert_eq!(quoted(&["python3", "-u", "/data/obs_1.fits"]), "python3 -u /data/obs_1.fits");
    }

    #[test]
    fn what_a_shell_would_read_is_quoted() {
        assert_eq!(quoted(&["a b", "", "$x", "~", "A=b"]), "'a b' '' '$x' '~' 'A=b'");
        assert_eq!(quoted(&["if", "if"]), "'if' if");
        assert_eq!(quoted(&["X=1"]), "'X=1'");
        assert_eq!(quoted(&[]), "");
    }

    #[test]
    fn control_characters_are_written_out() {
        assert_eq!(quoted(&["a\x1b[1m\rb\nc"]), "a\"$(printf '\\033')\"'[1m'\"$(printf '\\015')\"'b\nc'");
    }
}
