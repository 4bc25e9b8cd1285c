//! Reads a shell script far enough to know, for each byte, whether it is quoted, and writes the script that the shell
//! will get: placeholders outside all quotes become quoted parameters, doubled ones their text.
//!
//! It follows POSIX (Shell Command Language, 2.2 and 2.3) where shells do. Where dash, bash and busybox are known to
//! differ, or might, it notes a [`TemplateDoubt`], and a script with placeholders and a doubt is refused: a clear error is
//! better than a parameter in the wrong place.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::error::{At, Code, ParameterChange, TemplateDoubt, TemplateError, TokenPlace};
use super::hazard;
use super::placeholder::{self, FoundPlaceholder, Token};
use super::word::{self, HereDoc, NextWord, ShellCommand, ShellWord};

type Result<T = ()> = std::result::Result<T, TemplateError>;

/// Nesting that is followed; a person's script has three or four levels.
const DEEPEST: usize = 40;

/// What a script becomes.
#[derive(Debug)]
pub(super) struct Lexed {
    /// The text for the shell.
    pub(super) script: Vec<u8>,
    /// The placeholders that are `$2`, `$3`, ... in it.
    pub(super) parameters: Vec<Token>,
    /// Whether `{}`, which is `$1`, is one.
    pub(super) uses_path: bool,
    /// The words that say by themselves what they are.
    pub(super) words: Vec<OsString>,
}

/// Something that is open, and where it was opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opened {
    pub(super) place: TokenPlace,
    pub(super) at: usize,
}

/// The state of reading one script.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    pub(super) source: &'a [u8],
    pub(super) at: usize,
    /// The end of what is being read: of the script, of backticks or of a here-document.
    pub(super) limit: usize,
    /// The innermost thing around that takes no placeholder at any depth.
    pub(super) closed: Option<Opened>,
    /// Here-documents whose text begins after this line.
    pub(super) here_docs: Vec<HereDoc>,
    /// Whether a here-document of a surrounding command waits for the end of the line.
    pub(super) outer_waits: bool,
    doubt: Option<(TemplateDoubt, usize)>,
    copied: usize,
    script: Vec<u8>,
    parameters: Vec<Token>,
    uses_path: bool,
    last: Option<word::FoundToken>,
    last_in_loop: Option<word::FoundToken>,
    in_loop: bool,
    changed: Option<ParameterChange>,
    words: Vec<OsString>,
    depth: usize,
}

/// Reads a script.
///
/// # Errors
/// A placeholder in a place where it can't stand, something that is opened and never closed, or a doubt in a script
/// with placeholders.
pub(super) fn lex(source: &[u8]) -> Result<Lexed> {
    let mut lexer = Lexer::new(source);
    let read = lexer.commands(None).and_then(|()| lexer.no_here_doc_waits());
    if let Some((doubt, at)) = lexer.doubt {
        let has_braces = (0..source.len()).any(|at| placeholder::beginning(&source[at..]).is_some());
        match read {
            // After a doubt, what else is found may be a consequence of it.
            Err(_) if !has_braces => return Ok(Lexed::unchanged(source, lexer.words)),
            Ok(()) if lexer.last.is_none() => {}
            _ => return Err(TemplateError::Doubtful { doubt, at: At::new(source, at, at, at + 24) }),
        }
    } else {
        read?;
    }
    Ok(lexer.finish())
}

impl Lexed {
    fn unchanged(source: &[u8], words: Vec<OsString>) -> Lexed {
        Lexed { script: source.to_vec(), parameters: Vec::new(), uses_path: false, words }
    }
}

