//! Which launch has which block of a run: from the names of the claims, their contents, and the ends of the launches' journals.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use crate::host::storage::StorageTrouble;
use crate::journal::event::BlockProgress;
use crate::model::blocks::{BlockId, Blocks, ClaimName};
use crate::model::launch_id::LaunchId;
use crate::model::provenance::Process;
use crate::sharing::claims::{ClaimEntry, ClaimsFolder};
use crate::sharing::peers::{PeerLook, PeerState, PeerWatch};
use crate::store::file_id::FileId;
use crate::store::layout::Layout;

/// The state of a block, according to its highest claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockStanding {
    /// It is not claimed.
    Free,
    /// The launch that claimed it has not finished it, whether alive or not.
    Held {
        /// The highest claim.
        claim: ClaimName,
        /// Who made it.
        by: LaunchId,
        /// How far that is; `None` where it has only announced the claim so far.
        progress: Option<BlockProgress>,
    },
    /// The launch that claimed it has ended it.
    Ended {
        /// The highest claim.
        claim: ClaimName,
        /// Who made it.
        by: LaunchId,
    },
    /// It is claimed, but the end of the claimant's journal does not account for all its claims: the whole journal must be read
    /// to know.
    Unclear {
        /// The highest claim.
        claim: ClaimName,
        /// Who made it.
        by: LaunchId,
    },
    /// It is claimed, but it is unknown by which launch.
    Broken {
        /// The highest claim.
        claim: ClaimName,
    },
}

/// Which launch has which block. It only reads; the information is as of its last refresh.
#[derive(Debug)]
pub struct BlockLedger<'a> {
    blocks: &'a Blocks,
    claims: ClaimsFolder,
    peers: PeerWatch,
    /// Every claim that was seen, by block: the last one is the highest.
    seen: BTreeMap<BlockId, BTreeMap<u32, SeenClaim>>,
    /// The launch that made the claims linked to a file.
    makers: BTreeMap<FileId, LaunchId>,
    /// The state from the ends of the claimants' journals at the last refresh.
    accounts: BTreeMap<LaunchId, ClaimantAccount>,
    /// When the last listing of all rounds began.
    listed: Option<Instant>,
}

/// A claim that was seen.
#[derive(Debug, Clone, Copy)]
struct SeenClaim {
    /// `None` where its name was not listed yet.
    file: Option<FileId>,
    /// `None` as long as it is unknown.
    by: Option<LaunchId>,
}

impl<'a> BlockLedger<'a> {
    /// Of `run` in a results directory, as seen by the process `me`. Nothing is read yet.
    pub fn new(layout: &Layout, run: &str, blocks: &'a Blocks, me: Process) -> Self {
        let (claims, peers) = (ClaimsFolder::new(layout, run), PeerWatch::new(layout, run, me));
        let (seen, makers, accounts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { blocks, claims, peers, seen, makers, accounts, listed: None }
    }

    /// Whether the claimants are alive, as far as known.
    pub fn into_peers(self) -> PeerWatch {
        self.peers
    }

    /// The claimants, as the ledger watches them.
    pub fn peers(&mut self) -> &mut PeerWatch {
        &mut self.peers
    }

    /// Learns which blocks of a round are claimed, by one listing; none where it is full, as far as is known.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn refresh_round(&mut self, round: u32) -> io::Result<()> {
        if self.is_full(round) { Ok(()) } else { self.list(round) }
    }

    /// Reads every claim and which launch made it. Nothing is read twice; every round is listed.
    ///
    /// # Errors
    /// When a folder can't be read, or storage is gone. A claim that can't be read for another reason is as a broken one.
    pub fn refresh_claims(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        (0..self.blocks.depth()).try_for_each(|round| self.list(round))?;
        let Self { seen, makers, claims, .. } = self;
        for (block, generations) in seen {
            for (generation, claim) in generations.iter_mut().filter(|(_, claim)| claim.by.is_none()) {
                let name = ClaimName { block: *block, generation: *generation };
                claim.by = maker(claims, name, claim.file, makers)?;
            }
        }
        self.listed = Some(begun);
        Ok(())
    }

