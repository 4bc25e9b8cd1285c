//! A thread that prints lines, so that nobody has to wait for whoever reads them: a stalled reader would otherwise hold up
//! the tasks, and the stopping.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Lines that wait to be printed; beyond, they are left out and counted.
const MOST_LINES: usize = 1024;

/// How long a line waits for room: a reader that is only slow gets all of them.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long the end waits for what is not printed yet.
const FAREWELL: Duration = Duration::from_secs(2);

/// Prints a line.
type Print = dyn Fn(&str) + Send + Sync;

/// Prints lines in the order they are given. When dropped, it waits for the last one, but not for long.
pub(super) struct Printer {
    shared: Arc<Shared>,
    /// Whether there is a thread; a system that is short of them has lines printed by whoever says them.
    has_thread: bool,
}

struct Shared {
    print: Box<Print>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<String>,
    /// Lines left out since the last one that found room.
    left_out: u64,
    /// Whether somebody waited in vain, and nothing was printed since: then nobody else waits.
    is_stalled: bool,
    is_printing: bool,
    is_closed: bool,
}

impl State {
    fn is_full(&self) -> bool {
        self.lines.len() >= MOST_LINES
    }

    fn tell_what_is_left_out(&mut self) {
        if self.left_out > 0 {
            self.lines.push_back(format!(
                "canfar-run: warning: lines left out here, since nobody read them in time: {}; a launch keeps all of its own in logs/ of the results directory",
                self.left_out
            ));
            self.left_out = 0;
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn print_all(&self) {
        let mut state = self.state();
        loop {
            let Some(line) = state.lines.pop_front() else {
                if state.is_closed {
                    return;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.is_printing = true;
            drop(state);
            (self.print)(&line);
            state = self.state();
            state.is_printing = false;
            state.is_stalled = false;
            self.changed.notify_all();
        }
    }
}

impl Printer {
    /// Has lines printed by `print`.
    pub(super) fn new(print: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let shared =
            Arc::new(Shared { print: Box::new(print), state: Mutex::default(), changed: Condvar::new() });
        let printing = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("printer".into()).spawn(move || printing.print_all());
        Self { shared, has_thread: thread.is_ok() }
    }

    /// Prints a line soon, or leaves it out.
    pub(super) fn put(&self, line: String) {
        if !self.has_thread {
            return (self.shared.print)(&line);
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
}

impl Drop for Printer {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.tell_what_is_left_out();
        state.is_closed = true;
        self.shared.changed.notify_all();
        if self.has_thread {
            let is_busy = |state: &mut State| state.is_printing || !state.lines.is_empty();
            // Whoever has not read by then is not told.
            drop(self.shared.changed.wait_timeout_while(state, FAREWELL, is_busy));
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
    use std::sync::{Arc, Mutex};

    use super::{MOST_LINES, Printer};

    #[test]
    fn lines_are_printed_in_order_and_all_of_them_before_the_end() {
        let printed = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&printed);
        let printer = Printer::new(move |line| to.lock().unwrap().push(line.to_owned()));
        let lines: Vec<String> = (0..3 * MOST_LINES).map(|number| number.to_string()).collect();
        lines.iter().for_each(|line| printer.put(line.clone()));
        drop(printer);
        assert_eq!(*printed.lock().unwrap(), lines);
    }

    #[test]
    fn a_stalled_reader_holds_nobody_up_and_is_told_how_much_it_missed() {
        let printed = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&printed);
        let printer = Printer::new(move |line| to.lock().unwrap().push(line.to_owned()));
        let stall = printed.lock().unwrap();
        (0..10 * MOST_LINES).for_each(|number| printer.put(number.to_string()));
        drop(stall);
        drop(printer);
        let printed = printed.lock().unwrap();
        let (notice, lines) = printed.split_last().unwrap();
        // One may have been taken off the queue before it was full.
        let kept = lines.len();
        assert!((MOST_LINES..=MOST_LINES + 1).contains(&kept), "{kept}");
        assert!(lines.iter().enumerate().all(|(number, line)| *line == number.to_string()));
        assert!(notice.contains(&format!("in time: {};", 10 * MOST_LINES - kept)), "{notice}");
    }

    #[test]
    fn the_end_does_not_wait_for_a_reader_that_never_comes() {
        let never = Arc::new(Mutex::new(()));
        let held = Arc::clone(&never);
        let guard = never.lock().unwrap();
        let printer = Printer::new(move |_| drop(held.lock().unwrap()));
        printer.put("line".to_owned());
        drop(printer);
        drop(guard);
    }
}
