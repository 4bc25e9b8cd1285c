//! The one line about very uneven shares, with the strategy that would do better.

use std::num::NonZeroU32;

use crate::model::shares::{Strategy, imbalance, loads, shares};

/// Above this ratio there is a warning: the slowest replica takes half as long again as it needs to.
const FAR_OVER: f64 = 1.5;

/// The line, of entries alone. Of `size` there is nothing to say: nothing spreads bytes better, and one huge file is as
/// large as it is.
pub fn line(strategy: Strategy, count: u64, replicas: NonZeroU32) -> Option<String> {
    let ratio = |strategy| imbalance(&loads(&shares(strategy, count, &[], replicas), &[])).unwrap_or(1.0);
    let others = Strategy::ALL.into_iter().filter(|one| !one.needs_sizes());
    advice(strategy, others.map(|one| (one, ratio(one))))
}

/// The line, when the largest share is far over the mean and another of the strategies would do better, by the ratio of the
/// two with each.
pub fn advice(strategy: Strategy, ratios: impl Iterator<Item = (Strategy, f64)> + Clone) -> Option<String> {
    let (_, own) = ratios.clone().find(|(one, _)| *one == strategy)?;
    let (better, ratio) = ratios.min_by(|(_, one), (_, other)| one.total_cmp(other))?;
    (own > FAR_OVER && ratio < own).then(|| {
        format!(
            "the largest share is {own:.1} times the mean; with --strategy {better} it would be {ratio:.1} times"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::line;
    use crate::model::shares::Strategy;

    #[test]
    fn only_what_another_strategy_does_better_is_said() {
        let says = |strategy, count: u64, replicas: u32| {
            line(strategy, count, std::num::NonZeroU32::new(replicas).unwrap())
        };
        let said = says(Strategy::Chunk, 199, 100).unwrap();
        assert!(
            said.contains("50.3 times") && said.contains("--strategy even it would be 1.0 times"),
            "{said}"
        );
        assert_eq!(says(Strategy::Even, 199, 100), None);
        assert_eq!(says(Strategy::Chunk, 3, 100), None);
        assert_eq!(says(Strategy::Stripe, 10, 8), None);
    }
}
