//! A slot survives what pages and callers do to it, and pages get nowhere.

use std::{collections::BTreeSet, process::Command, time::Duration};

use mondo_jobs::{
    finding::{FindingClass, Report},
    ports::{Execution, Sandbox as _, SandboxError, sandbox::PAGE_BYTES_MAX},
};
use mondo_workers::sandbox::BackendChoice;

use crate::support::{
    program::Running,
    sandbox::{docker, execute, execution, page_path, pool},
    wait::until,
};

async fn check_no_way_out(backend: BackendChoice) {
    let pool = pool(backend, 1).await;
    let report = execute(&pool, "isolation").await;
    let reached: Vec<_> =
        report.findings.iter().filter(|finding| finding.class == FindingClass::Console).collect();
    assert!(reached.is_empty(), "{reached:#?}");
    let tried = report.findings.iter().filter(|finding| finding.class == FindingClass::External);
    assert_eq!(tried.count(), 2, "the attempts were made: {:#?}", report.findings);
    pool.close().await;
}

#[tokio::test]
async fn a_page_reaches_nothing_from_a_local_browser() {
    check_no_way_out(BackendChoice::Local).await;
}

#[tokio::test]
async fn a_page_reaches_nothing_from_a_container() {
    check_no_way_out(BackendChoice::Docker).await;
}

#[tokio::test]
async fn a_page_that_loads_for_ever_does_not_break_its_browser() {
    let pool = pool(BackendChoice::Local, 1).await;
    // It has all of its time, unless the machine is too busy for that.
    let report = execute(&pool, "loads_for_ever").await;
    assert!(report.blocking().all(|finding| finding.class == FindingClass::Hang), "{report:#?}");
    assert!(report.page_ms > 1000, "its time passes while it loads: {report:#?}");
    assert!(execute(&pool, "clean_canvas").await.is_clean(), "the next page is unaffected");
    pool.close().await;
}

async fn check_dropped_execution(backend: BackendChoice) {
    let pool = pool(backend, 1).await;
    for name in ["clean_canvas", "hang_at_load"] {
        let execution = execution(name);
        let given_up = tokio::time::timeout(Duration::from_millis(150), pool.execute(&execution)).await;
        assert!(given_up.is_err(), "{name} takes longer than that");
    }
    let report = execute(&pool, "click_handler").await;
    assert_eq!(report.findings.len(), 1, "nothing of the dropped pages is left: {report:#?}");
    pool.close().await;
}

#[tokio::test]
async fn a_dropped_execution_leaves_a_local_slot_usable() {
    check_dropped_execution(BackendChoice::Local).await;
}

#[tokio::test]
async fn a_dropped_execution_leaves_a_container_usable() {
    check_dropped_execution(BackendChoice::Docker).await;
}

#[tokio::test]
async fn a_container_that_dies_is_replaced() {
    let pool = pool(BackendChoice::Docker, 1).await;
    let ours = || docker(&["ps", "-q", "--filter", &format!("name=mondo-sandbox-{}-", std::process::id())]);
    let first = ours();
    assert_eq!(first.lines().count(), 1, "one slot, one container: {first}");
    docker(&["kill", first.trim()]);
    let report = execute(&pool, "clean_canvas").await;
    assert_eq!(report.findings, []);
    let second = ours();
    assert_ne!(first, second);
    pool.close().await;
    until("the container to go", || async { ours().is_empty() }).await;
}

/// Kills a process whose container has just been started, or which has `spoken` with its browser.
async fn check_killed(spoken: bool) {
    let directory = tempfile::tempdir().unwrap();
    let pages = vec![page_path("hang_on_click").display().to_string(); 20];
    let arguments: Vec<&str> = ["check"].into_iter().chain(pages.iter().map(String::as_str)).collect();
    let log = directory.path().join("log");
    let pipes = directory.path().join("pipes");
    std::fs::create_dir(&pipes).unwrap();
    // One slot, so that no other container has been made and not started yet: that is left to the next process.
    let settings =
        [("MONDO_SANDBOX", "docker"), ("MONDO_SANDBOX_SLOTS", "1"), ("TMPDIR", pipes.to_str().unwrap())];
    let mut program = Running::start(&arguments, &settings, &log);
    let filter = format!("name=mondo-sandbox-{}-", program.0.id());
    let theirs = || docker(&["ps", "--all", "--quiet", "--filter", &filter]);
    let runs = || !docker(&["ps", "--quiet", "--filter", &filter]).is_empty();
    if spoken {
        let opened = || runs() && std::fs::read_dir(&pipes).unwrap().next().is_none();
        until("a browser that is spoken with", || async { opened() }).await;
    } else {
        until("a container that runs", || async { runs() }).await;
    }
    program.kill();
    until("the containers to go", || async { theirs().is_empty() }).await;
}

