//! A thread that prints lines, and a picture below them, so that no other thread has to wait for their reader: a stalled
//! reader would otherwise hold up the tasks, and the stopping.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::threads::{locked, wait};

/// Lines that wait to be printed; beyond, they are left out and counted.
const MOST_LINES: usize = 1024;

/// How long a line waits for room: a reader that is only slow gets all of them.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long the end waits for what is not printed yet.
const FAREWELL: Duration = Duration::from_secs(2);

/// How often a picture is redrawn; lines that come in between are printed with it, so that nothing flickers.
const REDRAW: Duration = Duration::from_millis(250);

/// The picture below the lines, as long as it is shown.
pub(crate) trait Picture: Send + Sync {
    /// Its lines, none wider than `width` columns, and at most `height` of them.
    fn lines(&self, width: usize, height: usize) -> Vec<String>;
}

/// Where lines are printed, and pictures drawn where that can be.
pub(crate) trait Terminal: Send {
    /// Takes away the picture that is there, prints these lines, and draws this one.
    fn show(&mut self, lines: &[String], picture: Option<&dyn Picture>);
}

/// Prints lines in the order they are given. When dropped, it waits for the last one, but not for long.
pub(crate) struct Printer {
    shared: Arc<PrinterShared>,
    /// Whether there is a thread; if the system is short of them, the calling thread prints its lines itself.
    has_thread: bool,
}

struct PrinterShared {
    terminal: Mutex<Box<dyn Terminal>>,
    state: Mutex<PrinterState>,
    changed: Condvar,
}

#[derive(Default)]
struct PrinterState {
    lines: VecDeque<String>,
    picture: Option<Arc<dyn Picture>>,
    /// When the picture was drawn last; `None` if none is visible.
    drawn: Option<Instant>,
    /// Lines dropped since the last one that found room.
    left_out: u64,
    /// Whether a thread waited in vain, and nothing was printed since: then no other thread waits.
    is_stalled: bool,
    is_printing: bool,
    is_closed: bool,
}

impl PrinterState {
    fn is_full(&self) -> bool {
        self.lines.len() >= MOST_LINES
    }

    /// Whether everything is printed, and no picture is left that should not be visible.
    fn is_settled(&self) -> bool {
        !self.is_printing && self.lines.is_empty() && (self.drawn.is_none() || self.picture.is_some())
    }

    /// How long there is nothing to do; `None` until something changes.
    fn rest(&self) -> Option<Duration> {
        let until_drawn = self.drawn.map(|drawn| REDRAW.saturating_sub(drawn.elapsed()));
        match (&self.picture, until_drawn) {
            // Don't make a thread with so much to print wait for the picture.
            _ if self.lines.len() >= MOST_LINES / 2 => Some(Duration::ZERO),
            (Some(_), Some(time)) => Some(time),
            (Some(_), None) | (None, Some(_)) => Some(Duration::ZERO),
            (None, None) => (!self.lines.is_empty()).then_some(Duration::ZERO),
        }
    }

    fn tell_what_is_left_out(&mut self) {
        if self.left_out > 0 {
            self.lines.push_back(format!(
                "canfar-run: warning: lines dropped, because stderr was read too slowly: {}; a launch keeps all of its own in logs/ of the results directory",
                self.left_out
            ));
            self.left_out = 0;
        }
    }
}

impl PrinterShared {
    fn state(&self) -> MutexGuard<'_, PrinterState> {
        locked(&self.state)
    }

    fn print(&self, lines: &[String], picture: Option<&dyn Picture>) {
        locked(&self.terminal).show(lines, picture);
    }

    fn print_all(&self) {
        let mut state = self.state();
        loop {
            state = match state.rest() {
                Some(Duration::ZERO) => self.print_what_there_is(state),
                None if state.is_closed => return,
                time => wait(&self.changed, state, time),
            };
        }
    }

    fn print_what_there_is<'s>(
        &'s self,
        mut state: MutexGuard<'s, PrinterState>,
    ) -> MutexGuard<'s, PrinterState> {
        let lines: Vec<String> = state.lines.drain(..).collect();
        let picture = state.picture.clone();
        state.is_printing = true;
        drop(state);
        self.print(&lines, picture.as_deref());
        let mut state = self.state();
        state.drawn = picture.map(|_| Instant::now());
        state.is_printing = false;
        state.is_stalled = false;
        self.changed.notify_all();
        state
    }
}

