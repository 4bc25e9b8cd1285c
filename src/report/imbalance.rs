//! The one line that tells when replicas have very uneven shares, and which strategy would do better.

use std::num::NonZeroU32;

use crate::model::shares::{Imbalance, Strategy, loads, shares};

/// The line, when the largest share is over 1.5 times the mean and another strategy would do better, counted in entries.
/// Of `size` there is nothing to say: nothing spreads bytes better, and one huge file is as large as it is.
pub fn line(strategy: Strategy, count: u64, replicas: NonZeroU32) -> Option<String> {
    if strategy.needs_sizes() {
        return None;
    }
    let of = |strategy| Imbalance::of(&loads(&shares(strategy, count, &[], replicas), &[]));
    let imbalance = of(strategy).filter(|imbalance| imbalance.is_worth_saying())?;
    let even = of(Strategy::Even)?;
    (even.largest < imbalance.largest).then(|| {
        format!(
            "the largest share has {} files and the mean {:.1}: with --strategy even it would have {}",
            imbalance.largest, imbalance.mean, even.largest
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
        assert!(said.contains("100 files") && said.contains("--strategy even it would have 2"), "{said}");
        assert_eq!(says(Strategy::Even, 199, 100), None);
        assert_eq!(says(Strategy::Chunk, 3, 100), None);
        assert_eq!(says(Strategy::Stripe, 10, 8), None);
    }
}
