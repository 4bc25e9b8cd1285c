//! Who gets what: the same as Python's helper says, and for every strategy all of the list, nothing twice.

use std::num::NonZeroU32;
use std::process::Command;

use canfar_run::testing::{Replica, Share, Strategy as Sharing, loads, share, shares};
use proptest::prelude::*;

use crate::support::{Component, InTime, python, require};

/// For each line `count replicas` it reads, two lines: the shares of `chunk` and of `stripe`, each replica's indices with
/// commas between, replicas with blanks.
const REFERENCE: &str = "
import sys
from canfar.helpers.distributed import chunk, stripe
for line in sys.stdin:
    count, total = map(int, line.split())
    for share in chunk, stripe:
        print(*(','.join(map(str, share(range(count), replica, total))) for replica in range(1, total + 1)))
";

/// A share in the words of [`REFERENCE`].
fn word(share: &Share) -> String {
    share.iter().map(|index| index.to_string()).collect::<Vec<_>>().join(",")
}

#[test]
fn chunk_and_stripe_are_those_of_the_python_helper() {
    if !require(Component::Python("canfar.helpers.distributed")) {
        return;
    }
    let small = (0..60).flat_map(|count| (1..40).map(move |replicas| (count, replicas)));
    let large = [(199, 100), (1000, 100), (1099, 100), (5, 512), (100_000, 512)];
    let cases: Vec<(u64, u32)> = small.chain(large).collect();
    let lines: Vec<String> = cases.iter().map(|(count, replicas)| format!("{count} {replicas}\n")).collect();
    let mut helper = Command::new(python());
    let output = helper.args(["-c", REFERENCE]).output_given(lines.concat().as_bytes()).unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let mut said = said.lines();
    for (count, replicas) in cases {
        for strategy in [Sharing::Chunk, Sharing::Stripe] {
            let ours = shares(strategy, count, &[], NonZeroU32::new(replicas).unwrap());
            let ours: Vec<String> = ours.iter().map(word).collect();
            assert_eq!(ours.join(" "), said.next().unwrap(), "{strategy:?} of {count} for {replicas}");
        }
    }
    assert_eq!(said.next(), None);
}

/// Sizes of a list's entries, with many equal ones and a few huge ones.
fn sizes() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(prop_oneof![4 => 0..10_u64, 4 => 0..1_000_000_u64, 1 => Just(1 << 40)], 0..120)
}

fn replica_counts() -> impl Strategy<Value = NonZeroU32> {
    (1..70_u32).prop_map(|count| NonZeroU32::new(count).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shares_are_disjoint_and_together_the_list(sizes in sizes(), replicas in replica_counts()) {
        for strategy in Sharing::ALL {
            let shares = shares(strategy, sizes.len() as u64, &sizes, replicas);
            prop_assert_eq!(shares.len(), replicas.get() as usize);
            let mut all: Vec<u64> = shares.iter().flat_map(Share::iter).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..sizes.len() as u64).collect::<Vec<_>>(), "{:?}", strategy);
        }
    }

    #[test]
    fn a_replica_finds_its_share_as_it_stands_among_all(sizes in sizes(), replicas in replica_counts()) {
        for strategy in Sharing::ALL {
            let all = shares(strategy, sizes.len() as u64, &sizes, replicas);
            for (replica, of_all) in Replica::all(replicas).zip(all) {
                prop_assert_eq!(share(strategy, sizes.len() as u64, &sizes, replica), of_all);
            }
        }
    }

    #[test]
    fn places_in_a_share_are_found_again(sizes in sizes(), replicas in replica_counts()) {
        let count = sizes.len() as u64;
        for share in Sharing::ALL.into_iter().flat_map(|strategy| shares(strategy, count, &sizes, replicas)) {
            let indices: Vec<u64> = share.iter().collect();
            prop_assert!(indices.is_sorted());
            prop_assert_eq!((indices.len() as u64, indices.is_empty()), (share.len(), share.is_empty()));
            for index in 0..count + 3 {
                let place = indices.iter().position(|mine| *mine == index).map(|place| place as u64);
                prop_assert_eq!(share.position_of(index), place);
            }
            for place in 0..share.len() {
                prop_assert_eq!(share.index_at(place), indices.get(usize::try_from(place).unwrap()).copied());
            }
            prop_assert_eq!(share.index_at(share.len()), None);
        }
    }

    #[test]
    fn even_shares_differ_by_one_and_are_chunks_where_the_count_divides(
        count in 0..5_000_u64,
        replicas in replica_counts(),
    ) {
        let even = shares(Sharing::Even, count, &[], replicas);
        let lengths: Vec<u64> = even.iter().map(Share::len).collect();
        prop_assert!(lengths.iter().max().unwrap() - lengths.iter().min().unwrap() <= 1);
        let dividing = count - count % u64::from(replicas.get());
        prop_assert_eq!(
            shares(Sharing::Even, dividing, &[], replicas),
            shares(Sharing::Chunk, dividing, &[], replicas)
        );
    }

    /// No sharing has a largest share below the mean, the largest entry, or the smallest two of the entries that can't all
    /// have a replica of their own. Largest first exceeds the mean by the last entry it adds, at most: half such a pair.
    #[test]
    fn shares_by_size_are_near_the_best_there_is(sizes in sizes(), replicas in replica_counts()) {
        let replicas_count = u64::from(replicas.get());
        let mut sorted = sizes.clone();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        let pair = sorted.get(replicas.get() as usize).map_or(0, |entry| {
            entry + sorted[replicas.get() as usize - 1]
        });
        let mean = sizes.iter().sum::<u64>().div_ceil(replicas_count);
        let bound = mean.max(pair).max(sorted.first().copied().unwrap_or(0));
        let shares = shares(Sharing::Size, sizes.len() as u64, &sizes, replicas);
        let largest = loads(&shares, &sizes).into_iter().max().unwrap();
        prop_assert!(largest * 2 <= bound * 3, "{} against {}", largest, bound);
    }

    /// Graham, Bounds on Multiprocessing Timing Anomalies, 1969.
    #[test]
    fn shares_by_size_of_few_entries_are_within_4_3_of_the_very_best(
        sizes in prop::collection::vec(1..100_u64, 1..9),
        replicas in 1..4_u32,
    ) {
        let best = best_largest(&sizes, &mut vec![0; replicas as usize]);
        let shares = shares(Sharing::Size, sizes.len() as u64, &sizes, NonZeroU32::new(replicas).unwrap());
        let largest = loads(&shares, &sizes).into_iter().max().unwrap();
        prop_assert!(largest * 3 <= best * 4, "{} against {}", largest, best);
    }
}

/// The smallest largest load of all ways to share these sizes out, beside what is shared out already.
fn best_largest(sizes: &[u64], loads: &mut Vec<u64>) -> u64 {
    let Some((first, rest)) = sizes.split_first() else { return loads.iter().copied().max().unwrap_or(0) };
    (0..loads.len())
        .map(|replica| {
            loads[replica] += first;
            let best = best_largest(rest, loads);
            loads[replica] -= first;
            best
        })
        .min()
        .unwrap_or(0)
}
