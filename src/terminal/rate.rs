//! How fast tasks end, by what was seen lately: what was seen long ago tells little of what is left.

use std::time::{Duration, Instant};

/// So many looks are kept; of older ones every other one goes, so that they reach back to the beginning.
const MOST_LOOKS: usize = 64;

/// Two looks are at least so far apart, at first.
const APART: Duration = Duration::from_secs(1);

/// What is lately: at least so long, and at least so many ends.
const LATELY: (Duration, u64) = (Duration::from_secs(30), 20);

/// Fewer ends tell nothing.
const LEAST_ENDS: u64 = 3;

/// When how many had ended.
#[derive(Debug)]
pub(crate) struct RateEstimator {
    looks: Vec<(Instant, u64)>,
    apart: Duration,
}

impl RateEstimator {
    /// From now on.
    pub(crate) fn new(now: Instant) -> Self {
        Self { looks: vec![(now, 0)], apart: APART }
    }

    /// Takes note that so many have ended by now.
    pub(crate) fn look(&mut self, now: Instant, ended: u64) {
        if self.looks.last().is_some_and(|(before, _)| now.saturating_duration_since(*before) < self.apart) {
            return;
        }
        self.looks.push((now, ended));
        if self.looks.len() > MOST_LOOKS {
            let mut place = 0;
            self.looks.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            self.apart *= 2;
        }
    }

    /// How many end in a second now that so many have; `None` as long as nobody can tell.
    pub(crate) fn per_second(&self, now: Instant, ended: u64) -> Option<f64> {
        let is_lately = |(then, before): &&(Instant, u64)| {
            now.saturating_duration_since(*then) >= LATELY.0 && ended.saturating_sub(*before) >= LATELY.1
        };
        let (then, before) = self.looks.iter().rev().find(is_lately).or(self.looks.first())?;
        let (ends, seconds) =
            (ended.saturating_sub(*before), now.saturating_duration_since(*then).as_secs_f64());
        (ends >= LEAST_ENDS && seconds > 0.0).then(|| ends as f64 / seconds)
    }
}

/// A rate for people: `12/s`, `0.5/s`, `3 a minute`, `2 an hour`.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        10.0.. => format!("{per_second:.0}/s"),
        0.1.. => format!("{per_second:.1}/s"),
        _ if per_second >= 1.0 / 60.0 => format!("{:.1} a minute", per_second * 60.0),
        _ => format!("{:.1} an hour", per_second * 3600.0),
    }
}

/// A time that nobody knows well, for people: one unit and no more digits than it deserves.
pub(crate) fn about(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => "a few seconds".to_owned(),
        10..90 => format!("about {}s", (seconds + 5) / 10 * 10),
        90..5400 => format!("about {} min", (seconds + 30) / 60),
        5400..172_800 => format!("about {}h", (seconds + 1800) / 3600),
        _ => format!("about {} days", (seconds + 43_200) / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{MOST_LOOKS, RateEstimator, about, rate};

    #[test]
    fn what_was_lately_counts_and_looks_stay_few_over_weeks() {
        let begun = Instant::now();
        let at = |seconds: u64| begun + Duration::from_secs(seconds);
        let mut pace = RateEstimator::new(begun);
        // Ten a second for an hour, then one.
        let ended = |seconds: u64| if seconds < 3600 { seconds * 10 } else { 36_000 + seconds - 3600 };
        (0..1_209_600).step_by(10).for_each(|seconds| pace.look(at(seconds), ended(seconds)));
        assert!(pace.looks.len() <= MOST_LOOKS);
        let now = pace.per_second(at(1_209_600), ended(1_209_600)).unwrap();
        assert!((now - 1.0).abs() < 0.01, "{now}");
    }

    #[test]
    fn nothing_is_told_of_too_few_ends() {
        let begun = Instant::now();
        let pace = RateEstimator::new(begun);
        assert_eq!(pace.per_second(begun + Duration::from_mins(1), 2), None);
        assert_eq!(pace.per_second(begun + Duration::from_mins(1), 6), Some(0.1));
    }

    #[test]
    fn rates_and_times_have_no_more_digits_than_they_deserve() {
        for (per_second, text) in
            [(20_000.4, "20000/s"), (2.26, "2.3/s"), (0.05, "3.0 a minute"), (0.001, "3.6 an hour")]
        {
            assert_eq!(rate(per_second), text);
        }
        for (seconds, text) in [
            (4, "a few seconds"),
            (44, "about 40s"),
            (200, "about 3 min"),
            (9000, "about 3h"),
            (200_000, "about 2 days"),
        ] {
            assert_eq!(about(Duration::from_secs(seconds)), text);
        }
    }
}
