//! Looks at the quotes of separated values while they are read: what is read of broken ones is not what was meant.

use std::io::{self, Read};

/// What of it is broken, and in which line, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QuoteFault {
    /// A quote is never closed.
    Open { line: u64 },
    /// Something follows a closing one.
    After { line: u64 },
    /// A NUL byte.
    Nul { line: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum QuoteState {
    /// At the beginning of a cell.
    Begin,
    Plain,
    /// In quotes that began in this line.
    Quoted {
        begun: u64,
    },
    /// Behind a quote within quotes: the first of two, or the closing one.
    Quote {
        begun: u64,
    },
}

/// Reads on, and looks at all that is read.
pub(super) struct QuoteCheck<R> {
    reader: R,
    delimiter: u8,
    state: QuoteState,
    line: u64,
    fault: Option<QuoteFault>,
}

impl<R> QuoteCheck<R> {
    /// From a line of this number on.
    pub(super) const fn new(reader: R, delimiter: u8, line: u64) -> Self {
        Self { reader, delimiter, state: QuoteState::Begin, line, fault: None }
    }

    /// What is broken in all that was read, which is the whole.
    pub(super) fn fault(&self) -> Option<QuoteFault> {
        self.fault.or(match self.state {
            QuoteState::Quoted { begun } => Some(QuoteFault::Open { line: begun }),
            QuoteState::Begin | QuoteState::Plain | QuoteState::Quote { .. } => None,
        })
    }

    fn look(&mut self, byte: u8) {
        let line = self.line;
        let ends_cell = byte == self.delimiter || byte == b'\n' || byte == b'\r';
        self.state = match (self.state, byte) {
            (QuoteState::Begin, b'"') => QuoteState::Quoted { begun: line },
            (QuoteState::Quoted { begun }, b'"') => QuoteState::Quote { begun },
            (quoted @ QuoteState::Quoted { .. }, _) => quoted,
            (QuoteState::Quote { begun }, b'"') => QuoteState::Quoted { begun },
            (_, _) if ends_cell => QuoteState::Begin,
            (QuoteState::Quote { .. }, _) => {
                self.fault.get_or_insert(QuoteFault::After { line });
                QuoteState::Plain
            }
            (QuoteState::Begin | QuoteState::Plain, _) => QuoteState::Plain,
        };
        if byte == 0 {
            self.fault.get_or_insert(QuoteFault::Nul { line });
        }
        self.line += u64::from(byte == b'\n');
    }
}

impl<R: Read> Read for QuoteCheck<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        buffer[..read].iter().for_each(|byte| self.look(*byte));
        Ok(read)
    }
}
