//! Exceptions, and other ways not to return.

use super::{by_index, failed, launch, log, processes, values};
use crate::support::Dir;

#[test]
fn an_exception_is_the_reason_and_its_traceback_is_in_the_log_once() {
    let source = "
import os, sys
class BadFile(Exception): pass
class Mute(Exception):
    def __str__(self): raise ValueError('no')
def opened(path): raise BadFile('no header in ' + os.path.basename(path))
def chained(path):
    try: opened(path)
    except BadFile as error: raise KeyError('FLUX') from error
def endless(path): return endless(path)
def many(path):
    raise ValueError('first line\\nsecond line')
CALLS = [opened, chained, endless, many, lambda path: sys.exit(0), lambda path: sys.exit('no stars'),
    lambda path: exec('raise KeyboardInterrupt'), lambda path: exec('raise Mute', globals()), lambda path: exec('assert False'),
    lambda path: exec('x = ', {}), lambda path: 1 / 0]
def analyze(path, index):
    print('looking at', index)
    sys.stdout.write('no line end')
    return CALLS[index](path)
";
    let dir = Dir::with_inputs(11);
    launch(&dir, &["-j", "1", "--max-failures", "none"], source)
        .run()
        .exits(1)
        .says("exit: BadFile: no header in FILE (such as ")
        .says("000.fits: analyze raised an exception (");
    let said = [
        "BadFile: no header in 000.fits",
        "KeyError: 'FLUX'",
        "RecursionError: maximum recursion depth exceeded",
        "ValueError: first line second line",
        "SystemExit: analyze called sys.exit(0) instead of returning",
        "SystemExit: analyze called sys.exit('no stars') instead of returning",
        "KeyboardInterrupt",
        "Mute: (its message can't be shown: Mute.__str__ failed)",
        "AssertionError",
        "SyntaxError: invalid syntax (<string>, line 1)",
        "ZeroDivisionError: division by zero",
    ];
    for ((index, cause, _, last), said) in failed(&dir, 1).iter().zip(said) {
        assert_eq!(cause, "exit");
        assert!(last.starts_with(said), "{index}: {last} is not {said}");
    }
    assert_eq!(failed(&dir, 1).len(), said.len());
    let first = log(&dir, "0");
    let root = dir.root().display();
    let lines: Vec<&str> = first.lines().skip(2).collect();
    assert_eq!(
        lines[..4],
        [
            "looking at 0".to_owned(),
            "no line endTraceback (most recent call last):".to_owned(),
            format!("  File \"{root}/analysis.py\", line 19, in analyze"),
            "    return CALLS[index](path)".to_owned()
        ],
        "{first}"
    );
    assert_eq!(first.matches("BadFile: no header").count(), 1, "{first}");
    for task in 0..said.len() {
        let kept = log(&dir, &task.to_string());
        assert!(!kept.contains("canfar-run>") && !kept.contains("importlib"), "{kept}");
    }
    let chained = log(&dir, "1");
    assert!(
        chained.contains("BadFile: no header in 001.fits\n\nThe above exception was the direct cause"),
        "{chained}"
    );
    assert!(log(&dir, "3").contains("ValueError: first line\nsecond line\n"));
}

#[test]
fn an_exception_is_the_reason_however_small_results_are_to_be() {
    let dir = Dir::with_inputs(3);
    let source = by_index(&["raise ValueError('no header')", "return 1", "return 'x' * 30"]);
    launch(&dir, &["-j", "1", "--max-result", "20", "--max-failures", "none"], &source).run().exits(1);
    let [(_, _, _, raised), (_, _, too_large, _)] = failed(&dir, 1).try_into().unwrap();
    assert_eq!(raised, "ValueError: no header");
    assert!(
        too_large.starts_with("what analyze returned is larger than --max-result (32 bytes"),
        "{too_large}"
    );
}

#[test]
fn a_process_that_ends_costs_its_task_and_says_how() {
    let dir = Dir::with_inputs(10);
    let source = by_index(&[
        "pass",
        "print('last words'); os._exit(3)",
        "os._exit(0)",
        "import ctypes; ctypes.string_at(0)",
        "os.kill(pid, 9)",
        "print('hanging'); time.sleep(1000)",
        "signal.signal(15, signal.SIG_IGN)\nwhile True: print('x' * 65536)",
        "os.abort()",
        "os.closerange(3, 1000)",
        "pass",
    ]);
    launch(&dir, &["-j", "1", "--timeout", "1s", "--grace", "200ms", "--logs", "all"], &source)
        .run()
        .exits(1);
    assert_eq!(values(&dir, "n"), [0, 9]);
    assert_eq!(processes(&dir), 2);
    let said = [
        ("exit", "exit code 3: analyze ended its process instead of returning"),
        ("result", "exit code 0: analyze ended its process instead of returning"),
        ("signal", "killed by SIGSEGV"),
        ("signal", "killed by SIGKILL"),
        ("timeout", "stopped after 1s (--timeout)"),
        ("timeout", "stopped after 1s (--timeout)"),
        ("signal", "killed by SIGABRT"),
        ("exit", "exit code 1: analyze ended its process instead of returning"),
    ];
    for ((index, cause, message, last), (expected, said)) in failed(&dir, 1).iter().zip(said) {
        assert_eq!(cause, expected, "{index}: {message}");
        assert!(message.contains(said) && last == message, "{index}: {message} / {last}");
    }
    assert!(log(&dir, "1").contains("last words\n"));
    let hanging = log(&dir, "5");
    assert!(hanging.contains("hanging\n") && hanging.contains("analysis.py\", line"), "{hanging}");
    // Where it was is in the log, without what is ours.
    assert!(hanging.contains("line 15 in analyze\nstopped after 1s"), "{hanging}");
    for task in ["3", "5", "7"] {
        let kept = log(&dir, task);
        assert!(!kept.contains("<canfar-run>") && !kept.contains("<string>"), "{kept}");
    }
    for task in ["3", "7"] {
        let kept = log(&dir, task);
        assert!(kept.contains("Fatal Python error") && kept.contains("in analyze"), "{kept}");
    }
    // Of what is printed without end, both ends are kept.
    assert!(std::fs::metadata(dir.path("out/logs/1.1.log")).unwrap().len() < 80_000_000);
}
