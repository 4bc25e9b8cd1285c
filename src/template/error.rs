//! What can be wrong with a command, in words that say what to write instead.

use std::fmt;

use thiserror::Error;

use super::placeholder::Token;

/// Why a command can't be used. Each of these would go wrong for every file, so it is said before the first.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// There are no words.
    #[error(
        "there is no command: put it after `--`, as in `canfar-run --input '*.fits' -- ./analyze.py {{}}`"
    )]
    NoCommand,
    /// The first word is empty.
    #[error(
        "the command's first word is empty, so there is no program to run. A launch such as `canfar create` splits \
         the command at single spaces, so that two spaces in a row make an empty argument: write single spaces, or put \
         the command into a job file (command = [...])"
    )]
    EmptyProgram,
    /// The first word begins or ends with a quote.
    #[error(
        "the command's first word is {word}, with a quote in it that no shell took away. Quotes do not survive a \
         launch such as `canfar create`, which splits the command at single spaces: write it without quotes, or put \
         it into a job file (command = [...] or shell = '...')"
    )]
    LostQuote {
        /// The word, made readable.
        word: String,
    },
    /// A word has a NUL byte in it, which no program can be given.
    #[error(
        "word {place} of the command has a NUL byte in it, which can't be handed to a program: take it out"
    )]
    NulInWord {
        /// The place of the word, from 1.
        place: usize,
    },
    /// A placeholder of a file in the command of a worker.
    #[error(
        "{token} is something of one file, and a worker (--worker) is started before it is given any: take it out. The \
         worker reads each file's path from its standard input, one request a line. {{slot}} and {{replica}} can be used"
    )]
    FileOfWorker {
        /// The placeholder.
        token: Token,
    },
    /// The script has a NUL byte in it.
    #[error("the shell command has a NUL byte in it, which can't be handed to a shell: take it out")]
    NulInScript,
    /// The script has nothing but blanks in it.
    #[error(
        "the shell command is empty: write one, as in --shell 'wc -c {{}} > {{/.}}.txt', or leave --shell out"
    )]
    EmptyScript,
    /// A placeholder stands where the quoted parameter it becomes would mean something else.
    #[error(
        "{token} can't stand inside {place} ({at}), because it becomes a quoted parameter by itself. {}. The text {token} \
         is written {{{token}}}",
        instead(*token, *place)
    )]
    Misplaced {
        /// The placeholder.
        token: Token,
        /// What it stands in.
        place: TokenPlace,
        /// Where that is.
        at: At,
    },
    /// A placeholder follows a `$`.
    #[error("${token} ({at}) could be a placeholder or a variable: write {token} for the placeholder{}", variable(*token))]
    AfterDollar {
        /// The placeholder.
        token: Token,
        /// Where it is.
        at: At,
    },
    /// A placeholder would become shell text.
    #[error("{token} stands where {code} ({at}), so that a file's name could run commands. {}", code.advice(*token))]
    Code {
        /// The placeholder.
        token: Token,
        /// What reads it as code.
        code: Code,
        /// Where it is.
        at: At,
    },
    /// A placeholder stands where the positional parameters may no longer be the task's.
    #[error(
        "{token} ({at}) stands for a positional parameter, and there it may be another: {change}. Write p={token} \
         before that, and then \"$p\""
    )]
    ParametersChanged {
        /// The placeholder.
        token: Token,
        /// What changes the parameters.
        change: ParameterChange,
        /// Where the placeholder is.
        at: At,
    },
    /// Something is opened and never closed.
    #[error(
        "{place} without an end ({at}). Quotes do not survive a launch such as `canfar create`: if that took them away, \
         put the command into a job file (shell = '...')"
    )]
    Unterminated {
        /// What is open.
        place: TokenPlace,
        /// Where it was opened.
        at: At,
    },
    /// Shells differ on what the script means, and there are placeholders in it.
    #[error(
        "shells differ on {doubt} ({at}), so that placeholders can't be put in safely. {}; or write no placeholders, \
         the path is \"$1\"; or put it into a script file",
        doubt.advice()
    )]
    Doubtful {
        /// What is read differently.
        doubt: TemplateDoubt,
        /// Where it is.
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
    /// The place of byte `at`, showing the bytes from `from` to `to`.
    pub(super) fn new(source: &[u8], at: usize, from: usize, to: usize) -> At {
        let before = &source[..at];
        let start = memchr::memrchr(b'\n', before).map_or(0, |feed| feed + 1);
        At {
            line: memchr::memchr_iter(b'\n', before).count() + 1,
            column: String::from_utf8_lossy(&before[start..]).chars().count() + 1,
            piece: readable(&source[from..to.min(source.len())]),
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

/// What can be open in a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenPlace {
    /// `'...'`
    SingleQuotes,
    /// `"..."`
    DoubleQuotes,
    /// `` `...` ``
    Backticks,
    /// `${...}`
    Parameter,
    /// `$((...))`
    Arithmetic,
    /// `$(...)`
    Substitution,
    /// `(...)`
    Parentheses,
    /// What follows a line with `<<`.
    HereDocument,
    /// The word after `<<`.
    HereDocumentEnd,
}

impl fmt::Display for TokenPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TokenPlace::SingleQuotes => "single quotes",
            TokenPlace::DoubleQuotes => "double quotes",
            TokenPlace::Backticks => "backticks",
            TokenPlace::Parameter => "${...}",
            TokenPlace::Arithmetic => "$((...))",
            TokenPlace::Substitution => "$(...)",
            TokenPlace::Parentheses => "(...)",
            TokenPlace::HereDocument => "a here-document",
            TokenPlace::HereDocumentEnd => "the word that ends a here-document",
        })
    }
}

