//! The lexer's reading of here-documents.

use super::error::{At, TemplateDoubt, TemplateError, TokenPlace};
use super::lexer::{Lexer, Opened};
use super::placeholder::{self, FoundPlaceholder};
use super::word::{HereDoc, ShellWord};

type Result<T = ()> = std::result::Result<T, TemplateError>;

impl Lexer<'_> {
    /// Reads `<<`, or `<<-`, and the end word.
    pub(super) fn here_document_mark(&mut self) -> Result {
        let at = self.at;
        if self.closed.is_some() {
            self.doubt(TemplateDoubt::HereDocument, at);
        }
        self.at += 2;
        let drops_tabs = self.peek() == Some(b'-');
        self.at += usize::from(drops_tabs);
        self.at += self.rest().iter().take_while(|byte| b" \t".contains(byte)).count();
        let (end, is_quoted) = self.end_word_of_here_document(at)?;
        self.here_docs.push(HereDoc { end, is_quoted, drops_tabs, at });
        Ok(())
    }

    /// The end word without its quotes, and whether it had any.
    fn end_word_of_here_document(&mut self, mark: usize) -> Result<(Vec<u8>, bool)> {
        let mut end = Vec::new();
        let mut is_quoted = false;
        loop {
            let rest = self.rest();
            match placeholder::beginning(rest) {
                None => {}
                Some(FoundPlaceholder::Token(token)) => {
                    let at = At::new(self.source, self.at, mark, self.at + token.as_str().len());
                    return Err(TemplateError::Misplaced { token, place: TokenPlace::HereDocumentEnd, at });
                }
                Some(FoundPlaceholder::Text(_)) => self.doubt(TemplateDoubt::HereDocument, mark),
            }
            match rest {
                [] | [b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')', ..] => break,
                [quote @ (b'\'' | b'"'), inner @ ..] => {
                    is_quoted = true;
                    let length = memchr::memchr(*quote, inner).unwrap_or(inner.len());
                    if inner[..length].iter().any(|byte| b"$`\\\n{".contains(byte)) || length == inner.len() {
                        self.doubt(TemplateDoubt::HereDocument, mark);
                    }
                    end.extend_from_slice(&inner[..length]);
                    self.at = (self.at + length + 2).min(self.limit);
                }
                [b'\\', next, ..] => {
                    is_quoted = true;
                    if *next == b'\n' {
                        self.doubt(TemplateDoubt::HereDocument, mark);
                    }
                    end.push(*next);
                    self.at += 2;
                }
                [byte, ..] => {
                    if b"$`\\".contains(byte) {
                        self.doubt(TemplateDoubt::HereDocument, mark);
                    }
                    end.push(*byte);
                    self.at += 1;
                }
            }
        }
        if end.is_empty() {
            self.doubt(TemplateDoubt::HereDocument, mark);
        }
        Ok((end, is_quoted))
    }

    /// Reads the texts of the here-documents that the line before began.
    pub(super) fn here_documents(&mut self) -> Result {
        for here_doc in std::mem::take(&mut self.here_docs) {
            let (end_line, after) = self.find_end(&here_doc)?;
            let limit = std::mem::replace(&mut self.limit, end_line);
            let opened = Opened { place: TokenPlace::HereDocument, at: here_doc.at };
            self.closed_by(opened, |lexer| lexer.here_document_text(&here_doc, opened))?;
            self.limit = limit;
            self.at = after;
        }
        Ok(())
    }

    /// An error for a here-document that the script's last line begins.
    pub(super) fn no_here_doc_waits(&self) -> Result {
        match self.here_docs.first() {
            Some(here_doc) => self.unterminated(Opened { place: TokenPlace::HereDocument, at: here_doc.at }),
            None => Ok(()),
        }
    }

    /// Where the line with the end word begins, and where the next one does.
    fn find_end(&mut self, here_doc: &HereDoc) -> Result<(usize, usize)> {
        let mut start = self.at;
        while start < self.limit {
            let rest = &self.source[start..self.limit];
            let feed = memchr::memchr(b'\n', rest);
            let mut line = &rest[..feed.unwrap_or(rest.len())];
            if here_doc.drops_tabs {
                let tabs = line.iter().take_while(|byte| **byte == b'\t').count();
                line = &line[tabs..];
            }
            let next = feed.map_or(self.limit, |feed| start + feed + 1);
            if line == here_doc.end {
                return Ok((start, next));
            }
            // `END)` ends it in some shells.
            if line.starts_with(&here_doc.end) && line.contains(&b')') {
                self.doubt(TemplateDoubt::HereDocument, start);
            }
            start = next;
        }
        self.unterminated(Opened { place: TokenPlace::HereDocument, at: here_doc.at })
    }

    fn here_document_text(&mut self, here_doc: &HereDoc, opened: Opened) -> Result {
        let mut text = ShellWord::default();
        while self.peek().is_some() {
            if here_doc.is_quoted {
                if !self.placeholder(None, &mut text)? {
                    self.at += 1;
                }
                continue;
            }
            if self.rest().starts_with(b"\\\n") {
                self.doubt(TemplateDoubt::HereDocument, self.at);
            }
            let read = self.double_quoted_part(None, &mut text);
            if matches!(read, Err(TemplateError::Unterminated { .. })) {
                self.doubt(TemplateDoubt::HereDocument, opened.at);
            }
            read?;
        }
        Ok(())
    }
}
