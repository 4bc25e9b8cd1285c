//! Standard output and its errors: a reader that stops early, such as `head`, is not an error; everything else is.

use std::io::{self, ErrorKind, Write};

/// Why not all could be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StdoutFault {
    /// Its reader is gone.
    ReaderLeft,
    /// Anything else, such as a full disk.
    Failed,
}

/// Standard output, which remembers whether it could be written.
pub struct Stdout<'w> {
    to: &'w mut (dyn Write + Send),
    fault: Option<StdoutFault>,
}

impl<'w> Stdout<'w> {
    /// Prints to this.
    pub fn new(to: &'w mut (dyn Write + Send)) -> Self {
        Self { to, fault: None }
    }

    /// Why not all could be printed; `None` where it could.
    pub fn fault(&self) -> Option<StdoutFault> {
        self.fault
    }

    fn noting<T>(&mut self, printed: io::Result<T>) -> io::Result<T> {
        printed.inspect_err(|error| match error.kind() {
            ErrorKind::Interrupted => {}
            ErrorKind::BrokenPipe => self.fault = Some(StdoutFault::ReaderLeft),
            _ => self.fault = Some(StdoutFault::Failed),
        })
    }
}

impl Write for Stdout<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let printed = self.to.write(bytes);
        self.noting(printed)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.to.flush();
        self.noting(flushed)
    }
}

/// The same for commands that have more to do, or their own exit code: printing to a reader that is gone does nothing.
pub struct WhileRead<'w>(pub &'w mut dyn Write);

impl WhileRead<'_> {
    fn or<T>(printed: io::Result<T>, unread: T) -> io::Result<T> {
        match printed {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(unread),
            printed => printed,
        }
    }
}

impl Write for WhileRead<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::or(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Self::or(self.0.flush(), ())
    }
}
