//! What a block has to run comes in pieces, in order, each task once.

use super::{BlockFeed, TASKS_AT_A_TIME};
use crate::model::blocks::{BlockId, ClaimName};
use crate::model::entries::{Entries, Entry};
use crate::model::provenance::Process;
use crate::model::shares::{Share, Strategy};
use crate::record::inputs::{InputList, InputSpec, Origin, Settings, TaskCommand, prepare};
use crate::run::queue::TasksByStage;
use crate::store::layout::Layout;
use crate::text::OsText;

const BLOCK: BlockId = BlockId { round: 1, share: 2 };

fn list(folder: &std::path::Path, strategy: Strategy, count: u64) -> InputList {
    let layout = Layout::new(folder);
    let mut entries = Entries::default();
    for index in 0..count {
        entries.push(Entry { size: Some(index % 7), ..Entry::of(&format!("/{index}")) }).unwrap();
    }
    let origin = Origin {
        parent: None,
        source: InputSpec::List { file: OsText("-".into()), null: false },
        strategy,
        replica_count: 3,
        balance: true,
        command: TaskCommand::Argv(vec![OsText("true".into())]),
        command_files: Vec::new(),
        products: Vec::new(),
        settings: Settings::default(),
    };
    prepare(&layout, origin, &entries, &[], &Process::current(None)).unwrap().publish().unwrap();
    InputList::open(&layout).unwrap().unwrap()
}

/// By stage, the list indices of all tasks in the order in which they come, and how many pieces there were.
fn fed(list: &InputList, indices: &Share, tasks: TasksByStage) -> ([Vec<u64>; 3], usize) {
    let mut feed = BlockFeed::new(list, ClaimName::first(BLOCK), indices.clone(), tasks, Some(2)).unwrap();
    let (mut all, mut pieces) = ([Vec::new(), Vec::new(), Vec::new()], 0);
    while let Some((piece, tasks)) = feed.next(list).unwrap() {
        pieces += 1;
        assert_eq!((piece.block, piece.at_most), (Some(BLOCK), Some(2)));
        assert!(tasks.ordinary.len() <= TASKS_AT_A_TIME);
        let TasksByStage { ordinary, suspects, alone } = tasks;
        for (indices, positions) in all.iter_mut().zip([ordinary, suspects, alone]) {
            for position in positions {
                let index = piece.indices.index_at(u64::from(position)).unwrap();
                let entry = piece.entries.get(position as usize).unwrap();
                assert_eq!(entry.path.to_str(), Some(format!("/{index}").as_str()));
                indices.push(index);
            }
        }
    }
    (all, pieces)
}

#[test]
fn a_long_block_comes_in_pieces_in_list_order_and_its_later_stages_with_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let count = TASKS_AT_A_TIME as u64 * 2 + 500;
    let list = list(folder.path(), Strategy::Even, count + 40);
    let indices = Share::Range(40..count + 40);
    let last = u32::try_from(count - 1).unwrap();
    let tasks =
        TasksByStage { ordinary: (0..last - 1).collect(), suspects: vec![last], alone: vec![last - 1] };
    let ([ordinary, suspects, alone], pieces) = fed(&list, &indices, tasks);
    assert!(ordinary.iter().copied().eq(40..count + 38));
    assert_eq!((suspects, alone, pieces), (vec![count + 39], vec![count + 38], 3));
}

#[test]
fn by_size_the_largest_come_first_and_equal_ones_in_list_order() {
    let folder = tempfile::tempdir().unwrap();
    let list = list(folder.path(), Strategy::Size, 30);
    let indices = Share::Listed(vec![3, 6, 7, 13, 20, 21]);
    let tasks = TasksByStage { ordinary: (0..6).collect(), ..TasksByStage::default() };
    let ([ordinary, ..], pieces) = fed(&list, &indices, tasks);
    assert_eq!((ordinary, pieces), (vec![6, 13, 20, 3, 7, 21], 1));
}

#[test]
fn a_block_with_nothing_to_run_has_no_piece() {
    let folder = tempfile::tempdir().unwrap();
    let list = list(folder.path(), Strategy::Even, 5);
    assert_eq!(fed(&list, &Share::Range(0..5), TasksByStage::default()).1, 0);
}
