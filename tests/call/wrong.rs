//! What people do wrong with `--call`, and what they are told: before any task, with no record.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use crate::support::{Dir, Ended, python};

const ANALYSIS: &str = "import functools
def analyze(path): return 1
def two(path, name): return 1
def three(path, name, size): return 1
def nothing(): return 1
def known(index, tmpdir): return 1
def defaults(path=None): return 1
async def later(path): return 1
def generator(path): yield 1
NUMBER = 42
class Survey:
    def run(self, path): return 1
partial = functools.partial(generator)
";

/// Files beside it that have something wrong with them.
const OTHERS: [(&str, &str); 11] = [
    ("package/__init__.py", "def helper(): pass"),
    ("syntax.py", "def analyze(path):\n  return = 1\n"),
    ("tabs.py", "def analyze(path):\n\treturn 1\n        return 2\n"),
    ("imports.py", "import missing_library\ndef analyze(path): pass\n"),
    ("helped.py", "import helper\ndef analyze(path): pass\n"),
    ("helper.py", "def data():\n    raise KeyError('CALDB')\ndata()\n"),
    ("broken.py", "import syntax\ndef analyze(path): pass\n"),
    ("exits.py", "import sys\ndef analyze(path): pass\nprint('as a program')\nsys.exit(analyze('x'))\n"),
    ("dies.py", "import os\ndef analyze(path): pass\nos._exit(4)\n"),
    ("crashes.py", "import ctypes\ndef analyze(path): pass\nctypes.string_at(0)\n"),
    ("dynamic.py", "globals().update(other=1)\n"),
];

const NOT_RUN: &str = "No failure was recorded, since every file would fail in the same way";

