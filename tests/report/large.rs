//! A run of 512 replicas and 100,000 tasks, as its files would be after some hours, made in a moment.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes and times that are made up, far within their types"
)]

use std::fmt::Write;
use std::path::Path;

use canfar_run::testing::{
    Entries, Entry, InputList, InputSpec, Layout, Origin, OsText, Process, Settings, Share, Strategy,
    TaskCommand, prepare_list,
};

/// How many replicas.
pub(super) const REPLICAS: u32 = 512;

/// How many tasks.
pub(super) const TASKS: u64 = 100_000;

/// Tasks at a time.
const SLOTS: usize = 4;

/// When the first replica begins, milliseconds since 1970.
const BEGUN: i64 = 1_795_395_600_000;

/// Makes the run in a results directory. Every 40th task fails.
pub(super) fn write(root: &Path) {
    let layout = Layout::new(root);
    std::fs::create_dir_all(layout.journals()).unwrap();
    let list = publish(&layout);
    let run = list.header().run.clone();
    for (replica, share) in (1..).zip(list.shares().unwrap()) {
        let text = Writer::new(&run, replica).write(&share);
        std::fs::write(layout.journal(replica, 1), text).unwrap();
    }
}

fn path(index: u64) -> String {
    format!("/arc/projects/survey/raw/night_{:03}/obs_{index:06}.fits", index / 500)
}

/// From 1 MB to 1 GB.
fn size(index: u64) -> u64 {
    let random = fastrand::Rng::with_seed(index).f64();
    (1e6 * 1000_f64.powf(random)).round() as u64
}

fn publish(layout: &Layout) -> InputList {
    let origin = Origin {
        parent: None,
        source: InputSpec::Patterns {
            patterns: vec![OsText::from("/arc/projects/survey/raw/**/*.fits")],
            cwd: None,
            exclude: Vec::new(),
            entry_type: canfar_run::testing::EntryType::File,
        },
        strategy: Strategy::Even,
        replica_count: REPLICAS,
        balance: false,
        command: TaskCommand::Argv(["python3", "/opt/analysis/analyze.py", "{}"].map(OsText::from).to_vec()),
        command_files: Vec::new(),
        products: Vec::new(),
        settings: Settings::default(),
    };
    let mut entries = Entries::default();
    for index in 0..TASKS {
        entries.push(Entry { size: Some(size(index)), ..Entry::of(&path(index)) }).unwrap();
    }
    prepare_list(layout, origin, &entries, &[], &Process::current(None)).unwrap().publish().unwrap();
    InputList::open(layout).unwrap().unwrap()
}

/// One journal.
struct Writer<'a> {
    run: &'a str,
    replica: u32,
    /// Lines with their times, milliseconds since 1970.
    lines: Vec<(i64, String)>,
    random: fastrand::Rng,
}

impl<'a> Writer<'a> {
    fn new(run: &'a str, replica: u32) -> Self {
        Self { run, replica, lines: Vec::new(), random: fastrand::Rng::with_seed(replica.into()) }
    }

    fn write(mut self, share: &Share) -> String {
        let begun = BEGUN + self.random.i64(0..900_000);
        // Some hosts are slower than others.
        let slowness = if self.replica.is_multiple_of(97) { 2.5 } else { 0.8 + self.random.f64() * 0.5 };
        let host = format!("node-{:03}", self.replica % 64);
        self.lines.push((begun, format!(
            r#""event":"run","replica_id":{},"replica_count":{REPLICAS},"host":"{host}","boot_id":"","pid":17,"session":"s{:05}","version":"0.1.0","locked":true,"options":{{"jobs":{SLOTS}}},"limits":{{"cpus":4.0,"memory_bytes":17179869184}},"jobs":{SLOTS},"command_files":[],"share":{}"#,
            self.replica, self.replica, share.len()
        )));
        let mut free = [begun + 400; SLOTS];
        for index in share.iter() {
            let (slot, at) = (0..).zip(free).min_by_key(|(_, at)| *at).unwrap();
            free[slot] = self.task(index, slot + 1, at, slowness);
        }
        let over = free.into_iter().max().unwrap();
        self.lines.push((over + 50, r#""event":"stop","reason":"done","signal":null,"exit":0"#.to_owned()));
        self.lines.sort_by_key(|(at, _)| *at);
        self.text()
    }

    /// Three lines; gives the time when the slot is free again.
    fn task(&mut self, index: u64, slot: usize, at: i64, slowness: f64) -> i64 {
        let noise = 0.7 + self.random.f64() * 0.6;
        let seconds = (2.0 + (size(index) as f64 / 1e6).powf(0.7)) * slowness * noise;
        let (status, cause, exit) =
            if index.is_multiple_of(40) { ("failed", r#""exit""#, 1) } else { ("ok", "null", 0) };
        let usage = format!(
            r#""duration_s":{seconds:.6},"cpu_s":{:.6},"max_rss_bytes":{}"#,
            seconds * 0.85,
            150_000_000 + size(index) * 3
        );
        let over = at + (seconds * 1000.0).round() as i64;
        let start = format!(r#""event":"start","index":{index},"attempt":1,"slot":{slot},"alone":false"#);
        let ended = format!(
            r#""event":"attempt","index":{index},"attempt":1,"status":"{status}","cause":{cause},"exit_code":{exit},"signal":null,{usage},"log":null"#
        );
        let record = self.record(
            index,
            at,
            &format!(r#""status":"{status}","cause":{cause},"exit_code":{exit},"signal":null"#),
            &usage,
        );
        let end = format!(r#""event":"end","index":{index},"status":"{status}","cause":{cause}"#);
        self.lines.push((at, start));
        self.lines.push((over, ended));
        self.lines.push((over, format!("{end}\n{record}")));
        over + 30
    }

    fn record(&self, index: u64, at: i64, ended: &str, usage: &str) -> String {
        let failed = if ended.contains("failed") {
            let reason = ["KeyError: 'CRVAL1'", "OSError: No SIMPLE card found"]
                [usize::from(index.is_multiple_of(200))];
            format!(
                r#","message":"exit code 1","stderr_tail":"Traceback (most recent call last):\n  ...\n{reason}\n""#
            )
        } else {
            String::new()
        };
        format!(
            r#"{{"file":"obs_{index:06}.fits","stars_detected":{},"canfar_run":{{"run":"{}","index":{index},"path":"{}",{ended},"attempts":1,"started_at":"{}",{usage},"replica_id":{},"replica_count":{REPLICAS},"launch":1{failed},"log":null}}}}"#,
            index % 5000,
            self.run,
            path(index),
            time(at),
            self.replica
        )
    }

    /// The journal's lines; a record is told from the rest of its line by a line end here, and gets its checksum.
    fn text(&self) -> String {
        let mut text = String::new();
        for (seq, (at, line)) in (1..).zip(&self.lines) {
            let begin = text.len();
            let (head, record) = line.split_once('\n').unwrap_or((line, ""));
            write!(text, r#"{{"v":1,"run":"{}","launch":1,"seq":{seq},"t":"{}",{head}"#, self.run, time(*at))
                .unwrap();
            if !record.is_empty() {
                let digest = blake3::Hasher::new()
                    .update(&text.as_bytes()[begin..])
                    .update(record.as_bytes())
                    .finalize();
                write!(text, r#","check":"{}","record":{record}"#, &digest.to_hex()[..16]).unwrap();
            }
            text.push_str("}\n");
        }
        text
    }
}

fn time(ms: i64) -> String {
    canfar_run::testing::format(jiff::Timestamp::from_millisecond(ms).unwrap())
}