    /// The same, unless what is known is younger than `age`.
    ///
    /// # Errors
    /// As for [`Self::refresh_claims`].
    pub fn refresh_claims_older_than(&mut self, age: Duration) -> io::Result<()> {
        if self.listed.is_some_and(|listed| listed.elapsed() < age) { Ok(()) } else { self.refresh_claims() }
    }

    /// Reads all of that and the progress of the claimants, from the journal of each.
    ///
    /// # Errors
    /// As for [`Self::refresh_claims`]. If a claimant's journal can't be read, its last known state is kept.
    pub fn refresh(&mut self) -> io::Result<()> {
        self.refresh_claims()?;
        // Journals come second: the launch that made a listed claim has announced it before.
        for launch in self.claimants() {
            let is_over = self.peers.known(launch).is_some_and(|known| known.state == PeerState::Stopped);
            if !is_over {
                self.peers.look(launch);
            }
        }
        self.take_account();
        Ok(())
    }

    /// Compares how many claims each claimant says it made with those that exist.
    fn take_account(&mut self) {
        self.accounts.clear();
        for (block, generations) in &self.seen {
            for (generation, by) in generations.iter().filter_map(|(at, claim)| Some((*at, claim.by?))) {
                let account =
                    self.accounts.entry(by).or_insert_with(|| ClaimantAccount::of(self.peers.known(by)));
                account.take(ClaimName { block: *block, generation });
            }
        }
    }

    fn list(&mut self, round: u32) -> io::Result<()> {
        let shares: BTreeSet<u32> = self.blocks.in_round(round).map(|block| block.share).collect();
        for ClaimEntry { claim, file } in self.claims.list(round)? {
            if shares.contains(&claim.block.share) {
                self.see(claim).file = Some(file);
            }
        }
        Ok(())
    }

    fn see(&mut self, claim: ClaimName) -> &mut SeenClaim {
        let generations = self.seen.entry(claim.block).or_default();
        generations.entry(claim.generation).or_insert(SeenClaim { file: None, by: None })
    }

    /// Notes that a claim's name exists.
    pub fn note(&mut self, claim: ClaimName) {
        self.see(claim);
    }

    /// The highest claim to a block; `None` if it is not claimed.
    #[cfg(test)]
    fn highest(&self, block: BlockId) -> Option<ClaimName> {
        self.standing_claim(block).map(|(claim, _)| claim)
    }

    fn standing_claim(&self, block: BlockId) -> Option<(ClaimName, Option<LaunchId>)> {
        let (generation, claim) = self.seen.get(&block)?.last_key_value()?;
        Some((ClaimName { block, generation: *generation }, claim.by))
    }

    /// Whether a block is unclaimed.
    pub fn is_free(&self, block: BlockId) -> bool {
        !self.seen.contains_key(&block)
    }

    /// The unclaimed blocks of a round.
    pub fn free_in(&self, round: u32) -> Vec<BlockId> {
        self.blocks.in_round(round).filter(|block| self.is_free(*block)).collect()
    }

    /// Whether every block of a round is claimed.
    pub fn is_full(&self, round: u32) -> bool {
        self.blocks.in_round(round).all(|block| !self.is_free(block))
    }

    /// Whether there is an unclaimed block.
    pub fn has_free(&self) -> bool {
        self.blocks.all().any(|block| self.is_free(block))
    }

    /// Whether every block was ended, by what the last refresh found.
    pub fn is_all_ended(&self) -> bool {
        self.standings().all(|(_, standing)| matches!(standing, BlockStanding::Ended { .. }))
    }

    /// The launches that made a claim, standing or not.
    pub fn claimants(&self) -> BTreeSet<LaunchId> {
        self.seen.values().flat_map(BTreeMap::values).filter_map(|claim| claim.by).collect()
    }

