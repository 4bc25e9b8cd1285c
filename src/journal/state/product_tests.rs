//! What journals tell of products, and of tasks that are run again for what became of theirs.

use super::JournalState;
use super::tests::{RUN, end, journal_of};
use crate::journal::event::{Event, TaskEnded, TasksDueAgain};
use crate::journal::writer::JournalWriter;
use crate::model::blocks::BlockId;
use crate::model::counts::TaskState;
use crate::model::index_ranges::IndexRanges;
use crate::model::launch_id::LaunchId;
use crate::model::outcome::Status;
use crate::model::product::{MadeProducts, ProductStamp, ProductTotals};
use crate::model::shares::Share;
use crate::store::layout::Layout;

const FIRST: LaunchId = LaunchId { replica: 1, launch: 1 };
const SECOND: LaunchId = LaunchId { replica: 1, launch: 2 };

fn made(index: u64) -> MadeProducts {
    MadeProducts { stamp: ProductStamp(index), count: 2, bytes: 100 * index }
}

fn end_with_products(journal: &mut JournalWriter, index: u64) {
    let (status, products) = (Some(Status::Ok), Some(made(index)));
    journal.add_end(
        TaskEnded { index, status, cause: None, replaces: false, was_ok: false, no_result: false, products },
        b"1",
    );
}

/// Four tasks are done; the product of one is gone, then one was changed, and one of the two ran again, in vain.
fn write(layout: &Layout) {
    let mut first = journal_of(layout, FIRST);
    (10..14).for_each(|index| end_with_products(&mut first, index));
    first.commit().unwrap();
    let mut second = journal_of(layout, SECOND);
    // An edited line may name any.
    let [gone, changed] = [vec![10, 14, 29, u64::MAX - 1], vec![12]].map(IndexRanges::of);
    second.add(&Event::DueAgain(Box::new(TasksDueAgain { gone, changed })));
    end(&mut second, 10, Status::Failed, "2");
    second.commit().unwrap();
}

fn assert_right(state: &JournalState, files: u64) {
    let standing = |index| state.tasks.get(index).state;
    let expected = [TaskState::Failed, TaskState::Ok, TaskState::Unfinished, TaskState::Ok];
    assert_eq!([10, 11, 12, 13].map(standing), expected);
    let counts = state.counts();
    assert_eq!((counts.files, counts.ok, counts.failed), (files, 2, 1));
    assert_eq!(counts.products, ProductTotals { count: 4, bytes: 2400 });
    assert_eq!(state.tasks.with_products(), [(11, made(11)), (13, made(13))]);
}

#[test]
fn a_record_counts_no_more_once_its_products_are_gone_also_where_the_next_attempt_fails() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    write(&layout);
    let state = JournalState::read(&layout, &RUN, 1, Share::Range(10..20), false).unwrap();
    assert_right(&state, 10);
    assert_eq!(state.launches.iter().map(|launch| launch.gone).collect::<Vec<_>>(), [0, 4]);
    // The same is to be said of records in journals of others.
    let by: Vec<LaunchId> = state.due_again.iter().map(|(by, _)| *by).collect();
    assert_eq!(by, [SECOND]);
    // Whoever reads only what is of blocks is told the same.
    let block = |share| BlockId { round: 0, share };
    let blocks = [(block(1), Share::Listed(vec![10, 13])), (block(2), Share::Range(11..13))];
    let mut state =
        JournalState::of_blocks(&layout, &RUN, &blocks, &[FIRST, SECOND], &|_| false, &|| true).unwrap();
    assert_right(&state, 4);
    // What is known of products goes with their block.
    let released = state.tasks.release(block(1)).unwrap();
    assert_eq!(state.counts().products, ProductTotals { count: 2, bytes: 1100 });
    state.tasks.hold(block(1), released);
    assert_right(&state, 4);
}
