use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::journal::event::{BlockProgress, ClaimAnnounced, Event, LaunchProgress, StopReason, Stopped};
use crate::journal::writer::JournalWriter;
use crate::model::blocks::{BlockId, Blocks, ClaimName};
use crate::model::launch_id::LaunchId;
use crate::model::provenance::Process;
use crate::model::shares::Strategy;
use crate::sharing::claims::{Claimant, Claimed, ClaimsFolder};
use crate::store::layout::Layout;

use super::{BlockLedger, BlockStanding, maker};

/// A results directory of a run with so many replicas.
struct Run {
    _root: tempfile::TempDir,
    layout: Layout,
    blocks: Blocks,
}

/// A launch that claims and tells of it.
struct Launch {
    by: LaunchId,
    claimant: Claimant,
    journal: JournalWriter,
    claims: u64,
}

impl Run {
    fn new(replicas: u32, files: u64) -> Self {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        std::fs::create_dir(layout.journals()).unwrap();
        let replicas = NonZeroU32::new(replicas).unwrap();
        Self { _root: root, layout, blocks: Blocks::new(Strategy::Even, files, &[], replicas) }
    }

    fn launch(&self, replica: u32, launch: u32) -> Launch {
        let by = LaunchId { replica, launch };
        let folder = ClaimsFolder::new(&self.layout, "run");
        let claimant = Claimant::new(folder, by, &Process::current(None)).unwrap();
        let journal = JournalWriter::create(&self.layout.journal(replica, launch), "run", launch).unwrap();
        Launch { by, claimant, journal, claims: 0 }
    }

    fn ledger(&self) -> BlockLedger<'_> {
        BlockLedger::new(&self.layout, "run", &self.blocks, Process::current(None))
    }

    fn refreshed(&self) -> BlockLedger<'_> {
        let mut ledger = self.ledger();
        ledger.refresh().unwrap();
        ledger
    }
}

impl Launch {
    fn say(&mut self, event: &Event) {
        self.journal.add(event);
        self.journal.commit().unwrap();
    }

    fn announce(&mut self, claim: ClaimName) {
        self.say(&Event::Claim(ClaimAnnounced { claim }));
    }

    fn claim(&mut self, claim: ClaimName) {
        self.announce(claim);
        assert_eq!(self.claimant.try_claim(claim).unwrap(), Claimed::Ours);
        self.claims += 1;
    }

    fn alive(&mut self, blocks: &[BlockProgress]) {
        let (blocks, claims) = (blocks.to_vec(), self.claims);
        self.say(&Event::Alive(LaunchProgress { blocks, claims, ..LaunchProgress::default() }));
    }

    fn stop(&mut self, blocks: &[BlockProgress]) {
        self.alive(blocks);
        let (reason, blocks) = (StopReason::Done, blocks.to_vec());
        self.say(&Event::Stop(Box::new(Stopped {
            reason,
            signal: None,
            exit: 0,
            why: None,
            figures: None,
            blocks,
        })));
    }
}

fn block(round: u32, share: u32) -> BlockId {
    BlockId { round, share }
}

fn first(round: u32, share: u32) -> ClaimName {
    ClaimName::first(block(round, share))
}

fn half_done(claim: ClaimName, files: u64) -> BlockProgress {
    BlockProgress { claim, files, ok: files / 2, failed: 0, left: files - files / 2 }
}