#[tokio::test]
async fn containers_go_when_their_process_is_killed_at_once() {
    check_killed(false).await;
}

#[tokio::test]
async fn containers_go_when_their_process_is_killed_later() {
    check_killed(true).await;
}

#[tokio::test]
async fn a_local_browser_that_dies_is_replaced() {
    let pool = pool(BackendChoice::Local, 1).await;
    let first = children();
    assert_eq!(first.len(), 1, "one slot, one process");
    let killed = Command::new("kill").arg("-KILL").arg(&first[0]).status().unwrap();
    assert!(killed.success());
    let report = execute(&pool, "clean_canvas").await;
    assert_eq!(report.findings, []);
    assert_ne!(first, children());
    pool.close().await;
    assert_eq!(children(), Vec::<String>::new(), "closing ends them all");
}

/// Kills the browser that runs a page, and each one that comes after it, so many times.
async fn kill_under_a_page(times: usize) -> Report {
    let pool = pool(BackendChoice::Local, 1).await;
    // It keeps its browser busy for a second at the least.
    let page = execution("hang_at_load");
    let killing = async {
        let mut killed = Vec::new();
        while killed.len() < times {
            let next = children().into_iter().find(|child| !killed.contains(child));
            if let Some(browser) = next {
                assert!(Command::new("kill").arg("-KILL").arg(&browser).status().unwrap().success());
                killed.push(browser);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (report, ()) = tokio::join!(pool.execute(&page), killing);
    assert_eq!(execute(&pool, "clean_canvas").await.findings, []);
    pool.close().await;
    report.unwrap()
}

#[tokio::test]
async fn a_page_whose_browser_dies_is_run_again() {
    let report = kill_under_a_page(1).await;
    assert_eq!((report.findings.len(), report.findings[0].class), (1, FindingClass::Hang), "{report:#?}");
}

#[tokio::test]
async fn a_browser_is_replaced_after_so_many_pages_and_one_is_ready() {
    let pool = pool(BackendChoice::Local, 1).await;
    let first = children();
    let page = execution("clean_canvas");
    until("another browser", || async {
        // A page that nobody waits for any more is ended, and counts all the same.
        let _ = tokio::time::timeout(Duration::from_millis(20), pool.execute(&page)).await;
        children() != first && children().len() == 1
    })
    .await;
    let second = children();
    assert_eq!(execute(&pool, "clean_canvas").await.findings, []);
    assert_eq!(children(), second, "it was ready, and its pages are counted from none");
    pool.close().await;
}

#[tokio::test]
async fn a_page_over_the_limit_is_refused() {
    let pool = pool(BackendChoice::Local, 1).await;
    let page = "x".repeat(PAGE_BYTES_MAX + 1);
    let error = pool.execute(&Execution::new(page, 0)).await.unwrap_err();
    assert!(matches!(error, SandboxError::PageTooLarge { bytes } if bytes == PAGE_BYTES_MAX + 1), "{error}");
    pool.close().await;
}

#[tokio::test]
async fn a_hang_ends_within_bounds_and_the_slot_goes_on() {
    let pool = pool(BackendChoice::Local, 1).await;
    let hang = execute(&pool, "hang_on_click").await;
    assert_eq!(hang.findings.len(), 1);
    let next = execute(&pool, "clean_canvas").await;
    assert_eq!(next.findings, []);
    pool.close().await;
}

/// Lets this thread, and the pools that it opens, use two processors, or the one that there is. Gives their numbers.
fn use_two_processors() -> Vec<String> {
    let two: Vec<String> =
        numbers(&allowed_to("thread-self")).take(2).map(|number| number.to_string()).collect();
    let thread = std::fs::read_link("/proc/thread-self").unwrap();
    let limited =
        Command::new("taskset").arg("-cp").arg(two.join(",")).arg(thread.file_name().unwrap()).output();
    assert!(limited.as_ref().unwrap().status.success(), "{limited:?}");
    two
}

/// The numbers in what the kernel writes as `0-2,5`.
fn numbers(written: &str) -> impl Iterator<Item = u32> {
    written.split(',').flat_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        first.parse::<u32>().unwrap()..=last.parse().unwrap()
    })
}

/// The processors that a process or thread may use, as the kernel writes them; nothing when it has ended.
fn allowed_to(process: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    allowed.unwrap_or_default().trim().to_owned()
}

/// What all threads of a process and of its descendants may use.
fn allowed_to_family(process: &str) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    for thread in std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten() {
        let thread = format!("{process}/task/{}", thread.file_name().display());
        // SwiftShader, which draws WebGL, chooses for its threads by itself where it is let.
        let name = std::fs::read_to_string(format!("/proc/{thread}/comm")).unwrap_or_default();
        let of_thread = allowed_to(&thread);
        // Or it has ended meanwhile.
        if !name.starts_with("Thread<") && !of_thread.is_empty() {
            allowed.insert(of_thread);
        }
        let children = std::fs::read_to_string(format!("/proc/{thread}/children")).unwrap_or_default();
        allowed.extend(children.split_whitespace().flat_map(allowed_to_family));
    }
    allowed
}

