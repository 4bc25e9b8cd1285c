//! How often, and after which pauses, a failed task is tried again.

use std::time::Duration;

/// `--retries` and `--retry-delay`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retries {
    /// Extra attempts in this launch.
    pub extra: u32,
    /// Pause before the first of them; doubles.
    pub delay: Duration,
}

impl Retries {
    /// Longest pause between two attempts.
    const LONGEST: Duration = Duration::from_hours(1);

    /// The pause after `tried` attempts of this launch failed: doubling, with up to a quarter more at random, so that
    /// replicas that failed together don't come back together. `None` when there is no further attempt.
    pub(super) fn pause(self, tried: u32) -> Option<Duration> {
        if tried > self.extra {
            return None;
        }
        let pause = self.delay.saturating_mul(1 << (tried - 1).min(20)).min(Self::LONGEST);
        Some(pause.mul_f64(1.0 + 0.25 * fastrand::f64()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Retries;

    #[test]
    fn pauses_double_with_some_jitter_until_the_attempts_are_used_up() {
        let retries = Retries { extra: 3, delay: Duration::from_secs(2) };
        for (tried, least) in [(1, 2.0), (2, 4.0), (3, 8.0)] {
            let pause = retries.pause(tried).unwrap().as_secs_f64();
            assert!((least..=least * 1.25).contains(&pause), "{pause}");
        }
        assert_eq!(retries.pause(4), None);
    }
}
