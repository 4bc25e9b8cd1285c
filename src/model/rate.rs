//! How fast tasks end and when the last one will: at the recent rate, since the first hours say little about the rest.

use std::collections::VecDeque;
use std::time::Duration;

/// What counts as recent.
const RECENT: Duration = Duration::from_mins(1);

/// Fewer tasks than this within that time make no rate: then the whole launch does.
const ENOUGH: u64 = 10;

/// Marks are at least so far apart, so that there are few.
const APART: Duration = Duration::from_secs(5);

/// Estimates a rate from marks: pairs of a time since the launch began and the number of tasks that had ended.
#[derive(Debug, Clone, Default)]
pub struct RateEstimator {
    /// In order; the first is the last one that is at least [`RECENT`] older than the newest, where there is one.
    marks: VecDeque<(Duration, u64)>,
}

impl RateEstimator {
    /// Notes that this many tasks had ended `at` this time after the launch began.
    pub fn mark(&mut self, at: Duration, ended: u64) {
        if self.marks.back().is_some_and(|(before, _)| at < *before + APART) {
            return;
        }
        self.marks.push_back((at, ended));
        while self.marks.get(1).is_some_and(|(second, _)| *second + RECENT <= at) {
            self.marks.pop_front();
        }
    }

    /// Tasks that end per second, given the number `now`: over the last minute if at least ten ended in it, else over the whole
    /// launch. `None` before the first.
    pub fn per_second(&self, now: Duration, ended: u64) -> Option<f64> {
        let since = |(at, before): (Duration, u64)| {
            (ended.saturating_sub(before), now.saturating_sub(at).as_secs_f64())
        };
        let recent = self.marks.front().map(|first| since(*first)).filter(|(ends, _)| *ends >= ENOUGH);
        let (ends, seconds) = recent.unwrap_or_else(|| since((Duration::ZERO, 0)));
        (ends > 0 && seconds > 0.0).then(|| ends as f64 / seconds)
    }
}

/// How long `left` tasks take at this rate; nothing is left in no time. `None` where the rate is not known.
pub fn time_left(left: u64, per_second: Option<f64>) -> Option<Duration> {
    if left == 0 {
        return Some(Duration::ZERO);
    }
    Some(Duration::try_from_secs_f64(left as f64 / per_second?).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{RateEstimator, time_left};

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Marked every ten seconds, as signs of life come.
    fn marked(until: u64, ended: impl Fn(u64) -> u64) -> RateEstimator {
        let mut rate = RateEstimator::default();
        (0..=until).step_by(10).for_each(|seconds| rate.mark(at(seconds), ended(seconds)));
        rate
    }

    #[test]
    fn the_last_minute_counts_and_marks_stay_few_over_weeks() {
        // Ten a second for an hour, then one.
        let ended = |seconds: u64| if seconds < 3600 { seconds * 10 } else { 36_000 + seconds - 3600 };
        let rate = marked(1_209_600, ended);
        assert_eq!(rate.marks.len(), 7);
        assert_eq!(rate.per_second(at(1_209_600), ended(1_209_600)), Some(1.0));
        // What went by since the last mark counts, too.
        assert_eq!(rate.per_second(at(1_209_660), ended(1_209_600)), Some(0.5));
        let mut often = RateEstimator::default();
        (0..600_000).for_each(|millis| often.mark(Duration::from_millis(millis), millis));
        assert_eq!(often.marks.len(), 13);
    }

    #[test]
    fn where_fewer_than_ten_ended_lately_the_whole_launch_counts() {
        let rate = marked(600, |seconds| seconds / 10);
        assert_eq!(rate.per_second(at(600), 60), Some(0.1));
        let stalled = marked(1000, |seconds| seconds.min(500));
        assert_eq!(stalled.per_second(at(1000), 500), Some(0.5));
        assert_eq!(stalled.per_second(at(1000), 509), Some(0.509));
        assert_eq!(stalled.per_second(at(1000), 512), Some(0.2));
    }

    #[test]
    fn before_the_first_end_nothing_is_known() {
        let rate = marked(120, |_| 0);
        assert_eq!(rate.per_second(at(120), 0), None);
        assert_eq!(rate.per_second(at(120), 6), Some(0.05));
        assert_eq!(RateEstimator::default().per_second(Duration::ZERO, 5), None);
    }

    #[test]
    fn the_time_left_is_that_of_what_is_left_at_the_rate() {
        assert_eq!(time_left(30, Some(0.5)), Some(at(60)));
        assert_eq!((time_left(0, None), time_left(1, None)), (Some(Duration::ZERO), None));
        assert_eq!(time_left(u64::MAX, Some(1e-9)), Some(Duration::MAX));
    }
}
