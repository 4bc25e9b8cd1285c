//! The steps of one launch, from checking its share to its end.

use std::time::Instant;

use anyhow::{Context, bail};

use crate::exit_code::CannotWrite;
use crate::launch::{LaunchOutcome, Launcher, ShareStatus};
use crate::liveness::takeover::{TakeoverObserver, begin};
use crate::model::entries::Entries;
use crate::model::provenance::{NamedFile, Process};
use crate::model::shares::Share;
use crate::record::results;

impl Launcher<'_> {
    /// Begins the next launch of a share that is not done, as a look at it `before` showed, and carries it out.
    ///
    /// # Errors
    /// When it can't begin: another launch is running, or something can't be read or written.
    pub fn launch(
        &self,
        share: Share,
        before: ShareStatus,
        me: &Process,
        command_files: Vec<NamedFile>,
        observer: &dyn TakeoverObserver,
        begun: Instant,
    ) -> anyhow::Result<LaunchOutcome> {
        self.refuse_to_replace()?;
        // All that can be wrong is found before a launch begins.
        let entries = match self.sharing {
            // They are read as they are needed.
            Some(_) => self.list.read(share.iter(), |_, _| Ok(())).map(|()| Entries::default())?,
            None => self.list.entries(&share)?,
        };
        results::try_place(self.layout, self.id()).context(CannotWrite)?;
        let stop = self.stop.of_launch().context("can't make the pipes that tell of signals")?;
        let launcher = Launcher { stop: &stop, ..*self };
        let replica = self.config.identity.replica;
        let (journal, locked) =
            begin(self.layout, self.run_id(), replica, me, self.config.heartbeat, observer)?;
        let introduction = self.introduction(me, locked, command_files, &share);
        let prepared = match self.sharing {
            Some(sharing) => launcher.prepare_shared(journal, &introduction, share, before, sharing, me)?,
            None => launcher.prepare(journal, &introduction, share, entries, before)?,
        };
        Ok(launcher.carry_out(prepared, begun))
    }

    /// Refuses to write over results that are not of this run.
    pub(super) fn refuse_to_replace(&self) -> anyhow::Result<()> {
        let results = self.layout.results(self.id());
        let may_be_replaced = results::may_be_replaced(self.layout, self.id(), self.run_id())
            .with_context(|| format!("can't read {}", results.display()))?;
        if !may_be_replaced {
            bail!(
                "{} exists and does not belong to this run ({}): it would be overwritten. Move it away, use another --results-dir, or move everything aside with `canfar-run reset {}`",
                results.display(),
                self.run_id(),
                self.layout.root().display()
            );
        }
        Ok(())
    }
}