/// What the slots' threads may use.
fn allowed_to_slots() -> BTreeSet<String> {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten().map(|thread| thread.path());
    let slots = threads.filter(|thread| {
        std::fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.starts_with("slot-"))
    });
    slots.map(|thread| allowed_to(&format!("self/task/{}", thread.file_name().unwrap().display()))).collect()
}

/// Each slot's thread and browser keep to a processor of their own where there is one for each, and to none where not.
async fn check_processors(backend: BackendChoice, browsers: impl Fn() -> Vec<String>) {
    let two = use_two_processors();
    let pool_of_one = pool(backend, 1).await;
    let free = allowed_to_family(&browsers()[0]);
    // A container may use what its daemon may.
    let all = two.iter().all(|one| numbers(free.first().unwrap()).any(|number| number.to_string() == *one));
    assert!(free.len() == 1 && all, "{free:?}");
    pool_of_one.close().await;
    until("its browser to go", || async { browsers().is_empty() }).await;

    let pool = pool(backend, two.len()).await;
    let first = browsers();
    assert_eq!(allowed_to_family(&first[0]), BTreeSet::from([two[0].clone()]), "the first slot's");
    let page = execution("clean_canvas");
    let (one, other) = tokio::join!(pool.execute(&page), pool.execute(&page));
    assert!(one.unwrap().is_clean() && other.unwrap().is_clean());
    // Until both have their next page.
    pool.usage().await;
    let each: BTreeSet<String> = two.into_iter().collect();
    assert!(each.is_subset(&allowed_to_slots()), "{:?}", allowed_to_slots());
    let kept: Vec<BTreeSet<String>> = browsers().iter().map(|process| allowed_to_family(process)).collect();
    assert!(kept.iter().all(|one| one.len() == 1), "whole browsers: {kept:?}");
    assert_eq!(kept.into_iter().flatten().collect::<BTreeSet<_>>(), each);
    pool.close().await;
}

/// Where thread and browser take turns, an input overtakes a timer that is due.
#[tokio::test]
async fn an_input_never_overtakes_a_timer_that_is_due() {
    use_two_processors();
    let pool = pool(BackendChoice::Local, 2).await;
    let page = execution("timers_due");
    let mut hashes = BTreeSet::new();
    for _ in 0..6 {
        let (one, other) = tokio::join!(pool.execute(&page), pool.execute(&page));
        for report in [one.unwrap(), other.unwrap()] {
            assert_eq!(report.findings, []);
            assert!(report.inputs > 0);
            hashes.insert(report.hash);
        }
    }
    assert_eq!(hashes.len(), 1);
    pool.close().await;
}

#[tokio::test]
async fn local_browsers_keep_to_a_processor_each() {
    check_processors(BackendChoice::Local, children).await;
}

#[tokio::test]
async fn containers_keep_to_a_processor_each() {
    let ours = format!("name=mondo-sandbox-{}-", std::process::id());
    let processes = || {
        let containers = docker(&["ps", "--quiet", "--filter", &ours]);
        let process_of = |id| docker(&["inspect", "--format", "{{.State.Pid}}", id]).trim().to_owned();
        containers.lines().map(process_of).collect()
    };
    check_processors(BackendChoice::Docker, processes).await;
}

/// The processes that this test started. Each test is a process of its own under nextest; under `cargo test` the
/// thread tells them apart.
fn children() -> Vec<String> {
    let mine = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, rest)) = stat.rsplit_once(')') else { continue };
        let mut fields = rest.split_whitespace();
        let alive = fields.next() != Some("Z");
        if alive && fields.next() == Some(mine.as_str()) && stat.contains("(bwrap)") {
            found.push(name);
        }
    }
    found
}
