//! Whether the replicas of a new run share its work while they run.

use crate::model::shares::Strategy;

/// What a new list's header says, given what was `asked` for.
pub fn is_balanced(asked: Option<bool>, strategy: Strategy, replicas: u32) -> bool {
    // These strategies are for users who want exactly what Python's helper gives each replica.
    let is_of_python = matches!(strategy, Strategy::Chunk | Strategy::Stripe);
    asked.unwrap_or(!is_of_python && replicas > 1)
}

#[cfg(test)]
mod tests {
    use super::is_balanced;
    use crate::model::shares::Strategy;

    #[test]
    fn what_is_asked_for_counts_and_else_the_strategy() {
        for strategy in Strategy::ALL {
            assert!(is_balanced(Some(true), strategy, 2) && !is_balanced(Some(false), strategy, 2));
            assert!(!is_balanced(None, strategy, 1));
        }
        for strategy in [Strategy::Chunk, Strategy::Stripe] {
            assert!(!is_balanced(None, strategy, 2));
        }
        for strategy in [Strategy::Even, Strategy::Size] {
            assert!(is_balanced(None, strategy, 2));
        }
    }
}