#[test]
fn a_block_goes_from_free_over_held_to_ended() {
    let run = Run::new(2, 32);
    let claim = first(0, 1);
    let mut ledger = run.ledger();
    let standing = |ledger: &mut BlockLedger<'_>| {
        ledger.refresh().unwrap();
        // As for whoever sees all that for the first time.
        assert_eq!(run.refreshed().standing(claim.block), ledger.standing(claim.block));
        ledger.standing(claim.block)
    };
    assert_eq!(standing(&mut ledger), BlockStanding::Free);
    let mut launch = run.launch(1, 1);
    let by = launch.by;
    launch.claim(claim);
    assert_eq!(standing(&mut ledger), BlockStanding::Held { claim, by, progress: None });
    let progress = half_done(claim, 4);
    launch.alive(&[progress]);
    assert_eq!(standing(&mut ledger), BlockStanding::Held { claim, by, progress: Some(progress) });
    launch.alive(&[]);
    assert_eq!(standing(&mut ledger), BlockStanding::Ended { claim, by });
    // The next one, announced and not yet told of.
    launch.claim(first(0, 2));
    assert_eq!(standing(&mut ledger), BlockStanding::Ended { claim, by });
    launch.stop(&[half_done(first(0, 2), 4)]);
    assert_eq!(standing(&mut ledger), BlockStanding::Ended { claim, by });
    let held = BlockStanding::Held { claim: first(0, 2), by, progress: Some(half_done(first(0, 2), 4)) };
    assert_eq!(ledger.standing(block(0, 2)), held);
}

#[test]
fn what_a_journal_does_not_account_for_is_not_called_ended() {
    let run = Run::new(2, 32);
    let (claim, mut launch) = (first(0, 1), run.launch(1, 1));
    let by = launch.by;
    // A claim whose announcement is not in the journal, as far as that is seen here.
    assert_eq!(launch.claimant.try_claim(claim).unwrap(), Claimed::Ours);
    assert_eq!(run.refreshed().standing(claim.block), BlockStanding::Unclear { claim, by });
    launch.alive(&[]);
    assert_eq!(run.refreshed().standing(claim.block), BlockStanding::Unclear { claim, by });
    launch.claims = 1;
    launch.alive(&[]);
    assert_eq!(run.refreshed().standing(claim.block), BlockStanding::Ended { claim, by });
    // One that it does not know to have made.
    assert_eq!(launch.claimant.try_claim(first(1, 1)).unwrap(), Claimed::Ours);
    launch.stop(&[]);
    assert_eq!(run.refreshed().standing(claim.block), BlockStanding::Unclear { claim, by });
    // A journal that is gone.
    std::fs::remove_file(run.layout.journal(1, 1)).unwrap();
    assert_eq!(run.refreshed().standing(claim.block), BlockStanding::Unclear { claim, by });
}

#[test]
fn the_highest_claim_stands_and_those_below_are_accounted_for_too() {
    let run = Run::new(2, 32);
    let (mut dead, mut heir) = (run.launch(1, 1), run.launch(2, 1));
    dead.claim(first(0, 1));
    dead.claim(first(1, 1));
    dead.alive(&[half_done(first(0, 1), 4)]);
    let mut ledger = run.refreshed();
    heir.claim(first(0, 1).next());
    heir.stop(&[]);
    ledger.refresh().unwrap();
    for ledger in [ledger, run.refreshed()] {
        let claim = first(0, 1).next();
        assert_eq!(ledger.standing(block(0, 1)), BlockStanding::Ended { claim, by: heir.by });
        assert_eq!(ledger.standing(block(1, 1)), BlockStanding::Ended { claim: first(1, 1), by: dead.by });
        assert_eq!(ledger.highest(block(0, 1)), Some(claim));
        let by_launch = BTreeMap::from([(dead.by, vec![first(1, 1)]), (heir.by, vec![claim])]);
        assert_eq!(ledger.by_launch(), by_launch);
        assert_eq!(ledger.claimants().into_iter().collect::<Vec<_>>(), [dead.by, heir.by]);
    }
}

#[test]
fn a_claim_that_nobody_can_read_is_broken_until_it_is_whole() {
    let run = Run::new(2, 32);
    let mut launch = run.launch(1, 1);
    launch.claim(first(0, 2));
    launch.alive(&[]);
    let path = ClaimsFolder::new(&run.layout, "run").path_of(first(0, 1));
    std::fs::write(&path, "{\"run\":").unwrap();
    let mut ledger = run.refreshed();
    assert_eq!(ledger.standing(block(0, 1)), BlockStanding::Broken { claim: first(0, 1) });
    std::fs::copy(path.with_file_name("2.0"), path).unwrap();
    ledger.refresh().unwrap();
    assert_eq!(ledger.standing(block(0, 1)), BlockStanding::Unclear { claim: first(0, 1), by: launch.by });
    // Names of blocks that there are not say nothing.
    for odd in ["3.0", "4294967295.0"] {
        std::fs::write(ClaimsFolder::new(&run.layout, "run").path().join("0").join(odd), "").unwrap();
    }
    ledger.refresh().unwrap();
    assert_eq!(ledger.standings().count(), run.blocks.count());
}

