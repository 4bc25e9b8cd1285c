//! Counts only time in which storage answered. Neither a frozen observer nor hanging storage, for which the
//! observed launch waits as well, must make a live launch look dead.

use std::time::{Duration, Instant};

/// Of a gap between two answers no more than this counts.
const LONGEST_GAP: Duration = Duration::from_secs(10);

/// How long something was watched, counting only checks that storage answered.
#[derive(Debug, Clone, Copy)]
pub struct AnsweredTime {
    passed: Duration,
    last_answer: Instant,
    longest_gap: Duration,
}

impl AnsweredTime {
    /// Starts now, for an observer that waits until the watched file has not grown for `quiet`.
    pub fn new(quiet: Duration, now: Instant) -> Self {
        Self { passed: Duration::ZERO, last_answer: now, longest_gap: LONGEST_GAP.min(quiet / 3) }
    }

    /// A look was answered.
    pub fn note_answer(&mut self, now: Instant) {
        self.passed += now.saturating_duration_since(self.last_answer).min(self.longest_gap);
        self.last_answer = now;
    }

    /// How long it is by now.
    pub fn passed(self) -> Duration {
        self.passed
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::AnsweredTime;

    #[test]
    fn a_gap_counts_for_little() {
        for (quiet, most) in [(120, 10), (15, 5)] {
            let begun = Instant::now();
            let mut time = AnsweredTime::new(Duration::from_secs(quiet), begun);
            time.note_answer(begun + Duration::from_secs(3));
            assert_eq!(time.passed(), Duration::from_secs(3));
            time.note_answer(begun + Duration::from_secs(1000));
            assert_eq!(time.passed(), Duration::from_secs(3 + most));
        }
    }
}
