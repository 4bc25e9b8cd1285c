//! The words of a shell command as the lexer collects them: what they say without quotes, where placeholders are, and
//! which here-documents are still to come.

use super::placeholder::Token;

/// A token and the byte of the script where it stands.
pub(super) type FoundToken = (Token, usize);

/// A word of a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ShellWord {
    /// What the word says after quote removal, without what expansions and placeholders put in.
    pub(super) text: Vec<u8>,
    /// Whether any of it was quoted, so that it is no reserved word.
    pub(super) quoted: bool,
    /// Whether the shell expands something in it, so that `text` is not all.
    pub(super) expands: bool,
    /// The first placeholder in it, also within a `$(...)`.
    pub(super) token: Option<FoundToken>,
    /// How much of `text` stands before that placeholder.
    pub(super) before: usize,
}

/// A simple command, or as much of a longer one as stands between two operators.
#[derive(Debug, Default)]
pub(super) struct ShellCommand {
    /// The words that are complete, without redirections.
    pub(super) words: Vec<ShellWord>,
    /// The word being read.
    pub(super) word: Option<ShellWord>,
    /// What the next word is for.
    pub(super) next: NextWord,
}

/// A here-document whose `<<` was read and whose text was not.
#[derive(Debug)]
pub(super) struct HereDoc {
    pub(super) end: Vec<u8>,
    pub(super) is_quoted: bool,
    pub(super) drops_tabs: bool,
    pub(super) at: usize,
}

/// What a word is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum NextWord {
    /// The command.
    #[default]
    Argument,
    /// The file of `<` or `>`.
    File,
    /// What follows `<&` or `>&`.
    Descriptor,
}

impl ShellWord {
    /// Notes a placeholder at the end of what was read so far.
    pub(super) fn note(&mut self, found: FoundToken) {
        if self.token.is_none() {
            self.token = Some(found);
            self.before = self.text.len();
        }
    }

    /// Whether the word is exactly this, unquoted.
    pub(super) fn is_plain(&self, text: &str) -> bool {
        !self.quoted && self.says(text)
    }

    /// Whether the word is exactly this, quoted or not.
    pub(super) fn says(&self, text: &str) -> bool {
        self.is_literal() && self.text == text.as_bytes()
    }

    /// Whether the word says by itself what it is.
    pub(super) fn is_literal(&self) -> bool {
        !self.expands && self.token.is_none()
    }

    /// The text before the placeholder, or all of it.
    pub(super) fn prefix(&self) -> &[u8] {
        if self.token.is_some() { &self.text[..self.before] } else { &self.text }
    }

    /// Whether this is the number in front of `>`, as in `2>`.
    pub(super) fn is_number(&self) -> bool {
        !self.quoted && self.is_literal() && self.text.iter().all(u8::is_ascii_digit)
    }
}