#[test]
fn what_is_free_is_known_by_names_alone_and_a_full_round_is_not_listed_again() {
    let run = Run::new(3, 48);
    let mut ledger = run.ledger();
    ledger.refresh_round(0).unwrap();
    assert_eq!(ledger.free_in(0), [block(0, 1), block(0, 2), block(0, 3)]);
    let mut launch = run.launch(2, 1);
    launch.claim(first(0, 2));
    ledger.refresh_round(0).unwrap();
    assert_eq!(ledger.free_in(0), [block(0, 1), block(0, 3)]);
    assert!(ledger.is_free(block(0, 1)) && !ledger.is_free(block(0, 2)) && !ledger.is_full(0));
    ledger.note(first(0, 1));
    launch.claim(first(0, 1));
    launch.claim(first(0, 3));
    ledger.refresh_round(0).unwrap();
    assert!(ledger.is_full(0) && ledger.has_free() && ledger.free_in(0).is_empty());
    launch.claim(first(0, 1).next());
    ledger.refresh_round(0).unwrap();
    assert_eq!(ledger.highest(block(0, 1)), Some(first(0, 1)));
    ledger.refresh_claims().unwrap();
    assert_eq!(ledger.highest(block(0, 1)), Some(first(0, 1).next()));
    run.blocks.all().for_each(|block| ledger.note(ClaimName::first(block)));
    assert!(!ledger.has_free());
    // Rounds that there are not are full.
    assert!(ledger.is_full(999) && ledger.free_in(999).is_empty());
}

#[test]
fn claims_that_are_links_of_one_file_are_read_once() {
    let run = Run::new(1, 64);
    let mut launch = run.launch(1, 1);
    run.blocks.all().for_each(|block| launch.claim(ClaimName::first(block)));
    launch.alive(&[]);
    let ledger = run.refreshed();
    assert_eq!(ledger.makers.len(), 1);
    assert!(ledger.standings().all(|(_, standing)| matches!(standing, BlockStanding::Ended { .. })));
}

#[test]
fn a_large_run_takes_few_readings() {
    let run = Run::new(64, 64 * 200);
    for replica in 1..=64 {
        let mut launch = run.launch(replica, 1);
        let own: Vec<_> = run.blocks.of_share(replica).map(ClaimName::first).collect();
        own.iter().for_each(|claim| launch.claim(*claim));
        launch.alive(&[half_done(own[own.len() - 1], 1)]);
    }
    let ledger = run.refreshed();
    assert_eq!(ledger.makers.len(), 64);
    let held = ledger.standings().filter(|(_, standing)| matches!(standing, BlockStanding::Held { .. }));
    assert_eq!(held.count(), 64);
    assert!(!ledger.has_free());
}

#[test]
fn a_number_that_a_listing_made_up_for_a_file_is_not_believed() {
    let run = Run::new(2, 32);
    let claims = ClaimsFolder::new(&run.layout, "run");
    for replica in [1, 2] {
        run.launch(replica, 1).claim(first(0, replica));
    }
    let listed = claims.list(0).unwrap();
    let file = listed.iter().find(|entry| entry.claim == first(0, 2)).map(|entry| entry.file);
    let mut makers = BTreeMap::new();
    for (replica, remembered) in [(1, 0), (2, 1)] {
        let by = maker(&claims, first(0, replica), file, &mut makers).unwrap().unwrap();
        assert_eq!((by.replica, makers.len()), (replica, remembered));
    }
}
