//! The one place that writes to standard error, and keeps a copy beside the results.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anstyle::{AnsiColor, Style};

use crate::terminal::printer::{Picture, Printer};
use crate::terminal::screen::{Color, Screen, ScreenClaim};
use crate::threads::locked;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Failures and errors.
    Quiet,
    /// Start, failures, progress, summary.
    Normal,
    /// Every task.
    Verbose,
}

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Plain.
    Plain,
    /// Good news.
    Good,
    /// Odd, but no failure.
    Warning,
    /// A failure.
    Bad,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Warning => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
        }
    }
}

/// Standard error, with a copy in a file once there is one.
#[derive(Debug)]
pub struct Console {
    verbosity: Verbosity,
    printer: Printer,
    /// Held as long as a picture is shown.
    claim: Mutex<Option<ScreenClaim>>,
    copy: Mutex<Copy>,
}

#[derive(Debug)]
enum Copy {
    /// Not open yet: the messages so far.
    Waiting(Vec<u8>),
    Open(File),
    Closed,
}

impl Console {
    /// A console that prints what `verbosity` allows.
    pub fn new(verbosity: Verbosity, color: Color) -> Self {
        let printer = Printer::new(Screen::new(color));
        Self { verbosity, printer, claim: Mutex::new(None), copy: Mutex::new(Copy::Waiting(Vec::new())) }
    }

    /// How much is said.
    pub fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Keeps a copy of all past and future messages at `path`. If that is impossible, there is none.
    pub fn keep_copy(&self, path: &Path) {
        let mut copy = locked(&self.copy);
        let open = || {
            std::fs::create_dir_all(path.parent()?).ok()?;
            OpenOptions::new().append(true).create(true).open(path).ok()
        };
        let Copy::Waiting(said) = &*copy else { return };
        let opened = open().and_then(|mut file| file.write_all(said).is_ok().then_some(file));
        *copy = opened.map_or(Copy::Closed, Copy::Open);
    }

    /// Ends the copy, so that the next launch of this process can have its own.
    pub fn end_copy(&self) {
        *locked(&self.copy) = Copy::Waiting(Vec::new());
    }

    /// Prints a line (or several) at a level. If standard error has no reader, only the copy may have it.
    pub fn say(&self, level: Verbosity, tone: Tone, text: &str) {
        if level > self.verbosity {
            return;
        }
        let style = tone.style();
        let mut copy = locked(&self.copy);
        self.printer.put(format!("{style}{text}{style:#}"));
        match &mut *copy {
            Copy::Waiting(said) => {
                said.extend_from_slice(text.as_bytes());
                said.push(b'\n');
            }
            Copy::Open(file) => _ = file.write_all(format!("{text}\n").as_bytes()),
            Copy::Closed => {}
        }
    }

    /// Shows a picture below the lines; `false` where that can't be.
    pub(crate) fn show(&self, picture: Arc<dyn Picture>) -> bool {
        let mut claim = locked(&self.claim);
        if claim.is_none() {
            *claim = ScreenClaim::take();
        }
        claim.is_some() && self.printer.show(picture)
    }

    /// Takes it away.
    pub(crate) fn hide(&self) {
        self.printer.hide();
        *locked(&self.claim) = None;
    }

    /// Says something odd that is no failure.
    pub fn warn(&self, text: &str) {
        self.say(Verbosity::Normal, Tone::Warning, &format!("canfar-run: warning: {text}"));
    }

    /// Prints why this process can't continue.
    pub fn error(&self, error: &anyhow::Error) {
        self.say(Verbosity::Quiet, Tone::Bad, &format!("canfar-run: error: {error:#}"));
    }
}
