//! Errors in a command template, each with what to write instead.

use std::fmt;

use thiserror::Error;

/// Why a command can't be used. Each of these would fail for every file, so it is reported before the first.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// There are no words.
    #[error(
        "there is no command: put it after `--`, as in `canfar-run --input '*.fits' -- ./analyze.py {{}}`"
    )]
    NoCommand,
    /// The first word is empty.
    #[error(
        "the command's first word is empty, so there is no program to run. A launcher such as `canfar create` splits \
         the command at single spaces, so that two spaces in a row make an empty argument: write single spaces, or put \
         the command into a job file (command = [...])"
    )]
    EmptyProgram,
    /// The first word begins or ends with a quote.
    #[error(
        "the command's first word is {word}, with a quote in it that no shell removed. Quotes do not survive a \
         launch such as `canfar create`, which splits the command at single spaces: write it without quotes, or put \
         it into a job file (command = [...] or shell = '...')"
    )]
    LostQuote {
        /// The word, in printable form.
        word: String,
    },
    /// A word contains a NUL byte, which can't be passed to a program.
    #[error("word {place} of the command contains a NUL byte, which can't be passed to a program: remove it")]
    NulInWord {
        /// The position of the word, from 1.
        place: usize,
    },
    /// A placeholder of a file in the command of a worker.
    #[error(
        "{token} is something of one task, and a worker (--worker) is started before it is given any: take it out. The \
         worker reads each task from its standard input, one request a line. {{slot}} and {{replica}} can be used"
    )]
    FileOfWorker {
        /// The placeholder as it is written.
        token: String,
    },
    /// `{rel}` where entries have no path.
    #[error(
        "{{rel}} is a path below a pattern, and the tasks of --table and --tasks have none: {{index}}, or a column of the table, tells them apart. The text {{rel}} is written {{{{rel}}}}"
    )]
    RelOfNoFile,
    /// A product that is not declared.
    #[error(
        "{token} is not a product of this run: {declared} can be used, as declared with --product. The text {token} is written {{{token}}}"
    )]
    UnknownOut {
        /// The placeholder as it is written.
        token: String,
        /// The declared ones.
        declared: String,
    },
    /// The path of a product is empty.
    #[error(
        "--product has an empty path: give the file or directory that each task makes, as in --product cat/{{/:}}.cat"
    )]
    EmptyProduct,
    /// A path that can't be that of a product.
    #[error("--product {path} {what}")]
    Product {
        /// The path, made readable.
        path: String,
        /// What is wrong with it, and what to do.
        what: &'static str,
    },
    /// The script has a NUL byte in it.
    #[error("the shell command contains a NUL byte, which can't be passed to a shell: remove it")]
    NulInScript,
    /// The script has nothing but blanks in it.
    #[error(
        "the shell command is empty: write one, as in --shell 'wc -c {{}} > {{/.}}.txt', or leave --shell out"
    )]
    EmptyScript,
    /// A placeholder stands where the quoted parameter it becomes would mean something else, or would be read as code.
    #[error("{token} can't be used {place} ({at}). {}. The text {token} is written {{{token}}}", place.advice(token))]
    Misplaced {
        /// The placeholder as it is written.
        token: String,
        /// What it is in, or after.
        place: TokenPlace,
        /// Where it is.
        at: At,
    },
    /// Something is opened and never closed.
    #[error(
        "the shell command ends {place} ({at}). Quotes do not survive a launch such as `canfar create`: if that took \
         them away, put the command into a job file (shell = '...')"
    )]
    Unterminated {
        /// What is open.
        place: TokenPlace,
        /// Where it was opened.
        at: At,
    },
}

/// A place in a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The text in question, cut short and made readable.
    pub piece: String,
}

impl At {
    /// The place of byte `at`, showing its line up to byte `end`.
    pub(super) fn new(source: &[u8], at: usize, end: usize) -> At {
        let before = &source[..at];
        let start = memchr::memrchr(b'\n', before).map_or(0, |feed| feed + 1);
        At {
            line: memchr::memchr_iter(b'\n', before).count() + 1,
            column: String::from_utf8_lossy(&before[start..]).chars().count() + 1,
            piece: readable(&source[start..end.min(source.len())]),
        }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {} of the shell command: {}", self.line, self.column, self.piece)
    }
}

/// Bytes for a message: valid text on one line, of a long one the end.
pub(super) fn readable(bytes: &[u8]) -> String {
    const LONGEST: usize = 48;
    let text: Vec<char> = String::from_utf8_lossy(bytes).chars().collect();
    let cut = text.len().saturating_sub(LONGEST);
    let mut shown = String::from(if cut > 0 { "..." } else { "" });
    for &symbol in &text[cut..] {
        if symbol.is_control() { shown.extend(symbol.escape_default()) } else { shown.push(symbol) }
    }
    shown
}

/// Where a placeholder is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenPlace {
    #[error("inside single quotes")]
    SingleQuotes,
    #[error("inside double quotes")]
    DoubleQuotes,
    #[error("inside backticks")]
    Backticks,
    #[error("inside ${{...}}")]
    Parameter,
    #[error("inside $((...))")]
    Arithmetic,
    #[error("inside $(...)")]
    Substitution,
    #[error("right after a $")]
    Dollar,
    /// In a here-document, or where only a shell knows whether that has begun or ended.
    #[error("after <<")]
    HereDocument,
    /// The place of the error is that of what is read differently.
    #[error("after something that shells may interpret differently")]
    Unclear,
    /// After what a shell reads as commands, names of variables or arithmetic, or expands once more: a builtin such as
    /// `eval`, a variable such as `RANDOM`, `>&`, the `[` of `a[` and `[[`.
    #[error("after {0}")]
    Code(&'static str),
    /// As the script of another shell, `sh -c`.
    #[error("as the script of {0}")]
    Script(&'static str),
    /// After something that gives `$1`, `$2`, ... other values, or before it in a loop.
    #[error("where $1 may have another value, because of {0}")]
    Changed(&'static str),
}

impl TokenPlace {
    /// What to write instead of the token.
    fn advice(self, token: &str) -> String {
        let (write, name) = match token {
            "{}" => ("Write \"$1\" there".to_owned(), "$1"),
            _ => (format!("Write b={token} at the beginning and \"$b\" there"), "$b"),
        };
        match self {
            TokenPlace::SingleQuotes => format!(
                "{write}, outside of the quotes; a program in the quotes takes it as an argument after them: \
                 sh -c '... \"$1\" ...' sh {token}"
            ),
            TokenPlace::DoubleQuotes => format!("{write}; within these quotes {name} is enough"),
            TokenPlace::HereDocument => {
                format!("{write}; {name} is enough in the text, if its end word has no quotes")
            }
            TokenPlace::Arithmetic => "Write b={index} at the beginning and $((b + 1)) there".to_owned(),
            TokenPlace::Dollar => format!("Write {token} without the $; a variable is written $name"),
            TokenPlace::Changed(_) => format!("Write p={token} at the beginning and \"$p\" there"),
            TokenPlace::Script(name) => format!(
                "A file's name could run commands. Pass it as an argument: {name} -c '... \"$1\" ...' sh {token}"
            ),
            TokenPlace::Code(_) => format!(
                "A file's name could run commands there. Pass it to another command as an argument, or keep it in a \
                 plain variable: p={token}"
            ),
            _ => write,
        }
    }
}