/// What is named, and the line that says what is wrong with it. A sentence is added where that is known only from the first task. DIR is the test's folder, PYTHON the Python.
const TARGETS: &[(&str, &str)] = &[
    (
        "analysis.py",
        "canfar-run: error: invalid value 'analysis.py' for '--call <FILE.py:FUNCTION>': it names no function: write analysis.py:FUNCTION, as in analysis.py:analyze",
    ),
    (
        "analysis",
        "canfar-run: error: invalid value 'analysis' for '--call <FILE.py:FUNCTION>': write a file, a colon and a function in it, as in analysis.py:analyze",
    ),
    (
        "analysis.py:analyze()",
        "canfar-run: error: invalid value 'analysis.py:analyze()' for '--call <FILE.py:FUNCTION>': write the name of the function alone: analysis.py:analyze",
    ),
    (
        "scripts/analysis:analyze",
        "canfar-run: error: invalid value 'scripts/analysis:analyze' for '--call <FILE.py:FUNCTION>': scripts/analysis is neither the name of a file, ending in .py, nor the dotted name of a module: write scripts/analysis.py:analyze, or PACKAGE.MODULE:analyze",
    ),
    (
        "nowhere.py:analyze",
        "canfar-run: error: --call nowhere.py:analyze: there is no DIR/nowhere.py. A relative path is looked up in the folder where the run was begun",
    ),
    (
        "folder.py:analyze",
        "canfar-run: error: --call folder.py:analyze: DIR/folder.py is a directory, not a Python file. For a module of a package write PACKAGE.MODULE:analyze",
    ),
    (
        "analysis.py:analyse",
        "canfar-run: error: --call analysis.py:analyse: analysis.py has no `analyse`; did you mean `analyze`?",
    ),
    (
        "helper.py:measure",
        "canfar-run: error: --call helper.py:measure: helper.py has no `measure`; it has `data`",
    ),
    (
        "package:analyze",
        "canfar-run: error: --call package:analyze: package has no `analyze`; it has `helper`",
    ),
    (
        "package.stars:analyze",
        "--call package.stars:analyze: there is no module package.stars in DIR (where the run was begun) or installed for PYTHON.",
    ),
    (
        "nosuch.stars:analyze",
        "canfar-run: error: --call nosuch.stars:analyze: there is no module nosuch in DIR (where the run was begun) or installed for PYTHON",
    ),
    (
        "dynamic.py:analyze",
        "--call dynamic.py:analyze: dynamic.py has no `analyze`, and defines no other function either.",
    ),
    ("analysis.py:Survey.ran", "--call analysis.py:Survey.ran: `Survey` has no `ran`; did you mean `run`?"),
    (
        "analysis.py:Survey.run",
        "--call analysis.py:Survey.run: Survey.run(self, path) needs `self` and `path`, but there is only one path: all but one parameter must have a default, or be called `index` or `tmpdir`. Is it a method? Only those that need no object can be called.",
    ),
    (
        "analysis.py:two",
        "canfar-run: error: --call analysis.py:two: two(path, name) needs `path` and `name`, but there is only one path: all but one parameter must have a default, or be called `index` or `tmpdir`",
    ),
    (
        "analysis.py:three",
        "canfar-run: error: --call analysis.py:three: three(path, name, size) needs `path`, `name` and `size`, but there is only one path: all but one parameter must have a default, or be called `index` or `tmpdir`",
    ),
    (
        "analysis.py:nothing",
        "canfar-run: error: --call analysis.py:nothing: nothing() has no parameter for the path: one must be without a default, and not be called `index` or `tmpdir`",
    ),
    (
        "analysis.py:known",
        "canfar-run: error: --call analysis.py:known: known(index, tmpdir) has no parameter for the path: one must be without a default, and not be called `index` or `tmpdir`",
    ),
    (
        "analysis.py:defaults",
        "canfar-run: error: --call analysis.py:defaults: defaults(path=None) has no parameter for the path: one must be without a default, and not be called `index` or `tmpdir`",
    ),
    (
        "analysis.py:later",
        "canfar-run: error: --call analysis.py:later: `later` is an async function: write a `def` that calls it with asyncio.run(...)",
    ),
    (
        "analysis.py:generator",
        "canfar-run: error: --call analysis.py:generator: `generator` yields instead of returning: write a function that returns one result",
    ),
    (
        "analysis.py:partial",
        "--call analysis.py:partial: `partial` yields instead of returning: write a function that returns one result.",
    ),
    ("analysis.py:NUMBER", "--call analysis.py:NUMBER: `NUMBER` is an int, not a function."),
    (
        "syntax.py:analyze",
        "canfar-run: error: --call syntax.py:analyze: DIR/syntax.py, line 2: SyntaxError: invalid syntax",
    ),
    (
        "tabs.py:analyze",
        "canfar-run: error: --call tabs.py:analyze: DIR/tabs.py, line 3: TabError: inconsistent use of tabs and spaces in indentation",
    ),
    ("broken.py:analyze", "--call broken.py:analyze: DIR/syntax.py, line 2: SyntaxError: invalid syntax."),
    (
        "imports.py:analyze",
        "canfar-run: error: --call imports.py:analyze: importing it fails with ModuleNotFoundError: No module named 'missing_library' (DIR/imports.py, line 1). Is it installed for PYTHON? --python names another Python",
    ),
    (
        "helped.py:analyze",
        "--call helped.py:analyze: importing it fails with KeyError: 'CALDB' (DIR/helped.py, line 1).",
    ),
    (
        "exits.py:analyze",
        "--call exits.py:analyze: importing it calls sys.exit() (DIR/exits.py, line 4): put code that should run only when it is started as a program under `if __name__ == \"__main__\":`.",
    ),
    (
        "dies.py:analyze",
        "--call dies.py:analyze: its Python ended (exit code 4) before it had imported dies.py.",
    ),
    (
        "crashes.py:analyze",
        "--call crashes.py:analyze: its Python ended (killed by SIGSEGV (11)) before it had imported crashes.py.",
    ),
];

/// Other options than `--call analysis.py:analyze --python PYTHON`, and what is wrong with them.
const OPTIONS: &[(&[&str], &str)] = &[
    (
        &["--python", "python9"],
        "canfar-run: error: --python python9: the command \"python9\" was not found in PATH (PATH). Is it installed in this image? Give its whole path otherwise",
    ),
    (
        &["--python", "python3 -u"],
        "canfar-run: error: --python python3 -u: give one program, without options",
    ),
    (
        &["--python", "python{slot}"],
        "canfar-run: error: --python takes one program; python{slot} has a placeholder in it",
    ),
    (
        &["--python", "./folder.py"],
        "canfar-run: error: --python ./folder.py: the command \"DIR/folder.py\" can't be executed: it is a directory",
    ),
    (
        &["--python", "./analysis.py"],
        "canfar-run: error: --python ./analysis.py: the command \"DIR/analysis.py\" can't be executed: it has no execute permission. Give it one (chmod +x), or put its interpreter before it, as in `python analyze.py`; a file system mounted noexec gives none",
    ),
    (
        &["--python", "true"],
        "--call analysis.py:analyze: its Python ended (exit code 0) before it had imported analysis.py.",
    ),
    (
        &["--python", "./python2.7"],
        "canfar-run: error: --call analysis.py:analyze: this Python is 2.7, and --call needs 3.8 or later: name one with --python",
    ),
    (
        &["--python", "./python3.7"],
        "canfar-run: error: --call analysis.py:analyze: this Python is 3.7, and --call needs 3.8 or later: name one with --python",
    ),
    (
        &["--", "python3", "analysis.py"],
        "canfar-run: error: --call analysis.py:analyze can't be combined with a command (python3 ...): give one of them",
    ),
    (
        &["--shell", "true"],
        "canfar-run: error: --call analysis.py:analyze can't be combined with --shell: give one of them",
    ),
    (
        &["--worker"],
        "canfar-run: error: --call analysis.py:analyze can't be combined with --worker: give one of them",
    ),
    (
        &["--result", "text"],
        "canfar-run: error: --result text can't be used with --call: the result is what the function returns, and what it prints goes to the log. Leave it out",
    ),
    (
        &["--chdir", "task"],
        "canfar-run: error: --chdir task can't be used with --call: its Python stays in the directory where it was started. A function with a parameter `tmpdir`, as in analyze(path, tmpdir), gets a temporary folder for its task",
    ),
];

