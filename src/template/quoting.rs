//! The lexer's reading of words: quotes, escapes and expansions.

use super::error::{At, TemplateDoubt, TemplateError, TokenPlace};
use super::lexer::{Lexer, Opened};
use super::placeholder::{self, FoundPlaceholder};
use super::word::ShellWord;

type Result<T = ()> = std::result::Result<T, TemplateError>;

/// Whether an expansion stands in double quotes, or in what is read like them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoting {
    Bare,
    Double,
}

impl Lexer<'_> {
    /// Reads one piece of an unquoted word: a byte, a placeholder, something quoted or an expansion.
    pub(super) fn word_part(&mut self, word: &mut ShellWord) -> Result {
        match self.rest() {
            [b'\'', ..] => self.single_quoted(word),
            [b'"', ..] => self.double_quoted(word),
            [b'`', ..] => self.backticks(word),
            [b'$', ..] => self.dollar(Quoting::Bare, word),
            [b'\\', next, ..] => {
                word.quoted = true;
                word.text.push(*next);
                self.at += 2;
                Ok(())
            }
            [b'\\'] => {
                self.doubt(TemplateDoubt::Continuation, self.at);
                self.plain(None, word)
            }
            _ => self.plain(None, word),
        }
    }

    /// Takes a placeholder or one byte.
    fn plain(&mut self, opened: Option<Opened>, word: &mut ShellWord) -> Result {
        if !self.placeholder(opened, word)? {
            word.text.extend(self.peek());
            self.at += 1;
        }
        Ok(())
    }

    fn single_quoted(&mut self, word: &mut ShellWord) -> Result {
        let opened = self.open(TokenPlace::SingleQuotes, 1);
        word.quoted = true;
        while let Some(byte) = self.peek() {
            match byte {
                b'\'' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\n' => self.quoted_line_feed(self.at),
                _ => {}
            }
            self.plain(Some(opened), word)?;
        }
        self.unterminated(opened)
    }

    fn double_quoted(&mut self, word: &mut ShellWord) -> Result {
        let opened = self.open(TokenPlace::DoubleQuotes, 1);
        word.quoted = true;
        loop {
            match self.rest() {
                [] => return self.unterminated(opened),
                [b'"', ..] => {
                    self.at += 1;
                    return Ok(());
                }
                _ => self.double_quoted_part(Some(opened), word)?,
            }
        }
    }

    /// Reads one piece of what stands in double quotes or in a here-document.
    pub(super) fn double_quoted_part(&mut self, opened: Option<Opened>, word: &mut ShellWord) -> Result {
        match self.rest() {
            [b'`', ..] => self.backticks(word),
            [b'$', ..] => self.dollar(Quoting::Double, word),
            [b'\\', b'\n', ..] => {
                self.quoted_line_feed(self.at);
                self.at += 2;
                Ok(())
            }
            [b'\\', next, ..] => {
                if !b"$`\"\\".contains(next) {
                    word.text.push(b'\\');
                }
                word.text.push(*next);
                self.at += 2;
                Ok(())
            }
            [b'\n', ..] => {
                self.quoted_line_feed(self.at);
                self.plain(opened, word)
            }
            _ => self.plain(opened, word),
        }
    }

    /// Reads a dollar sign and the expansion it begins, if it does.
    fn dollar(&mut self, quoting: Quoting, word: &mut ShellWord) -> Result {
        word.expands = true;
        match placeholder::beginning(&self.rest()[1..]) {
            Some(FoundPlaceholder::Token(token)) => {
                let at = At::new(self.source, self.at, self.at, self.at + 1 + token.as_str().len());
                return Err(TemplateError::AfterDollar { token, at });
            }
            Some(FoundPlaceholder::Text(token)) => {
                self.at += 1;
                self.doubled(token);
                return Ok(());
            }
            None => {}
        }
        match self.rest() {
            [_, b'(', b'(', ..] => self.arithmetic(word),
            [_, b'(', ..] => self.substitution(word),
            [_, b'{', ..] => self.parameter_expansion(word),
            [_, b'\'', ..] if quoting == Quoting::Bare => self.ansi_quoted(word),
            [_, b'[', ..] => {
                self.doubt(TemplateDoubt::BashArithmetic, self.at);
                self.at += 2;
                Ok(())
            }
            [_, b'\\', b'\n', ..] => {
                self.doubt(TemplateDoubt::Continuation, self.at + 1);
                self.at += 1;
                Ok(())
            }
            [_, b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!' | b'0'..=b'9', ..] => {
                self.at += 2;
                Ok(())
            }
            _ => {
                self.at += 1;
                Ok(())
            }
        }
    }

    /// `$'...'`, in which a backslash escapes a quote where it is known, and not where it is a `$` and a string.
    fn ansi_quoted(&mut self, word: &mut ShellWord) -> Result {
        self.doubt(TemplateDoubt::AnsiQuotes, self.at);
        let opened = self.open(TokenPlace::SingleQuotes, 2);
        loop {
            match self.rest() {
                [] => return self.unterminated(opened),
                [b'\'', ..] => {
                    self.at += 1;
                    return Ok(());
                }
                [b'\\', _, ..] => self.at += 2,
                _ => self.plain(Some(opened), word)?,
            }
        }
    }

    /// `$(...)`: a fresh context, even within double quotes.
    fn substitution(&mut self, word: &mut ShellWord) -> Result {
        let opened = self.open(TokenPlace::Substitution, 2);
        self.noting(word, |lexer| lexer.fresh(opened.at, |lexer| lexer.commands(Some(opened))))
    }

    /// `` `...` ``: shells look for the end first and read what is within later, so both readings must agree.
    fn backticks(&mut self, word: &mut ShellWord) -> Result {
        word.expands = true;
        let opened = self.open(TokenPlace::Backticks, 1);
        let mut end = self.at;
        loop {
            match &self.source[end..self.limit] {
                [] => return self.unterminated(opened),
                [b'`', ..] => break,
                [b'\\', next, ..] => {
                    if b"$`\\\"\n".contains(next) {
                        self.doubt(TemplateDoubt::Backticks, opened.at);
                    }
                    end = (end + 2).min(self.limit);
                }
                _ => end += 1,
            }
        }
        let limit = std::mem::replace(&mut self.limit, end);
        let read = self.closed_by(opened, |lexer| lexer.fresh(opened.at, |lexer| lexer.commands(None)));
        if matches!(read, Err(TemplateError::Unterminated { .. })) {
            self.doubt(TemplateDoubt::Backticks, opened.at);
        }
        read?;
        self.limit = limit;
        self.at = end + 1;
        Ok(())
    }

    /// `${...}`. Shells differ about quotes within, so that only those are taken which end at the same byte whether
    /// they are read as opening a string, as closing the one around, or as text.
    fn parameter_expansion(&mut self, word: &mut ShellWord) -> Result {
        let opened = self.open(TokenPlace::Parameter, 2);
        if matches!(self.peek(), Some(b' ' | b'\t' | b'|' | b'(')) {
            self.doubt(TemplateDoubt::Parameter, opened.at);
        }
        self.closed_by(opened, |lexer| {
            loop {
                match lexer.rest() {
                    [] => return lexer.unterminated(opened),
                    [b'}', ..] => {
                        lexer.at += 1;
                        return Ok(());
                    }
                    [quote @ (b'\'' | b'"'), ..] => lexer.short_quoted(*quote),
                    [b'\\', next, ..] if !b"'\n".contains(next) => lexer.at += 2,
                    [b'$', ..] => lexer.dollar(Quoting::Double, word)?,
                    [b'`', ..] => lexer.backticks(word)?,
                    [byte, ..] => {
                        if placeholder::beginning(lexer.rest()).is_none() && b"{\\\n".contains(byte) {
                            lexer.doubt(TemplateDoubt::Parameter, lexer.at);
                        }
                        lexer.plain(None, word)?;
                    }
                }
            }
        })
    }

    /// Quotes within `${...}`.
    fn short_quoted(&mut self, quote: u8) {
        let is_harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b" ._/,:=+%@*?$-".contains(byte);
        let inner = self.rest()[1..].iter().take_while(|byte| is_harmless(byte)).count();
        if self.rest().get(inner + 1) == Some(&quote) {
            self.at += inner + 2;
        } else {
            self.doubt(TemplateDoubt::Parameter, self.at);
            self.at += 1;
        }
    }

    /// `$((...))`
    fn arithmetic(&mut self, word: &mut ShellWord) -> Result {
        let opened = self.open(TokenPlace::Arithmetic, 3);
        self.closed_by(opened, |lexer| {
            let mut depth = 0;
            loop {
                match lexer.rest() {
                    [] => return lexer.unterminated(opened),
                    [b')', b')', ..] if depth == 0 => {
                        lexer.at += 2;
                        return Ok(());
                    }
                    [b'(', ..] => depth += 1,
                    [b')', ..] if depth > 0 => depth -= 1,
                    [b')' | b'\'' | b'"' | b'\\' | b'\n' | b'#' | b';', ..] => {
                        lexer.doubt(TemplateDoubt::Arithmetic, opened.at);
                    }
                    [b'$', ..] => {
                        lexer.dollar(Quoting::Double, word)?;
                        continue;
                    }
                    [b'`', ..] => {
                        lexer.backticks(word)?;
                        continue;
                    }
                    _ => {}
                }
                lexer.plain(None, word)?;
            }
        })
    }

    fn open(&mut self, place: TokenPlace, length: usize) -> Opened {
        let opened = Opened { place, at: self.at };
        self.at += length;
        opened
    }

    /// Runs `read` where no placeholder can stand at any depth.
    pub(super) fn closed_by(&mut self, opened: Opened, read: impl FnOnce(&mut Self) -> Result) -> Result {
        let outer = self.closed.replace(opened);
        let read = self.deeper(read);
        self.closed = outer;
        read
    }

    /// Runs `read` with here-documents of its own; one that its last line begins is a doubt.
    fn fresh(&mut self, at: usize, read: impl FnOnce(&mut Self) -> Result) -> Result {
        let outer = std::mem::take(&mut self.here_docs);
        let outer_waits = self.outer_waits;
        self.outer_waits |= !outer.is_empty();
        self.deeper(read)?;
        if !self.here_docs.is_empty() {
            self.doubt(TemplateDoubt::HereDocument, at);
        }
        self.here_docs = outer;
        self.outer_waits = outer_waits;
        Ok(())
    }
}