impl Printer {
    /// Has lines printed on `terminal`.
    pub(crate) fn new(terminal: impl Terminal + 'static) -> Self {
        let shared = Arc::new(PrinterShared {
            terminal: Mutex::new(Box::new(terminal)),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let printing = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("printer".into()).spawn(move || printing.print_all());
        Self { shared, has_thread: thread.is_ok() }
    }

    /// Prints a line soon, or leaves it out.
    pub(crate) fn put(&self, line: String) {
        if !self.has_thread {
            return self.shared.print(&[line], None);
        }
        let mut state = self.shared.state();
        if state.is_full() && !state.is_stalled {
            let waited = self.shared.changed.wait_timeout_while(state, PATIENCE, |state| state.is_full());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.is_stalled = state.is_full();
        }
        if state.is_full() {
            state.left_out += 1;
        } else {
            state.tell_what_is_left_out();
            state.lines.push_back(line);
            self.shared.changed.notify_all();
        }
    }

    /// Shows a picture below the lines from now on; returns whether there is a thread to draw it.
    pub(crate) fn show(&self, picture: Arc<dyn Picture>) -> bool {
        if self.has_thread {
            self.shared.state().picture = Some(picture);
            self.shared.changed.notify_all();
        }
        self.has_thread
    }

    /// Takes the picture away, and waits until it is, but not for long.
    pub(crate) fn hide(&self) {
        let mut state = self.shared.state();
        if state.picture.take().is_some() {
            self.shared.changed.notify_all();
            drop(self.shared.changed.wait_timeout_while(state, FAREWELL, |state| !state.is_settled()));
        }
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.tell_what_is_left_out();
        state.picture = None;
        state.is_closed = true;
        self.shared.changed.notify_all();
        if self.has_thread {
            // A reader that is slower than that misses it.
            drop(self.shared.changed.wait_timeout_while(state, FAREWELL, |state| !state.is_settled()));
        }
    }
}

impl fmt::Debug for Printer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Printer").field("has_thread", &self.has_thread).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Condvar, Mutex};

    use super::{MOST_LINES, Picture, Printer, Terminal};

    /// Keeps what is shown.
    #[derive(Clone, Default)]
    struct FakeTerminal(Arc<(Mutex<ShownLines>, Condvar)>);

    #[derive(Default)]
    struct ShownLines {
        lines: Vec<String>,
        picture: Option<Vec<String>>,
    }

    impl Terminal for FakeTerminal {
        fn show(&mut self, lines: &[String], picture: Option<&dyn Picture>) {
            let (shown, changed) = &*self.0;
            let mut shown = shown.lock().unwrap();
            shown.lines.extend_from_slice(lines);
            shown.picture = picture.map(|picture| picture.lines(80, 20));
            changed.notify_all();
        }
    }

    struct Still(&'static str);

    impl Picture for Still {
        fn lines(&self, _: usize, _: usize) -> Vec<String> {
            vec![self.0.to_owned()]
        }
    }

    #[test]
    fn lines_are_printed_in_order_and_all_of_them_before_the_end() {
        let terminal = FakeTerminal::default();
        let printer = Printer::new(terminal.clone());
        let lines: Vec<String> = (0..3 * MOST_LINES).map(|number| number.to_string()).collect();
        lines.iter().for_each(|line| printer.put(line.clone()));
        drop(printer);
        assert_eq!(terminal.0.0.lock().unwrap().lines, lines);
    }

    #[test]
    fn a_stalled_reader_holds_nobody_up_and_is_told_how_much_it_missed() {
        let terminal = FakeTerminal::default();
        let printer = Printer::new(terminal.clone());
        let stall = terminal.0.0.lock().unwrap();
        (0..10 * MOST_LINES).for_each(|number| printer.put(number.to_string()));
        drop(stall);
        drop(printer);
        let shown = terminal.0.0.lock().unwrap();
        let (notice, lines) = shown.lines.split_last().unwrap();
        // Some may have been taken off the queue before it was full.
        let kept = lines.len();
        assert!((MOST_LINES..=2 * MOST_LINES).contains(&kept), "{kept}");
        assert!(lines.iter().enumerate().all(|(number, line)| *line == number.to_string()));
        assert!(notice.contains(&format!("too slowly: {};", 10 * MOST_LINES - kept)), "{notice}");
    }

    #[test]
    fn the_end_does_not_wait_for_a_reader_that_never_comes() {
        let terminal = FakeTerminal::default();
        let guard = terminal.0.0.lock().unwrap();
        let printer = Printer::new(terminal.clone());
        printer.put("line".to_owned());
        drop(printer);
        drop(guard);
    }

    #[test]
    fn a_picture_stays_below_the_lines_until_it_is_hidden() {
        let terminal = FakeTerminal::default();
        let (shown, changed) = &*terminal.0;
        let printer = Printer::new(terminal.clone());
        assert!(printer.show(Arc::new(Still("so far"))));
        printer.put("one".to_owned());
        let seen = |shown: &mut ShownLines| shown.picture.is_none() || shown.lines != ["one"];
        drop(changed.wait_while(shown.lock().unwrap(), seen).unwrap());
        printer.hide();
        assert_eq!(shown.lock().unwrap().picture, None);
        printer.put("two".to_owned());
        drop(printer);
        assert_eq!(shown.lock().unwrap().lines, ["one", "two"]);
    }
}