/// What to write instead of a token that can't stand where it does.
fn instead(token: Token, place: TokenPlace) -> String {
    let (write, name) = match token {
        Token::Path => ("For the path write \"$1\"".to_owned(), "$1"),
        _ => (format!("Write b={token} first, outside of all quotes, and then \"$b\""), "$b"),
    };
    match place {
        TokenPlace::SingleQuotes => format!(
            "{write} where the quotes are closed; a program in the quotes (sh -c, awk) is handed it as an argument after \
             them: sh -c '... \"$1\" ...' sh {token}"
        ),
        TokenPlace::HereDocument => {
            format!("{write}; there {name} is enough, if the word after << has no quotes")
        }
        TokenPlace::HereDocumentEnd => "Write plain text after <<".to_owned(),
        TokenPlace::Backticks => format!("{write}, or write $(...) for the backticks"),
        TokenPlace::Arithmetic => "For a number write b={index} first, and then $((b + 1))".to_owned(),
        _ => format!("{write}; within double quotes {name} is enough"),
    }
}

fn variable(token: Token) -> String {
    let name = token.as_str().trim_matches(['{', '}']);
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        format!(", ${name} for the shell's own variable")
    } else {
        String::new()
    }
}

/// What would take a placeholder for code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// A command of the shell itself that reads what it is given as commands, names of variables or arithmetic.
    Builtin(String),
    /// The script of another shell, `sh -c`.
    Script(String),
    /// `a[...]=`: bash computes what is between the brackets.
    Subscript,
    /// `>&`: bash expands what follows twice where it is no number.
    Descriptor,
    /// A variable whose values the shell computes or expands.
    Variable(String),
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Code::Builtin(name) => write!(f, "`{name}` reads it as shell text"),
            Code::Script(name) => write!(f, "`{name} -c` reads it as a script"),
            Code::Subscript => f.write_str("a subscript is computed"),
            Code::Descriptor => f.write_str("`>&` or `<&` expands it once more"),
            Code::Variable(name) => write!(f, "a value of {name} is computed or expanded"),
        }
    }
}

