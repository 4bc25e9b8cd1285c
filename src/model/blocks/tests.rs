//! Every entry is in exactly one block, for every replica, and blocks are as large as the contract says.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::{BlockId, Blocks, Weight};
use crate::model::replica::Replica;
use crate::model::shares::{Share, Strategy as Sharing, share};

fn blocks(strategy: Sharing, count: u64, sizes: &[u64], replicas: u32) -> Blocks {
    Blocks::new(strategy, count, sizes, NonZeroU32::new(replicas).unwrap())
}

/// How many entries the blocks of a share have, by round.
fn lengths(blocks: &Blocks, share: u32) -> Vec<u64> {
    blocks.of_share(share).map(|block| blocks.indices(block).unwrap().len()).collect()
}

/// A strategy, a list and how many replicas; sizes are unknown in some lists.
fn cases() -> impl Strategy<Value = (Sharing, u64, Vec<u64>, u32)> {
    let size = prop_oneof![4 => 0..10_u64, 4 => 0..1_000_000_u64, 1 => Just(1 << 40), 1 => Just(u64::MAX)];
    let sizes = prop_oneof![
        prop::collection::vec(size, 0..300),
        (0..300_usize).prop_map(|count| vec![0; count]),
        (0..300_usize, 0..300_usize).prop_map(|(count, giant)| {
            (0..count).map(|index| if index == giant { 1 << 50 } else { 1 }).collect()
        }),
    ];
    let strategies = prop::sample::select(Sharing::ALL.to_vec());
    (strategies, sizes, 1..70_u32, any::<bool>()).prop_map(|(strategy, sizes, replicas, is_known)| {
        let count = sizes.len() as u64;
        let is_known = is_known || strategy.needs_sizes();
        (strategy, count, if is_known { sizes } else { Vec::new() }, replicas)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_index_is_in_one_block_of_the_share_that_it_is_in((strategy, count, sizes, replicas) in cases()) {
        let blocks = blocks(strategy, count, &sizes, replicas);
        let mut seen = vec![None; sizes.len().max(usize::try_from(count).unwrap())];
        for block in blocks.all() {
            let indices = blocks.indices(block).unwrap();
            prop_assert!(!indices.is_empty());
            prop_assert!(indices.iter().is_sorted());
            for index in indices.iter() {
                let before = seen[usize::try_from(index).unwrap()].replace(block);
                prop_assert_eq!(before, None);
                prop_assert_eq!(blocks.block_of(index), Some(block));
            }
        }
        prop_assert!(seen.iter().all(Option::is_some));
        prop_assert_eq!(blocks.block_of(count), None);
        prop_assert_eq!(blocks.all().count(), blocks.count());
    }

    #[test]
    fn shares_are_those_of_the_strategy_in_at_most_40_blocks((strategy, count, sizes, replicas) in cases()) {
        let blocks = blocks(strategy, count, &sizes, replicas);
        for id in 1..=replicas {
            let expected = share(strategy, count, &sizes, Replica::new(id, replicas).unwrap());
            prop_assert_eq!(blocks.share(id), expected.clone());
            let of_share: Vec<BlockId> = blocks.of_share(id).collect();
            prop_assert!(of_share.len() <= 40);
            let rounds = 0..u32::try_from(of_share.len()).unwrap();
            prop_assert!(of_share.iter().map(|block| block.round).eq(rounds));
            let mut all: Vec<u64> =
                of_share.iter().flat_map(|block| blocks.indices(*block).unwrap().iter().collect::<Vec<_>>()).collect();
            all.sort_unstable();
            prop_assert!(expected.iter().eq(all));
        }
        prop_assert!(blocks.share(replicas + 1).is_empty());
        prop_assert_eq!(blocks.of_share(replicas + 1).count(), 0);
        prop_assert_eq!(blocks.of_share(0).count(), 0);
    }

    #[test]
    fn rounds_and_shares_list_the_same_blocks((strategy, count, sizes, replicas) in cases()) {
        let blocks = blocks(strategy, count, &sizes, replicas);
        let mut by_share: Vec<BlockId> = (1..=replicas).flat_map(|share| blocks.of_share(share)).collect();
        by_share.sort_unstable();
        prop_assert!(blocks.all().eq(by_share));
        prop_assert_eq!(blocks.in_round(blocks.depth()).count(), 0);
        prop_assert_eq!(blocks.indices(BlockId { round: blocks.depth(), share: 1 }), None);
    }

    #[test]
    fn a_block_is_about_a_quarter_of_the_rest((strategy, count, sizes, replicas) in cases()) {
        let blocks = blocks(strategy, count, &sizes, replicas);
        let weight = Weight::of(&sizes);
        let weigh = |share: &Share| share.iter().map(|index| if sizes.is_empty() { 1 } else { weight.at(&sizes, index) }).sum::<u128>();
        for id in 1..=replicas {
            let whole = weigh(&blocks.share(id));
            let mut rest = whole;
            for block in blocks.of_share(id) {
                let indices = blocks.indices(block).unwrap();
                let here = weigh(&indices);
                prop_assert!(here * 64 >= whole || here == rest);
                let largest = indices.iter().map(|index| weigh(&Share::Listed(vec![index]))).max().unwrap();
                prop_assert!(here <= (rest / 4 + 1).max(whole / 64 + 1 + largest));
                rest -= here;
            }
            prop_assert_eq!(rest, 0);
        }
    }
}

#[test]
fn shares_are_cut_as_the_contract_says() {
    let even = blocks(Sharing::Even, 20, &[], 2);
    assert_eq!(lengths(&even, 1), [3, 2, 2, 1, 1, 1]);
    assert_eq!(even.indices(BlockId { round: 1, share: 2 }), Some(Share::Range(13..15)));
    let stripe = blocks(Sharing::Stripe, 20, &[], 2);
    let second: Vec<u64> = stripe.indices(BlockId { round: 1, share: 2 }).unwrap().iter().collect();
    assert_eq!(second, [7, 9]);
    // Largest first, as long as the block stays within a quarter of the rest.
    let sized = blocks(Sharing::Size, 10, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 1);
    let first = |round| sized.indices(BlockId { round, share: 1 }).unwrap().iter().collect::<Vec<_>>();
    assert_eq!((first(0), first(1), first(2)), (vec![9], vec![8], vec![7]));
    // A listed order is kept, where it is not the sizes that say it.
    let listed = blocks(Sharing::Even, 8, &[1, 1, 1, 1, 8, 1, 1, 1], 1);
    assert_eq!(lengths(&listed, 1), [3, 1, 1, 1, 1, 1]);
}

#[test]
fn fewer_files_than_replicas_are_blocks_of_their_own() {
    for strategy in Sharing::ALL {
        let few = blocks(strategy, 3, &[7, 0, 9], 100);
        assert_eq!((few.count(), few.depth(), few.in_round(0).count()), (3, 1, 3), "{strategy}");
        let none = blocks(strategy, 0, &[], 100);
        assert_eq!((none.count(), none.depth()), (0, 0), "{strategy}");
    }
}
