//! What a function does to the process that calls it: the next call finds everything as the first one did.

use super::{by_index, failed, launch, log, processes, values};
use crate::support::{Component, DEADLINE, Dir, Process, require, wait_until};

#[test]
fn nothing_that_a_function_does_breaks_the_answers_or_the_next_task() {
    let steps = [
        // What is printed in any way is log.
        "os.write(1, b'{\"ok\": 1}\\n'); os.write(2, b'{\"ok\": 2}\\n'); print('{\"ok\": 3}')",
        "import ctypes; ctypes.CDLL(None).puts(b'from C')",
        "assert sys.stdin.read() == '' and os.read(0, 10) == b''",
        "os.close(1); os.close(0); os.close(2)",
        "print('seen again'); os.dup2(os.open('/dev/null', os.O_WRONLY), 1); os.dup2(1, 2)",
        "print('still seen'); sys.stdout = sys.stderr = sys.stdin = None",
        "print('and still'); sys.stdout.close(); sys.stderr.close()",
        "print('even now', file=sys.stderr)",
        "os.chdir('/'); signal.signal(15, signal.SIG_IGN); sys.excepthook = None",
        "assert os.path.exists('data') and signal.getsignal(15) == signal.SIG_DFL and sys.excepthook",
        // An alarm that goes off when its function has returned.
        "signal.signal(14, lambda *_: 1 / 0); signal.setitimer(signal.ITIMER_REAL, 0.02)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, {10, 15}); signal.alarm(1)",
        "assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) and signal.alarm(0) == 0; time.sleep(0.03)",
        // Children that come back out of the function.
        "if os.fork() == 0: return 'from the child'\nos.wait()",
        "if os.fork() == 0: raise ValueError('in the child')\nos.wait()",
        "threading.Thread(target=time.sleep, args=(1000,)).start()",
        "sys.stdout.buffer.write(b'\\xff\\n'); print('\\udcff')",
        "import logging; logging.warning('logged')",
        "sys.argv.append(1); sys.settrace(None)",
        "import functools, json; json.dumps = functools.partial(json.dumps, indent=1); json.loads = None",
        "import subprocess; subprocess.run(['sh', '-c', 'cat; echo from a shell; echo and there >&2'], check=True)",
    ];
    let dir = Dir::with_inputs(steps.len());
    launch(&dir, &["-j", "1", "--logs", "all"], &by_index(&steps)).run().exits(0);
    assert_eq!(values(&dir, "n"), (0..steps.len()).collect::<Vec<_>>(), "{:?}", failed(&dir, 1));
    assert_eq!(processes(&dir), 1);
    for (task, said) in [
        ("0", "{\"ok\": 1}\n{\"ok\": 2}\n{\"ok\": 3}\n"),
        ("1", "from C\n"),
        ("4", "seen again\n"),
        ("5", "still seen\n"),
        ("6", "and still\n"),
        ("7", "even now\n"),
        ("14", "ValueError: in the child\n"),
        ("16", "\\udcff\n"),
        ("17", "WARNING:root:logged\n"),
        ("20", "from a shell\nand there\n"),
    ] {
        let kept = log(&dir, task);
        assert!(kept.ends_with(said), "{task}: {kept}");
    }
}

#[test]
fn pools_of_processes_work_however_they_are_started() {
    let dir = Dir::with_inputs(3);
    let source = "
import concurrent.futures, multiprocessing, os
def square(number): return number * number
METHODS = ['fork', 'spawn', 'forkserver']
def analyze(path, index):
    with multiprocessing.get_context(METHODS[index]).Pool(2) as pool:
        squares = pool.map(square, range(4))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return dict(n=squares, more=list(pool.map(square, [4])))
if __name__ == '__main__':
    raise SystemExit('imported, not started')
";
    launch(&dir, &["-j", "3"], source).run().exits(0);
    assert_eq!(values(&dir, "n"), vec![serde_json::json!([0, 1, 4, 9]); 3]);
}

#[test]
fn a_pool_finds_a_file_whose_name_has_a_dot_in_it() {
    let dir = Dir::with_inputs(1);
    let source = "
import multiprocessing, os
def place(number): return os.path.basename(__file__)
def analyze(path):
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        return dict(n=pool.map_async(place, [1]).get(20))
";
    dir.write("analysis.v1.py", source);
    super::call(&dir, "analysis.v1.py:analyze").run().exits(0);
    assert_eq!(values(&dir, "n"), [serde_json::json!(["analysis.v1.py"])]);
}