    /// Every known claim, by block and generation, with the launch that made it; `None` as long as it is unknown.
    pub fn claims(&self) -> impl Iterator<Item = (ClaimName, Option<LaunchId>)> {
        let of_block = |(block, generations): (&'_ BlockId, &'_ BTreeMap<u32, SeenClaim>)| {
            let name = |generation: u32| ClaimName { block: *block, generation };
            generations.iter().map(|(generation, claim)| (name(*generation), claim.by)).collect::<Vec<_>>()
        };
        self.seen.iter().flat_map(of_block)
    }

    /// The launches that claimed a block, oldest claim first, each once. Unreadable claims are skipped.
    pub fn chain(&self, block: BlockId) -> Vec<LaunchId> {
        let mut chain: Vec<LaunchId> = Vec::new();
        for by in self.seen.get(&block).into_iter().flat_map(BTreeMap::values).filter_map(|claim| claim.by) {
            chain.retain(|before| *before != by);
            chain.push(by);
        }
        chain
    }

    /// The standing claims of each launch.
    pub fn by_launch(&self) -> BTreeMap<LaunchId, Vec<ClaimName>> {
        let mut launches: BTreeMap<LaunchId, Vec<ClaimName>> = BTreeMap::new();
        for (claim, by) in self.seen.keys().filter_map(|block| self.standing_claim(*block)) {
            if let Some(by) = by {
                launches.entry(by).or_default().push(claim);
            }
        }
        launches
    }

    /// The state of a block at the last refresh.
    pub fn standing(&self, block: BlockId) -> BlockStanding {
        let Some((claim, by)) = self.standing_claim(block) else { return BlockStanding::Free };
        let Some(by) = by else { return BlockStanding::Broken { claim } };
        match self.accounts.get(&by) {
            None => BlockStanding::Unclear { claim, by },
            Some(account) => match account.unended.get(&claim) {
                Some(progress) => BlockStanding::Held { claim, by, progress: *progress },
                None if account.is_whole() => BlockStanding::Ended { claim, by },
                None => BlockStanding::Unclear { claim, by },
            },
        }
    }

    /// The state of every block, round by round.
    pub fn standings(&self) -> impl Iterator<Item = (BlockId, BlockStanding)> {
        self.blocks.all().map(|block| (block, self.standing(block)))
    }
}

/// The state from the end of a claimant's journal.
#[derive(Debug, Default)]
struct ClaimantAccount {
    /// The claims to its unfinished blocks; without progress, those that it has only announced.
    unended: BTreeMap<ClaimName, Option<BlockProgress>>,
    /// How many it says that it made.
    told: Option<u64>,
    /// How many of its claims are there, but for those that it has only announced and not counted yet.
    found: u64,
}

impl ClaimantAccount {
    fn of(known: Option<PeerLook>) -> Self {
        let Some(look) = known else { return Self::default() };
        let unended = look.blocks.iter().map(|block| (block.claim, block.is_held().then_some(*block)));
        Self { unended: unended.collect(), told: look.claims, found: 0 }
    }

    fn take(&mut self, claim: ClaimName) {
        let is_counted = self.unended.get(&claim).is_none_or(Option::is_some);
        self.found += u64::from(is_counted);
    }

    fn is_whole(&self) -> bool {
        self.told == Some(self.found)
    }
}

/// The launch that made a claim: of several claims that are the same file, only one is read, if it is the file from the listing. Nothing is
/// remembered for a broken one, which may be complete next time.
fn maker(
    claims: &ClaimsFolder,
    name: ClaimName,
    file: Option<FileId>,
    makers: &mut BTreeMap<FileId, LaunchId>,
) -> io::Result<Option<LaunchId>> {
    let known = file.and_then(|file| makers.get(&file).copied());
    if known.is_some() {
        return Ok(known);
    }
    let (by, opened) = match claims.read_file(name) {
        Ok((read, opened)) => (read.by(), opened),
        Err(error) if StorageTrouble::of(&error) == StorageTrouble::Gone => return Err(error),
        Err(_) => return Ok(None),
    };
    makers.extend(file.filter(|file| opened == Some(*file)).zip(by));
    Ok(by)
}