impl Code {
    fn advice(&self, token: Token) -> String {
        match self {
            Code::Script(name) => {
                format!("Hand it over as an argument: {name} -c '... \"$1\" ...' sh {token}")
            }
            Code::Descriptor => format!("Write > {token} 2>&1 for both streams"),
            Code::Variable(_) => "Use a variable of another name".to_owned(),
            Code::Subscript => "Use a plain variable".to_owned(),
            Code::Builtin(name) if name == "[[" => format!("Write [ {token} = ... ] or case {token} in ..."),
            Code::Builtin(_) => {
                format!("Hand it to a command as an argument, or keep it in a plain variable: p={token}")
            }
        }
    }
}

/// What gives `$1`, `$2`, ... other values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterChange {
    /// A function: within it, they are its own arguments.
    Function,
    /// `shift`
    Shift,
    /// `set` with arguments.
    Set,
}

impl fmt::Display for ParameterChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParameterChange::Function => "a function has its own, and one is defined before it",
            ParameterChange::Shift => "`shift` moves them",
            ParameterChange::Set => "`set` gives them other values",
        })
    }
}

/// What different shells read differently, or may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateDoubt {
    /// `$'...'`, which dash does not know.
    AnsiQuotes,
    /// Backticks with a backslash, a comment or unbalanced quotes in them.
    Backticks,
    /// `$((` that is no arithmetic up to `))`, or arithmetic with quotes.
    Arithmetic,
    /// `((` or `$[`, which are arithmetic in bash only.
    BashArithmetic,
    /// `case` within parentheses, whose patterns may close them.
    CaseInParentheses,
    /// A parenthesis within a word: arrays and patterns of bash.
    ParenthesisInWord,
    /// A parenthesis that closes nothing.
    StrayParenthesis,
    /// `${...}` with quotes, braces or a line feed in it.
    Parameter,
    /// A line feed between `<<` and the here-document, an unusual end word, or a line that ends in a backslash.
    HereDocument,
    /// A backslash at the end of the script, or at the end of a line in the midst of a word or an operator.
    Continuation,
    /// Deeper nesting than anyone writes.
    Nesting,
}

impl fmt::Display for TemplateDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TemplateDoubt::AnsiQuotes => "$'...'",
            TemplateDoubt::Backticks => "backticks with backslashes, comments or single quotes in them",
            TemplateDoubt::Arithmetic => "$((...)) with quotes or commands in it",
            TemplateDoubt::BashArithmetic => "(( or $[",
            TemplateDoubt::CaseInParentheses => "a `case` within parentheses",
            TemplateDoubt::ParenthesisInWord => "a parenthesis in the midst of a word",
            TemplateDoubt::StrayParenthesis => "a ) that closes nothing",
            TemplateDoubt::Parameter => "${...} with quotes, braces or a line feed in it",
            TemplateDoubt::HereDocument => "a here-document of an unusual form",
            TemplateDoubt::Continuation => {
                "a backslash at the end of the command, or of a line in the midst of a word"
            }
            TemplateDoubt::Nesting => "very deep nesting",
        })
    }
}

impl TemplateDoubt {
    const fn advice(self) -> &'static str {
        match self {
            TemplateDoubt::AnsiQuotes => "Write \"$(printf '\\t')\" for a tab",
            TemplateDoubt::Backticks => "Write $(...) in place of the backticks",
            TemplateDoubt::Arithmetic => "Write $( (...) ) with blanks if these are commands",
            TemplateDoubt::BashArithmetic => "Write $((...)) for a number, ( ( with a blank for commands",
            TemplateDoubt::CaseInParentheses => "Write the `case` outside of them",
            TemplateDoubt::ParenthesisInWord | TemplateDoubt::StrayParenthesis => {
                "Put a ( or ) that is text into quotes"
            }
            TemplateDoubt::Parameter => "Put it into a step of its own",
            TemplateDoubt::HereDocument => {
                "Write `<< END` with a plain word, at the end of its line, and plain text below"
            }
            TemplateDoubt::Continuation => "Put a blank before the backslash, and a line after it",
            TemplateDoubt::Nesting => "Write it flatter",
        }
    }
}