#[test]
fn a_module_and_a_function_may_wrap_the_streams_anew() {
    let dir = Dir::with_inputs(3);
    let again = "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')\n";
    let ended = launch(&dir, &[], &format!("{again}def analyse(path): return 1\n")).run().exits(2);
    ended.says("analysis.py has no `analyze`; did you mean `analyse`?");
    let steps = [
        "print('one'); raise ValueError('no')",
        "sys.stdout = open(1, 'w', closefd=False); sys.stderr.detach(); print('two')",
        "print('three'); print('and', file=sys.stderr); sys.stdin.detach()",
    ];
    let source = format!("{again}{}", by_index(&steps));
    launch(&dir, &["-j", "1", "--logs", "all", "--max-failures", "none"], &source).run().exits(1);
    assert_eq!((values(&dir, "n"), processes(&dir)), (vec![1.into(), 2.into()], 1));
    assert_eq!(failed(&dir, 1)[0].3, "ValueError: no");
    for (task, said) in [("0", "one\n"), ("1", "two\n"), ("2", "three\nand\n")] {
        assert!(log(&dir, task).contains(said), "{task}: {}", log(&dir, task));
    }
}

#[test]
fn at_the_end_it_exits_as_programs_do_and_waits_for_no_thread() {
    for (thread, more) in
        [("", "atexit"), ("threading.Thread(target=time.sleep, args=(1000,)).start()", "atexit")]
    {
        let dir = Dir::with_inputs(2);
        let source = format!(
            "import atexit, os, threading, time\n{thread}\natexit.register(lambda: open('ended', 'a').write('{more}\\n'))\ndef analyze(path): return 1\n"
        );
        let begun = std::time::Instant::now();
        launch(&dir, &["-j", "1", "--grace", "1h"], &source).run().exits(0);
        assert!(begun.elapsed() < std::time::Duration::from_secs(30));
        assert_eq!(dir.lines("ended"), ["atexit"]);
    }
}

#[test]
fn a_pool_of_processes_that_a_module_keeps_ends_with_it() {
    let dir = Dir::with_inputs(2);
    let source = "
from concurrent.futures import ProcessPoolExecutor
pool = ProcessPoolExecutor(1)
def analyze(path): return dict(n=pool.submit(len, 'abc').result())
";
    let begun = std::time::Instant::now();
    launch(&dir, &["-j", "1", "--grace", "1h"], source).run().exits(0);
    assert!(begun.elapsed() < std::time::Duration::from_secs(30));
    assert_eq!(values(&dir, "n"), [3, 3]);
}

#[test]
fn who_is_left_of_a_killed_launch_ends_with_its_call_also_with_threads_that_go_on() {
    let dir = Dir::with_inputs(1);
    dir.write("hold", "");
    let source = "
import os, threading, time
def analyze(path):
    threading.Thread(target=time.sleep, args=(1000,)).start()
    with open('pid.new', 'w') as file: file.write(str(os.getpid()))
    os.rename('pid.new', 'pid')
    while os.path.exists('hold'): time.sleep(0.01)
";
    let running = launch(&dir, &["-j", "1"], source).start();
    wait_until(DEADLINE, "the function runs", || dir.exists("pid"));
    running.kill();
    std::fs::remove_file(dir.path("hold")).unwrap();
    let pid = dir.text("pid");
    wait_until(DEADLINE, "the end of its Python", || {
        Process::read(pid.parse().unwrap()).is_none_or(|python| python.is_zombie())
    });
}

#[test]
fn modules_that_are_called_like_pythons_own_are_the_functions_and_not_ours() {
    let dir = Dir::with_inputs(2);
    dir.write("signal.py", "def denoise(path): return 'smooth'\n");
    dir.write("re.py", "raise RuntimeError('nobody wants this')\n");
    // Not a module.
    dir.write("json/deep.json", "{}");
    let source = "import json, signal\ndef analyze(path): return json.loads(json.dumps(dict(n=signal.denoise(path))))\n";
    launch(&dir, &["-j", "1"], source).run().exits(0);
    assert_eq!(values(&dir, "n"), ["smooth", "smooth"]);
}

#[test]
fn processor_time_and_output_are_each_tasks_own_also_where_a_library_computes() {
    if !require(Component::Python("numpy, astropy")) {
        return;
    }
    let dir = Dir::with_inputs(2);
    let source = "
import time
import numpy as np
from astropy.io import fits
def analyze(path, index, tmpdir):
    begun = time.process_time()
    while index == 1 and time.process_time() - begun < 0.3: pass
    fits.PrimaryHDU(np.full((4, 4), index, 'f4')).writeto(tmpdir + '/x.fits')
    with fits.open(tmpdir + '/x.fits') as file: return dict(mean=file[0].data.mean())
";
    launch(&dir, &["-j", "1"], source).run().exits(0);
    assert_eq!(values(&dir, "mean"), [0.0, 1.0]);
    let used = dir.results(1)[1]["canfar_run"]["cpu_s"].as_f64().unwrap();
    assert!((0.3..3.0).contains(&used), "{used}");
}
