//! The distribution of any number of values in little memory: counts in buckets, each a twelfth wider than the
//! one below.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Buckets per doubling: a reported number is within 5 % of the true one.
const PER_DOUBLING: f64 = 8.0;

/// Numbers below count as this one; so there are at most some hundreds of buckets.
const LEAST: f64 = 1e-3;

/// Numbers that were counted: durations, sizes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Plain", into = "Plain")]
pub struct Histogram {
    buckets: BTreeMap<i16, u64>,
    max: f64,
}

/// The serialized form: pairs of a bucket and how many numbers are in it.
#[derive(Serialize, Deserialize)]
struct Plain {
    max: f64,
    buckets: Vec<(i16, u64)>,
}

/// The numbers that describe a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// Half are at most this.
    pub median: f64,
    /// 95 % are at most this.
    pub p95: f64,
    /// The largest.
    pub max: f64,
}

impl Histogram {
    /// Counts one.
    pub fn count(&mut self, number: f64) {
        if number.is_finite() {
            *self.buckets.entry(bucket_of(number)).or_default() += 1;
            self.max = self.max.max(number);
        }
    }

    /// Counts all of another one.
    pub fn add(&mut self, other: &Self) {
        for (bucket, count) in &other.buckets {
            let here = self.buckets.entry(*bucket).or_default();
            *here = here.saturating_add(*count);
        }
        self.max = self.max.max(other.max);
    }

    /// How many were counted.
    pub fn len(&self) -> u64 {
        self.buckets.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Its description; `None` if it is empty.
    pub fn quantiles(&self) -> Option<Quantiles> {
        (!self.is_empty()).then(|| Quantiles { median: self.at(0.5), p95: self.at(0.95), max: self.max })
    }

    /// The number that this part of all does not exceed.
    fn at(&self, part: f64) -> f64 {
        let wanted = self.len() as f64 * part;
        let mut seen: u64 = 0;
        let bucket = self.buckets.iter().find(|(_, count)| {
            seen = u64::saturating_add(seen, **count);
            seen as f64 >= wanted
        });
        bucket.map_or(self.max, |(bucket, _)| middle_of(*bucket).min(self.max))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a logarithm of a double is small")]
fn bucket_of(number: f64) -> i16 {
    (number.max(LEAST).log2() * PER_DOUBLING).floor() as i16
}

fn middle_of(bucket: i16) -> f64 {
    ((f64::from(bucket) + 0.5) / PER_DOUBLING).exp2()
}

impl From<Plain> for Histogram {
    fn from(plain: Plain) -> Self {
        Self { buckets: plain.buckets.into_iter().collect(), max: plain.max }
    }
}

impl From<Histogram> for Plain {
    fn from(spread: Histogram) -> Self {
        Self { max: spread.max, buckets: spread.buckets.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::Histogram;

    fn of(numbers: impl IntoIterator<Item = f64>) -> Histogram {
        let mut spread = Histogram::default();
        numbers.into_iter().for_each(|number| spread.count(number));
        spread
    }

    #[test]
    fn a_million_numbers_are_told_within_5_percent_by_few_buckets() {
        let spread = of((1..=1_000_000).map(|number| f64::from(number) / 1000.0));
        let told = spread.quantiles().unwrap();
        for (number, truth) in [(told.median, 500.0), (told.p95, 950.0), (told.max, 1000.0)] {
            assert!((number / truth - 1.0).abs() < 0.05, "{number} for {truth}");
        }
        assert!(spread.buckets.len() < 200, "{}", spread.buckets.len());
    }

    #[test]
    fn two_that_are_added_are_what_one_would_be() {
        let mut sum = of([1.0, 2.0]);
        sum.add(&of([3.0, 1e12, 0.0]));
        assert_eq!(sum, of([0.0, 1.0, 2.0, 3.0, 1e12]));
        assert_eq!(sum.len(), 5);
    }

    #[test]
    fn it_survives_json_and_nothing_is_told_of_none() {
        let spread = of([0.0, 0.25, f64::MAX, f64::NAN]);
        let json = serde_json::to_string(&spread).unwrap();
        assert_eq!(serde_json::from_str::<Histogram>(&json).unwrap(), spread);
        assert_eq!(Histogram::default().quantiles(), None);
    }

    #[test]
    fn numbers_that_are_all_alike_are_told_at_most_as_large_as_they_are() {
        let told = of([7.0; 40]).quantiles().unwrap();
        assert!(told.median <= 7.0 && told.p95 <= 7.0 && told.median > 6.6, "{told:?}");
    }
}
