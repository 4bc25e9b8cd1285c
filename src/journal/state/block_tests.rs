//! What journals of several replicas tell of blocks.

use super::tests::{RUN, end, journal_of, start};
use super::{JournalState, Problem};
use crate::journal::event::{AttemptEnded, ClaimAnnounced, Event, StopReason, Stopped};
use crate::journal::record_reader::Records;
use crate::model::blocks::BlockId;
use crate::model::counts::{TaskCounts, TaskState};
use crate::model::launch_id::LaunchId;
use crate::model::outcome::Status;
use crate::model::quarantine::{SeenUsage, Suspect};
use crate::model::shares::Share;
use crate::store::layout::Layout;

const OTHER: LaunchId = LaunchId { replica: 2, launch: 3 };
const FIRST: LaunchId = LaunchId { replica: 1, launch: 1 };

const NEAR: BlockId = BlockId { round: 0, share: 2 };
const FAR: BlockId = BlockId { round: 1, share: 1 };

fn blocks() -> Vec<(BlockId, Share)> {
    vec![(NEAR, Share::Range(10..13)), (FAR, Share::Listed(vec![5, 20, 25]))]
}

fn read(layout: &Layout, launches: &[LaunchId], may_live: &dyn Fn(LaunchId) -> bool) -> JournalState {
    JournalState::of_blocks(layout, &RUN, &blocks(), launches, may_live, &|| true).unwrap()
}

/// A replica that died, and one that took over from it and died, too.
fn write_two(layout: &Layout) {
    let mut other = journal_of(layout, OTHER);
    end(&mut other, 10, Status::Ok, "1");
    end(&mut other, 11, Status::Failed, "2");
    end(&mut other, 15, Status::Ok, "3");
    end(&mut other, 20, Status::Failed, "4");
    start(&mut other, 12, false);
    start(&mut other, 16, false);
    other.commit().unwrap();
    let mut first = journal_of(layout, FIRST);
    end(&mut first, 10, Status::Failed, "5");
    end(&mut first, 11, Status::Failed, "6");
    end(&mut first, 25, Status::Ok, "7");
    start(&mut first, 12, false);
    first.commit().unwrap();
}

#[test]
fn blocks_are_what_their_owners_came_to_one_after_the_other_and_nothing_else_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    write_two(&layout);
    // Launches of several replicas are as old as their place says, not as their numbers do.
    for (launches, of_11) in [([OTHER, FIRST], "6"), ([FIRST, OTHER], "2")] {
        let state = read(&layout, &launches, &|_| false);
        let all: Vec<u64> = state.tasks.all().map(|(index, _)| index).collect();
        assert_eq!(all, [5, 10, 11, 12, 20, 25]);
        let counts = TaskCounts { files: 6, ok: 2, failed: 2, ..TaskCounts::default() };
        assert_eq!(state.counts(), counts);
        let mut records = Records::new(layout.clone());
        for (index, record) in [(10, "1"), (11, of_11), (20, "4"), (25, "7")] {
            let read = records.read(state.tasks.get(index)).unwrap();
            assert_eq!(read, Some(record.as_bytes()), "{index}");
        }
        assert_eq!(state.tasks.get(15).state, TaskState::Unfinished);
        assert_eq!(state.tasks.suspects, [(12, Suspect { deaths: 2, ..Suspect::default() })].into());
        assert_eq!(state.tasks.get(12).attempts, 2);
        let deaths = state.launches.iter().map(|launch| (launch.replica, launch.died_with));
        assert!(deaths.eq(launches.map(|id| (id.replica, Some(if id == OTHER { 2 } else { 1 })))));
    }
    let state = read(&layout, &[OTHER, FIRST], &|id| id == FIRST);
    assert_eq!(state.tasks.suspects[&12].deaths, 1);
    assert_eq!(state.launches[1].died_with, None);
    let state = read(&layout, &[OTHER, FIRST, OTHER], &|_| false);
    assert_eq!((state.tasks.suspects[&12].deaths, state.launches.len()), (2, 2));
}

#[test]
fn a_block_leaves_with_all_that_is_known_of_its_tasks() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    write_two(&layout);
    let mut before = read(&layout, &[OTHER, FIRST], &|_| false);
    let mut now = JournalState::of_blocks(&layout, &RUN, &[], &[], &|_| false, &|| true).unwrap();
    now.tasks.hold(NEAR, before.tasks.release(NEAR).unwrap());
    assert!(before.tasks.release(NEAR).is_none() && before.tasks.suspects.is_empty());
    assert_eq!((before.counts().files, before.counts().ok, before.counts().failed), (3, 1, 1));
    assert_eq!((now.counts().files, now.counts().ok, now.counts().failed), (3, 1, 1));
    assert_eq!(now.tasks.suspects[&12].deaths, 2);
    assert_eq!((now.tasks.begin_attempt(12), now.tasks.begin_attempt(20)), (3, 1));
    assert_eq!(now.tasks.block_of(12), Some(NEAR));
    assert_eq!(now.tasks.block_of(20), None);
}

#[test]
fn what_died_alone_in_anybodys_container_is_lost_and_a_journal_that_is_gone_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    let mut other = journal_of(&layout, OTHER);
    start(&mut other, 20, true);
    other.commit().unwrap();
    let state = read(&layout, &[FIRST, OTHER], &|_| false);
    assert_eq!(state.tasks.get(20).state, TaskState::Lost);
    assert_eq!((state.counts().lost, state.tasks.suspects.len()), (1, 0));
    assert_eq!(state.problems, [Problem::Gone(layout.journal(1, 1))]);
    assert_eq!(state.launches.len(), 1);
    assert_eq!(read(&layout, &[OTHER], &|_| true).counts().lost, 0);
}

#[test]
fn a_launch_without_tasks_knows_what_its_replica_claimed_used_and_died_of() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    let claims = ["0/1.0", "1/4.2"].map(|name| name.parse().unwrap());
    let mut first = journal_of(&layout, FIRST);
    first.add(&Event::Claim(ClaimAnnounced { claim: claims[0] }));
    start(&mut first, 10, false);
    first.add(&Event::Attempt(AttemptEnded {
        index: 10,
        attempt: 1,
        status: Some(Status::Ok),
        max_rss_bytes: Some(7),
        ..AttemptEnded::default()
    }));
    start(&mut first, 11, false);
    first.commit().unwrap();
    let mut second = journal_of(&layout, LaunchId { launch: 2, ..FIRST });
    second.add(&Event::Claim(ClaimAnnounced { claim: claims[1] }));
    second.add(&Event::Stop(Box::new(Stopped {
        reason: StopReason::Deadline,
        signal: None,
        exit: 3,
        why: None,
        figures: None,
        blocks: Vec::new(),
    })));
    second.commit().unwrap();
    let state = JournalState::of_replica_without_tasks(&layout, &RUN, 1, false, &|| true).unwrap();
    let told: Vec<_> = state.launches.iter().map(|one| (one.died_with, &*one.claims_announced)).collect();
    assert_eq!(told, [(Some(1), &claims[..1]), (None, &claims[1..])]);
    assert_eq!(state.seen, SeenUsage { attempts: 1, largest: 7 });
    assert_eq!(state.counts(), TaskCounts::default());
    assert!(state.tasks.suspects.is_empty() && state.tasks.all().next().is_none());
}