#[test]
fn what_is_wrong_is_said_in_one_line_before_any_task() {
    let dir = Dir::with_inputs(3);
    dir.write("analysis.py", ANALYSIS);
    OTHERS.iter().for_each(|(name, source)| _ = dir.write(name, source));
    std::fs::create_dir(dir.path("folder.py")).unwrap();
    let python = python().display().to_string();
    for version in ["2.7", "3.7"] {
        // The version is all that is old about it.
        let tuple = version.replace('.', ", ");
        dir.write(
            format!("{version}/sitecustomize.py"),
            format!("import sys\nsys.version_info = ({tuple}, 0)\n"),
        );
        let script =
            format!("#!/bin/sh\nPYTHONPATH='{}' exec '{python}' \"$@\"\n", dir.path(version).display());
        let wrapper = dir.write(format!("python{version}"), script);
        std::fs::set_permissions(wrapper, Permissions::from_mode(0o755)).unwrap();
    }
    let start = |number: usize, target: &str, options: &[&str]| {
        let out = format!("out/{number}");
        let run = dir.canfar_run().args(["-i", "data", "-o", &out, "-j", "2", "--call", target]);
        let named = if options.contains(&"--python") { &[][..] } else { &["--python", &python] };
        run.args(named).args(options).start()
    };
    let of_targets = TARGETS.iter().map(|(target, line)| (*target, &[][..], *line));
    let of_options = OPTIONS.iter().map(|(options, line)| ("analysis.py:analyze", *options, *line));
    let cases: Vec<_> = of_targets.chain(of_options).collect();
    let path = std::env::var("PATH").unwrap();
    let mut wrong = Vec::new();
    for some in (0..cases.len()).collect::<Vec<_>>().chunks(8) {
        let running: Vec<_> =
            some.iter().map(|number| start(*number, cases[*number].0, cases[*number].1)).collect();
        for (number, running) in some.iter().zip(running) {
            let line = cases[*number].2.replace("(PATH)", &format!("({path})"));
            let line = line.replace("DIR", dir.root().to_str().unwrap()).replace("PYTHON", &python);
            wrong.extend(why_not(&dir, *number, &line, &running.wait()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is not as it is to be of a launch that was refused.
fn why_not(dir: &Dir, number: usize, line: &str, ended: &Ended) -> Option<String> {
    let line = if line.starts_with("canfar-run:") {
        line.to_owned()
    } else {
        format!("stopped early: {line} {NOT_RUN}")
    };
    let is_begun = dir.exists(format!("out/{number}"));
    let said = ended.stderr.lines().filter(|other| *other == line).count();
    let records = dir.lines(format!("out/{number}/container_1_results.json"));
    let is_right = said == 1
        && ended.code == Some(2)
        && is_begun == line.starts_with("stopped early")
        && records.iter().all(|record| !record.contains("canfar_run"));
    (!is_right).then(|| format!("wanted: {line}\nsaid ({:?}): {}", ended.code, ended.stderr))
}

#[test]
fn the_traceback_of_a_module_that_can_not_be_imported_is_shown_once_and_is_free_of_ours() {
    let dir = Dir::with_inputs(8);
    dir.write("analysis.py", "import helper\ndef analyze(path): pass\n");
    let broken = "print('in', 'helper')\nimport json\njson.loads('{')\n";
    dir.write("helper.py", broken);
    let line = ["-j", "4", "-q", "--call", "analysis.py:analyze"];
    let launch = |options: &[&str]| dir.launch().args(line).args(options).run();
    let ended = launch(&[]).exits(2);
    let begin = format!(
        "in helper\nTraceback (most recent call last):\n  File \"{root}/analysis.py\", line 1, in <module>\n    import helper\n  File \"{root}/helper.py\", line 3, in <module>\n",
        root = dir.root().display()
    );
    let is_shown = |text: &str| {
        assert!(text.contains(&begin), "{text}");
        assert_eq!(text.matches("Traceback").count(), 1, "{text}");
        assert!(!text.contains("<canfar-run>") && !text.contains("importlib"), "{text}");
    };
    is_shown(&ended.stderr);
    is_shown(&dir.text("out/logs/1.1.err"));
    assert!(dir.events_of(1, 1, "end").is_empty());
    // Once it is mended, the same line goes on.
    dir.write("helper.py", "");
    launch(&[]).exits(0);
}

/// Modules of which a look at their text might say that they can't work.
const UNUSUAL: [&str; 14] = [
    "from os.path import *\nanalyze = getsize\n",
    "import os\nanalyze = os.path.getsize\n",
    "from os.path import getsize as analyze\n",
    "try:\n    import missing_library\nexcept ImportError:\n    pass\ndef analyze(path): return 1\n",
    "import sys\nsys.path.append('elsewhere')\nimport beside\ndef analyze(path): return beside.one\n",
    "import setup_paths\nimport beside\ndef analyze(path): return beside.one\n",
    "def give(function): return lambda path: function(path, 1)\n@give\ndef analyze(path, one): return one\n",
    "def make():\n    global analyze\n    analyze = len\nmake()\n",
    "globals()['analyze'] = len\n",
    "def __getattr__(name): return len\n",
    "if True:\n    def analyze(path): return 1\n",
    "def analyze(a, b, c): return 1\ndef analyze(path): return 1\n",
    "def analyze(path):\n    rest = lambda: (yield)\n    return 1\n",
    "import atexit, os\natexit.register(os._exit, 7)\ndef analyze(path: 'Missing', /, *, index): return index\n",
];

#[test]
fn nothing_that_works_is_refused_for_the_look_of_it() {
    let dir = Dir::with_inputs(1);
    dir.write("setup_paths.py", "import sys\nsys.path.append('elsewhere')\n");
    dir.write("elsewhere/beside.py", "one = 1\n");
    for (number, source) in UNUSUAL.iter().enumerate() {
        let module = format!("unusual_{number}");
        dir.write(format!("{module}.py"), source);
        let out = format!("out/{number}");
        let run = dir.canfar_run().args(["-i", "data", "-q", "-o", &out, "--result", "json"]);
        // What a file is told, a module is.
        let target =
            if number % 2 == 0 { format!("{module}.py:analyze") } else { format!("{module}:analyze") };
        run.args(["--call", &target]).run().exits(0);
    }
}

/// What `.pth` files and `sitecustomize` print, or storage that makes Python slow to end, says nothing about a function.
#[test]
fn a_refusal_is_found_whatever_else_is_printed() {
    let dir = Dir::with_inputs(1);
    dir.write("analysis.py", "def analyze(path): return 1\n");
    dir.write("site/sitecustomize.py", "print('welcome', end='')\nprint('{')\n");
    let launch = |target: &str| {
        let run = dir.launch().env("PYTHONPATH", dir.path("site")).args(["-q", "--call", target]);
        run.run()
    };
    launch("analysis.py:analyse").exits(2).says("did you mean `analyze`?");
    assert!(!dir.exists("out"));
    launch("analysis.py:analyze").exits(0);
}

#[test]
fn a_module_that_prints_works_and_a_call_without_python_is_told_of() {
    let dir = Dir::with_inputs(2);
    let source =
        "import os\nprint('{\"ok\": 1}')\nos.write(1, b'more\\n')\ndef analyze(path): return dict(n=1)\n";
    dir.write("analysis.py", source);
    dir.launch().args(["-j", "1", "--logs", "all", "--call", "analysis:analyze"]).run().exits(0);
    assert_eq!(super::values(&dir, "n"), [1, 1]);
    assert!(super::log(&dir, "0").ends_with("{\"ok\": 1}\nmore\n"));
    let said = "--python is for --call, which is not given";
    dir.launch().args(["--python", "python3", "--", "true"]).run().exits(2).says(said);
}
