//! Where everything is: the program that is measured, its peers, the data, and how much of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

const PROGRAMS: [&str; 8] = ["answer", "copy", "floor", "found", "nap", "spawn_loop", "stamp", "true"];

/// How much work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Size {
    /// As the goals say, at least five rounds.
    #[default]
    Full,
    /// A tenth, once: to see that it works.
    Tenth,
}

/// What all rows need.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    size: Size,
    /// The static release binary.
    binary: PathBuf,
    /// Of its content: what another one wrote is not for it to read.
    digest: String,
    /// Where lists, journals and results lie that are this binary's.
    own: PathBuf,
    /// Python with astropy, sep and canfar.
    python: PathBuf,
    /// Kept from one time to the next: what takes long to make.
    data: PathBuf,
}

impl Bench {
    pub(crate) fn new(size: Size) -> Result<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository("target"), PathBuf::from);
        let from_environment =
            |name: &str, default: PathBuf| std::env::var_os(name).map_or(default, PathBuf::from);
        let release = format!("{}-unknown-linux-musl/release/canfar-run", std::env::consts::ARCH);
        let binary = from_environment("CANFAR_RUN_BENCH_BINARY", target.join(release));
        let python = from_environment("CANFAR_RUN_TEST_PYTHON", target.join("test-python/bin/python"));
        let data = from_environment("CANFAR_RUN_BENCH_DIR", target.join("bench-data"));
        std::fs::create_dir_all(data.join("scratch"))
            .with_context(|| format!("creating {}", data.display()))?;
        ensure!(binary.is_file(), "{} is not there: benches/run builds it", binary.display());
        let bench = Self { size, digest: digest(&binary)?, binary, python, own: data.clone(), data };
        PROGRAMS.iter().try_for_each(|name| bench.compile(name))?;
        Ok(bench)
    }

    /// The same work for this binary and another one, whose lists, journals and results lie apart.
    pub(crate) fn against(&self, before: &Path) -> Result<[Self; 2]> {
        let other = self.data("against");
        let of = |name: &str, binary: &Path, own: &Path| -> Result<Self> {
            std::fs::create_dir_all(&other)?;
            // How much of a program is resident depends on how its file was written.
            let copy = other.join(name);
            std::fs::copy(binary, &copy).with_context(|| format!("copying {}", binary.display()))?;
            Ok(Self { digest: digest(&copy)?, binary: copy, own: own.to_owned(), ..self.clone() })
        };
        Ok([of("after", &self.binary, &self.own)?, of("before", before, &other)?])
    }

    fn compile(&self, name: &str) -> Result<()> {
        let program = self.program(name);
        std::fs::create_dir_all(self.data("programs"))?;
        let source = repository(&format!("benches/programs/{name}.c"));
        let mut cc = Command::new("cc");
        cc.args(["-O2", "-Wall", "-static", "-o"]).arg(&program).arg(&source);
        let made = cc.output().context("cc can't be started: install a C compiler")?;
        ensure!(made.status.success(), "{}: {}", source.display(), String::from_utf8_lossy(&made.stderr));
        Ok(())
    }

    /// So much work, or a tenth of it.
    pub(crate) fn size(&self, full: u64) -> u64 {
        match self.size {
            Size::Full => full,
            Size::Tenth => (full / 10).max(1),
        }
    }

    /// How often each contestant runs, after once to warm up.
    pub(crate) fn rounds(&self) -> usize {
        match self.size {
            Size::Full => 5,
            Size::Tenth => 1,
        }
    }

    /// A launch of a replica, with two tasks at a time.
    pub(crate) fn replica(&self, id: u64, count: u64) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(["--jobs", "2", "--replica-id", &id.to_string(), "--replica-count", &count.to_string()]);
        command
    }

    /// A subcommand of it.
    pub(crate) fn subcommand(&self, name: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg(name);
        command
    }

    /// Whether a launch has this option: an older binary may not.
    pub(crate) fn knows(&self, option: &str) -> Result<bool> {
        let help = Command::new(&self.binary).arg("--help").output().context("canfar-run --help")?;
        Ok(String::from_utf8_lossy(&help.stdout).contains(option))
    }

    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// A script of `benches/programs`.
    pub(crate) fn python(&self, script: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(repository(&format!("benches/programs/{script}.py")));
        command
    }

    /// A compiled program of `benches/programs`.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.data("programs").join(name)
    }

    /// What is kept from one time to the next.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    /// What is kept for this binary alone.
    pub(crate) fn own(&self, name: &str) -> PathBuf {
        self.own.join(name)
    }

    /// A path where nothing is: what an earlier round left there is removed.
    pub(crate) fn fresh(&self, name: &str) -> Result<PathBuf> {
        let path = self.data.join("scratch").join(name);
        let removed =
            if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", path.display()))
            }
            _ => Ok(path),
        }
    }
}

fn digest(binary: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    // In small pieces: this process has to stay small.
    std::fs::File::open(binary)
        .and_then(|file| hasher.update_reader(file).map(|hasher| hasher.finalize().to_string()))
        .with_context(|| format!("reading {}", binary.display()))
}

/// A path of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The name of a peer as it is installed here.
pub(crate) fn installed(names: &[&'static str]) -> Result<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        names.iter().find(|name| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()));
    let Some(name) = found else { bail!("{} is not installed: benches/run does that", names.join(" or ")) };
    Ok(name)
}