impl<'a> Lexer<'a> {
    fn new(source: &'a [u8]) -> Lexer<'a> {
        Lexer {
            source,
            at: 0,
            limit: source.len(),
            closed: None,
            here_docs: Vec::new(),
            outer_waits: false,
            doubt: None,
            copied: 0,
            script: Vec::with_capacity(source.len() + 16),
            parameters: Vec::new(),
            uses_path: false,
            last: None,
            last_in_loop: None,
            in_loop: false,
            changed: None,
            words: Vec::new(),
            depth: 0,
        }
    }

    fn finish(mut self) -> Lexed {
        self.script.extend_from_slice(&self.source[self.copied..]);
        let Self { script, parameters, uses_path, words, .. } = self;
        Lexed { script, parameters, uses_path, words }
    }

    /// What is still to be read.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.source[self.at..self.limit]
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// Notes the first thing that shells may read differently.
    pub(super) fn doubt(&mut self, doubt: TemplateDoubt, at: usize) {
        self.doubt.get_or_insert((doubt, at));
    }

    pub(super) fn unterminated<T>(&self, opened: Opened) -> Result<T> {
        let at = At::new(self.source, opened.at, opened.at, (opened.at + 24).min(self.limit));
        Err(TemplateError::Unterminated { place: opened.place, at })
    }

    /// Reads commands up to the end, or up to the parenthesis that closes `opened`.
    pub(super) fn commands(&mut self, opened: Option<Opened>) -> Result {
        let mut command = ShellCommand::default();
        let mut has_case = false;
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' => {
                    has_case |= self.end_word(&mut command, opened)?;
                    self.at += 1;
                }
                b'\n' | b';' | b'|' | b'&' => {
                    let joined = self.rest().starts_with(b"&>");
                    has_case |= self.end_word(&mut command, opened)?;
                    if !joined {
                        self.end_command(&mut command)?;
                    }
                    self.at += 1;
                    if byte == b'\n' {
                        self.end_line()?;
                    }
                }
                b'#' if command.word.is_none() => self.comment(),
                b'\\' if self.rest().starts_with(b"\\\n") => self.continuation(),
                b'<' | b'>' => self.redirection(&mut command)?,
                b'(' => {
                    has_case |= self.end_word_before_parenthesis(&mut command, opened)?;
                    self.parenthesis(&mut command)?;
                }
                b')' => {
                    has_case |= self.end_word(&mut command, opened)?;
                    self.end_command(&mut command)?;
                    self.at += 1;
                    if opened.is_some() {
                        return Ok(());
                    }
                    if !has_case {
                        self.doubt(TemplateDoubt::StrayParenthesis, self.at - 1);
                    }
                }
                _ => self.word_part(command.word.get_or_insert_default())?,
            }
        }
        self.end_word(&mut command, opened)?;
        self.end_command(&mut command)?;
        opened.map_or(Ok(()), |opened| self.unterminated(opened))
    }

    /// Ends the word being read. Says whether it was `case`.
    fn end_word(&mut self, command: &mut ShellCommand, opened: Option<Opened>) -> Result<bool> {
        let Some(word) = command.word.take() else { return Ok(false) };
        if word.is_literal() && !word.text.is_empty() {
            self.words.push(OsString::from_vec(word.text.clone()));
        }
        let is_case = word.is_plain("case");
        if is_case && opened.is_some() {
            self.doubt(TemplateDoubt::CaseInParentheses, self.at - 4);
        }
        self.in_loop |= ["for", "while", "until", "do"].iter().any(|reserved| word.is_plain(reserved));
        if hazard::defines_function(&command.words, &word) {
            self.changed.get_or_insert(ParameterChange::Function);
        }
        match (std::mem::take(&mut command.next), word.token) {
            (NextWord::Argument, _) => command.words.push(word),
            (NextWord::Descriptor, Some(found)) => return self.code(Code::Descriptor, found),
            (NextWord::Descriptor | NextWord::File, _) => {}
        }
        Ok(is_case)
    }

    fn end_word_before_parenthesis(
        &mut self,
        command: &mut ShellCommand,
        opened: Option<Opened>,
    ) -> Result<bool> {
        let inner = self.rest()[1..].iter().find(|byte| !b" \t".contains(byte));
        if inner == Some(&b')') {
            self.changed.get_or_insert(ParameterChange::Function);
        } else if command.word.is_some() {
            self.doubt(TemplateDoubt::ParenthesisInWord, self.at);
        } else if self.rest().starts_with(b"((") {
            self.doubt(TemplateDoubt::BashArithmetic, self.at);
        }
        self.end_word(command, opened)
    }

    fn parenthesis(&mut self, command: &mut ShellCommand) -> Result {
        self.end_command(command)?;
        let opened = Opened { place: TokenPlace::Parentheses, at: self.at };
        self.at += 1;
        self.deeper(|lexer| lexer.commands(Some(opened)))
    }

    fn end_command(&mut self, command: &mut ShellCommand) -> Result {
        let words = std::mem::take(&mut command.words);
        command.next = NextWord::Argument;
        if let Some((code, found)) = hazard::reads_code(&words) {
            return self.code(code, found);
        }
        let Some(change) = hazard::changes_parameters(&words) else { return Ok(()) };
        self.changed.get_or_insert(change);
        match self.last_in_loop {
            Some((token, at)) => self.parameters_changed(change, token, at),
            None => Ok(()),
        }
    }

    fn code<T>(&self, code: Code, (token, at): word::FoundToken) -> Result<T> {
        Err(TemplateError::Code { token, code, at: self.place_of(token, at) })
    }

    fn parameters_changed(&self, change: ParameterChange, token: Token, at: usize) -> Result {
        Err(TemplateError::ParametersChanged { token, change, at: self.place_of(token, at) })
    }

    fn place_of(&self, token: Token, at: usize) -> At {
        let line = memchr::memrchr(b'\n', &self.source[..at]).map_or(0, |feed| feed + 1);
        At::new(self.source, at, line, at + token.as_str().len())
    }

    /// After a line feed between commands: the here-documents of the line follow.
    fn end_line(&mut self) -> Result {
        if self.outer_waits {
            self.doubt(TemplateDoubt::HereDocument, self.at - 1);
        }
        self.here_documents()
    }

    fn comment(&mut self) {
        if self.closed.is_some_and(|closed| closed.place == TokenPlace::Backticks) {
            self.doubt(TemplateDoubt::Backticks, self.at);
        }
        self.at += memchr::memchr(b'\n', self.rest()).unwrap_or(self.rest().len());
    }

    /// A backslash at the end of a line joins it with the next. Where that may be within an operator, it is a doubt.
    fn continuation(&mut self) {
        let before = self.at.checked_sub(1).map_or(b' ', |before| self.source[before]);
        if !b" \t\n;|&".contains(&before) {
            self.doubt(TemplateDoubt::Continuation, self.at);
        }
        self.quoted_line_feed(self.at);
        self.at += 2;
    }

    /// A line feed that ends no command, when a here-document waits for one that does.
    pub(super) fn quoted_line_feed(&mut self, at: usize) {
        if self.outer_waits || !self.here_docs.is_empty() {
            self.doubt(TemplateDoubt::HereDocument, at);
        }
    }

    fn redirection(&mut self, command: &mut ShellCommand) -> Result {
        match &command.word {
            Some(word) if word.is_number() => command.word = None,
            Some(ShellWord { token: Some(found), text, .. }) if text.starts_with(b"{") => {
                return self.code(Code::Subscript, *found);
            }
            _ => {
                self.end_word(command, None)?;
            }
        }
        let (length, next) = match self.rest() {
            [b'<', b'<', b'<', ..] => (3, NextWord::File),
            [b'<', b'<', ..] => return self.here_document_mark(),
            [_, b'&', ..] => (2, NextWord::Descriptor),
            [b'>', b'>' | b'|', ..] | [b'<', b'>', ..] => (2, NextWord::File),
            _ => (1, NextWord::File),
        };
        self.at += length;
        command.next = next;
        Ok(())
    }

    /// Runs `read` a level deeper. At the deepest the script counts as unterminated; the doubt decides what that means.
    pub(super) fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Result) -> Result {
        if self.depth == DEEPEST {
            self.doubt(TemplateDoubt::Nesting, self.at);
            return self.unterminated(Opened { place: TokenPlace::Parentheses, at: self.at });
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// Copies or replaces what stands at a brace. Says whether it was a placeholder or a doubled one.
    pub(super) fn placeholder(&mut self, opened: Option<Opened>, word: &mut ShellWord) -> Result<bool> {
        match placeholder::beginning(self.rest()) {
            None => Ok(false),
            Some(FoundPlaceholder::Text(token)) => {
                self.doubled(token);
                word.text.extend_from_slice(token.as_str().as_bytes());
                Ok(true)
            }
            Some(FoundPlaceholder::Token(token)) => match opened.or(self.closed) {
                Some(Opened { place, at }) => {
                    let at = At::new(self.source, self.at, at, self.at + token.as_str().len());
                    Err(TemplateError::Misplaced { token, place, at })
                }
                None => self.parameter(token, word).map(|()| true),
            },
        }
    }

    /// Writes the text of a doubled placeholder.
    pub(super) fn doubled(&mut self, token: Token) {
        self.replace(token.as_str().as_bytes(), FoundPlaceholder::Text(token).len());
    }

    /// Writes the parameter that stands for a placeholder.
    fn parameter(&mut self, token: Token, word: &mut ShellWord) -> Result {
        if let Some(change) = self.changed {
            return self.parameters_changed(change, token, self.at);
        }
        let found = (token, self.at);
        word.note(found);
        self.last = Some(found);
        if self.in_loop {
            self.last_in_loop = Some(found);
        }
        let number = self.number(token);
        self.replace(format!("\"${{{number}}}\"").as_bytes(), token.as_str().len());
        Ok(())
    }

    /// Which positional parameter stands for a token: 1 is the path, the others follow as they come.
    fn number(&mut self, token: Token) -> usize {
        if token == Token::Path {
            self.uses_path = true;
            return 1;
        }
        let place = self.parameters.iter().position(|known| *known == token).unwrap_or_else(|| {
            self.parameters.push(token);
            self.parameters.len() - 1
        });
        place + 2
    }

    fn replace(&mut self, text: &[u8], length: usize) {
        self.script.extend_from_slice(&self.source[self.copied..self.at]);
        self.script.extend_from_slice(text);
        self.at += length;
        self.copied = self.at;
    }

    /// Runs `read`, and lets `word` have the placeholder that is found within.
    pub(super) fn noting(&mut self, word: &mut ShellWord, read: impl FnOnce(&mut Self) -> Result) -> Result {
        let before = self.last;
        read(self)?;
        if let Some(found) = self.last.filter(|_| self.last != before) {
            word.note(found);
        }
        Ok(())
    }
}
